//! The buckets of a histogram: KINDS.md section 4.
//!
//! Base-2 exponential buckets, the same as those of OpenTelemetry's exponential histograms and
//! Prometheus' native histograms, so that exports lose nothing. With scale `s` the base is
//! `2^(2^-s)`, and bucket `i` holds the values in `(base^i, base^(i+1)]`.
//!
//! An index is computed without a logarithm: the top six bits of the mantissa select an entry of a
//! table of 64 boundaries, and two comparisons correct it (an idea of DynaHist and of
//! OpenTelemetry's lookup-table mapping). The computation is at scale 6; the index at a lower scale
//! is the same without its low bits.

use crate::types::DataType;

/// Size of a histogram's slot in bytes: total, change, sum, minimum, maximum.
pub(crate) const HISTOGRAM_SLOT: u32 = 40;

/// Finest scale of a writer.
const FINEST: i8 = 6;
/// Scales allowed by FORMAT.md.
const SCALES: core::ops::RangeInclusive<i8> = -4..=8;

/// `floor(2^(63 + j/64))`: the boundaries of the 64 buckets of an octave.
#[rustfmt::skip]
const BOUNDS: [u64; 64] = [
    0x8000_0000_0000_0000, 0x8164_D1F3_BC03_0773, 0x82CD_8698_AC2B_A1D7, 0x843A_28C3_ACDE_4046,
    0x85AA_C367_CC48_7B14, 0x871F_6196_9E8D_1010, 0x8898_0E80_92DA_8527, 0x8A14_D575_496E_FD9A,
    0x8B95_C1E3_EA8B_D6E6, 0x8D1A_DF5B_7E5B_A9E5, 0x8EA4_398B_45CD_53C0, 0x9031_DC43_1466_B1DC,
    0x91C3_D373_AB11_C336, 0x935A_2B2F_13E6_E92B, 0x94F4_EFA8_FEF7_0961, 0x9694_2D37_2018_5A00,
    0x9837_F051_8DB8_A96F, 0x99E0_4593_20B7_FA64, 0x9B8D_39B9_D54E_5538, 0x9D3E_D9A7_2CFF_B750,
    0x9EF5_3260_91A1_11AD, 0xA0B0_510F_B971_4FC2, 0xA270_4303_0C49_6818, 0xA435_15AE_09E6_809E,
    0xA5FE_D6A9_B151_38EA, 0xA7CD_93B4_E965_3569, 0xA9A1_5AB4_EA7C_0EF8, 0xAB7A_39B5_A93E_D337,
    0xAD58_3EEA_42A1_4AC6, 0xAF3B_78AD_690A_4374, 0xB123_F581_D2AC_258F, 0xB311_C412_A911_2489,
    0xB504_F333_F9DE_6484, 0xB6FD_91E3_28D1_7791, 0xB8FB_AF47_62FB_9EE9, 0xBAFF_5AB2_133E_45FB,
    0xBD08_A39F_580C_36BE, 0xBF17_99B6_7A73_1082, 0xC12C_4CCA_6670_9456, 0xC346_CCDA_2497_6407,
    0xC567_2A11_5506_DADD, 0xC78D_74C8_ABB9_B15C, 0xC9B9_BD86_6E2F_27A2, 0xCBEC_14FE_F272_7C5C,
    0xCE24_8C15_1F84_80E3, 0xD063_33DA_EF2B_2594, 0xD2A8_1D91_F12A_E45A, 0xD4F3_5AAB_CFED_FA1F,
    0xD744_FCCA_D69D_6AF4, 0xD99D_15C2_78AF_D7B5, 0xDBFB_B797_DAF2_3755, 0xDE60_F482_5E0E_9123,
    0xE0CC_DEEC_2A94_E111, 0xE33F_8972_BE8A_5A51, 0xE5B9_06E7_7C83_48A8, 0xE839_6A50_3C4B_DC68,
    0xEAC0_C6E7_DD24_392E, 0xED4F_301E_D994_2B84, 0xEFE4_B99B_DCDA_F5CB, 0xF281_773C_59FF_B139,
    0xF525_7D15_2486_CC2C, 0xF7D0_DF73_0AD1_3BB8, 0xFA83_B2DB_722A_033A, 0xFD3E_0C0C_F486_C174,
];

