//! Values as exact JSON.

use std::time::{Duration, SystemTime};

use mmstats_observe::{
    ActivityRow, ActivityValue, AverageValue, HistogramValue, OwnedValue, Quantile, RunningValue,
    TimerValue,
};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::escape;
use crate::text::{non_finite, rfc_3339};

/// The quantiles of a histogram that are shown: the value, its key in JSON, its usual name.
pub const QUANTILES: [(f64, &str, &str); 4] =
    [(0.5, "0.5", "p50"), (0.9, "0.9", "p90"), (0.99, "0.99", "p99"), (0.999, "0.999", "p99.9")];

/// A value as `mmstats show --json` has it, without loss of digits: integers of any size, NaN and the infinities
/// as strings. Ages are as of now.
#[derive(Debug, Clone, Copy)]
pub struct JsonValue<'a>(pub &'a OwnedValue);

/// As [`JsonValue`], with ages as of another time than now.
#[derive(Debug, Clone, Copy)]
pub struct JsonValueAt<'a>(pub &'a OwnedValue, pub SystemTime);

impl Serialize for JsonValueAt<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self.0, Form::Shown(Some(self.1)), serializer)
    }
}

/// A value as recordings have it: as [`JsonValue`], without what follows from the rest or from the time (ages,
/// means, quantiles), and with what [`parse`](crate::parse) needs to make the same value.
#[derive(Debug, Clone, Copy)]
pub struct RecordedValue<'a>(pub &'a OwnedValue);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self.0, Form::Shown(None), serializer)
    }
}

impl Serialize for RecordedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self.0, Form::Recorded, serializer)
    }
}

/// Which members a value has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Ages are as of this time; `None` for now.
    Shown(Option<SystemTime>),
    Recorded,
}

impl Form {
    const fn is_shown(self) -> bool {
        matches!(self, Self::Shown(_))
    }
}

/// One of several values.
struct Element<'a>(&'a OwnedValue, Form);

impl Serialize for Element<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self.0, self.1, serializer)
    }
}

fn write<S: Serializer>(value: &OwnedValue, form: Form, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        // serde_json writes 128-bit integers digit by digit.
        OwnedValue::Unsigned(n) => serializer.serialize_u128(*n),
        OwnedValue::Signed(n) => serializer.serialize_i128(*n),
        OwnedValue::F32(x) if x.is_finite() => serializer.serialize_f32(*x),
        OwnedValue::F64(x) if x.is_finite() => serializer.serialize_f64(*x),
        OwnedValue::F32(x) => serializer.serialize_str(non_finite(f64::from(*x))),
        OwnedValue::F64(x) => serializer.serialize_str(non_finite(*x)),
        OwnedValue::Bool(b) => serializer.serialize_bool(*b),
        OwnedValue::Text { text, .. } => serializer.serialize_str(text),
        OwnedValue::Bytes { bytes, .. } => serializer.serialize_str(&escape::hex(bytes)),
        OwnedValue::Array(elements) => {
            serializer.collect_seq(elements.iter().map(|value| Element(value, form)))
        }
        OwnedValue::Each(each) => {
            let values = each.iter().map(|each| each.value.as_ref());
            serializer.collect_seq(values.map(|value| Some(Element(value?, form))))
        }
        OwnedValue::Timer(value) => timer(value, serializer),
        // Names of states and the number of lanes in each.
        OwnedValue::State(value) => serializer.collect_map(value.iter()),
        OwnedValue::Histogram(value) => histogram(value, form, serializer),
        OwnedValue::Average(value) | OwnedValue::Window(value) => average(value, form, serializer),
        // Windows in seconds, and rates per second or null.
        OwnedValue::Rate(rates) => {
            serializer.collect_map(rates.iter().map(|rate| (rate.window.to_string(), rate.rate)))
        }
        OwnedValue::Activity(value) => activity(value, form, serializer),
        OwnedValue::Running(value) => running(value, form, serializer),
        _ => serializer.serialize_none(),
    }
}

/// Integers up to this size are exact as doubles: `Number.MAX_SAFE_INTEGER` of JavaScript.
const MAX_EXACT: u128 = (1 << 53) - 1;

/// The digits of an integer, if a reader of doubles would lose some.
fn digits(value: &OwnedValue) -> Option<String> {
    match value {
        OwnedValue::Unsigned(n) => (*n > MAX_EXACT).then(|| n.to_string()),
        OwnedValue::Signed(n) => (n.unsigned_abs() > MAX_EXACT).then(|| n.to_string()),
        _ => None,
    }
}

