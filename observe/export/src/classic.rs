//! Histograms with the fixed buckets that text formats have.

use mmstats_observe::{FieldInfo, HistogramValue};

/// Scale and first bucket, as the parameter of a descriptor has them: KINDS.md section 4.
fn scheme(info: &FieldInfo) -> (i8, i32) {
    let [scale, _, low, high] = info.properties.param().to_le_bytes();
    (scale.cast_signed(), i16::from_le_bytes([low, high]).into())
}

/// The upper bounds: one an octave over the range of the field, so that they never change and counts up
/// to them are exact. A field with buckets wider than an octave has its own.
pub(crate) fn bounds(info: &FieldInfo) -> Vec<f64> {
    let (scale, lowest) = scheme(info);
    let elements = info.properties.count();
    let last = lowest.saturating_add_unsigned(elements.saturating_sub(2));
    let bound = |exponent: i32| 2.0_f64.powi(exponent);
    if scale < 0 {
        let width = 1_i32 << scale.unsigned_abs().min(30);
        return (lowest..=last).map(|index| bound(index.saturating_mul(width))).collect();
    }
    let octave = 1_i32 << scale.min(30);
    let (first, last) = (lowest.div_euclid(octave), last.div_euclid(octave));
    let first = if first * octave < lowest { first + 1 } else { first };
    (first..=last).map(bound).collect()
}

/// Number of values up to each bound, then of all values.
pub(crate) fn counts(
    histogram: &HistogramValue,
    bounds: &[f64],
    mut each: impl FnMut(Option<f64>, u128),
) {
    let mut passed = histogram.below();
    let mut buckets = histogram.buckets().peekable();
    // The values below all buckets are at most their bound, which may be above the first ones here.
    let (below, _) = histogram.bounds();
    for &bound in bounds {
        while let Some((.., count)) = buckets.next_if(|(_, _, upper, _)| *upper <= bound) {
            passed = passed.saturating_add(count);
        }
        // A bound below that of the lowest values would have a count too small.
        if below.is_none_or(|below| below <= bound) {
            each(Some(bound), passed);
        }
    }
    each(None, histogram.count());
}
