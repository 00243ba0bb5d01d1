//! Histograms with the fixed buckets that text formats have.

use mmstats_observe::{FieldInfo, HistogramValue};

use crate::unit::Scale;

/// Scale and first bucket, as the parameter of a descriptor has them: KINDS.md section 4.
fn scheme(info: &FieldInfo) -> (i8, i32) {
    let [scale, _, low, high] = info.properties.param().to_le_bytes();
    (scale.cast_signed(), i16::from_le_bytes([low, high]).into())
}

/// The upper bounds: one an octave over the range of the field, so that they never change and counts up
/// to them are exact. A field with buckets wider than an octave has its own. Those that are 0 or infinite as floats,
/// or equal to another one, are left out: also after `unit`, to the base unit.
pub(crate) fn bounds(info: &FieldInfo, unit: Scale) -> Vec<f64> {
    let mut bounds = octaves(info);
    bounds.retain(|bound| {
        let converted = unit.apply(*bound);
        *bound > 0.0 && converted > 0.0 && converted.is_finite()
    });
    bounds.dedup_by(|later, bound| unit.apply(*later) <= unit.apply(*bound));
    bounds
}

fn octaves(info: &FieldInfo) -> Vec<f64> {
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

/// Number of values up to each bound, then of all values. Bounds up to which the number is not known are left out.
pub(crate) fn counts(
    histogram: &HistogramValue,
    bounds: &[f64],
    mut each: impl FnMut(Option<f64>, u128),
) {
    let mut passed = histogram.below();
    let mut buckets = histogram.buckets().peekable();
    // The values below all buckets are at most their bound, which may be above the first ones here. Those above all
    // buckets are more than theirs: it is below the last ones here if parts with other ranges were combined.
    let (below, above) = histogram.bounds();
    for &bound in bounds {
        while let Some((.., count)) = buckets.next_if(|(_, _, upper, _)| *upper <= bound) {
            passed = passed.saturating_add(count);
        }
        // Other bounds would have a count too small: also one within a bucket, of a combined histogram whose buckets
        // are wider than those of the field.
        let is_within = buckets.peek().is_some_and(|(_, lower, ..)| *lower < bound);
        let is_inside =
            below.is_none_or(|below| below <= bound) && above.is_none_or(|above| bound <= above);
        if is_inside && !is_within {
            each(Some(bound), passed);
        }
    }
    each(None, histogram.count());
}
