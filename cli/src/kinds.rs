//! Values that are more than a number: states, histograms, averages and windows.

use mmstats_observe::{AverageValue, HistogramValue, OwnedValue, StateValue};
use serde::ser::{Serialize, SerializeMap as _, SerializeStruct as _, Serializer};

use crate::value::{Exact, Scale, plain};
use crate::{escape, human};

/// The quantiles that are shown, as JSON and as people name them.
const QUANTILES: [(f64, &str, &str); 4] =
    [(0.5, "0.5", "p50"), (0.9, "0.9", "p90"), (0.99, "0.99", "p99"), (0.999, "0.999", "p99.9")];
/// The most groups of buckets on one line.
const GROUPS: usize = 5;

/// `busy`, or how many are in each state: `idle 3, busy 1`.
pub(crate) fn state(value: &StateValue) -> String {
    states(value, " ", ", ")
}

/// `busy`, or `idle=3 busy=1`.
pub(crate) fn plain_state(value: &StateValue) -> String {
    states(value, "=", " ")
}

fn states(value: &StateValue, equals: &str, between: &str) -> String {
    if let Some(name) = one(value) {
        return escape::text(name).into_owned();
    }
    let states = value.iter().map(|(name, count)| format!("{}{equals}{count}", escape::text(name)));
    states.collect::<Vec<_>>().join(between)
}

/// The state of a single lane.
pub(crate) fn one(value: &StateValue) -> Option<&str> {
    value.only().filter(|_| value.counts.iter().sum::<u64>() == 1)
}

/// `2,657, p50 824 µs, p99 3.10 ms, p99.9 9.00 ms, max 17.3 ms`.
pub(crate) fn histogram(value: &HistogramValue, unit: &str) -> String {
    if value.count() == 0 {
        return "none yet".to_owned();
    }
    let show = |x: f64| with_unit(x, unit);
    let mut text = human::grouped(&value.count().to_string());
    for (q, _, name) in QUANTILES.iter().filter(|(q, ..)| *q != 0.9) {
        if let Some(x) = value.quantile(*q) {
            text.push_str(&format!(", {name} {}", show(x)));
        }
    }
    if let Some(max) = value.max().and_then(|max| max.as_f64()) {
        text.push_str(&format!(", max {}", show(max)));
    }
    text
}

/// `count=3 sum=7 min=1 max=4 mean=2.3 p50=2 p90=4 p99=4 p99.9=4`.
pub(crate) fn plain_histogram(value: &HistogramValue) -> String {
    let mut text = format!("count={} sum={}", value.count(), plain(&value.sum()));
    for (name, end) in [("min", value.min()), ("max", value.max())] {
        if let Some(end) = end {
            text.push_str(&format!(" {name}={}", plain(&end)));
        }
    }
    if let Some(mean) = value.mean() {
        text.push_str(&format!(" mean={}", number(mean)));
    }
    for (q, _, name) in QUANTILES {
        if let Some(x) = value.quantile(q) {
            text.push_str(&format!(" {name}={}", number(x)));
        }
    }
    text
}

/// How many values are up to where, in a few groups of buckets; `None` while there are none.
pub(crate) fn buckets(value: &HistogramValue, unit: &str) -> Option<String> {
    let full: Vec<(f64, u128)> = value.buckets().map(|(_, _, upper, n)| (upper, n)).collect();
    let size = full.len().div_ceil(GROUPS).max(1);
    let group = |group: &[(f64, u128)]| {
        let upper = group.last().map_or(f64::NAN, |(upper, _)| *upper);
        (upper, group.iter().map(|(_, count)| count).sum::<u128>())
    };
    let mut parts = Vec::new();
    if value.below() > 0 {
        parts.push(format!("{} below", human::grouped(&value.below().to_string())));
    }
    parts.extend(full.chunks(size).map(group).map(|(upper, count)| {
        format!("{} to {}", human::grouped(&count.to_string()), with_unit(upper, unit))
    }));
    if value.above() > 0 {
        parts.push(format!("{} above", human::grouped(&value.above().to_string())));
    }
    let error = human::float(value.relative_error() * 100.0);
    (!parts.is_empty()).then(|| format!("{}; quantiles within {error} %", parts.join(", ")))
}

