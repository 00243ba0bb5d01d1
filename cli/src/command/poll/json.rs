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
    #[serde(serialize_with = "fields")]
    fields: (&'a [Column], &'a [ColumnValue]),
}

impl<'a> Document<'a> {
    pub(super) fn new(columns: &'a [Column], sample: &'a Sample) -> Self {
        Self {
            time: sample.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            seconds: sample.elapsed.map(|elapsed| elapsed.as_secs_f64()),
            programs: sample.programs,
            fields: (columns, &sample.values),
        }
    }
}

/// A map by label.
fn fields<S: Serializer>(
    (columns, values): &(&[Column], &[ColumnValue]),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(columns.iter().zip(*values).map(|(column, value)| {
        (&*column.label, Field { unit: &column.unit, value: FieldValue::new(column, value) })
    }))
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
