//! Rows of `poll` as JSON.

use std::time::UNIX_EPOCH;

use mmstats_observe::Kind;
use serde::{Serialize, Serializer};

use super::sample::{Column, ColumnValue, Sample};
use crate::json::JsonValue;

/// A row.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    time: f64,
    seconds: Option<f64>,
    programs: usize,
    fields: Fields<'a>,
}

impl<'a> Document<'a> {
    pub(super) fn new(columns: &'a [Column], sample: &'a Sample) -> Self {
        Self {
            time: sample.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            seconds: sample.elapsed.map(|elapsed| elapsed.as_secs_f64()),
            programs: sample.programs,
            fields: Fields { columns, values: &sample.values },
        }
    }
}

struct Fields<'a> {
    columns: &'a [Column],
    values: &'a [ColumnValue],
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let field = |(column, value)| {
            let column: &Column = column;
            (&*column.label, Field { unit: &column.unit, value: FieldValue::new(column, value) })
        };
        serializer.collect_map(self.columns.iter().zip(self.values).map(field))
    }
}

#[derive(Serialize)]
struct Field<'a> {
    unit: &'a str,
    #[serde(flatten)]
    value: FieldValue<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FieldValue<'a> {
    Rate { rate: Option<f64> },
    Timer { rate: Option<f64>, mean_seconds: Option<f64> },
    Value { value: Option<JsonValue<'a>> },
}

impl<'a> FieldValue<'a> {
    fn new(column: &Column, value: &'a ColumnValue) -> Self {
        // JSON has no NaN and no infinities.
        let finite = |x: f64| x.is_finite().then_some(x);
        match value {
            ColumnValue::Rate(rate) => Self::Rate { rate: finite(*rate) },
            ColumnValue::Value(value) => Self::Value { value: Some(JsonValue(value)) },
            ColumnValue::Timer(rate, mean) => {
                Self::Timer { rate: finite(*rate), mean_seconds: *mean }
            }
            ColumnValue::Missing => match column.kind {
                Some(Kind::Counter | Kind::Timer) => Self::Rate { rate: None },
                _ => Self::Value { value: None },
            },
        }
    }
}
