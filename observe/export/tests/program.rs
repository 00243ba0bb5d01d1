//! A program with fields of all kinds, as its metrics.

use mmstats::{
    Average, Counter, Events, Family, Flag, Gauge, Histogram, Info, OnDrop, Options, Publisher,
    Rate, State, StateSet, Stats, Text as TextField, Timer, Window,
};
use mmstats_export::{Catalogue, Format, Loss, Target, Text};
use mmstats_observe::{Observer, Sources, Total, totals};

#[derive(Debug, Clone, Copy, State)]
enum Phase {
    Starting,
    Serving,
}

#[derive(Stats)]
#[stats(prefix = "web")]
struct Web {
    /// Requests served; "all" of them.
    #[stats(unit = "requests")]
    requests: Counter,
    #[stats(unit = "bytes")]
    sent: Counter,
    level: Gauge<i64>,
    #[stats(unit = "milliseconds")]
    delay: Gauge<u64>,
    ready: Flag,
    name: TextField<40>,
    took: Timer,
    #[stats(unit = "bytes", error = 0.1)]
    sizes: Histogram,
    mean: Average,
    last: Window<u64, 4>,
    hits: Rate,
    log: Events,
    phase: StateSet<Phase>,
    #[stats(labels("code"))]
    codes: Family<Counter, 1>,
    #[stats(value = "1.2")]
    version: Info,
}

impl Web {
    fn update(&self) {
        self.requests.add(1_000);
        self.sent.add(u64::MAX);
        self.level.set(-3);
        self.delay.set(1_050);
        self.ready.set(true);
        self.name.set("a text that changes");
        self.took.record_nanos(1_500);
        self.took.record_nanos(2_000_000_000);
        for size in [0, 1, 2, 3, 900, 1_024, 1_025] {
            self.sizes.record(size);
        }
        self.mean.record(2.5);
        self.last.record(7);
        self.hits.add(3);
        self.log.record("started");
        self.phase.set(Phase::Serving);
        self.codes.get(&["4\"04"]).add(2);
    }
}

/// The published fields but the standard ones.
fn fields(directory: &std::path::Path) -> Vec<Total> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let mut fields = totals(observer.files());
    fields.retain(|total| !total.field.label.starts_with("sys."));
    fields
}

fn labels() -> Vec<(String, String)> {
    vec![("command".to_owned(), "web".to_owned()), ("pid".to_owned(), "7".to_owned())]
}

fn text(format: Format, fields: &[Total]) -> (String, Catalogue) {
    let labels = labels();
    let mut target = Target::new(1, &labels, fields);
    target.created = Some(1_700_000_000.5);
    let mut catalogue = Catalogue::new();
    catalogue.update(&[target]);
    let mut out = String::new();
    Text::new(format).encode(&catalogue, &[target], &mut out);
    (out, catalogue)
}

fn published() -> (tempfile::TempDir, Vec<Total>) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().directory(directory.path()).lanes(1).on_drop(OnDrop::Keep);
    let web: Publisher<Web> = options.start().unwrap();
    web.with(Web::update);
    let fields = fields(directory.path());
    (directory, fields)
}

