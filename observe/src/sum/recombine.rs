//! Combines totals again: of several programs, or of the series of a family.

use std::collections::HashMap;

use super::series::Total;
use crate::combine::Accumulator;
use crate::field::FieldKey;
use crate::value::Reading;

impl Total {
    /// Combines totals of several programs by the rules of their fields, as [`Totals`](crate::Totals) combines
    /// files. A total without others of its key is returned unchanged; means are weighted by the number of their
    /// values.
    #[must_use]
    pub fn combine<'a>(all: impl IntoIterator<Item = &'a Self>) -> Vec<Self> {
        combine_by(all, |total| total.field.key())
    }

    /// Combines also over attributes, as [`Totals::of_families`](crate::Totals::of_families): each family becomes
    /// one total without attributes.
    #[must_use]
    pub fn combine_families<'a>(all: impl IntoIterator<Item = &'a Self>) -> Vec<Self> {
        let mut families = combine_by(all, |total| total.field.family_key());
        families.iter_mut().for_each(|total| total.field.attributes = Default::default());
        families
    }
}

fn combine_by<'a>(
    all: impl IntoIterator<Item = &'a Total>,
    key: impl Fn(&Total) -> FieldKey,
) -> Vec<Total> {
    let mut groups: Vec<Vec<&Total>> = Vec::new();
    let mut known: HashMap<FieldKey, usize> = HashMap::new();
    for total in all {
        let at = *known.entry(key(total)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(total),
            None => groups.push(vec![total]),
        }
    }
    groups.iter().filter_map(|group| combined(group)).collect()
}

fn combined(group: &[&Total]) -> Option<Total> {
    let mut total = (*group.first()?).clone();
    if group.len() > 1 {
        total.reading = reading(group)?;
        total.files = group.iter().fold(0, |files, total| files.saturating_add(total.files));
    }
    Some(total)
}

/// The first total with a value determines the rule.
fn reading(group: &[&Total]) -> Option<Reading> {
    let mut group = group.to_vec();
    group.sort_by_key(|total| total.reading.value.is_none());
    let mut parts =
        group.iter().map(|total| Accumulator::from_reading(&total.field, &total.reading));
    let mut sum = parts.next()?;
    parts.for_each(|part| sum.merge(&part));
    Some(sum.reading())
}

#[cfg(test)]
mod tests {
    use mmstats_core::merge::{AverageValue, Number};
    use mmstats_core::{Aggregation, DataType, Kind, Properties};

    use super::*;
    use crate::field::FieldInfo;
    use crate::value::{HistogramParts, HistogramValue, OwnedValue, Tally, Verdict};

    fn total(rule: Aggregation, attributes: &str, values: u32, value: Option<OwnedValue>) -> Total {
        let mut field = FieldInfo::new("queue", Properties::new(DataType::U64, Kind::Gauge, rule));
        field.attributes = attributes.into();
        let verdict = if value.is_some() { Verdict::Consistent } else { Verdict::Contended };
        let contended = u32::from(value.is_none());
        Total::new(
            field,
            Reading { value, verdict, tally: Tally { values, contended, ..Tally::default() } },
        )
    }

    #[test]
    fn totals_combine_by_rule() {
        use Aggregation::{Max, Mean, Min, Sum};
        let n = |n| Some(OwnedValue::Unsigned(n));
        let big = u128::from(u64::MAX);
        for (rule, wanted) in [
            (Sum, OwnedValue::Unsigned(big + 4)),
            (Min, OwnedValue::Unsigned(4)),
            (Max, OwnedValue::Unsigned(big)),
        ] {
            let all = [total(rule, "", 1, n(big)), total(rule, "", 2, n(4))];
            let combined = Total::combine(&all);
            assert_eq!((combined.len(), combined[0].files), (1, 2));
            assert_eq!(combined[0].reading.value, Some(wanted), "{rule}");
            assert_eq!(combined[0].reading.tally.values, 3);
        }
        let mean = |x| Some(OwnedValue::F64(x));
        let all = [total(Mean, "", 1, mean(1.0)), total(Mean, "", 3, mean(5.0))];
        assert_eq!(Total::combine(&all)[0].reading.value, mean(4.0));
        let listed = [total(Aggregation::Each, "", 1, n(1)), total(Aggregation::Each, "", 1, n(2))];
        let Some(OwnedValue::Each(each)) = &Total::combine(&listed)[0].reading.value else {
            panic!("no list")
        };
        assert_eq!(each.len(), 2);
    }

