//! The protobuf of Prometheus, with native histograms.
//!
//! Fields and numbers are those of `io.prometheus.client`, as Prometheus documents them.

mod histogram;
mod label;
mod message;

use mmstats_observe::{Number, OwnedValue};
use prost::encoding::{WireType, encode_key, encode_varint, int32, message as part, string};

use self::histogram::{integer, native, octaves};
use self::label::encoded_labels;
use self::message::{
    COUNTER, Counter, GAUGE, Gauge, HELP, HISTOGRAM, IN_COUNTER, IN_GAUGE, IN_HISTOGRAM,
    IN_SUMMARY, IN_UNTYPED, LABEL, LabelPair, METRIC, NAME, SUMMARY, Summary, TYPE, Timestamp,
    UNTYPED, Untyped,
};

use crate::catalogue::{Catalogue, Family, Mapping, Target};
use crate::own::OWN;
use crate::plan::{self, Type};
use crate::unit::Scale;

/// Writes programs as messages, each preceded by its length.
///
/// Histograms have native buckets: exactly those of the field. If its unit is no base unit, they have
/// that unit and its name, and the buckets of octaves in the base unit stand beside them.
#[derive(Debug, Default)]
pub struct Protobuf {
    version: u64,
    /// Start times of the programs.
    created: Vec<Option<f64>>,
    families: Vec<Encoded>,
    /// The family that is being written.
    body: Vec<u8>,
    /// The value that is being written.
    value: Vec<u8>,
}

/// What stays of a family while the catalogue and the start times do.
#[derive(Debug)]
struct Encoded {
    /// Number in the catalogue.
    family: usize,
    /// Whether its histograms have their own buckets.
    is_native: bool,
    /// Name, help and type.
    head: Vec<u8>,
    /// Of each series its labels; of one with a number the whole metric, with room for the number.
    metrics: Vec<u8>,
    series: Vec<Prepared>,
}

/// The bytes of a series in those of its family.
#[derive(Debug, Clone, Copy)]
struct Prepared {
    end: u32,
    /// Bytes from its begin to the number; 0 if it has none.
    number: u32,
}

impl Protobuf {
    /// The content type of an answer by HTTP.
    pub const CONTENT_TYPE: &'static str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