/// Number of boundaries below the smallest mantissa with each value of the top six bits after the
/// leading one. Up to two more lie below a larger mantissa.
#[rustfmt::skip]
const GUESS: [u8; 64] = [
    0, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 16, 18, 19, 20,
    21, 22, 23, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37,
    38, 39, 40, 41, 42, 43, 44, 44, 45, 46, 47, 48, 49, 50, 51, 51,
    52, 53, 54, 55, 55, 56, 57, 58, 59, 59, 60, 61, 62, 62, 63, 64,
];

/// The buckets of a histogram: their width and range.
///
/// One more element counts values at or below the range, also zero and negative ones, and another
/// one values above it.
///
/// ```
/// use mmstats_core::Buckets;
/// // Durations from a microsecond to a minute, in nanoseconds, to 5 %.
/// let buckets = Buckets::integers(0.05, 1_000, 60_000_000_000);
/// assert_eq!(buckets.scale(), 3);
/// assert!(buckets.relative_error() < 0.044);
/// assert_eq!(buckets.elements(), 210);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Buckets {
    scale: i8,
    float: bool,
    /// Index of the first bucket.
    lowest: i16,
    /// Number of elements, with those below and above the range.
    elements: u32,
}

impl Buckets {
    /// For integers from `low` (at least 1) to `high`, with a relative error of at most
    /// `error`: 0.0054 is the smallest, about 0.17 the largest that makes a difference.
    ///
    /// A range that is empty or starts at 0 is replaced by one that holds `low` or 1.
    #[must_use]
    pub const fn integers(error: f64, low: u64, high: u64) -> Self {
        let low = if low == 0 { 1 } else { low };
        let high = if high < low { low } else { high };
        Self::between(scale_for(error), false, index_of_int(low), index_of_int(high))
    }

    /// For floats from `low` to `high`, with a relative error of at most `error`: 0.0054 is
    /// the smallest, about 0.17 the largest that makes a difference.
    ///
    /// The range is limited to 1e-150 to 1e150; one that is empty or not positive is replaced by
    /// one that holds `low` or 1e-150.
    #[must_use]
    pub const fn floats(error: f64, low: f64, high: f64) -> Self {
        // NaN fails all comparisons.
        let low = if low >= 1e-150 { low } else { 1e-150 };
        let low = if low <= 1e150 { low } else { 1e150 };
        let high = if high >= low { high } else { low };
        let high = if high <= 1e150 { high } else { 1e150 };
        Self::between(scale_for(error), true, index_of_float(low), index_of_float(high))
    }

    /// `first` and `last` are indices at the finest scale.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // -31,900 to 31,900.
    const fn between(scale: i8, float: bool, first: i32, last: i32) -> Self {
        let shift = (FINEST - scale) as u32;
        let (first, last) = (first >> shift, last >> shift);
        Self { scale, float, lowest: first as i16, elements: (last - first) as u32 + 3 }
    }

    /// The buckets with a descriptor's parameter and count; `None` if these break a rule of
    /// KINDS.md section 4.
    #[must_use]
    pub const fn from_param(param: u32, elements: u32) -> Option<Self> {
        let [scale, ty, low, high] = param.to_le_bytes();
        let scale = scale.cast_signed();
        let float = ty == DataType::F64.code();
        let known = float || ty == DataType::U64.code();
        if !known || scale < *SCALES.start() || scale > *SCALES.end() || elements < 3 {
            return None;
        }
        Some(Self { scale, float, lowest: i16::from_le_bytes([low, high]), elements })
    }

    /// The parameter of the descriptor.
    #[must_use]
    pub const fn param(&self) -> u32 {
        let [low, high] = self.lowest.to_le_bytes();
        let ty = if self.float { DataType::F64 } else { DataType::U64 };
        u32::from_le_bytes([self.scale.cast_unsigned(), ty.code(), low, high])
    }

    /// The scale: an octave has `2^scale` buckets.
    #[must_use]
    pub const fn scale(&self) -> i8 {
        self.scale
    }

    /// Index of the first bucket, which is element 1.
    #[must_use]
    pub const fn lowest(&self) -> i32 {
        self.lowest as i32
    }

    /// Number of elements of the journal: the buckets and two more.
    #[must_use]
    pub const fn elements(&self) -> u32 {
        self.elements
    }

    /// Type of the values: u64 or f64.
    #[must_use]
    pub const fn ty(&self) -> DataType {
        if self.float { DataType::F64 } else { DataType::U64 }
    }

