//! Combined histograms and their quantiles: KINDS.md section 4.

use std::collections::BTreeMap;

use mmstats_core::merge::{HistogramSummary, Number};
use mmstats_core::read::Histogram;
use mmstats_core::{Buckets, DataType};

use super::quantile::Quantile;

/// Distribution of values.
///
/// Counts are exact; so are sum, minimum and maximum of integer values. The histogram of an
/// interval, [`since`](Self::since), has no minimum and no maximum.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramValue {
    float: bool,
    scale: i8,
    summary: HistogramSummary,
    /// Number of values at or below `base^bound`, which are in no bucket, and `bound`; `None` if
    /// there are no such values.
    below: (u128, Option<i32>),
    /// Number of values above `base^bound`, which are in no bucket, and `bound`; `None` if there
    /// are no such values.
    above: (u128, Option<i32>),
    /// Counts by number of the bucket; without empty buckets.
    buckets: BTreeMap<i32, u128>,
}

/// The parts of a [`HistogramValue`].
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramParts {
    /// Whether the values are floats.
    pub float: bool,
    /// An octave has `2^scale` buckets.
    pub scale: i8,
    /// Number of values.
    pub count: u128,
    /// Their sum.
    pub sum: Number,
    /// The smallest and the largest value; `None` if they are not known.
    pub range: Option<(Number, Number)>,
    /// Number of values below all buckets, and number of the first bucket; `None` if there are no such values.
    pub below: (u128, Option<i32>),
    /// Number of values above all buckets, and number of the bucket after the last; `None` if there are no such
    /// values.
    pub above: (u128, Option<i32>),
    /// Counts by number of the bucket.
    pub buckets: BTreeMap<i32, u128>,
}

impl HistogramValue {
    /// A histogram without values.
    pub(crate) const fn new() -> Self {
        Self {
            float: false,
            scale: 8,
            summary: HistogramSummary::EMPTY,
            below: (0, None),
            above: (0, None),
            buckets: BTreeMap::new(),
        }
    }

    /// The histogram with these parts; `None` if no writer uses this scale.
    #[must_use]
    pub fn from_parts(parts: HistogramParts) -> Option<Self> {
        let HistogramParts { float, scale, count, sum, range, below, above, mut buckets } = parts;
        let (ty, [scale_byte]) = (DataType::F64.code(), scale.to_le_bytes());
        Buckets::from_param(u32::from_le_bytes([scale_byte, ty, 0, 0]), 3)?;
        buckets.retain(|_, count| *count > 0);
        let summary = HistogramSummary::new(count, sum, range);
        Some(Self { float, scale, summary, below, above, buckets })
    }

    /// The parts of which [`from_parts`](Self::from_parts) makes the same histogram.
    #[must_use]
    pub fn to_parts(&self) -> HistogramParts {
        HistogramParts {
            float: self.float,
            scale: self.scale,
            count: self.count(),
            sum: self.sum(),
            range: self.summary.range(),
            below: self.below,
            above: self.above,
            buckets: self.buckets.clone(),
        }
    }

