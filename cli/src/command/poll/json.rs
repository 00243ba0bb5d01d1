//! Rows of `poll` as JSON.

use std::time::UNIX_EPOCH;

use mmstats_observe::Kind;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::sample::{Column, ColumnValue, Sample};
use crate::json::JsonValue;

/// A row.
pub(super) struct Document<'a> {
    pub(super) columns: &'a [Column],
    pub(super) sample: &'a Sample,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = self.sample.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &time.as_secs_f64())?;
        map.serialize_entry("seconds", &self.sample.elapsed.map(|e| e.as_secs_f64()))?;
        map.serialize_entry("programs", &self.sample.programs)?;
        map.serialize_entry("fields", &Fields(self))?;
        map.end()
    }
}

struct Fields<'a>(&'a Document<'a>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, value) in self.0.columns.iter().zip(&self.0.sample.values) {
            map.serialize_entry(&*column.label, &Field { column, value })?;
        }
        map.end()
    }
}

struct Field<'a> {
    column: &'a Column,
    value: &'a ColumnValue,
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("unit", &self.column.unit)?;
        match self.value {
            ColumnValue::Rate(rate) => map.serialize_entry("rate", &finite(*rate))?,
            ColumnValue::Value(value) => map.serialize_entry("value", &JsonValue(value))?,
            ColumnValue::Timer(rate, mean) => {
                map.serialize_entry("rate", &finite(*rate))?;
                map.serialize_entry("mean_seconds", mean)?;
            }
            ColumnValue::Missing => {
                let key = match self.column.kind {
                    Some(Kind::Counter | Kind::Timer) => "rate",
                    _ => "value",
                };
                map.serialize_entry(key, &None::<f64>)?;
            }
        }
        map.end()
    }
}

/// JSON has no NaN and no infinities.
fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}