/// `12.5 requests, mean of 2,657`; `last`: of the last ones alone.
pub(crate) fn average(value: &AverageValue, unit: &str, last: bool) -> String {
    match value.mean() {
        None => "none yet".to_owned(),
        Some(mean) => {
            let (mean, count) = (with_unit(mean, unit), human::float(value.count));
            format!("{mean}, mean of {}{count}", if last { "the last " } else { "" })
        }
    }
}

/// `count=2 sum=3 mean=1.5`.
pub(crate) fn plain_average(value: &AverageValue) -> String {
    let mean = value.mean().map_or_else(String::new, |mean| format!(" mean={}", number(mean)));
    format!("count={} sum={}{mean}", number(value.count), number(value.sum))
}

/// The one number that says most: a mean, or the quantile 0.99.
pub(crate) fn main_number(value: &OwnedValue) -> Option<f64> {
    match value {
        OwnedValue::Histogram(value) => value.quantile(0.99),
        OwnedValue::Average(value) | OwnedValue::Window(value) => value.mean(),
        // Of the first window: what happens now.
        OwnedValue::Rate(value) => value.first()?.rate,
        _ => None,
    }
}

fn with_unit(x: f64, unit: &str) -> String {
    match Scale::of(unit) {
        Scale::Plain if unit.is_empty() => human::float(x),
        Scale::Plain => format!("{} {}", human::float(x), escape::text(unit)),
        scale => scale.show(x),
    }
}

fn number(x: f64) -> String {
    plain(&OwnedValue::F64(x))
}

pub(crate) fn serialize_state<S: Serializer>(value: &StateValue, s: S) -> Result<S::Ok, S::Error> {
    let mut map = s.serialize_map(None)?;
    for (name, count) in value.iter() {
        map.serialize_entry(name, &count)?;
    }
    map.end()
}

pub(crate) fn serialize_average<S: Serializer>(
    value: &AverageValue,
    s: S,
) -> Result<S::Ok, S::Error> {
    let mut s = s.serialize_struct("Average", 3)?;
    s.serialize_field("count", &Float(value.count))?;
    s.serialize_field("sum", &Float(value.sum))?;
    s.serialize_field("mean", &value.mean().map(Float))?;
    s.end()
}

pub(crate) fn serialize_histogram<S: Serializer>(
    value: &HistogramValue,
    s: S,
) -> Result<S::Ok, S::Error> {
    let mut s = s.serialize_struct("Histogram", 10)?;
    s.serialize_field("count", &value.count())?;
    s.serialize_field("sum", &Exact(&value.sum()))?;
    s.serialize_field("min", &value.min().as_ref().map(Exact))?;
    s.serialize_field("max", &value.max().as_ref().map(Exact))?;
    s.serialize_field("mean", &value.mean().map(Float))?;
    s.serialize_field("quantiles", &Quantiles(value))?;
    s.serialize_field("scale", &value.scale())?;
    s.serialize_field("below", &value.below())?;
    s.serialize_field("above", &value.above())?;
    let buckets =
        value.buckets().map(|(n, lower, upper, count)| (n, Float(lower), Float(upper), count));
    let buckets: Vec<_> = buckets.collect();
    s.serialize_field("buckets", &buckets)?;
    s.end()
}

struct Quantiles<'a>(&'a HistogramValue);

impl Serialize for Quantiles<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(QUANTILES.len()))?;
        for (q, name, _) in QUANTILES {
            map.serialize_entry(name, &self.0.quantile(q).map(Float))?;
        }
        map.end()
    }
}

/// As everywhere: NaN and the infinities are strings; whole numbers have no point.
struct Float(f64);

impl Serialize for Float {
    #[allow(clippy::cast_possible_truncation)] // Whole and in range.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            return s.serialize_i64(self.0 as i64);
        }
        Exact(&OwnedValue::F64(self.0)).serialize(s)
    }
}
