//! Values as exact JSON.

use mmstats_observe::{AverageValue, HistogramValue, OwnedValue, Quantile, TimerValue};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::text::{escape, human};
use crate::value::QUANTILES;

/// A value without loss: integers of any size, NaN and the infinities as strings.
pub(crate) struct JsonValue<'a>(pub(crate) &'a OwnedValue);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // serde_json writes 128-bit integers digit by digit.
            OwnedValue::Unsigned(n) => serializer.serialize_u128(*n),
            OwnedValue::Signed(n) => serializer.serialize_i128(*n),
            OwnedValue::F32(x) if x.is_finite() => serializer.serialize_f32(*x),
            OwnedValue::F64(x) if x.is_finite() => serializer.serialize_f64(*x),
            OwnedValue::F32(x) => serializer.serialize_str(human::non_finite(f64::from(*x))),
            OwnedValue::F64(x) => serializer.serialize_str(human::non_finite(*x)),
            OwnedValue::Bool(b) => serializer.serialize_bool(*b),
            OwnedValue::Text { text, .. } => serializer.serialize_str(text),
            OwnedValue::Bytes { bytes, .. } => serializer.serialize_str(&escape::hex(bytes)),
            OwnedValue::Array(elements) => serializer.collect_seq(elements.iter().map(JsonValue)),
            OwnedValue::Each(each) => {
                serializer.collect_seq(each.iter().map(|e| e.value.as_ref().map(JsonValue)))
            }
            OwnedValue::Timer(value) => timer(value, serializer),
            // Names of states and the number of lanes in each.
            OwnedValue::State(value) => serializer.collect_map(value.iter()),
            OwnedValue::Histogram(value) => histogram(value, serializer),
            OwnedValue::Average(value) | OwnedValue::Window(value) => average(value, serializer),
            // Windows in seconds, and rates per second or null.
            OwnedValue::Rate(rates) => serializer
                .collect_map(rates.iter().map(|rate| (rate.window.to_string(), rate.rate))),
            _ => serializer.serialize_none(),
        }
    }
}

fn timer<S: Serializer>(value: &TimerValue, s: S) -> Result<S::Ok, S::Error> {
    let mut s = s.serialize_struct("Timer", 5)?;
    s.serialize_field("count", &value.count)?;
    s.serialize_field("sum", &value.sum)?;
    s.serialize_field("min", &value.min)?;
    s.serialize_field("max", &value.max)?;
    s.serialize_field("last", &value.last)?;
    s.end()
}

fn average<S: Serializer>(value: &AverageValue, s: S) -> Result<S::Ok, S::Error> {
    let members = [("count", Some(value.count)), ("sum", Some(value.sum)), ("mean", value.mean())];
    s.collect_map(members.map(|(name, x)| (name, x.map(Float))))
}

fn histogram<S: Serializer>(value: &HistogramValue, s: S) -> Result<S::Ok, S::Error> {
    let mut s = s.serialize_struct("Histogram", 10)?;
    s.serialize_field("count", &value.count())?;
    s.serialize_field("sum", &JsonValue(&value.sum().into()))?;
    s.serialize_field("min", &value.min().map(OwnedValue::from).as_ref().map(JsonValue))?;
    s.serialize_field("max", &value.max().map(OwnedValue::from).as_ref().map(JsonValue))?;
    s.serialize_field("mean", &value.mean().map(Float))?;
    s.serialize_field("quantiles", &Quantiles(value))?;
    s.serialize_field("scale", &value.scale())?;
    s.serialize_field("below", &value.below())?;
    s.serialize_field("above", &value.above())?;
    let buckets =
        value.buckets().map(|(n, lower, upper, count)| (n, Float(lower), Float(upper), count));
    s.serialize_field("buckets", &buckets.collect::<Vec<_>>())?;
    s.end()
}

/// The quantiles of a histogram, by name.
pub(crate) struct Quantiles<'a>(pub(crate) &'a HistogramValue);

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
pub(crate) struct Float(pub(crate) f64);

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
        let elements = vec![OwnedValue::Unsigned(1), OwnedValue::F64(2.5)];
        assert_eq!(json(OwnedValue::Array(elements)), "[1,2.5]");
        let idle = TimerValue { count: 0, sum: 0, min: None, max: None, last: None };
        assert_eq!(
            json(OwnedValue::Timer(idle)),
            r#"{"count":0,"sum":0,"min":null,"max":null,"last":null}"#
        );
    }
}