    /// Merges another histogram of the same type of values into this one.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count() == 0 {
            return;
        }
        if self.count() == 0 {
            return self.clone_from(other);
        }
        let mut other = other.clone();
        let scale = self.scale.min(other.scale);
        self.coarsen(scale);
        other.coarsen(scale);
        // Damaged lanes are left out before; the sum of good ones may exceed a float.
        self.summary.merge_sum(&other.summary);
        self.below.0 = self.below.0.saturating_add(other.below.0);
        self.below.1 = self.below.1.into_iter().chain(other.below.1).max();
        self.above.0 = self.above.0.saturating_add(other.above.0);
        self.above.1 = self.above.1.into_iter().chain(other.above.1).min();
        for (bucket, count) in other.buckets {
            let to = self.buckets.entry(bucket).or_default();
            *to = to.saturating_add(count);
        }
        self.fold_ends();
    }

    /// Adds buckets beyond a bound to the number of values beyond it.
    fn fold_ends(&mut self) {
        if let Some(bound) = self.below.1 {
            let inside = self.buckets.split_off(&bound);
            let outside = std::mem::replace(&mut self.buckets, inside);
            self.below.0 = outside.values().fold(self.below.0, |sum, n| sum.saturating_add(*n));
        }
        if let Some(bound) = self.above.1 {
            let outside = self.buckets.split_off(&bound);
            self.above.0 = outside.values().fold(self.above.0, |sum, n| sum.saturating_add(*n));
        }
    }

    /// Merges buckets to a lower scale.
    fn coarsen(&mut self, scale: i8) {
        let shift = u32::from(self.scale.abs_diff(scale));
        if shift == 0 {
            return;
        }
        self.scale = scale;
        let mut buckets = BTreeMap::new();
        for (bucket, count) in std::mem::take(&mut self.buckets) {
            let to: &mut u128 = buckets.entry(bucket >> shift).or_default();
            *to = to.saturating_add(count);
        }
        self.buckets = buckets;
        // The lower bound is rounded up, the upper bound down.
        self.below.1 = self.below.1.map(|bound| -(bound.saturating_neg() >> shift));
        self.above.1 = self.above.1.map(|bound| bound >> shift);
        self.fold_ends();
    }

    /// Number of values.
    #[must_use]
    pub const fn count(&self) -> u128 {
        self.summary.count()
    }

    /// Sum of the values: unsigned, or a float if the values are floats.
    #[must_use]
    pub const fn sum(&self) -> Number {
        self.summary.sum()
    }

    /// The mean; `None` without values, or if the sum is not finite, below count times the minimum
    /// or above count times the maximum, as after a wrap-around.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.summary.mean().filter(|mean| mean.is_finite() && self.is_possible(*mean))
    }

    /// Whether values in these buckets can have this mean.
    #[allow(clippy::cast_precision_loss)] // Compared with a margin.
    fn is_possible(&self, mean: f64) -> bool {
        let (below, above) = (self.below.0 as f64, self.above.0 as f64);
        let (mut low, mut high) = (0.0, 0.0);
        if below > 0.0 {
            low += if self.float { f64::NEG_INFINITY } else { 0.0 };
            high += below * self.bound_below();
        }
        if above > 0.0 {
            low += above * self.bound_above();
            high += f64::INFINITY;
        }
        for (_, from, to, n) in self.buckets() {
            (low, high) = (low + n as f64 * from, high + n as f64 * to);
        }
        let (min, max) = (self.min_f64(), self.max_f64());
        let count = self.count() as f64;
        let (low, high) = (low / count, high / count);
        let (low, high) = (min.map_or(low, |x| x.max(low)), max.map_or(high, |x| x.min(high)));
        let margin = 1e-9 * (mean.abs() + f64::MIN_POSITIVE);
        // A hostile minimum may be above the maximum.
        low > high || (low - margin..=high + margin).contains(&mean)
    }

    /// The smallest value; `None` if there is none, or if it is not known.
    #[must_use]
    pub fn min(&self) -> Option<Number> {
        self.summary.range().map(|(min, _)| min)
    }

    /// The largest value; `None` if there is none, or if it is not known.
    #[must_use]
    pub fn max(&self) -> Option<Number> {
        self.summary.range().map(|(_, max)| max)
    }

    fn min_f64(&self) -> Option<f64> {
        self.min().map(Number::as_f64).filter(|min| !min.is_nan())
    }

    fn max_f64(&self) -> Option<f64> {
        self.max().map(Number::as_f64).filter(|max| !max.is_nan())
    }

    /// Whether the values are floats.
    #[must_use]
    pub const fn is_float(&self) -> bool {
        self.float
    }

    /// The scale: an octave has `2^scale` buckets.
    #[must_use]
    pub const fn scale(&self) -> i8 {
        self.scale
    }

    /// Number of values below all buckets, including zero and negative values.
    #[must_use]
    pub const fn below(&self) -> u128 {
        self.below.0
    }

    /// Number of values above all buckets.
    #[must_use]
    pub const fn above(&self) -> u128 {
        self.above.0
    }

    /// The buckets with values: number, bounds `(low, high]`, count. Number and scale are those
    /// of an OTLP exponential histogram; the number in Prometheus is one more.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, f64, f64, u128)> + '_ {
        let scheme = self.scheme();
        self.buckets.iter().map(move |(&number, &count)| {
            (number, scheme.bound(number), scheme.bound(number.saturating_add(1)), count)
        })
    }

    /// Maximum relative error of a [`Quantile::Value`].
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        self.scheme().relative_error()
    }

    /// The range `(low, high]` of the buckets: quantiles in it are within the
    /// [relative error](Self::relative_error). `None` for an end beyond which there is no value.
    #[must_use]
    pub fn bounds(&self) -> (Option<f64>, Option<f64>) {
        (
            (self.below.0 > 0).then(|| self.bound_below()),
            (self.above.0 > 0).then(|| self.bound_above()),
        )
    }

    /// The upper bound of values below all buckets.
    fn bound_below(&self) -> f64 {
        self.below.1.map_or(f64::INFINITY, |number| self.scheme().bound(number))
    }

    /// The lower bound of values above all buckets.
    fn bound_above(&self) -> f64 {
        self.above.1.map_or(0.0, |number| self.scheme().bound(number))
    }

    /// The `q`-quantile, `q` from 0 (minimum) to 1 (maximum): an estimate, or a bound if it lies
    /// beyond the buckets. `None` if there is no value, or if `q` is NaN.
    ///
    /// Source: Masson, Rim and Lee, "DDSketch", VLDB 2019; the rule is in FORMAT.md.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn quantile(&self, q: f64) -> Option<Quantile> {
        let count = self.count();
        if q.is_nan() || count == 0 {
            return None;
        }
        let (min, max) = (self.min_f64(), self.max_f64());
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u128).clamp(1, count);
        // Beyond the buckets only minimum and maximum are known; if they are equal, so are all values.
        let same = min == max;
        let low_end = min.filter(|_| rank == 1 || same);
        let high_end = max.filter(|_| rank == count || same);
        if let Some(end) = low_end.or(high_end) {
            return Some(Quantile::Value(end));
        }
        let mut passed = self.below.0;
        if rank <= passed {
            let bound = self.bound_below();
            return Some(Quantile::Below(max.map_or(bound, |max| max.min(bound))));
        }
        for (_, low, high, count) in self.buckets() {
            passed = passed.saturating_add(count);
            if rank <= passed {
                // Beyond the range of an f64.
                if low == 0.0 {
                    return Some(Quantile::Below(max.map_or(high, |max| max.min(high))));
                }
                if high.is_infinite() {
                    break;
                }
                // 2 l u / (l + u), without overflow of intermediate results.
                let estimate = 2.0 * low / (1.0 + low / high);
                // Not `clamp`: it panics if a hostile file has a minimum above the maximum.
                let estimate = min.map_or(estimate, |min| estimate.max(min));
                return Some(Quantile::Value(max.map_or(estimate, |max| estimate.min(max))));
            }
        }
        let last = self.buckets().last().filter(|(_, _, high, _)| high.is_infinite());
        Some(Quantile::Above(last.map_or_else(|| self.bound_above(), |(_, low, ..)| low)))
    }

    /// The values since `before`, an earlier reading of the same histogram; `None` if values are
    /// missing now, or if the sum went down. Minimum and maximum are not known, unless `before` is empty.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<Self> {
        if before.count() == 0 {
            return Some(self.clone());
        }
        // A part that came later may have a lower scale or a smaller range, never the reverse.
        let gone = |before: Option<i32>, now: Option<i32>| before.is_some() && now.is_none();
        if self.float != before.float || before.scale < self.scale {
            return None;
        }
        let mut before = before.clone();
        before.coarsen(self.scale);
        if gone(before.below.1, self.below.1) || gone(before.above.1, self.above.1) {
            return None;
        }
        (before.below.1, before.above.1) = (self.below.1, self.above.1);
        before.fold_ends();
        let mut value = self.clone();
        value.below.0 = value.below.0.checked_sub(before.below.0)?;
        value.above.0 = value.above.0.checked_sub(before.above.0)?;
        for (number, count) in &before.buckets {
            let left = value.buckets.get_mut(number)?;
            *left = left.checked_sub(*count)?;
        }
        value.buckets.retain(|_, count| *count > 0);
        value.below.1 = value.below.1.filter(|_| value.below.0 > 0);
        value.above.1 = value.above.1.filter(|_| value.above.0 > 0);
        let count = self.count().checked_sub(before.count())?;
        let sum = match (self.sum(), before.sum()) {
            _ if count == 0 => HistogramSummary::EMPTY.sum(),
            (Number::Unsigned(now), Number::Unsigned(before)) => {
                Number::Unsigned(now.checked_sub(before)?)
            }
            (now, before) => {
                let sum = now.as_f64() - before.as_f64();
                Number::Float(Some(sum).filter(|sum| sum.is_finite())?)
            }
        };
        value.summary = HistogramSummary::new(count, sum, None);
        Some(value)
    }

    fn scheme(&self) -> Buckets {
        let [scale, float] = [self.scale.cast_unsigned(), DataType::F64.code()];
        // The fallback is unused: every scale that a reader accepts has buckets.
        Buckets::from_param(u32::from_le_bytes([scale, float, 0, 0]), 3)
            .unwrap_or_else(|| Buckets::floats(1.0, 1.0, 1.0))
    }
}