/// The digits of the integers of a value, with its shape; absent if all of them are exact as doubles.
/// Objects have them inside.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Digits {
    /// Digits of one number.
    One(String),
    /// Digits of each element.
    Many(Vec<Option<Self>>),
}

impl Digits {
    /// The digits of a value.
    #[must_use]
    pub fn new(value: &OwnedValue) -> Option<Self> {
        let many =
            |all: Vec<Option<Self>>| all.iter().any(Option::is_some).then_some(Self::Many(all));
        match value {
            OwnedValue::Array(all) => many(all.iter().map(Self::new).collect()),
            OwnedValue::Each(all) => {
                many(all.iter().map(|each| Self::new(each.value.as_ref()?)).collect())
            }
            value => digits(value).map(Self::One),
        }
    }
}

/// Adds a number, and its digits where a reader of doubles would lose some, as `KEY_text`.
///
/// # Errors
///
/// The errors of the serializer.
pub fn number<M: SerializeMap>(
    s: &mut M,
    key: &str,
    value: Option<&OwnedValue>,
) -> Result<(), M::Error> {
    s.serialize_entry(key, &value.map(JsonValue))?;
    match value.and_then(digits) {
        Some(digits) => s.serialize_entry(&format!("{key}_text"), &digits),
        None => Ok(()),
    }
}

/// Something in progress.
struct Row<'a> {
    row: &'a ActivityRow,
    /// For the age.
    now: Option<SystemTime>,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { row, now } = self;
        let mut s = serializer.serialize_map(None)?;
        since(&mut s, row.since, "age_seconds", *now)?;
        s.serialize_entry("text", &row.text)?;
        number(&mut s, "number", Some(&OwnedValue::Unsigned(row.number.into())))?;
        if now.is_none() && row.cut {
            s.serialize_entry("cut", &true)?;
        }
        s.end()
    }
}

/// Adds a time in nanoseconds since 1970, and how long before `now` it was, as `age`.
fn since<M: SerializeMap>(
    s: &mut M,
    since: Option<u64>,
    age: &str,
    now: Option<SystemTime>,
) -> Result<(), M::Error> {
    s.serialize_entry("since", &since.and_then(|since| rfc_3339(since.into())))?;
    let Some(now) = now else { return Ok(()) };
    // The clock of the program may be ahead.
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = |since| now.saturating_sub(Duration::from_nanos(since)).as_secs_f64();
    s.serialize_entry(age, &since.map(seconds))
}

/// The time of ages; none in recordings.
fn now(form: Form) -> Option<SystemTime> {
    match form {
        Form::Shown(at) => Some(at.unwrap_or_else(SystemTime::now)),
        Form::Recorded => None,
    }
}

fn running<S: Serializer>(value: &RunningValue, form: Form, s: S) -> Result<S::Ok, S::Error> {
    let mut s = s.serialize_map(None)?;
    number(&mut s, "count", Some(&OwnedValue::Unsigned(value.number)))?;
    since(&mut s, value.since, "at_least_seconds", now(form))?;
    s.end()
}

fn activity<S: Serializer>(value: &ActivityValue, form: Form, s: S) -> Result<S::Ok, S::Error> {
    let now = now(form);
    let rows: Vec<Row<'_>> = value.rows.iter().map(|row| Row { row, now }).collect();
    let mut s = s.serialize_map(None)?;
    s.serialize_entry("rows", &rows)?;
    s.serialize_entry("contended", &value.contended)?;
    s.serialize_entry("damaged", &value.damaged)?;
    let refused = value.refused.map(|count| OwnedValue::Unsigned(count.into()));
    number(&mut s, "refused", refused.as_ref())?;
    s.end()
}

fn timer<S: Serializer>(value: &TimerValue, s: S) -> Result<S::Ok, S::Error> {
    let mut s = s.serialize_map(None)?;
    let members = [
        ("count", Some(value.count)),
        ("sum", Some(value.sum)),
        ("min", value.min.map(u128::from)),
        ("max", value.max.map(u128::from)),
        ("last", value.last.map(u128::from)),
    ];
    for (key, n) in members {
        number(&mut s, key, n.map(OwnedValue::Unsigned).as_ref())?;
    }
    s.end()
}

fn average<S: Serializer>(value: &AverageValue, form: Form, s: S) -> Result<S::Ok, S::Error> {
    let members = [("count", Some(value.count)), ("sum", Some(value.sum)), ("mean", value.mean())];
    let shown = if form.is_shown() { &members[..] } else { &members[..2] };
    s.collect_map(shown.iter().map(|(name, x)| (name, x.map(Float))))
}