#[test]
fn fields_of_all_kinds_are_openmetrics() {
    let (_directory, fields) = published();
    let (text, catalogue) = text(Format::OpenMetrics, &fields);
    // The rates depend on the time, and the octaves of the histogram are another test's.
    let lines =
        text.lines().filter(|line| !line.contains("per_second{") && !line.contains("_bucket{"));
    let lines: Vec<String> =
        lines.map(|line| line.replace("{command=\"web\",pid=\"7\"", "{P")).collect();
    let want = r##"# TYPE web_codes counter
web_codes_total{P,code="4\"04"} 2
web_codes_created{P,code="4\"04"} 1700000000.5
web_codes_total{P,overflow="true"} 0
web_codes_created{P,overflow="true"} 1700000000.5
# TYPE web_delay_seconds gauge
# UNIT web_delay_seconds seconds
web_delay_seconds{P} 1.05
# TYPE web_hits counter
web_hits_total{P} 3
web_hits_created{P} 1700000000.5
# TYPE web_hits_rate_per_second gauge
# TYPE web_last_mean gauge
web_last_mean{P} 7.0
# TYPE web_level gauge
web_level{P} -3
# TYPE web_mean summary
web_mean_count{P} 1
web_mean_sum{P} 2.5
web_mean_created{P} 1700000000.5
# TYPE web_phase gauge
web_phase{P,state="starting"} 0
web_phase{P,state="serving"} 1
# TYPE web_ready gauge
web_ready{P} 1
# TYPE web_requests counter
# UNIT web_requests requests
# HELP web_requests Requests served; \"all\" of them.
web_requests_total{P} 1000
web_requests_created{P} 1700000000.5
# TYPE web_sent_bytes counter
# UNIT web_sent_bytes bytes
web_sent_bytes_total{P} 18446744073709551615
web_sent_bytes_created{P} 1700000000.5
# TYPE web_sizes_bytes histogram
# UNIT web_sizes_bytes bytes
web_sizes_bytes_count{P} 7
web_sizes_bytes_sum{P} 2955
web_sizes_bytes_created{P} 1700000000.5
# TYPE web_sizes_max_bytes gauge
# UNIT web_sizes_max_bytes bytes
web_sizes_max_bytes{P} 1025
# TYPE web_sizes_min_bytes gauge
# UNIT web_sizes_min_bytes bytes
web_sizes_min_bytes{P} 0
# TYPE web_took_last_seconds gauge
# UNIT web_took_last_seconds seconds
web_took_last_seconds{P} 2
# TYPE web_took_max_seconds gauge
# UNIT web_took_max_seconds seconds
web_took_max_seconds{P} 2
# TYPE web_took_min_seconds gauge
# UNIT web_took_min_seconds seconds
web_took_min_seconds{P} 0.0000015
# TYPE web_took_seconds summary
# UNIT web_took_seconds seconds
web_took_seconds_count{P} 2
web_took_seconds_sum{P} 2.0000015
web_took_seconds_created{P} 1700000000.5
# TYPE web_version info
web_version_info{P,value="1.2"} 1
# TYPE mmstats_died gauge
# HELP mmstats_died Whether the program ended without a clean end, as by a signal; 0 while it may publish, and after a clean end.
mmstats_died{P} 0.0
# TYPE mmstats_export_dropped_programs gauge
# HELP mmstats_export_dropped_programs Ended programs that were dropped early, because their final values took too much memory.
mmstats_export_dropped_programs{} 0.0
# TYPE mmstats_export_losses gauge
# HELP mmstats_export_losses Fields and labels that the export changes or leaves out, by step.
mmstats_export_losses{step="renamed"} 0.0
mmstats_export_losses{step="unit"} 2.0
mmstats_export_losses{step="classic_buckets"} 1.0
mmstats_export_losses{step="text"} 2.0
mmstats_export_losses{step="collision"} 0.0
# TYPE mmstats_incomplete gauge
# HELP mmstats_incomplete Whether a part of the program was not seen, so that its sums may lack something.
mmstats_incomplete{P} 0.0
# TYPE mmstats_start_time_seconds gauge
# UNIT mmstats_start_time_seconds seconds
# HELP mmstats_start_time_seconds When the program began to publish, in seconds since 1970.
mmstats_start_time_seconds{P} 1700000000.5
# TYPE mmstats_up gauge
# HELP mmstats_up Whether the program may still publish; 0 with its final values.
mmstats_up{P} 1.0
# EOF
"##;
    assert_eq!(lines.join("\n") + "\n", want);
    assert!(catalogue.losses().collisions().is_empty());
}

