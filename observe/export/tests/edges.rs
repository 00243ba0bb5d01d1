//! What is no sample, and what is one only once: a consumer takes each for the truth.

use mmstats_export::{Catalogue, Format, Losses, Target, Text, graphite};
use mmstats_observe::{
    ActivityRow, ActivityValue, Aggregation, DataType, EachValue, FieldInfo, Kind, Origin,
    OwnedValue, Properties, Reading, Tally, Total, Verdict,
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