    /// Whether this version can record into these buckets.
    pub(crate) const fn are_writable(&self) -> bool {
        self.scale >= -4 && self.scale <= FINEST
    }

    /// Largest relative error of the estimate `2 l u / (l + u)` for a value in a bucket `(l, u]`:
    /// `(base - 1) / (base + 1)`.
    ///
    /// Source: Masson, Rim and Lee, "DDSketch", VLDB 2019.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        let base = self.bound(1);
        (base - 1.0) / (base + 1.0)
    }

    /// `base^index`, the lower bound of bucket `index`; infinite or 0 if outside of an f64's range.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Rounded to the nearest f64.
    pub fn bound(&self, index: i32) -> f64 {
        if self.scale > FINEST {
            // Square root of the product of the two neighbours at the next lower scale, and so on.
            let coarser = Self { scale: self.scale - 1, ..*self };
            let low = coarser.bound(index >> 1);
            if index & 1 == 0 { low } else { sqrt_between(low, coarser.bound((index >> 1) + 1)) }
        } else {
            let shift = u32::from((FINEST - self.scale).unsigned_abs());
            let fine = i64::from(index) << shift;
            let octave = fine.div_euclid(64);
            // Below 64: exact.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let mantissa = BOUNDS[fine.rem_euclid(64) as usize] as f64;
            scale_by(mantissa, octave - 63)
        }
    }

    /// The bounds `(low, high]` of an element; the first starts at 0, the last is open.
    #[must_use]
    pub fn bounds(&self, element: u32) -> (f64, f64) {
        let last = self.elements - 1;
        let at = |element: u32| self.bound(self.lowest().saturating_add_unsigned(element));
        match element {
            0 => (0.0, at(0)),
            _ if element >= last => (at(last - 1), f64::INFINITY),
            _ => (at(element - 1), at(element)),
        }
    }

    /// The element that counts an integer.
    #[inline(always)]
    #[must_use]
    pub const fn element_of_int(&self, value: u64) -> u32 {
        if value == 0 { 0 } else { self.element(index_of_int(value)) }
    }

    /// The element that counts a float. NaN, which has none, gets the first.
    #[inline(always)]
    #[must_use]
    pub const fn element_of_float(&self, value: f64) -> u32 {
        if value > 0.0 { self.element(index_of_float(value)) } else { 0 }
    }

    /// The element of an index at the finest scale.
    #[inline(always)]
    #[allow(clippy::cast_sign_loss)] // Negative ones are dealt with.
    const fn element(&self, finest: i32) -> u32 {
        let shift = (FINEST - self.scale) as u32 & 31;
        let element = (finest >> shift) - self.lowest as i32 + 1;
        let last = self.elements - 1;
        if element < 0 {
            0
        } else if element as u32 > last {
            last
        } else {
            element as u32
        }
    }
}

/// The coarsest scale whose relative error is at most `error`.
const fn scale_for(error: f64) -> i8 {
    // (base - 1) / (base + 1) for scales 1 to 5, rounded up.
    match error {
        e if e >= 0.171_573 => 1,
        e if e >= 0.086_428 => 2,
        e if e >= 0.043_297 => 3,
        e if e >= 0.021_659 => 4,
        e if e >= 0.010_831 => 5,
        _ => FINEST,
    }
}

/// The index at the finest scale: `ceil(64 log2(value)) - 1`. `value` is not 0.
#[inline(always)]
const fn index_of_int(value: u64) -> i32 {
    let zeros = value.leading_zeros() & 63;
    index_in_octave(63 - zeros.cast_signed(), value << zeros)
}

/// As [`index_of_int`]; `value` is above 0.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // 11 bits.
const fn index_of_float(value: f64) -> i32 {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i32 & 0x7FF, bits << 11);
    if exponent == 0 {
        // Subnormal: the fraction alone, times 2^-1074.
        let fraction = bits & ((1 << 52) - 1);
        let zeros = fraction.leading_zeros() & 63;
        return index_in_octave(63 - zeros.cast_signed() - 1074, fraction << zeros);
    }
    index_in_octave(exponent - 1023, 1 << 63 | fraction)
}

/// The index at the finest scale: `octave` is `floor(log2)`, `mantissa` the value with its top bit
/// at bit 63.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // At most 64.
const fn index_in_octave(octave: i32, mantissa: u64) -> i32 {
    let guess = GUESS[(mantissa >> 57 & 63) as usize] as usize;
    let more = is_below(guess, mantissa) as i32 + is_below(guess + 1, mantissa) as i32;
    octave * 64 + guess as i32 - 1 + more
}