impl From<&Histogram<'_>> for HistogramValue {
    fn from(histogram: &Histogram<'_>) -> Self {
        let buckets = histogram.buckets();
        let (lowest, last) = (buckets.lowest(), buckets.elements() - 1);
        let mut value = Self {
            float: buckets.ty() == DataType::F64,
            scale: buckets.scale(),
            summary: HistogramSummary::from_lane(histogram),
            ..Self::new()
        };
        for (element, count) in (0..).zip(histogram.counts()).filter(|(_, count)| *count != 0) {
            let bucket = lowest.saturating_add_unsigned(element).saturating_sub(1);
            match element {
                0 => value.below = (count.into(), Some(lowest)),
                _ if element == last => value.above = (count.into(), Some(bucket)),
                _ => drop(value.buckets.insert(bucket, count.into())),
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A histogram as a writer with these buckets would count.
    fn counted(buckets: Buckets, values: &[u64]) -> HistogramValue {
        let mut value = HistogramValue { scale: buckets.scale(), ..HistogramValue::new() };
        let last = buckets.elements() - 1;
        for &n in values {
            let number = Number::Unsigned(n.into());
            value.summary.merge(&HistogramSummary::new(1, number, Some((number, number))));
            let element = buckets.element_of_int(n);
            let bucket = buckets.lowest() + i32::try_from(element).unwrap() - 1;
            match element {
                0 => value.below = (value.below.0 + 1, Some(buckets.lowest())),
                _ if element == last => value.above = (value.above.0 + 1, Some(bucket)),
                _ => *value.buckets.entry(bucket).or_default() += 1,
            }
        }
        value
    }

    fn random(seed: u64, count: usize) -> Vec<u64> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) >> (state >> 20 & 15)
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn quantile_is_within_relative_error() {
        for (seed, error) in [(1, 0.15), (2, 0.05), (3, 0.011), (4, 0.0055)] {
            let mut values = random(seed, 20_000);
            let value = counted(Buckets::integers(error, 1, 1 << 40), &values);
            values.sort_unstable();
            assert!(value.relative_error() <= error);
            for q in [0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0] {
                let rank = ((q * values.len() as f64).ceil() as usize).max(1);
                let exact = values[rank - 1] as f64;
                let found = value.quantile(q).unwrap().value().unwrap();
                let allowed = value.relative_error() * exact + 1e-9;
                assert!((found - exact).abs() <= allowed, "q {q}: {found}, exactly {exact}");
            }
        }
        assert_eq!(HistogramValue::new().quantile(0.5), None);
        assert_eq!(counted(Buckets::integers(0.1, 1, 9), &[5]).quantile(f64::NAN), None);
    }

    /// Found by fuzzing.
    #[test]
    fn quantile_with_minimum_above_maximum_does_not_panic() {
        let mut value = counted(Buckets::integers(0.1, 1, 1 << 20), &[10, 20, 30, 40, 50]);
        let mut set = |min, max| {
            value.summary =
                HistogramSummary::new(value.count(), value.summary.sum(), Some((min, max)));
            value.clone()
        };
        let value = set(Number::Unsigned(9_000), Number::Unsigned(7));
        let found = [0.0, 0.5, 1.0].map(|q| value.quantile(q).unwrap());
        assert_eq!(found, [9_000.0, 7.0, 7.0].map(Quantile::Value));
        let value = set(Number::Float(f64::NAN), Number::Float(f64::NAN));
        let median = value.quantile(0.5).unwrap().value().unwrap();
        assert!((20.0..40.0).contains(&median), "{median}");
    }

    /// Of values beyond the buckets only the smallest and the largest are known.
    #[test]
    fn quantile_beyond_buckets_is_bound() {
        use Quantile::{Above, Below, Value};
        let buckets = Buckets::integers(0.05, 1_000, 60_000);
        let (low, high) = (buckets.bounds(0).1, buckets.bounds(buckets.elements() - 1).0);
        let of = |values: &[u64], q| counted(buckets, values).quantile(q).unwrap();
        let slow = [vec![120_000; 999], vec![1_800_000_000]].concat();
        assert_eq!([0.5, 0.9, 0.999].map(|q| of(&slow, q)), [Above(high); 3]);
        assert_eq!([0.0, 1.0].map(|q| of(&slow, q)), [120_000.0, 1_800_000_000.0].map(Value));
        let fast = [vec![3; 9], vec![7; 9], vec![2_000]].concat();
        assert_eq!([0.0, 0.3, 0.9].map(|q| of(&fast, q)), [Value(3.0), Below(low), Below(low)]);
        assert_eq!((of(&fast, 1.0), of(&[3, 5, 7], 0.5)), (Value(2_000.0), Below(7.0)));
        // All values are equal, so each is known.
        assert_eq!((of(&[0; 9], 0.5), of(&[1 << 40; 9], 0.5)), (Value(0.0), Value(2_f64.powi(40))));
    }

    /// Difference of two readings, whatever ranges and scales were added in between: as if the
    /// new values had been recorded by themselves, in the buckets of the sum.
    #[test]
    fn since_is_histogram_of_new_values() {
        let schemes = [
            Buckets::integers(0.05, 100, 1 << 20),
            Buckets::integers(0.2, 1, 1 << 40),
            Buckets::integers(0.01, 1_000, 100_000),
        ];
        for (seed, old, new) in [(1, 0, 1), (2, 1, 0), (3, 0, 2), (4, 2, 1), (5, 0, 0), (6, 1, 2)] {
            let up = |seed| random(seed, 500).into_iter().map(|n| n + 2).collect::<Vec<_>>();
            let (first, more) = (up(seed), up(seed + 100));
            let before = counted(schemes[old], &first);
            let mut after = before.clone();
            after.merge(&counted(schemes[new], &more));
            let gained = after.since(&before).unwrap();
            assert_eq!((gained.count(), gained.min(), gained.max()), (500, None, None));
            let sum: u64 = more.iter().sum();
            assert_eq!(gained.sum(), Number::Unsigned(sum.into()));
            let all = gained.buckets().map(|b| b.3).sum::<u128>() + gained.below() + gained.above();
            assert_eq!(all, 500);
            for (_, low, high, count) in gained.buckets() {
                #[allow(clippy::cast_precision_loss)]
                let inside = |n: &&u64| low < **n as f64 && **n as f64 <= high;
                assert_eq!(count, more.iter().filter(inside).count() as u128, "{low}..{high}");
            }
            assert_eq!(before.since(&after), None);
            assert_eq!(after.since(&after).unwrap().count(), 0);
            assert_eq!(after.since(&after).unwrap().quantile(0.5), None);
        }
    }

    #[test]
    fn mean_of_impossible_sum_is_none() {
        let buckets = Buckets::integers(0.05, 1, 1 << 50);
        let mut value = counted(buckets, &[10, 1_000, 1_000]);
        assert_eq!(value.mean(), Some(670.0));
        let ends = Some((Number::Unsigned(10), Number::Unsigned(1_000)));
        for sum in [Number::Unsigned(1_000), Number::Unsigned(3_001), Number::Float(f64::NAN)] {
            // Without minimum and maximum, as in an interval, the buckets bound the mean.
            for ends in [ends, None] {
                value.summary = HistogramSummary::new(3, sum, ends);
                assert_eq!(value.mean(), None, "{sum:?}");
            }
        }
        let mut wrapped = counted(buckets, &[1 << 49; 4]);
        wrapped.summary = HistogramSummary::new(4, Number::Unsigned(5), None);
        assert_eq!(wrapped.mean(), None);
        // Negative values have no lower bound.
        let below = HistogramValue { float: true, below: (2, Some(0)), ..HistogramValue::new() };
        let sum = |x| HistogramSummary::new(2, Number::Float(x), None);
        let mean = |x| HistogramValue { summary: sum(x), ..below.clone() }.mean();
        assert_eq!((mean(-1e9), mean(2.0), mean(2.5)), (Some(-5e8), Some(1.0), None));
    }

    #[test]
    fn merge_of_equal_buckets_is_exact() {
        let buckets = Buckets::integers(0.05, 100, 1 << 30);
        let (a, b) = (random(5, 3_000), random(6, 5_000));
        let mut all = counted(buckets, &a);
        all.merge(&counted(buckets, &b));
        all.merge(&HistogramValue::new());
        assert_eq!(all, counted(buckets, &[a, b].concat()));
        let mut none = HistogramValue::new();
        none.merge(&all);
        assert_eq!(none, all);
    }

    #[test]
    fn merge_of_different_scales_has_lower_scale() {
        let (fine, coarse) =
            (Buckets::integers(0.01, 1, 1 << 40), Buckets::integers(0.1, 1, 1 << 40));
        // Values above 1, so that none is below the range.
        let up = |values: Vec<u64>| values.into_iter().map(|n| n + 2).collect::<Vec<_>>();
        let (a, b) = (up(random(7, 2_000)), up(random(8, 2_000)));
        let mut all = counted(fine, &a);
        all.merge(&counted(coarse, &b));
        let mut other = counted(coarse, &b);
        other.merge(&counted(fine, &a));
        assert_eq!(all, other);
        assert_eq!(all, counted(coarse, &[a, b].concat()));
    }

    /// Values whose bucket is unknown in one part have none in the whole.
    #[test]
    fn merge_of_different_ranges_moves_values_beyond_bounds() {
        let (wide, narrow) =
            (Buckets::integers(0.1, 1, 1 << 40), Buckets::integers(0.1, 1_000, 1 << 20));
        let values = [5, 10, 500, 2_000, 1 << 30];
        let mut all = counted(wide, &values);
        // No value beyond its range: all buckets stay.
        all.merge(&counted(narrow, &[2_000]));
        assert_eq!((all.below(), all.above(), all.count()), (0, 0, 6));
        // One value below 1,000, in an unknown place: the three below 1,000 join it.
        all.merge(&counted(narrow, &[7, 1 << 25]));
        assert_eq!((all.below(), all.above(), all.count()), (4, 2, 8));
        let total = all.below() + all.above() + all.buckets().map(|b| b.3).sum::<u128>();
        assert_eq!(total, all.count());
        assert_eq!(all.min(), Some(Number::Unsigned(5)));
        assert_eq!(all.max(), Some(Number::Unsigned(1 << 30)));
    }

    /// A bucket of the coarser part stays if it lies wholly within the buckets of the finer part.
    #[test]
    #[allow(clippy::cast_precision_loss)]
    fn merge_of_coarser_part_keeps_bounds_of_finer() {
        let (low, high) = (1_000_u64, 100_000);
        let fine = counted(Buckets::integers(0.003, low, high), &[3, 2_000, 1 << 25]);
        let wide = Buckets::integers(0.3, 1, 1 << 30);
        let values: Vec<_> = (0..20).map(|octave| 3 << octave).collect();
        let coarse = counted(wide, &values);
        let (scheme, close) = (fine.scheme(), 1e-9);
        let bottom = scheme.bound(fine.below.1.unwrap()) * (1.0 - close);
        let top = scheme.bound(fine.above.1.unwrap()) * (1.0 + close);
        assert!(bottom <= low as f64 && top >= high as f64);
        let (mut below, mut above, mut inside) = (1, 1, Vec::new());
        for (_, from, to, count) in coarse.buckets() {
            if from < bottom {
                below += count;
            } else if to > top {
                above += count;
            } else {
                inside.push((from, to, count + u128::from(from < 2_000.0 && 2_000.0 <= to)));
            }
        }
        assert!(below > 5 && above > 2 && inside.len() > 4, "{below} {inside:?} {above}");
        for (one, other) in [(&fine, &coarse), (&coarse, &fine)] {
            let mut all = one.clone();
            all.merge(other);
            let found: Vec<_> =
                all.buckets().map(|(_, from, to, count)| (from, to, count)).collect();
            assert_eq!((all.below(), all.above(), &found), (below, above, &inside));
        }
    }
}