#[test]
fn buckets_of_octaves_are_exact_and_always_the_same() {
    let (directory, fields) = published();
    let buckets = |text: &str| -> Vec<(String, u64)> {
        let lines =
            text.lines().filter_map(|line| line.split_once("_bucket{")?.1.split_once("le=\""));
        let pair = |(_, rest): (&str, &str)| {
            rest.split_once("\"} ").map(|(a, b)| (a.to_owned(), b.parse().unwrap()))
        };
        lines.filter_map(pair).collect()
    };
    let before = buckets(&text(Format::OpenMetrics, &fields).0);
    let of = |le: &str| before.iter().find(|(bound, _)| bound == le).map(|(_, count)| *count);
    // 0, 1, 2, 3, 900, 1,024, 1,025.
    assert_eq!(
        (of("1.0"), of("2.0"), of("4.0"), of("512.0")),
        (Some(2), Some(3), Some(4), Some(4))
    );
    assert_eq!((of("1024.0"), of("2048.0"), of("+Inf")), (Some(6), Some(7), Some(7)));
    let options = Options::new().directory(directory.path()).lanes(1);
    let web: Publisher<Web> = options.start().unwrap();
    web.with(|web| (0..60).for_each(|power| web.sizes.record(1 << power)));
    let after = buckets(&text(Format::OpenMetrics, &self::fields(directory.path())).0);
    assert_eq!(after.last(), Some(&("+Inf".to_owned(), 67)));
    let bounds =
        |all: &[(String, u64)]| all.iter().map(|(bound, _)| bound.clone()).collect::<Vec<_>>();
    assert_eq!(bounds(&before), bounds(&after));
}

#[test]
fn older_text_has_types_of_samples_and_no_start_times() {
    let (_directory, fields) = published();
    let (text, _) = text(Format::Prometheus, &fields);
    assert!(text.contains("# TYPE web_requests_total counter\n# HELP web_requests_total Requests served; \"all\" of them.\nweb_requests_total{"), "{text}");
    assert!(text.contains("# TYPE web_version_info gauge\n"));
    assert!(!text.contains("_created") && !text.contains("# UNIT") && !text.contains("# EOF"));
}

#[test]
fn fields_of_one_name_are_not_merged() {
    use mmstats_observe::{
        Aggregation, DataType, FieldInfo, Kind, OwnedValue, Properties, Reading,
    };
    let field = |label: &str, kind, value| {
        let info = FieldInfo::new(label, Properties::new(DataType::U64, kind, Aggregation::Sum));
        Total::new(info, Reading::consistent(OwnedValue::Unsigned(value)))
    };
    let fields = [
        field("a.b", Kind::Counter, 1),
        field("a-b", Kind::Counter, 2),
        field("a_b", Kind::Gauge, 3),
        field("a_b_total", Kind::Gauge, 4),
        field("mmstats.up", Kind::Gauge, 5),
    ];
    let (text, catalogue) = text(Format::OpenMetrics, &fields);
    let samples: Vec<_> = text.lines().filter(|line| line.starts_with("a_b")).collect();
    assert_eq!(samples.len(), 2, "{text}");
    assert!(samples[0].ends_with(" 1") && samples[1].starts_with("a_b_created"), "{text}");
    let losses: Vec<_> = catalogue.losses().iter().map(|(_, count)| count).collect();
    assert_eq!(losses, [1, 0, 0, 0, 4]);
    assert_eq!(catalogue.losses().iter().last().unwrap().0, Loss::Collision);
    assert_eq!(catalogue.losses().collisions().len(), 4);
}

#[test]
fn catalogue_is_kept_until_fields_change() {
    let (directory, fields) = published();
    let labels = labels();
    let mut catalogue = Catalogue::new();
    let mut text = Text::new(Format::OpenMetrics);
    let mut written = |fields: &[Total]| {
        let target = Target::new(1, &labels, fields);
        catalogue.update(&[target]);
        let mut out = String::new();
        text.encode(&catalogue, &[target], &mut out);
        out
    };
    let first = written(&fields);
    assert_eq!(first, written(&fields));
    // Two programs of the name: other values, states and a new member of the family.
    let web: Publisher<Web> = Options::new().directory(directory.path()).start().unwrap();
    web.with(|web| {
        web.update();
        web.codes.get(&["200"]).incr();
    });
    let second = written(&self::fields(directory.path()));
    assert!(
        second.contains("code=\"200\"} 1\n")
            && second.contains("web_requests_total{command=\"web\",pid=\"7\"} 2000\n"),
        "{second}"
    );
    assert!(written(&[]).ends_with("# EOF\n"));
    assert_eq!(first, written(&fields));
}
