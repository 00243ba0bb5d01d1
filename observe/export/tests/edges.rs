//! Values that must not become samples, and samples that must be there once.

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

#[test]
fn family_without_a_name_has_that_of_its_label() {
    assert_eq!(samples(&[field("_total", Kind::Counter, n(1))]).0, ["_total_total{P} 1"]);
}

#[test]
fn label_of_the_export_that_is_an_attribute_too_is_there_once() {
    let text = OwnedValue::Text { text: "1.2".to_owned(), cut: false };
    let mut version = field("version", Kind::Info, text);
    (version.field.constant, version.field.attributes) = (true, "value=x".into());
    let fields = [version];
    assert_eq!(samples(&fields).0, ["version_info{P,exported_value=\"x\",value=\"1.2\"} 1"]);
    #[cfg(feature = "otlp")]
    {
        use opentelemetry_proto::tonic::metrics::v1::metric::Data;
        let Some(Data::Gauge(gauge)) = &otlp_metrics(&fields)[0].data else { panic!("no gauge") };
        let keys: Vec<_> = gauge.data_points[0].attributes.iter().map(|pair| &*pair.key).collect();
        assert_eq!(keys, ["exported_value", "value"]);
    }
}

/// `--label` gives all programs labels.
#[test]
fn label_of_the_program_that_is_an_attribute_too_is_there_once() {
    let labels = [("zone".to_owned(), "a".to_owned()), ("index".to_owned(), "b".to_owned())];
    let mut sizes = field("sizes", Kind::Gauge, OwnedValue::Array(vec![n(1)]));
    sizes.field.attributes = "zone=x".into();
    let other = [("zone".to_owned(), "c".to_owned())];
    let fields = [sizes];
    let targets = [Target::new(1, &labels, &fields), Target::new(2, &other, &fields)];
    let (mut catalogue, mut out) = (Catalogue::new(), String::new());
    catalogue.update(&targets);
    Text::new(Format::OpenMetrics).encode(&catalogue, &targets, &mut out);
    let lines: Vec<_> = out.lines().filter(|line| line.starts_with("sizes{")).collect();
    let wanted = [
        "sizes{zone=\"a\",index=\"b\",exported_zone=\"x\",exported_index=\"0\"} 1",
        "sizes{zone=\"c\",exported_zone=\"x\",index=\"0\"} 1",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn labels_in_another_order_or_empty_are_the_same_series() {
    let with = |attributes: &str, value| {
        let mut field = field("n", Kind::Counter, n(value));
        field.field.attributes = attributes.into();
        field
    };
    let (lines, collisions) = samples(&[with("a=1\0b=2", 1), with("b=2\0a=1", 2)]);
    assert_eq!((lines, collisions.len()), (vec!["n_total{P,a=\"1\",b=\"2\"} 1".to_owned()], 1));
    let (lines, collisions) = samples(&[with("", 1), with("a=", 2)]);
    assert_eq!((lines, collisions.len()), (vec!["n_total{P} 1".to_owned()], 1));
}

#[test]
fn programs_with_the_same_labels_are_there_once() {
    let labels = [("pid".to_owned(), "7".to_owned())];
    let fields = [field("n", Kind::Counter, n(1))];
    let targets = [1, 2].map(|key| Target::new(key, &labels, &fields));
    let (mut catalogue, mut out) = (Catalogue::new(), String::new());
    catalogue.update(&targets);
    Text::new(Format::OpenMetrics).encode(&catalogue, &targets, &mut out);
    for name in ["n_total{", "mmstats_up{"] {
        assert_eq!(out.lines().filter(|line| line.starts_with(name)).count(), 1, "{name}");
    }
    assert_eq!(catalogue.losses().collisions(), ["another program has the labels pid=\"7\""]);
}

#[test]
fn native_buckets_with_the_name_of_another_family_are_left_out() {
    let mut took = histogram("took", (0, 0, 10), &[(3, 1)], None);
    took.field.unit = "nanoseconds".to_owned();
    let mut fields = vec![took.clone(), field("took.nanoseconds", Kind::Gauge, n(3))];
    assert_eq!(protobuf_names(&fields), ["took_nanoseconds", "took_seconds"]);
    assert_eq!(samples(&fields).1.len(), 1);
    // Two histograms whose native buckets have one name.
    took.field.label = "took.nanoseconds".to_owned();
    fields[1] = took;
    let names = ["took_nanoseconds_seconds", "took_seconds", "took_nanoseconds"];
    let mut found = protobuf_names(&fields);
    found.sort_by_key(|name| names.iter().position(|other| other == name));
    assert_eq!(found, names);
}

#[cfg(feature = "otlp")]
#[test]
fn point_of_otlp_is_there_once() {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    let rule = |rule, value| {
        let info = FieldInfo::new("g", Properties::new(DataType::U64, Kind::Gauge, rule));
        Total::new(info, Reading::consistent(n(value)))
    };
    let fields = [rule(Aggregation::Sum, 1), rule(Aggregation::Max, 2)];
    let Some(Data::Gauge(gauge)) = &otlp_metrics(&fields)[0].data else { panic!("no gauge") };
    assert_eq!(gauge.data_points.len(), 1);
}

/// The bounds and counts of a histogram in text.
fn buckets(field: Total) -> Vec<(String, String)> {
    let lines = samples(&[field]).0;
    let bucket = |line: &String| {
        let (bound, count) = line.split_once("le=\"")?.1.split_once("\"} ")?;
        Some((bound.to_owned(), count.to_owned()))
    };
    lines.iter().filter_map(bucket).collect()
}

#[test]
fn bounds_beyond_floats_are_left_out() {
    let bounds = |lowest, bucket| {
        let all = buckets(histogram("h", (0, lowest, 8), &[(bucket, 1)], None));
        all.into_iter().map(|(bound, _)| bound).collect::<Vec<_>>()
    };
    let high = bounds(1_021, 1_023);
    assert_eq!(high.iter().filter(|bound| *bound == "+Inf").count(), 1, "{high:?}");
    assert_eq!(high.len(), 4, "{high:?}");
    let low = bounds(-1_026, -1_022);
    assert!(!low.contains(&"0.0".to_owned()), "{low:?}");
    assert_eq!(low.len(), 5, "{low:?}");
}

/// A part with a smaller range has values above all buckets, which lie anywhere above its own.
#[test]
fn bounds_above_those_of_a_part_are_left_out() {
    let all = buckets(histogram("h", (0, 0, 12), &[(1, 1)], Some((5, 3))));
    let all: Vec<_> = all.iter().map(|(bound, count)| (&**bound, &**count)).collect();
    assert_eq!(all, [("1.0", "0"), ("2.0", "0"), ("4.0", "1"), ("8.0", "1"), ("+Inf", "6")]);
}

/// Combined with a part whose buckets are two octaves wide.
#[test]
fn bound_within_a_bucket_is_left_out() {
    let all = buckets(combined("h", (0, 0, 7), -1, &[(1, 4)], None));
    let all: Vec<_> = all.iter().map(|(bound, count)| (&**bound, &**count)).collect();
    let wanted =
        [("1.0", "0"), ("2.0", "0"), ("4.0", "0"), ("16.0", "4"), ("32.0", "4"), ("+Inf", "4")];
    assert_eq!(all, wanted);
}

#[cfg(feature = "otlp")]
#[test]
fn values_above_a_part_are_in_the_bucket_after_its_own() {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    let all = otlp_metrics(&[combined("h", (3, 0, 82), 0, &[(1, 1)], Some((5, 3)))]);
    let Some(Data::ExponentialHistogram(all)) = &all[0].data else { panic!("{all:?}") };
    let buckets = all.data_points[0].positive.clone().unwrap();
    assert_eq!((buckets.offset, buckets.bucket_counts), (1, vec![1, 0, 5]));
}