    /// No messages yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the families of all programs: `targets` are those of the last update of the catalogue.
    pub fn encode(&mut self, catalogue: &Catalogue, targets: &[Target<'_>], out: &mut Vec<u8>) {
        self.encode_parts(catalogue, targets, |part| out.extend_from_slice(part));
    }

    /// As [`encode`](Self::encode), in parts.
    pub fn encode_parts(
        &mut self,
        catalogue: &Catalogue,
        targets: &[Target<'_>],
        mut each: impl FnMut(&[u8]),
    ) {
        let created = || targets.iter().map(|target| target.created);
        if self.version != catalogue.version || !self.created.iter().copied().eq(created()) {
            self.version = catalogue.version;
            self.created = created().collect();
            self.families.clear();
            for (index, family) in catalogue.families.iter().enumerate() {
                let native = family.native.as_ref().filter(|name| !name.is_empty());
                self.families.push(Encoded::new(catalogue, targets, index, family, None));
                // Buckets cannot be converted: those of the field beside those of octaves.
                self.families.extend(
                    native.map(|name| Encoded::new(catalogue, targets, index, family, Some(name))),
                );
            }
        }
        for encoded in &self.families {
            let Some(family) = catalogue.families.get(encoded.family) else { continue };
            self.body.clear();
            self.body.extend_from_slice(&encoded.head);
            let (mut start, mut prepared) = (0, encoded.series.iter());
            catalogue.values(family, targets, |series, value| {
                let Some(prepared) = prepared.next() else { return };
                let end = prepared.end as usize;
                let bytes = encoded.metrics.get(start..end).unwrap_or_default();
                start = end;
                let Some((mapping, value)) = value else { return };
                if prepared.number > 0 {
                    let at = self.body.len() + prepared.number as usize;
                    if let Some(found) = plan::number(value, mapping.part) {
                        self.body.extend_from_slice(bytes);
                        if let Some(room) = self.body.get_mut(at..at + 8) {
                            room.copy_from_slice(&float(found, mapping.scale).to_le_bytes());
                        }
                    }
                    return;
                }
                let target = targets.get(series.program as usize);
                let created = target.and_then(|target| target.created);
                let created = created.and_then(Timestamp::from_seconds);
                self.value.clear();
                let is_native = encoded.is_native;
                let added = push(value, family.ty, mapping, is_native, created, &mut self.value);
                if added.is_some() {
                    metric(bytes, &self.value, &mut self.body);
                }
            });
            if self.body.len() > encoded.head.len() {
                delimited(&self.body, &mut each);
            }
        }
        for own in &OWN {
            self.body.clear();
            head(own.name, own.help, GAUGE, &mut self.body);
            own.samples(catalogue, targets, |labels, more, number| {
                let mut pairs = encoded_labels([labels]);
                if let Some((name, value)) = more {
                    part::encode(
                        LABEL,
                        &LabelPair { name: name.into(), value: value.into() },
                        &mut pairs,
                    );
                }
                self.value.clear();
                part::encode(IN_GAUGE, &Gauge { value: number }, &mut self.value);
                metric(&pairs, &self.value, &mut self.body);
            });
            delimited(&self.body, &mut each);
        }
    }
}

impl Encoded {
    fn new(
        catalogue: &Catalogue,
        targets: &[Target<'_>],
        index: usize,
        family: &Family,
        native: Option<&String>,
    ) -> Self {
        let (suffix, ty) = match family.ty {
            Type::Counter => ("_total", COUNTER),
            Type::Info => ("_info", GAUGE),
            Type::Gauge => ("", GAUGE),
            Type::Summary => ("", SUMMARY),
            Type::Unknown => ("", UNTYPED),
            Type::Histogram => ("", HISTOGRAM),
        };
        let mut bytes = Vec::new();
        let name = native.cloned().unwrap_or_else(|| format!("{}{suffix}", family.name));
        head(&name, &family.help, ty, &mut bytes);
        let (mut metrics, mut series) = (Vec::new(), Vec::with_capacity(family.series.len()));
        for &one in &family.series {
            let program = catalogue.programs.get(one.program as usize);
            let program = program.map_or("", |program| &program.labels);
            let own = catalogue.mapping(one).map_or("", |mapping| &mapping.labels);
            let labels = encoded_labels([program, own]);
            let target = targets.get(one.program as usize);
            let created = target.and_then(|target| target.created);
            let number = with_number(family.ty, created.and_then(Timestamp::from_seconds));
            let begin = metrics.len();
            let number = match number {
                Some(value) => {
                    metric(&labels, &value, &mut metrics);
                    metrics.len() - value.len() + BEFORE_NUMBER - begin
                }
                None => {
                    metrics.extend_from_slice(&labels);
                    0
                }
            };
            // A family is far smaller; what is beyond has no series.
            let (Ok(number), Ok(end)) = (u32::try_from(number), u32::try_from(metrics.len()))
            else {
                break;
            };
            series.push(Prepared { end, number });
        }
        metrics.shrink_to_fit();
        Self {
            family: index,
            is_native: native.is_some() || family.native.is_none(),
            head: bytes,
            metrics,
            series,
        }
    }
}

/// A number of a metric with another value than 0, which would be left out; `None` for types without one.
fn with_number(ty: Type, created_timestamp: Option<Timestamp>) -> Option<Vec<u8>> {
    let (mut out, value) = (Vec::new(), 1.0);
    match ty {
        Type::Counter => part::encode(IN_COUNTER, &Counter { value, created_timestamp }, &mut out),
        Type::Gauge => part::encode(IN_GAUGE, &Gauge { value }, &mut out),
        Type::Unknown => part::encode(IN_UNTYPED, &Untyped { value }, &mut out),
        Type::Info | Type::Summary | Type::Histogram => return None,
    }
    Some(out)
}

/// Bytes of a number before its value: two keys of one byte, and a length below 128.
const BEFORE_NUMBER: usize = 3;

/// Name, help and type of a family.
fn head(name: &str, help: &str, ty: i32, out: &mut Vec<u8>) {
    string::encode(NAME, &name.to_owned(), out);
    string::encode(HELP, &help.to_owned(), out);
    int32::encode(TYPE, &ty, out);
}

/// A metric of a family.
fn metric(labels: &[u8], value: &[u8], out: &mut Vec<u8>) {
    encode_key(METRIC, WireType::LengthDelimited, out);
    encode_varint((labels.len() + value.len()) as u64, out);
    out.extend_from_slice(labels);
    out.extend_from_slice(value);
}

/// A message after its length.
fn delimited(message: &[u8], each: &mut impl FnMut(&[u8])) {
    let mut length = Vec::with_capacity(10);
    encode_varint(message.len() as u64, &mut length);
    each(&length);
    each(message);
}

/// Appends the value of a metric, if there is one that is no number.
///
/// A histogram has its own buckets if `is_native`, else those of octaves.
fn push(
    value: &OwnedValue,
    ty: Type,
    mapping: &Mapping,
    is_native: bool,
    created_timestamp: Option<Timestamp>,
    out: &mut Vec<u8>,
) -> Option<()> {
    match ty {
        // These are written as numbers.
        Type::Counter | Type::Gauge | Type::Unknown => return None,
        Type::Info => part::encode(IN_GAUGE, &Gauge { value: 1.0 }, out),
        Type::Summary => {
            let (count, sum) = plan::summary(value)?;
            let summary = Summary {
                sample_count: integer(count),
                sample_sum: float(sum, mapping.scale),
                created_timestamp,
            };
            part::encode(IN_SUMMARY, &summary, out);
        }
        Type::Histogram => {
            let OwnedValue::Histogram(histogram) = value.only() else { return None };
            let histogram = if is_native {
                native(histogram, created_timestamp)
            } else {
                octaves(histogram, &mapping.bounds, mapping.scale, created_timestamp)
            };
            part::encode(IN_HISTOGRAM, &histogram, out);
        }
    }
    Some(())
}

fn float(number: Number, scale: Scale) -> f64 {
    scale.apply(number.as_f64())
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Aggregation, DataType, FieldInfo, Kind, Properties, Reading, Total};
    use prost::Message;

    use super::message::Histogram;

    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct MetricFamily {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        help: String,
        #[prost(int32, tag = "3")]
        r#type: i32,
        #[prost(message, repeated, tag = "4")]
        metric: Vec<Metric>,
        #[prost(string, tag = "5")]
        unit: String,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Metric {
        #[prost(message, repeated, tag = "1")]
        label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        gauge: Option<Gauge>,
        #[prost(message, optional, tag = "3")]
        counter: Option<Counter>,
        #[prost(message, optional, tag = "4")]
        summary: Option<Summary>,
        #[prost(message, optional, tag = "5")]
        untyped: Option<Untyped>,
        #[prost(message, optional, tag = "7")]
        histogram: Option<Histogram>,
    }

    fn field(label: &str, kind: Kind, value: Option<OwnedValue>) -> Total {
        let info = FieldInfo::new(label, Properties::new(DataType::U64, kind, Aggregation::Sum));
        let mut reading = Reading::consistent(OwnedValue::Unsigned(0));
        reading.value = value;
        Total::new(info, reading)
    }

    fn decoded(
        fields: &[Total],
        encoder: &mut Protobuf,
        catalogue: &mut Catalogue,
    ) -> Vec<MetricFamily> {
        let labels = [("command".to_owned(), "a\"b\\\n".to_owned())];
        let target = Target { created: Some(1.5), ..Target::new(1, &labels, fields) };
        catalogue.update(&[target]);
        let mut out = Vec::new();
        encoder.encode(catalogue, &[target], &mut out);
        let mut left = &*out;
        let mut families = Vec::new();
        while !left.is_empty() {
            families.push(MetricFamily::decode_length_delimited(&mut left).unwrap());
        }
        families
    }

    #[test]
    fn messages_have_values_of_each_update() {
        let (mut encoder, mut catalogue) = (Protobuf::new(), Catalogue::new());
        let values = |n| {
            [
                field("n", Kind::Counter, Some(OwnedValue::Unsigned(n))),
                field("g", Kind::Gauge, None),
            ]
        };
        for n in [5, 6] {
            let families = decoded(&values(n), &mut encoder, &mut catalogue);
            let found = families.iter().find(|family| family.name == "n_total").unwrap();
            assert_eq!(found.r#type, COUNTER);
            let created_timestamp = Some(Timestamp { seconds: 1, nanos: 500_000_000 });
            #[allow(clippy::cast_precision_loss)] // Small.
            let value = n as f64;
            assert_eq!(found.metric[0].counter, Some(Counter { value, created_timestamp }));
            let label = LabelPair { name: "command".to_owned(), value: "a\"b\\\n".to_owned() };
            assert_eq!(found.metric[0].label, [label]);
            assert!(families.iter().all(|family| family.name != "g"), "{families:?}");
            assert!(families.iter().any(|family| family.name == "mmstats_up"));
        }
    }
}