    #[test]
    fn families_have_no_attributes_and_the_worst_verdict() {
        let n = |n| Some(OwnedValue::Unsigned(n));
        let all = [
            total(Aggregation::Sum, "a=1", 1, n(1)),
            total(Aggregation::Sum, "a=2", 0, None),
            total(Aggregation::Sum, "a=3", 1, n(6)),
        ];
        assert_eq!(Total::combine(&all).len(), 3);
        let families = Total::combine_families(&all);
        assert_eq!((families.len(), &*families[0].field.attributes), (1, ""));
        assert_eq!(families[0].reading.value, n(7));
        assert_eq!(families[0].reading.verdict, Verdict::Contended);
        let one = Total::combine_families(&all[..1]);
        assert_eq!((&one[0].reading, &*one[0].field.attributes), (&all[0].reading, ""));
    }

    /// Times are not added, whatever rule the field has: KINDS.md section 2.3.
    #[test]
    fn timestamps_combine_to_latest() {
        let time = |rule, n| {
            let timestamp = Properties::new(DataType::U64, Kind::Timestamp, rule);
            let reading = Reading::consistent(OwnedValue::Unsigned(n));
            Total::new(FieldInfo::new("loaded", timestamp), reading)
        };
        for rule in [Aggregation::Sum, Aggregation::Mean, Aggregation::Max] {
            let all = [time(rule, 1_700), time(rule, 1_800)];
            let latest = Some(OwnedValue::Unsigned(1_800));
            assert_eq!(Total::combine(&all)[0].reading.value, latest, "{rule}");
        }
    }

    /// In both orders: a program whose lanes have a sum beyond the range of a float is not left out.
    #[test]
    fn sums_too_large_for_float_combine_without_mean() {
        let field = |kind, count| {
            let array = Properties::new(DataType::F64, kind, Aggregation::Sum).with_array(count);
            FieldInfo::new("size", array)
        };
        let average = |sum| {
            let average = OwnedValue::Average(AverageValue { count: 2.0, sum });
            Total::new(field(Kind::Average, 2), Reading::consistent(average))
        };
        let histogram = |sum| {
            let parts = HistogramParts {
                float: true,
                scale: 0,
                count: 2,
                sum: Number::Float(sum),
                range: None,
                below: (0, None),
                above: (0, None),
                buckets: [(1, 2)].into(),
            };
            let histogram = HistogramValue::from_parts(parts).unwrap();
            let value = OwnedValue::Histogram(Box::new(histogram));
            Total::new(field(Kind::Histogram, 3), Reading::consistent(value))
        };
        for [first, second] in [[f64::INFINITY, 4.0], [4.0, f64::INFINITY]] {
            let all = Total::combine(&[average(first), average(second)]);
            let Some(OwnedValue::Average(both)) = &all[0].reading.value else { panic!("{all:?}") };
            assert_eq!((both.count, both.mean()), (4.0, None), "{first}");
            let all = Total::combine(&[histogram(first), histogram(second)]);
            let Some(OwnedValue::Histogram(both)) = &all[0].reading.value else {
                panic!("{all:?}")
            };
            let counted: u128 = both.buckets().map(|(.., count)| count).sum();
            assert_eq!((both.count(), counted, both.mean()), (4, 4, None), "{first}");
        }
    }
}
