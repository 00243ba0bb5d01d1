//! Handles of all kinds, read from outside.
#![allow(missing_docs)]

use std::time::{Duration, SystemTime};

use mmstats::{
    Average, Counter, Events, Family, FieldOptions, Histogram, Latency, Options, Publisher, Rate,
    State, StateSet, Stats, Timestamp, Window,
};
use mmstats_core::read::{Field, Image, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, State)]
enum Phase {
    Starting,
    ReadyToServe,
    #[state(name = "going down")]
    Stopping,
}

#[derive(Stats)]
#[stats(prefix = "k")]
struct Kinds {
    phase: StateSet<Phase>,
    #[stats(error = 0.02, range(10, 1_000_000))]
    size: Histogram,
    ratio: Histogram<f64>,
    latency: Latency,
    mean: Average,
    recent: Window<f64, 10>,
    #[stats(entries = 7)]
    log: Events<32>,
    #[stats(windows(10, 60))]
    hits: Rate,
    started: Timestamp,
    #[stats(labels("path"))]
    by_path: Family<Latency, 1>,
}

fn start(directory: &std::path::Path) -> Publisher<Kinds> {
    Options::new().directory(directory).lanes(1).start().unwrap()
}

/// The current bytes of the first file.
fn bytes(publisher: &Publisher<Kinds>) -> Vec<u8> {
    std::fs::read(&publisher.paths()[0]).unwrap()
}

fn field(image: &Image<&[u8]>, label: &str) -> Field {
    let mut buffer = [0; 255];
    let mut fields = image.fields().map(Result::unwrap);
    fields.find(|field| image.label(field, &mut buffer) == label).unwrap()
}

fn value(publisher: &Publisher<Kinds>, label: &str) -> String {
    let bytes = bytes(publisher);
    let image = Image::open(&bytes[..]).unwrap();
    let field = field(&image, label);
    let mut buffer = vec![0; field.buffer_size().max(64)];
    match image.read(0, &field, &mut buffer) {
        Verdict::Consistent(value) => format!("{value:?}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn state_names_are_variants() {
    assert_eq!(Phase::NAMES, ["starting", "ready_to_serve", "going down"]);
    assert_eq!(Phase::from_number(2), Some(Phase::Stopping));
    assert_eq!(Phase::from_number(3), None);
}

#[test]
fn kinds_show_published_values() {
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    let stats = publisher.lane().unwrap();
    for label in ["k.phase", "k.started"] {
        assert_eq!(value(&publisher, label), "Absent");
    }
    stats.phase.set(Phase::ReadyToServe);
    assert_eq!(value(&publisher, "k.phase"), "U64(1)");
    assert_eq!(stats.phase.get(), Some(Phase::ReadyToServe));
    stats.started.set(SystemTime::UNIX_EPOCH + Duration::from_secs(3));
    assert_eq!(value(&publisher, "k.started"), "U64(3000000000)");
    [1.0, 3.0].into_iter().for_each(|x| stats.mean.record(x));
    assert_eq!(stats.mean.mean(), Some(2.0));
    (0..20).for_each(|i| stats.recent.record(f64::from(i)));
    assert!(value(&publisher, "k.recent").contains("count: 10, integers: 0, floats: 145.0"));
    assert!(stats.log.record("first"));
    assert!(!stats.log.record_fmt(format_args!("{:40}", "long")));
    stats.hits.add(5);
    stats.hits.incr();
    assert_eq!(value(&publisher, "k.hits"), "U64(6)");
    stats.size.record(500);
    stats.ratio.record(0.25);
    stats.latency.record(Duration::from_micros(250));
    stats.latency.time(|| ());
    drop(stats.latency.start());
    stats.latency.start().discard();
    assert_eq!(stats.latency.count(), 3);
    stats.by_path.get(&["/"]).record_nanos(7);

    let bytes = bytes(&publisher);
    let image = Image::open(&bytes[..]).unwrap();
    let lane = image.lane(0).consistent().unwrap();
    let histogram = |label: &str| {
        let field = field(&image, label);
        let mut buffer = vec![0; field.buffer_size()];
        let found = lane.read_histogram(image.source(), &field, &mut buffer).consistent().unwrap();
        (found.count(), found.buckets())
    };
    let (count, buckets) = histogram("k.size");
    assert!(count == 1 && buckets.relative_error() <= 0.02);
    assert_eq!(buckets.element_of_int(10), 1, "the range begins at 10");
    assert_eq!(histogram("k.ratio").0, 1);
    assert_eq!(histogram("k.latency").0, 3);
    let log = field(&image, "k.log");
    assert_eq!((log.slots(), lane.newest(image.source(), &log)), (8, 2));
    let rate = field(&image, "k.hits.rate");
    let mut detail = [0; 64];
    assert_eq!(rate.detail().read(image.source(), &mut detail), "10\x0060");
    assert_eq!((rate.properties().param(), lane.newest(image.source(), &rate)), (500, 1));
    let time = rate_time(&image, &rate);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert!(now.abs_diff(Duration::from_nanos(time)) < Duration::from_secs(60), "{time}");
}

fn rate_time(image: &Image<&[u8]>, field: &Field) -> u64 {
    let lane = image.lane(0).consistent().unwrap();
    let mut buffer = [0; 16];
    let slot = lane.read_number(image.source(), field, 1, &mut buffer).consistent().unwrap();
    u64::from_le_bytes(slot.bytes()[..8].try_into().unwrap())
}

/// Counts stay for the next thread; gauges and states are cleared.
#[test]
fn lane_handed_on_keeps_counts() {
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    for turn in 1..=2 {
        let stats = publisher.lane().unwrap();
        assert_eq!(stats.phase.get(), None, "turn {turn}");
        stats.phase.set(Phase::Starting);
        stats.size.record(100);
        stats.mean.record(1.0);
        stats.log.record("line");
        stats.hits.incr();
        assert_eq!((stats.size.count(), stats.hits.get()), (turn, turn));
    }
    assert_eq!(value(&publisher, "k.phase"), "Absent");
}

#[test]
fn shared_gauge_is_in_shared_lane() {
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    let a = publisher.shared::<i64>("a", FieldOptions::new()).unwrap();
    let b = publisher.shared::<f64>("b", FieldOptions::new()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                a.add(1);
                b.set(2.5);
            });
        }
    });
    assert_eq!((a.get(), b.get()), (Some(8), Some(2.5)));
    let mut observer =
        mmstats_observe::Observer::new(mmstats_observe::Sources::new().path(place.path()));
    observer.refresh();
    let totals = mmstats_observe::totals(observer.files());
    let total = |label: &str| {
        totals.iter().find(|t| t.field.label == label).unwrap().reading.value.clone().unwrap()
    };
    assert_eq!(total("a"), mmstats_observe::OwnedValue::Signed(8));
    assert_eq!(total("b"), mmstats_observe::OwnedValue::F64(2.5));
    // Both are in the shared lane.
    assert!(publisher.shared::<i64>("a", FieldOptions::new()).is_err());
    drop((a, b));
    drop(publisher.lane().unwrap());
    let counter = publisher.add::<Counter>("c", FieldOptions::new()).unwrap();
    publisher.registry().with(|lane| lane.attach(counter).unwrap().incr());
}
