//! The points of a field.

use mmstats_observe::{HistogramValue, Kind, Number, OwnedValue, TimerValue, Total};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, ExponentialHistogram, ExponentialHistogramDataPoint,
    Gauge, Histogram, HistogramDataPoint, NumberDataPoint, Sum,
};

use super::source::Source;
use crate::plan::{self, Part, Plan, Type};
use crate::unit::ucum;

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// A series of a field at one time.
pub(super) struct Point<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) total: &'a Total,
    pub(super) plan: &'a Plan,
}

impl Point<'_> {
    /// Name, unit and the metric with one point; `None` if there is no value, or another metric has it.
    pub(super) fn data(&self) -> Option<(String, String, Data)> {
        let value = plan::value(&self.total.reading)?;
        let label = &*self.total.field.label;
        // Times of timers and timestamps are in nanoseconds, whatever the unit of the field.
        let unit = |is_time: bool| if is_time { "ns".into() } else { ucum(&self.total.field.unit) };
        let named = |suffix: &str, unit: &str, data| {
            Some((format!("{label}{suffix}"), unit.to_owned(), data))
        };
        match (self.plan.ty, self.plan.part) {
            (Type::Summary, _) => {
                let is_timer = matches!(value.only(), OwnedValue::Timer(_));
                named("", &unit(is_timer), self.summary(value)?)
            }
            (Type::Histogram, _) => match value.only() {
                OwnedValue::Histogram(histogram) => {
                    named("", &unit(false), self.histogram(histogram))
                }
                _ => None,
            },
            // The histogram has them.
            (_, Part::Min | Part::Max) => None,
            (_, Part::Last) => named(".last", &unit(true), self.gauge(value)?),
            (_, Part::Mean) => named("", &unit(false), self.gauge(value)?),
            (_, Part::InProgress) => named(".in_progress", "", self.gauge(value)?),
            (_, Part::Oldest) => named(".oldest", "ns", self.gauge(value)?),
            (_, Part::Refused) => named(".refused", "", self.sum(value)?),
            (_, Part::Rate(_)) => {
                let unit = match &*unit(false) {
                    "" => "1/s".to_owned(),
                    unit => format!("{unit}/s"),
                };
                named(".rate", &unit, self.gauge(value)?)
            }
            (Type::Counter, _) => named("", &unit(false), self.sum(value)?),
            (Type::Info, _) => {
                named("", "", Data::Gauge(Gauge { data_points: vec![self.point(Value::AsInt(1))] }))
            }
            (_, Part::State(_)) => named("", "", self.gauge(value)?),
            _ => {
                let is_time = self.total.field.properties.kind() == Some(Kind::Timestamp);
                named("", &unit(is_time), self.gauge(value)?)
            }
        }
    }

    const fn flags(&self) -> u32 {
        if self.source.is_over { DataPointFlags::NoRecordedValueMask as u32 } else { 0 }
    }

    /// The attributes of the field, and what tells its series apart.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.total.field.attributes();
        let count = own.clone().count();
        let (labels, more) = self.plan.labels.split_at(count.min(self.plan.labels.len()));
        let own = own.zip(labels).map(|((key, value), (label, _))| {
            // The other labels have names of the export. A key is there once.
            let is_taken = more.iter().any(|(other, _)| other == key);
            (if is_taken { label.as_str() } else { key }, value)
        });
        own.chain(more.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    fn attributes(&self) -> Vec<KeyValue> {
        self.pairs().map(|(key, value)| attribute(key, value)).collect()
    }

    fn number(&self, value: &OwnedValue) -> Option<Value> {
        Some(match plan::number(value, self.plan.part)? {
            Number::Unsigned(n) => i64::try_from(n)
                .map_or_else(|_| Value::AsDouble(Number::Unsigned(n).as_f64()), Value::AsInt),
            Number::Signed(n) => i64::try_from(n)
                .map_or_else(|_| Value::AsDouble(Number::Signed(n).as_f64()), Value::AsInt),
            Number::Float(x) => Value::AsDouble(x),
        })
    }

    fn point(&self, value: Value) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.source.start,
            time_unix_nano: self.source.time,
            flags: self.flags(),
            value: (!self.source.is_over).then_some(value),
            exemplars: Vec::new(),
        }
    }

    fn gauge(&self, value: &OwnedValue) -> Option<Data> {
        let point = NumberDataPoint { start_time_unix_nano: 0, ..self.point(self.number(value)?) };
        Some(Data::Gauge(Gauge { data_points: vec![point] }))
    }

    fn sum(&self, value: &OwnedValue) -> Option<Data> {
        let data_points = vec![self.point(self.number(value)?)];
        Some(Data::Sum(Sum {
            data_points,
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }))
    }

    /// Count and sum as a histogram with one bucket, of all values: servers leave out those without buckets.
    fn summary(&self, value: &OwnedValue) -> Option<Data> {
        let (count, sum) = plan::summary(value)?;
        let range = match value.only() {
            #[allow(clippy::cast_precision_loss)] // The nearest floats.
            OwnedValue::Timer(TimerValue { min, max, .. }) => {
                (min.map(|n| n as f64), max.map(|n| n as f64))
            }
            _ => (None, None),
        };
        let is_over = self.source.is_over;
        let count = if is_over { 0 } else { saturated(count) };
        let point = HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.source.start,
            time_unix_nano: self.source.time,
            count,
            bucket_counts: if is_over { Vec::new() } else { vec![count] },
            sum: (!is_over).then_some(sum.as_f64()),
            flags: self.flags(),
            min: range.0.filter(|_| !is_over),
            max: range.1.filter(|_| !is_over),
            ..HistogramDataPoint::default()
        };
        Some(Data::Histogram(Histogram {
            data_points: vec![point],
            aggregation_temporality: CUMULATIVE,
        }))
    }

    /// A histogram with its own buckets. Values above all of them are in the next one.
    fn histogram(&self, histogram: &HistogramValue) -> Data {
        let mut point = ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.source.start,
            time_unix_nano: self.source.time,
            flags: self.flags(),
            ..ExponentialHistogramDataPoint::default()
        };
        if !self.source.is_over {
            let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
            let mut all: Vec<(i32, u64)> =
                histogram.buckets().map(|(number, .., n)| (number, count(n))).collect();
            if histogram.above() > 0 {
                let next = all.last().map_or(0, |(number, _)| number.saturating_add(1));
                // Of parts with other ranges or scales it is not that of the field.
                let (_, first) = histogram.to_parts().above;
                all.push((first.map_or(next, |first| next.max(first)), count(histogram.above())));
            }
            let offset = all.first().map_or(0, |(number, _)| *number);
            let len =
                all.last().map_or(0, |(number, _)| number.saturating_sub(offset).saturating_add(1));
            let mut bucket_counts = vec![0_u64; usize::try_from(len).unwrap_or(0).min(MAX_BUCKETS)];
            for (number, n) in all {
                let index = usize::try_from(number.saturating_sub(offset)).unwrap_or(usize::MAX);
                if let Some(bucket) = bucket_counts.get_mut(index) {
                    *bucket = bucket.saturating_add(n);
                }
            }
            let (below, _) = histogram.bounds();
            point.count = count(histogram.count());
            point.sum = Some(histogram.sum().as_f64());
            point.scale = histogram.scale().into();
            point.zero_count = count(histogram.below());
            point.zero_threshold = below.filter(|bound| bound.is_finite()).unwrap_or(0.0);
            point.positive = Some(Buckets { offset, bucket_counts });
            point.min = histogram.min().map(Number::as_f64);
            point.max = histogram.max().map(Number::as_f64);
        }
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![point],
            aggregation_temporality: CUMULATIVE,
        })
    }
}

/// Maximum number of buckets: the format allows fewer.
const MAX_BUCKETS: usize = 1 << 16;

/// A count.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturates.
fn saturated(number: Number) -> u64 {
    match number {
        Number::Unsigned(n) => u64::try_from(n).unwrap_or(u64::MAX),
        Number::Signed(n) => u64::try_from(n.max(0)).unwrap_or(u64::MAX),
        Number::Float(x) => x as u64,
    }
}

pub(super) fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) }
}

pub(super) fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)), ..KeyValue::default() }
}
