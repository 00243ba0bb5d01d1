//! OTLP: metrics of programs, and lines of events as logs.
//!
//! Labels stay as they are, and values have the unit of the field, in UCUM. Names of attributes of
//! resources are those of OpenTelemetry's semantic conventions.
//!
//! Servers limit the size of a request, many to 4 MB: what is sent comes in several.

mod point;
mod request;
mod source;

use std::collections::{BTreeMap, HashSet};

use mmstats_observe::Identity;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;

use self::point::{Point, attribute, text};
use self::request::{Request, chunks, split};
pub use self::source::{Log, LogLine, Source};
use crate::loss::{Loss, Losses};
use crate::plan::{self, Type};

/// The attributes of a program's resource.
#[must_use]
pub fn resource(identity: &Identity, instance: Option<&str>) -> Vec<(String, String)> {
    let pairs = [
        ("service.name", identity.command.clone()),
        ("service.instance.id", instance.map(str::to_owned)),
        ("process.pid", identity.pid.map(|pid| pid.to_string())),
        ("host.name", identity.host.clone()),
        ("mmstats.application", identity.application.clone()),
    ];
    let known = pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    known.filter(|(_, value)| !value.is_empty()).collect()
}

/// Calls `each` with the request bodies for `/v1/metrics`, as protobuf: of at most `max` bytes, but for a single
/// point that is larger. A program that is larger than that is in several.
pub fn metrics(sources: &[Source<'_>], max: usize, losses: &mut Losses, each: impl FnMut(Vec<u8>)) {
    let mut request = Request::new(max, each);
    for source in sources {
        let resource = to_resource(source.attributes);
        let all = all_metrics(source, losses).into_iter().flat_map(|metric| split(metric, max));
        chunks(all, max, |metrics| {
            let scope_metrics =
                vec![ScopeMetrics { scope: Some(scope()), metrics, schema_url: String::new() }];
            let resource = Some(resource.clone());
            request.add(&ResourceMetrics { resource, scope_metrics, schema_url: String::new() });
        });
    }
    request.end();
}

/// Calls `each` with the request bodies for `/v1/logs`, as protobuf, of at most `max` bytes, but for a single line
/// that is larger: seen at `observed`, in nanoseconds since 1970.
pub fn logs(programs: &[Log<'_>], observed: u64, max: usize, each: impl FnMut(Vec<u8>)) {
    let record = |line: &LogLine<'_>| {
        let severity = if line.is_panic { SeverityNumber::Fatal } else { SeverityNumber::Info };
        LogRecord {
            time_unix_nano: line.time,
            observed_time_unix_nano: observed,
            severity_number: severity.into(),
            severity_text: if line.is_panic { "FATAL" } else { "INFO" }.to_owned(),
            body: Some(text(line.text)),
            attributes: vec![attribute("mmstats.field", line.label)],
            ..LogRecord::default()
        }
    };
    let mut request = Request::new(max, each);
    for log in programs {
        let resource = to_resource(log.attributes);
        chunks(log.lines.iter().map(record), max, |log_records| {
            let scope_logs =
                vec![ScopeLogs { scope: Some(scope()), log_records, schema_url: String::new() }];
            let resource = Some(resource.clone());
            request.add(&ResourceLogs { resource, scope_logs, schema_url: String::new() });
        });
    }
    request.end();
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn to_resource(attributes: &[(String, String)]) -> Resource {
    let value = |(key, value): &(String, String)| match (&**key, value.parse()) {
        ("process.pid", Ok(pid)) => KeyValue {
            key: key.clone(),
            value: Some(AnyValue { value: Some(any_value::Value::IntValue(pid)) }),
            ..KeyValue::default()
        },
        _ => attribute(key, value),
    };
    Resource { attributes: attributes.iter().map(value).collect(), ..Resource::default() }
}

/// The metrics of a program, by name, unit and type.
fn all_metrics(source: &Source<'_>, losses: &mut Losses) -> Vec<Metric> {
    let mut all: BTreeMap<(String, String, u8), Metric> = BTreeMap::new();
    let mut seen = HashSet::new();
    for total in source.fields {
        // The resource has these.
        if matches!(
            &*total.field.label,
            "sys.pid" | "sys.command" | "sys.created" | "sys.application" | "sys.host"
        ) {
            continue;
        }
        for plan in plan::plans(&total.field, &total.reading, &mut Losses::default()) {
            let point = Point { source, total, plan: &plan };
            match point.data() {
                Some((name, unit, data)) => {
                    let key = (name.clone(), unit.clone(), kind(&data));
                    let mut pairs: Vec<(String, String)> = point
                        .pairs()
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .collect();
                    pairs.sort();
                    if !seen.insert((key.clone(), pairs)) {
                        losses.collide(|| {
                            let label = &total.field.label;
                            format!("{label}: another metric {name} has these attributes")
                        });
                        continue;
                    }
                    match all.get_mut(&key) {
                        Some(metric) => merge(metric, data),
                        None => {
                            let description = total.field.help.to_string();
                            let metric = Metric {
                                name,
                                description,
                                unit,
                                metadata: Vec::new(),
                                data: Some(data),
                            };
                            all.insert(key, metric);
                        }
                    }
                }
                None if plan.ty == Type::Info => losses.add(Loss::Text, 1),
                None => {}
            }
        }
    }
    all.into_values().collect()
}

/// Orders metrics of one name that differ in type.
const fn kind(data: &Data) -> u8 {
    match data {
        Data::Gauge(_) => 0,
        Data::Sum(_) => 1,
        Data::Histogram(_) => 2,
        Data::ExponentialHistogram(_) => 3,
        Data::Summary(_) => 4,
    }
}

/// Adds the points of `data`, of the same type.
fn merge(metric: &mut Metric, data: Data) {
    match (&mut metric.data, data) {
        (Some(Data::Gauge(a)), Data::Gauge(b)) => a.data_points.extend(b.data_points),
        (Some(Data::Sum(a)), Data::Sum(b)) => a.data_points.extend(b.data_points),
        (Some(Data::Histogram(a)), Data::Histogram(b)) => a.data_points.extend(b.data_points),
        (Some(Data::ExponentialHistogram(a)), Data::ExponentialHistogram(b)) => {
            a.data_points.extend(b.data_points);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{
        Aggregation, DataType, FieldInfo, Kind, OwnedValue, Properties, Reading, TimerValue, Total,
    };
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    use prost::Message as _;

    use super::*;

    fn field(label: &str, kind: Kind, value: OwnedValue) -> Total {
        let info = FieldInfo::new(label, Properties::new(DataType::U64, kind, Aggregation::Sum));
        Total::new(info, Reading::consistent(value))
    }

    fn sent_in(sources: &[Source<'_>], max: usize) -> Vec<(usize, ExportMetricsServiceRequest)> {
        let mut all = Vec::new();
        metrics(sources, max, &mut Losses::default(), |body| {
            all.push((body.len(), ExportMetricsServiceRequest::decode(&*body).unwrap()));
        });
        all
    }

    fn sent(source: &Source<'_>) -> (Vec<KeyValue>, Vec<Metric>) {
        let mut requests = sent_in(&[*source], usize::MAX);
        let mut resources = requests.remove(0).1.resource_metrics;
        assert!(requests.is_empty() && resources.len() == 1);
        let resource = resources.remove(0);
        let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics).collect();
        (resource.resource.unwrap().attributes, metrics)
    }

    #[test]
    fn requests_are_bounded_and_lose_no_point() {
        let family = (0..500_u32).map(|n| {
            let mut one = field("family", Kind::Counter, OwnedValue::Unsigned(n.into()));
            one.field.attributes = format!("n={n}").into();
            one
        });
        let single = (0..500_u32).map(|n| {
            field(&format!("one.{n}"), Kind::Gauge, OwnedValue::Unsigned((1_000 + n).into()))
        });
        let fields: Vec<Total> = family.chain(single).collect();
        let resource = [("service.name".to_owned(), "web".to_owned())];
        let large = Source::new(&resource, 9, &fields);
        let small = Source::new(&resource, 9, &fields[..1]);
        for max in [300, 2_000, 40_000, usize::MAX] {
            let requests = sent_in(&[small, large, small, small], max);
            assert!(requests.iter().all(|(len, _)| *len <= max), "{max}");
            let mut values: Vec<i64> = Vec::new();
            for (_, request) in &requests {
                for resource in &request.resource_metrics {
                    assert_eq!(resource.resource.as_ref().unwrap().attributes.len(), 1);
                    for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                        let points = match metric.data.as_ref().unwrap() {
                            Data::Sum(sum) if sum.is_monotonic => &sum.data_points,
                            Data::Gauge(gauge) => &gauge.data_points,
                            other => panic!("{other:?}"),
                        };
                        assert!(!points.is_empty() && !metric.name.is_empty());
                        values.extend(points.iter().filter_map(|point| match point.value {
                            Some(Value::AsInt(n)) => Some(n),
                            _ => None,
                        }));
                    }
                }
            }
            values.sort_unstable();
            let wanted: Vec<i64> = [0; 3].into_iter().chain(0..500).chain(1_000..1_500).collect();
            assert_eq!(values, wanted, "{max}");
        }
        // The bound costs little: bodies are nearly full.
        assert!(sent_in(&[large; 10], 40_000).iter().rev().skip(1).all(|(len, _)| *len > 15_000));
    }

    #[test]
    fn metrics_have_labels_units_and_exact_integers() {
        let mut requests =
            field("http.requests", Kind::Counter, OwnedValue::Unsigned(i64::MAX as u128));
        requests.field.unit = "requests".to_owned();
        requests.field.attributes = "http-code=200".into();
        let mut other = requests.clone();
        other.field.attributes = "http-code=404".into();
        let timer =
            TimerValue { count: 2, sum: 1_500, min: Some(500), max: Some(1_000), last: Some(500) };
        let fields = [requests, other, field("took", Kind::Timer, OwnedValue::Timer(timer))];
        let identity = Identity::default();
        let resource = vec![
            ("service.name".to_owned(), "web".to_owned()),
            ("process.pid".to_owned(), "7".to_owned()),
        ];
        let source = Source::new(&resource, 9, &fields).started(&identity);
        let (attributes, metrics) = sent(&source);
        assert_eq!(attributes[1].value.clone().unwrap().value, Some(any_value::Value::IntValue(7)));
        let names: Vec<_> = metrics.iter().map(|metric| (&*metric.name, &*metric.unit)).collect();
        assert_eq!(names, [("http.requests", "{requests}"), ("took", "ns"), ("took.last", "ns")]);
        let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        assert!(sum.is_monotonic && sum.data_points.len() == 2);
        assert_eq!(sum.data_points[0].value, Some(Value::AsInt(i64::MAX)));
        assert_eq!(sum.data_points[0].attributes, [attribute("http-code", "200")]);
        let Some(Data::Histogram(histogram)) = &metrics[1].data else { panic!("{metrics:?}") };
        let point = &histogram.data_points[0];
        assert_eq!(
            (point.count, point.sum, point.min, point.max),
            (2, Some(1_500.0), Some(500.0), Some(1_000.0))
        );
        assert!(point.bucket_counts == [2] && point.explicit_bounds.is_empty());
    }

    #[test]
    fn points_of_a_program_that_is_over_have_no_value() {
        let fields = [
            field("n", Kind::Counter, OwnedValue::Unsigned(5)),
            field("g", Kind::Gauge, OwnedValue::Signed(-1)),
        ];
        let mut source = Source::new(&[], 9, &fields);
        source.is_over = true;
        for metric in sent(&source).1 {
            let points = match metric.data {
                Some(Data::Sum(sum)) => sum.data_points,
                Some(Data::Gauge(gauge)) => gauge.data_points,
                other => panic!("{other:?}"),
            };
            assert_eq!((points[0].flags, points[0].value), (1, None));
        }
    }

    #[test]
    fn logs_have_lines_with_severity() {
        let resource = [("service.name".to_owned(), "web".to_owned())];
        let mut panic = LogLine::new(5, "sys.panics", "thread 'main' panicked");
        panic.is_panic = true;
        let lines = [LogLine::new(4, "log", "started"), panic];
        let log = Log { attributes: &resource, lines: &lines };
        let sent = |max| {
            let mut requests = Vec::new();
            logs(&[log], 6, max, |body| {
                requests.push(ExportLogsServiceRequest::decode(&*body).unwrap());
            });
            requests
        };
        assert_eq!((sent(usize::MAX).len(), sent(150).len()), (1, 2));
        let request = sent(usize::MAX).remove(0);
        let records = &request.resource_logs[0].scope_logs[0].log_records;
        assert_eq!(
            (records[0].time_unix_nano, records[0].severity_number),
            (4, SeverityNumber::Info.into())
        );
        assert_eq!(
            (records[1].body.clone(), &*records[1].severity_text),
            (Some(text("thread 'main' panicked")), "FATAL")
        );
    }
}