fn histogram<S: Serializer>(value: &HistogramValue, form: Form, s: S) -> Result<S::Ok, S::Error> {
    let mut s = s.serialize_map(None)?;
    let unsigned = OwnedValue::Unsigned;
    number(&mut s, "count", Some(&unsigned(value.count())))?;
    number(&mut s, "sum", Some(&value.sum().into()))?;
    number(&mut s, "min", value.min().map(OwnedValue::from).as_ref())?;
    number(&mut s, "max", value.max().map(OwnedValue::from).as_ref())?;
    if form.is_shown() {
        s.serialize_entry("mean", &value.mean().map(Float))?;
        s.serialize_entry("quantiles", &Quantiles(value))?;
    }
    s.serialize_entry("scale", &value.scale())?;
    number(&mut s, "below", Some(&unsigned(value.below())))?;
    number(&mut s, "above", Some(&unsigned(value.above())))?;
    if form == Form::Recorded {
        let parts = value.to_parts();
        s.serialize_entry("float", &parts.float)?;
        s.serialize_entry("bounds", &[parts.below.1, parts.above.1])?;
    }
    let buckets = || value.buckets();
    let entries = buckets().map(|(n, lower, upper, count)| (n, Float(lower), Float(upper), count));
    s.serialize_entry("buckets", &entries.collect::<Vec<_>>())?;
    if form.is_shown() && buckets().any(|(.., count)| count > MAX_EXACT) {
        let counts: Vec<String> = buckets().map(|(.., count)| count.to_string()).collect();
        s.serialize_entry("buckets_text", &counts)?;
    }
    s.end()
}

/// The quantiles of a histogram, by name.
#[derive(Debug, Clone, Copy)]
pub struct Quantiles<'a>(pub &'a HistogramValue);

impl Serialize for Quantiles<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let quantile = |q| self.0.quantile(q).map(JsonQuantile);
        serializer.collect_map(QUANTILES.iter().map(|(q, key, _)| (key, quantile(*q))))
    }
}

/// A number, or an object with the bound: `{"above": 60}`.
struct JsonQuantile(Quantile);

impl Serialize for JsonQuantile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Quantile::Value(value) => Float(value).serialize(serializer),
            Quantile::Below(bound) => serializer.collect_map([("below", Float(bound))]),
            Quantile::Above(bound) => serializer.collect_map([("above", Float(bound))]),
        }
    }
}

/// A float as [`JsonValue`] writes it, but whole numbers without a point.
#[derive(Debug, Clone, Copy)]
pub struct Float(pub f64);

impl Serialize for Float {
    #[allow(clippy::cast_possible_truncation)] // Whole and in range.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            return serializer.serialize_i64(self.0 as i64);
        }
        JsonValue(&OwnedValue::F64(self.0)).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_value_is_exact() {
        let json = |value: OwnedValue| serde_json::to_string(&JsonValue(&value)).unwrap();
        assert_eq!(json(OwnedValue::Unsigned(u128::MAX)), u128::MAX.to_string());
        assert_eq!(json(OwnedValue::Signed(i128::MIN)), i128::MIN.to_string());
        assert_eq!(json(OwnedValue::F32(0.1)), "0.1");
        assert_eq!(json(OwnedValue::F64(f64::NAN)), "\"NaN\"");
        assert_eq!(json(OwnedValue::F32(f32::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(json(OwnedValue::Bytes { bytes: vec![1, 0xab], cut: false }), "\"01ab\"");
        let exact = OwnedValue::Unsigned(MAX_EXACT);
        let big = OwnedValue::Signed(-(1 << 53));
        assert_eq!((digits(&exact), digits(&big)), (None, Some("-9007199254740992".to_owned())));
        let array = OwnedValue::Array(vec![exact, big]);
        let text = serde_json::to_string(&Digits::new(&array)).unwrap();
        assert_eq!(text, r#"[null,"-9007199254740992"]"#);
        let long = TimerValue { count: 1, sum: 1 << 60, min: None, max: None, last: None };
        assert_eq!(
            json(OwnedValue::Timer(long)),
            r#"{"count":1,"sum":1152921504606846976,"sum_text":"1152921504606846976","min":null,"max":null,"last":null}"#
        );
        let elements = vec![OwnedValue::Unsigned(1), OwnedValue::F64(2.5)];
        assert_eq!(json(OwnedValue::Array(elements)), "[1,2.5]");
        let idle = TimerValue { count: 0, sum: 0, min: None, max: None, last: None };
        assert_eq!(
            json(OwnedValue::Timer(idle)),
            r#"{"count":0,"sum":0,"min":null,"max":null,"last":null}"#
        );
    }
}