/// Whether boundary `j` of the octave exists and lies below the mantissa.
#[inline(always)]
const fn is_below(j: usize, mantissa: u64) -> bool {
    j < 64 && BOUNDS[j & 63] < mantissa
}

/// `x * 2^power`, in two steps if `2^power` is out of range.
fn scale_by(x: f64, power: i64) -> f64 {
    #[allow(clippy::cast_sign_loss)] // Clamped: 1 to 2046.
    let two_to = |n: i64| f64::from_bits(((n + 1023).clamp(1, 2046) as u64) << 52);
    let first = power.clamp(-1000, 1000);
    let second = (power - first).clamp(-1000, 1000);
    x * two_to(first) * two_to(second)
}

/// `sqrt(a * b)` for `a <= b <= 2 a`, by Newton's method: core has no square root.
fn sqrt_between(a: f64, b: f64) -> f64 {
    if a == 0.0 || b.is_infinite() {
        return a;
    }
    let ratio = b / a;
    let mut root = f64::midpoint(1.0, ratio);
    for _ in 0..5 {
        root = f64::midpoint(root, ratio / root);
    }
    a * root
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[allow(clippy::cast_possible_truncation)] // The low digit.
    /// `a * b` of little-endian numbers of 32-bit digits.
    fn times(a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut out = std::vec![0_u32; a.len() + b.len()];
        for (i, x) in a.iter().enumerate() {
            let mut carry = 0_u64;
            for (j, y) in b.iter().chain([&0]).enumerate() {
                let Some(to) = out.get_mut(i + j) else { break };
                carry += u64::from(*to) + u64::from(*x) * u64::from(*y);
                *to = carry as u32;
                carry >>= 32;
            }
        }
        out
    }

    #[allow(clippy::cast_possible_truncation)] // The digits.
    /// `n^64`, of 4,096 bits at most.
    fn power64(n: u64) -> Vec<u32> {
        let mut power = std::vec![n as u32, (n >> 32) as u32];
        for _ in 0..6 {
            power = times(&power, &power);
        }
        power
    }

    /// Whether the number is at least 2^bit.
    fn reaches(n: &[u32], bit: usize) -> bool {
        n.iter().enumerate().any(|(i, digit)| {
            let from = bit.saturating_sub(i * 32);
            from < 32 && digit >> from != 0
        })
    }

    #[test]
    fn boundaries_exact() {
        // b = floor(2^(63 + j/64)): b^64 <= 2^(63*64 + j) < (b + 1)^64.
        for (j, &b) in BOUNDS.iter().enumerate() {
            let bit = 63 * 64 + j;
            assert!(reaches(&power64(b + 1), bit), "boundary {j} is too small");
            assert!(j == 0 || !reaches(&power64(b), bit), "boundary {j} is too large");
        }
        assert_eq!(BOUNDS[0], 1 << 63);
    }

    /// The index by its definition.
    fn counted(value: u64) -> i32 {
        let zeros = value.leading_zeros();
        let below = BOUNDS.iter().filter(|b| **b < value << zeros).count();
        (63 - zeros.cast_signed()) * 64 + i32::try_from(below).unwrap() - 1
    }

    #[test]
    fn index_equals_definition() {
        let mut state = 1_u64;
        let random = (0..100_000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> (state & 63)).max(1)
        });
        let edges = BOUNDS.iter().flat_map(|b| [b - 1, *b, b + 1]);
        let cells = (0..64).flat_map(|i| [(64 + i) << 57, ((64 + i) << 57) + ((1_u64 << 57) - 1)]);
        for value in (1..=4096).chain(random).chain(edges).chain(cells).chain([u64::MAX]) {
            assert_eq!(index_of_int(value), counted(value), "{value}");
            if value < 1 << 53 {
                #[allow(clippy::cast_precision_loss)] // Exact below 2^53.
                let float = value as f64;
                assert_eq!(index_of_float(float), counted(value), "{value}");
            }
        }
    }

    #[test]
    fn index_power_of_two_ends_its_bucket() {
        for scale in 1..=FINEST {
            let buckets = Buckets { scale, float: false, lowest: 0, elements: 1 << 14 };
            for octave in 8..60 {
                let element = buckets.element_of_int(1 << octave);
                assert_eq!(element, octave << scale, "scale {scale}");
                assert_eq!(buckets.element_of_int((1 << octave) + 1), element + 1);
                assert_eq!(
                    buckets.bounds(element).1.to_bits(),
                    scale_by(1.0, octave.into()).to_bits()
                );
            }
        }
        assert_eq!(index_of_float(f64::MIN_POSITIVE), -1022 * 64 - 1);
        assert_eq!(index_of_float(f64::from_bits(1)), -1074 * 64 - 1);
        assert_eq!(index_of_float(f64::from_bits(3)), -1074 * 64 + 101);
    }

    #[test]
    fn bounds_contain_values_of_element() {
        for error in [0.2, 0.1, 0.05, 0.025, 0.0125, 0.006] {
            let ints = Buckets::integers(error, 1_000, 60_000_000_000);
            let floats = Buckets::floats(error, 1e-6, 60.0);
            assert!(ints.relative_error() <= error && floats.relative_error() <= error);
            for i in 0..10_000_u64 {
                let value = i * i * i / 7 + 1_001;
                let (low, high) = ints.bounds(ints.element_of_int(value));
                #[allow(clippy::cast_precision_loss)]
                let value = value as f64;
                assert!(low < value && value <= high, "{value} in {low}..{high}");
                let value = value / 1e9;
                let (low, high) = floats.bounds(floats.element_of_float(value));
                assert!(low < value && value <= high, "{value} in {low}..{high}");
            }
            assert_eq!(ints.element_of_int(0), 0);
            assert_eq!(ints.element_of_int(1), 0);
            assert_eq!(ints.element_of_int(u64::MAX), ints.elements() - 1);
            assert_eq!(floats.element_of_float(-1.0), 0);
            assert_eq!(floats.element_of_float(f64::NAN), 0);
            assert_eq!(floats.element_of_float(f64::INFINITY), floats.elements() - 1);
            // The range includes its ends.
            assert_eq!(ints.element_of_int(1_000), 1);
            assert_eq!(ints.element_of_int(60_000_000_000), ints.elements() - 2);
        }
    }

    #[test]
    fn from_param_round_trip() {
        for buckets in [
            Buckets::integers(0.05, 0, u64::MAX),
            Buckets::floats(0.01, 0.0, f64::INFINITY),
            Buckets::floats(0.2, f64::NAN, f64::NAN),
            Buckets::integers(0.1, 9, 3),
        ] {
            assert_eq!(Buckets::from_param(buckets.param(), buckets.elements()), Some(buckets));
        }
        assert!(Buckets::from_param(Buckets::integers(0.1, 1, 2).param(), 2).is_none());
        for param in [9 | 4 << 8, 0xFB | 4 << 8, 1 | 5 << 8] {
            assert!(Buckets::from_param(param, 10).is_none(), "{param:#x}");
        }
    }

    #[test]
    fn bound_fine_scales_interpolate() {
        let at = |scale, index| Buckets { scale, float: true, lowest: 0, elements: 3 }.bound(index);
        for index in [-1000, -3, 0, 1, 77, 4095] {
            assert_eq!(at(8, 4 * index).to_bits(), at(6, index).to_bits());
            let (a, b, c) = (at(7, 2 * index), at(7, 2 * index + 1), at(7, 2 * index + 2));
            assert!(a < b && b < c && ((b * b) / (a * c) - 1.0).abs() < 1e-14);
        }
        assert_eq!(at(-4, 1).to_bits(), 65_536.0_f64.to_bits());
        assert_eq!(at(0, i32::MAX), f64::INFINITY);
        assert_eq!(at(0, i32::MIN), 0.0);
    }

    /// No more buckets than needed from `low` to `high`.
    #[test]
    fn floats_range_ends_as_given() {
        use core::hint::black_box;
        for (low, high) in [(0.01, 100.0), (1e-9, 1e-6), (1.0, 1e12)] {
            let buckets = Buckets::floats(0.1, black_box(low), black_box(high));
            let last = buckets.elements() - 2;
            let (first, last) = (buckets.bounds(1), buckets.bounds(last));
            assert!(first.0 <= low && low <= first.1, "{first:?} {low}");
            assert!(last.0 <= high && high <= last.1, "{last:?} {high}");
        }
        // Beyond these limits the result is the same.
        let all = Buckets::floats(0.5, 1e-150, 1e150);
        assert_eq!(Buckets::floats(0.5, black_box(1e-300), black_box(1e300)), all);
    }
}
