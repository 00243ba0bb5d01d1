//! What is no sample, and what is one only once: a consumer takes each for the truth.

use std::collections::BTreeMap;

use mmstats_export::{Catalogue, Format, Losses, Protobuf, Target, Text, graphite};
use mmstats_observe::{
    ActivityRow, ActivityValue, Aggregation, DataType, EachValue, FieldInfo, HistogramParts,
    HistogramValue, Kind, Number, Origin, OwnedValue, Properties, Reading, Tally, TimerValue,
    Total, Verdict,
};

fn field(label: &str, kind: Kind, value: OwnedValue) -> Total {
    let info = FieldInfo::new(label, Properties::new(DataType::U64, kind, Aggregation::Sum));
    Total::new(info, Reading::consistent(value))
}

const fn n(n: u128) -> OwnedValue {
    OwnedValue::Unsigned(n)
}

/// The samples of a program but those of the export itself, and the text of the collisions.
fn samples(fields: &[Total]) -> (Vec<String>, Vec<String>) {
    let labels = [("command".to_owned(), "web".to_owned())];
    let target = Target::new(1, &labels, fields);
    let mut catalogue = Catalogue::new();
    catalogue.update(&[target]);
    let mut out = String::new();
    Text::new(Format::OpenMetrics).encode(&catalogue, &[target], &mut out);
    let is_sample = |line: &&str| !line.starts_with('#') && !line.starts_with("mmstats_");
    let lines = out.lines().filter(is_sample).map(|line| line.replace("command=\"web\"", "P"));
    (lines.collect(), catalogue.losses().collisions().to_vec())
}

fn graphite_lines(fields: &[Total]) -> String {
    let mut out = String::new();
    graphite::lines("p", 7, fields, &mut Losses::default(), &mut out);
    out
}

#[cfg(feature = "otlp")]
fn otlp_metrics(fields: &[Total]) -> Vec<opentelemetry_proto::tonic::metrics::v1::Metric> {
    use mmstats_export::otlp::{Source, metrics};
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use prost::Message as _;
    let mut all = Vec::new();
    metrics(&[Source::new(&[], 9, fields)], usize::MAX, &mut Losses::default(), |body| {
        let request = ExportMetricsServiceRequest::decode(&*body).unwrap();
        let scopes = request.resource_metrics.into_iter().flat_map(|all| all.scope_metrics);
        all.extend(scopes.flat_map(|scope| scope.metrics));
    });
    all
}

/// A histogram of floats whose field has this scale, first bucket and number of elements, with these buckets and the
/// number of values above all of them, which begin at a bucket.
fn histogram(
    label: &str,
    (scale, lowest, elements): (i8, i16, u32),
    buckets: &[(i32, u128)],
    above: Option<(u128, i32)>,
) -> Total {
    combined(label, (scale, lowest, elements), scale, buckets, above)
}

/// The same with another scale of the value, as parts with other buckets have it.
fn combined(
    label: &str,
    (field_scale, lowest, elements): (i8, i16, u32),
    scale: i8,
    buckets: &[(i32, u128)],
    above: Option<(u128, i32)>,
) -> Total {
    let ([scale_byte], [low, high]) = (field_scale.to_le_bytes(), lowest.to_le_bytes());
    let param = u32::from_le_bytes([scale_byte, DataType::F64.code(), low, high]);
    let properties = Properties::new(DataType::U64, Kind::Histogram, Aggregation::Sum);
    let info = FieldInfo::new(label, properties.with_array(elements).with_param(param));
    let buckets: BTreeMap<i32, u128> = buckets.iter().copied().collect();
    let above = above.map_or((0, None), |(count, first)| (count, Some(first)));
    let count = buckets.values().sum::<u128>() + above.0;
    let sum = Number::Float(1.0);
    let (float, range, below) = (true, None, (0, None));
    let parts = HistogramParts { float, scale, count, sum, range, below, above, buckets };
    let value = HistogramValue::from_parts(parts).unwrap();
    Total::new(info, Reading::consistent(OwnedValue::Histogram(Box::new(value))))
}

