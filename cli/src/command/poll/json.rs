//! Rows of `poll` as JSON.

use mmstats_observe::{Kind, OwnedValue};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::sample::Sample;
use crate::json::{Digits, Float, JsonValue, Quantiles, number, seconds};
use crate::model::rates::column::{Cell, Column, Interval};
use crate::value::in_progress;

/// A row.
#[derive(serde::Serialize)]
pub(super) struct Document<'a> {
    time: f64,
    seconds: Option<f64>,
    programs: usize,
    ended_programs: usize,
    incomplete_programs: usize,
    samples_refused: u64,
    fields: Vec<Field<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(columns: &'a [Column], sample: &'a Sample) -> Self {
        let fields = columns.iter().zip(&sample.cells);
        Self {
            time: seconds(sample.time),
            seconds: sample.elapsed.map(|elapsed| elapsed.as_secs_f64()),
            programs: sample.programs,
            ended_programs: sample.ended,
            incomplete_programs: sample.incomplete,
            samples_refused: sample.samples_refused,
            fields: fields.map(|(column, cell)| Field(column, cell)).collect(),
        }
    }
}

struct Field<'a>(&'a Column, &'a Cell);

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(column, cell) = self;
        let field = &column.field;
        let mut s = serializer.serialize_map(None)?;
        s.serialize_entry("label", &field.label)?;
        if !column.selector.is_empty() {
            s.serialize_entry("selector", &column.selector)?;
        }
        s.serialize_entry("type", &field.shape().to_string())?;
        s.serialize_entry("kind", field.kind_name())?;
        s.serialize_entry("unit", &field.unit)?;
        s.serialize_entry("aggregation", &field.properties.aggregation().to_string())?;
        match column.counting() {
            None => {
                let value = cell.total.as_ref().map(OwnedValue::only);
                if let Some(count) = value.and_then(in_progress) {
                    s.serialize_entry("value", &Float(count))?;
                } else {
                    s.serialize_entry("value", &value.map(JsonValue))?;
                    if let Some(digits) = value.and_then(Digits::new) {
                        s.serialize_entry("value_text", &digits)?;
                    }
                }
            }
            Some(kind) => {
                let interval = cell.interval.as_ref();
                s.serialize_entry("rate", &interval.and_then(|interval| finite(interval.rate?)))?;
                distribution(kind, interval, &mut s)?;
                s.serialize_entry("total", &cell.total.as_ref().map(Total))?;
                if let Some(digits) = cell.total.as_ref().and_then(Digits::new) {
                    s.serialize_entry("total_text", &digits)?;
                }
            }
        }
        s.serialize_entry("verdict", cell.verdict.name())?;
        s.end()
    }
}

/// Mean and quantiles of the values of the interval.
fn distribution<M: serde::ser::SerializeMap>(
    kind: Kind,
    interval: Option<&Interval>,
    s: &mut M,
) -> Result<(), M::Error> {
    let counts = interval.map(|interval| &interval.counts);
    match (kind, counts) {
        (Kind::Timer, counts) => {
            let mean = match counts {
                Some(OwnedValue::Timer(timer)) => timer.mean(),
                _ => None,
            };
            s.serialize_entry("mean_seconds", &mean.map(|mean| finite(mean / 1e9)))?;
        }
        (Kind::Average, counts) => {
            let mean = match counts {
                Some(OwnedValue::Average(average)) => average.mean(),
                _ => None,
            };
            s.serialize_entry("mean", &mean.map(finite))?;
        }
        (Kind::Histogram, Some(OwnedValue::Histogram(histogram))) => {
            s.serialize_entry("mean", &histogram.mean().map(finite))?;
            s.serialize_entry("quantiles", &Quantiles(histogram))?;
        }
        (Kind::Histogram, _) => {
            s.serialize_entry("mean", &())?;
            s.serialize_entry("quantiles", &())?;
        }
        _ => return Ok(()),
    }
    let over = match interval {
        None => None,
        Some(interval) if interval.over_life => Some("life"),
        Some(_) => Some("interval"),
    };
    s.serialize_entry("over", &over)
}

/// All that was counted: a number, or count, sum and mean.
struct Total<'a>(&'a OwnedValue);

impl Serialize for Total<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (count, sum, mean) = match self.0 {
            OwnedValue::Timer(timer) => {
                (OwnedValue::Unsigned(timer.count), OwnedValue::Unsigned(timer.sum), timer.mean())
            }
            OwnedValue::Histogram(histogram) => {
                (OwnedValue::Unsigned(histogram.count()), histogram.sum().into(), histogram.mean())
            }
            OwnedValue::Average(average) => {
                (OwnedValue::F64(average.count), OwnedValue::F64(average.sum), average.mean())
            }
            value => return JsonValue(value).serialize(serializer),
        };
        let mut s = serializer.serialize_map(None)?;
        number(&mut s, "count", Some(&count))?;
        number(&mut s, "sum", Some(&sum))?;
        s.serialize_entry("mean", &mean.map(Float))?;
        s.end()
    }
}

/// JSON has no NaN and no infinities.
fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}