/// The names of the families of a program in protobuf, but those of the export itself.
fn protobuf_names(fields: &[Total]) -> Vec<String> {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Named {
        #[prost(string, tag = "1")]
        name: String,
    }
    let target = Target::new(1, &[], fields);
    let (mut catalogue, mut out, mut names) = (Catalogue::new(), Vec::new(), Vec::new());
    catalogue.update(&[target]);
    Protobuf::new().encode(&catalogue, &[target], &mut out);
    let mut left = &*out;
    while !left.is_empty() {
        names.push(<Named as prost::Message>::decode_length_delimited(&mut left).unwrap().name);
    }
    names.retain(|name| !name.starts_with("mmstats_"));
    names
}

/// A counter without one of its lanes is smaller: it would seem to begin again, and rates would be those of all that
/// it ever counted.
#[test]
fn sum_without_a_lane_that_could_not_be_read_is_no_sample() {
    let mut partial = field("jobs", Kind::Counter, n(5));
    partial.reading.verdict = Verdict::Contended;
    partial.reading.tally = Tally { values: 1, contended: 1, ..Tally::default() };
    let whole = field("others", Kind::Counter, n(7));
    let fields = [partial, whole];
    assert_eq!(samples(&fields).0, ["others_total{P} 7"]);
    assert_eq!(graphite_lines(&fields), "p.others 7 7\n");
    #[cfg(feature = "otlp")]
    assert_eq!(otlp_metrics(&fields).len(), 1);
}

#[test]
fn activities_of_several_lanes_are_added_up() {
    let lane = |lane, begins: &[u64]| {
        let mut value = ActivityValue { refused: Some(2), ..ActivityValue::default() };
        let row = |since: &u64| ActivityRow::new(1, Some(*since), "parse".to_owned(), false);
        value.rows = begins.iter().map(row).collect();
        EachValue {
            origin: Origin { lane: Some(lane), ..Origin::default() },
            value: Some(OwnedValue::Activity(value)),
            verdict: Verdict::Consistent,
        }
    };
    let mut lanes = vec![lane(0, &[3_000_000_000, 4_000_000_000]), lane(1, &[2_500_000_000])];
    let doing = |lanes: &[EachValue]| {
        samples(&[field("doing", Kind::Activity, OwnedValue::Each(lanes.to_vec()))]).0
    };
    let wanted = [
        "doing_in_progress{P} 3",
        "doing_oldest_timestamp_seconds{P} 2.5",
        "doing_refused_total{P} 4",
    ];
    assert_eq!(doing(&lanes), wanted);
    // What a lane that could not be read does is not known.
    (lanes[1].value, lanes[1].verdict) = (None, Verdict::Contended);
    assert_eq!(doing(&lanes), Vec::<String>::new());
}

/// KINDS.md section 1: the times of a timer are in nanoseconds, whatever unit its field names.
#[test]
fn timer_with_another_unit_is_in_nanoseconds() {
    let timer = TimerValue { count: 1, sum: 1_500_000_000, min: None, max: None, last: None };
    let mut took = field("took", Kind::Timer, OwnedValue::Timer(timer));
    took.field.unit = "seconds".to_owned();
    let fields = [took];
    assert_eq!(samples(&fields).0, ["took_seconds_count{P} 1", "took_seconds_sum{P} 1.5"]);
    assert!(graphite_lines(&fields).ends_with("p.took.sum 1.5 7\n"));
    #[cfg(feature = "otlp")]
    assert_eq!(otlp_metrics(&fields)[0].unit, "ns");
}

#[cfg(feature = "otlp")]
#[test]
fn gauge_that_is_named_as_a_timestamp_has_its_own_unit() {
    let fields = [
        field("backup_timestamp_seconds", Kind::Gauge, n(1_700_000_000)),
        field("beat", Kind::Timestamp, n(1_700_000_000_000_000_000)),
    ];
    let units: Vec<_> = otlp_metrics(&fields).into_iter().map(|metric| metric.unit).collect();
    assert_eq!(units, ["", "ns"]);
}

#[test]
fn native_buckets_of_microseconds_are_not_named_as_seconds() {
    let mut fields = [histogram("took", (0, 0, 10), &[(3, 1)], None)];
    for (unit, wanted) in [
        ("µs", ["took_seconds", "took_microseconds"]),
        ("%", ["took_ratio", "took_percent"]),
        ("ns", ["took_seconds", "took_ns"]),
    ] {
        fields[0].field.unit = unit.to_owned();
        assert_eq!(protobuf_names(&fields), wanted, "{unit}");
    }
}
