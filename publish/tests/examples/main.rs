//! Starts each example, and checks its fields from outside while it runs.
#![allow(missing_docs)]

mod http;
mod program;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, SystemTime};

use mmstats_observe::{
    Aggregation, AverageValue, DataType, FileState, HistogramValue, Number, OwnedValue, Shape,
    TimerValue,
};
use program::{Program, Seen};

/// A test for each example, and their list: `check::NAME` checks the running example.
macro_rules! examples {
    ($($name:ident),* $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            let mut program = Program::start(stringify!($name));
            check::$name(&mut program);
            program.end();
        })*
    };
}

examples! {
    activity, array, average, counter, events, family, gauge, group, histogram, info, latency, rate,
    sampled, state, text, timer, timestamp, window,
}

/// Examples without a test here, with the reason.
const UNTESTED: [(&str, &str); 3] = [
    ("deadlock", "needs a feature: tests/sync runs it"),
    ("growth", "measures time and memory, and ends by itself"),
    ("http", "has one of its own: it serves on a port, and needs a client"),
];

#[test]
fn examples_each_have_test() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.extension().unwrap(), "rs", "{}", path.display());
        names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    let untested = UNTESTED.iter().map(|(name, _)| *name);
    let mut known: Vec<_> = TESTED.iter().copied().chain(untested).collect();
    known.sort_unstable();
    assert_eq!(names, known);
    for name in TESTED {
        let text = std::fs::read_to_string(directory.join(format!("{name}.rs"))).unwrap();
        assert!(text.contains(&format!("//! cargo run -p mmstats --example {name}")), "{name}");
    }
}

#[test]
fn events_outlive_kill() {
    let mut program = Program::start("events");
    program.kill();
    let seen = program.look();
    assert_eq!(seen.state(), FileState::Dead);
    check::bank(&seen);
}

/// The fields of each running example.
mod check {
    use super::*;

    pub(super) fn activity(program: &mut Program) {
        let seen = program.look();
        let texts = |label: &str| -> Vec<(String, bool)> {
            let OwnedValue::Each(lanes) = seen.value("activity", label) else { panic!("{label}") };
            let rows = lanes.into_iter().flat_map(|lane| match lane.value {
                Some(OwnedValue::Activity(value)) => value.rows,
                other => panic!("{other:?}"),
            });
            rows.map(|row| {
                assert!(row.since.is_some());
                (row.text, row.cut)
            })
            .collect()
        };
        let row = |text: &str, cut| (text.to_owned(), cut);
        let doing = [row("cook for table 9: pizza", false), row("bake, which takes longer", true)];
        assert_eq!(texts("kitchen.doing"), doing);
    }

    pub(super) fn array(program: &mut Program) {
        let seen = program.look();
        let waiting = [400_u32, 300, 200, 100];
        let whole = waiting.map(|n| OwnedValue::Unsigned(n.into()));
        assert_eq!(seen.value("gauge", "shards.waiting"), OwnedValue::Array(whole.into()));
        let share = waiting.map(|n| OwnedValue::F64(f64::from(n) / 1_000.0));
        assert_eq!(seen.value("gauge", "shards.share"), OwnedValue::Array(share.into()));
        assert_eq!(seen.field("shards.share").shape(), Shape::Array(DataType::F64, 4));
        assert_eq!(seen.field("shards.share").properties.aggregation(), Aggregation::Mean);
    }

    pub(super) fn average(program: &mut Program) {
        let seen = program.look();
        // 200 rows are 64 + 64 + 64 + 8, 100 are 64 + 36.
        let batch = OwnedValue::Average(AverageValue { count: 6.0, sum: 300.0 });
        assert_eq!(seen.value("average", "writer.batch"), batch);
        let row = OwnedValue::Average(AverageValue { count: 300.0, sum: 1_200.0 });
        assert_eq!(seen.value("average", "writer.row"), row);
    }

    pub(super) fn counter(program: &mut Program) {
        let seen = program.look();
        let values = ["lines", "bytes", "malformed"]
            .map(|label| seen.value("counter", &format!("log.{label}")));
        // 300 lines of 13 bytes and 2,700 of 19.
        assert_eq!(values, [3_000, 55_200, 300].map(OwnedValue::Unsigned));
        assert_eq!(seen.field("log.bytes").unit, "bytes");
        assert_eq!(&*seen.field("log.lines").help, "Lines parsed.");
    }

    pub(super) fn events(program: &mut Program) {
        let seen = program.look();
        assert_eq!(seen.state(), FileState::Live);
        bank(&seen);
    }

    /// The lines of the example `events`.
    pub(super) fn bank(seen: &Seen) {
        let (file, index) = seen.place("bank.log");
        assert_eq!(file.field(index).unwrap().kind_name(), "events");
        let events = file.events(index, 0, 0).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let times: Vec<_> = events.iter().map(|event| Duration::from_nanos(event.time)).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(times.iter().all(|time| now.abs_diff(*time) < Duration::from_secs(60)));
        let lines = events.into_iter().map(|event| event.line.unwrap());
        let lines: Vec<_> = lines.map(|line| (line.text, line.cut)).collect();
        let expected = [
            ("paid 20, 70 left", false),
            ("paid 30, 40 left", false),
            ("paid 40, 0 left", false),
            ("refused 50", false),
            ("refused 60", false),
            ("refused 70", false),
            ("the bank closes, and nobody gets anythin", true),
        ];
        assert_eq!(lines, expected.map(|(text, cut)| (text.to_owned(), cut)));
    }

    pub(super) fn family(program: &mut Program) {
        let seen = program.look();
        let sent = |attributes: &[(&str, &str)]| seen.series("counter", "mail.sent", attributes);
        let number = |n| Some(OwnedValue::Unsigned(n));
        assert_eq!(sent(&[("domain", "example.org"), ("result", "ok")]), number(45));
        assert_eq!(sent(&[("domain", "example.org"), ("result", "full")]), number(5));
        assert_eq!(sent(&[("domain", "example.net"), ("result", "ok")]), number(27));
        assert_eq!(sent(&[("domain", "example.net"), ("result", "full")]), number(3));
        assert_eq!(sent(&[("overflow", "true")]), number(2));
        assert_eq!(seen.count("mail.sent"), 5);
        let times = |result| seen.series("timer", "mail.time", &[("result", result)]);
        let count = |value| match value {
            Some(OwnedValue::Timer(timer)) => timer.count,
            other => panic!("{other:?}"),
        };
        assert_eq!((count(times("ok")), count(times("full"))), (74, 8));
    }

    pub(super) fn gauge(program: &mut Program) {
        let seen = program.look();
        let gauge = |label: &str| seen.reading("gauge", label).value;
        assert_eq!(gauge("pool.in_use"), Some(OwnedValue::Signed(4)));
        assert_eq!(gauge("pool.peak"), Some(OwnedValue::Signed(10)));
        assert_eq!(gauge("pool.replica_lag"), None);
        assert_eq!(gauge("pool.backup_time"), None);
        assert_eq!(gauge("pool.limit"), Some(OwnedValue::Unsigned(12)));
        // One thread has the value `true`.
        assert_eq!(gauge("pool.draining"), Some(OwnedValue::Unsigned(1)));
        assert_eq!(seen.field("pool.draining").shape(), Shape::One(DataType::Bool));
        assert_eq!(seen.field("pool.peak").properties.aggregation(), Aggregation::Max);
    }

    pub(super) fn group(program: &mut Program) {
        let seen = program.look();
        let counters = ["lookups", "hits", "misses"]
            .map(|label| seen.value("counter", &format!("cache.{label}")));
        assert_eq!(counters, [2_000, 1_978, 22].map(OwnedValue::Unsigned));
        assert_eq!(seen.value("gauge", "cache.entries"), OwnedValue::Unsigned(22));
        assert_eq!(seen.value("gauge", "cache.hit_ratio"), OwnedValue::F64(0.989));
    }

    pub(super) fn histogram(program: &mut Program) {
        let seen = program.look();
        let size = seen.histogram("store.size");
        assert_eq!((size.count(), size.sum()), (100, Number::Unsigned(505_000)));
        near(&size, 0.5, 5_000.0, 0.02);
        near(&size, 0.9, 9_000.0, 0.02);
        assert_eq!(size.max(), Some(Number::Unsigned(10_000)));
        let compression = seen.histogram("store.compression");
        assert!(compression.is_float());
        // Three of four have runs of 10, each of which becomes 2 bytes; the others are doubled.
        near(&compression, 0.75, 0.2, 0.05);
        near(&compression, 0.76, 2.0, 0.05);
    }

    pub(super) fn info(program: &mut Program) {
        let seen = program.look();
        let text = |text: &str| OwnedValue::Text { text: text.to_owned(), cut: false };
        let value = |label: &str| seen.value("info", label).only().clone();
        assert_eq!(value("build.version"), text(env!("CARGO_PKG_VERSION")));
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        assert_eq!(value("build.target"), text(&target));
        assert_eq!(value("build.cache"), OwnedValue::Unsigned(16_131));
        assert_eq!(value("build.checked"), OwnedValue::Bool(cfg!(debug_assertions)));
        let field = seen.field("build.checked");
        let attributes: Vec<_> = field.attributes().collect();
        assert_eq!(attributes, [("storage", "sqlite"), ("tls", "rustls")]);
        assert!(field.constant);
    }

    pub(super) fn latency(program: &mut Program) {
        let seen = program.look();
        let wait = seen.histogram("query.wait");
        assert_eq!((wait.count(), wait.sum()), (100, Number::Unsigned(5_050_000_000)));
        near(&wait, 0.5, 50e6, 0.05);
        near(&wait, 0.99, 99e6, 0.05);
        let (answer, batch) = (seen.histogram("query.answer"), seen.histogram("query.batch"));
        assert_eq!((answer.count(), batch.count()), (100, 10));
        assert!(answer.relative_error() <= 0.02 && wait.relative_error() > 0.02);
        // Timed sections took time; batches took at least as long as their answers.
        let sum = |histogram: &HistogramValue| histogram.sum().as_f64();
        assert!(sum(&answer) > 0.0 && sum(&batch) >= sum(&answer));
        assert_eq!(seen.field("query.answer").unit, "nanoseconds");
    }

    pub(super) fn rate(program: &mut Program) {
        let seen = program.look();
        assert_eq!(seen.value("counter", "import.rows"), OwnedValue::Unsigned(5_000));
        assert_eq!(seen.value("counter", "import.bytes"), OwnedValue::Unsigned(35_000));
        for (label, windows, total) in [
            ("import.rows.rate", &[10, 60][..], 5_000.0),
            ("import.bytes.rate", &[60, 300, 900], 35_000.0),
        ] {
            let (file, index) = seen.place(label);
            assert_eq!(file.field(index).unwrap().kind_name(), "rate");
            let rates = file.rates(index, None).unwrap();
            assert_eq!(rates.iter().map(|rate| rate.window).collect::<Vec<_>>(), windows);
            let OwnedValue::Rate(all) = seen.value("rate", label) else { panic!("no rates") };
            assert_eq!(all.len(), windows.len());
            // The program started less than a minute ago, so all of it is in the window.
            assert!(rates.iter().all(|rate| rate.rate.unwrap() > total / 60.0), "{rates:?}");
        }
    }

    pub(super) fn sampled(program: &mut Program) {
        // The sampling thread may call later than the line that the example is ready.
        let distinct = |program: &Program, n| {
            program.wait("sampled", || {
                let value = program.look().reading("gauge", "words.distinct").value;
                value == Some(OwnedValue::Unsigned(n))
            });
        };
        distinct(program, 0);
        program.write("to be or not to be\n");
        distinct(program, 4);
        program.write("that is the question\n");
        distinct(program, 8);
        assert_eq!(program.look().value("counter", "words.seen"), OwnedValue::Unsigned(10));
    }

    pub(super) fn state(program: &mut Program) {
        let OwnedValue::State(state) = program.look().value("state", "replica.phase") else {
            panic!("no state");
        };
        assert_eq!(state.names[..], ["catching_up", "in_sync", "out of order"]);
        assert_eq!(state.counts, [0, 2, 1]);
    }

    pub(super) fn text(program: &mut Program) {
        let seen = program.look();
        let value = |label: &str| seen.value("gauge", label).only().clone();
        let text = |text: &str, cut| OwnedValue::Text { text: text.to_owned(), cut };
        assert_eq!(value("mirror.doing"), text("waiting for new files", false));
        assert_eq!(value("mirror.last_file"), text("pictures/søndag", true));
        // The published FNV hash of "foobar".
        let bytes = 0x8594_4171_f739_67e8_u64.to_be_bytes().to_vec();
        assert_eq!(value("mirror.checksum"), OwnedValue::Bytes { bytes, cut: false });
        assert_eq!(seen.reading("gauge", "mirror.error").value, None);
    }

    pub(super) fn timer(program: &mut Program) {
        let seen = program.look();
        let timer = |label: &str| match seen.value("timer", label) {
            OwnedValue::Timer(timer) => timer,
            other => panic!("{other:?}"),
        };
        let (min, max, last) = (Some(150_000), Some(300_000), Some(150_000));
        assert_eq!(timer("index.read"), TimerValue { count: 2, sum: 450_000, min, max, last });
        let build = timer("index.build");
        assert!(build.count == 2 && build.sum > 0 && build.min <= build.max, "{build:?}");
        let OwnedValue::Running(running) = seen.value("running", "index.build.running") else {
            panic!("no sections")
        };
        assert!(running.number == 1 && running.since.is_some(), "{running:?}");
        // One word is in each text; discarded sections are not counted.
        assert_eq!(timer("index.hit").count, 2);
    }

    pub(super) fn timestamp(program: &mut Program) {
        let seen = program.look();
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let moment = |label: &str| match seen.reading("timestamp", label).value {
            Some(OwnedValue::Unsigned(n)) => Some(Duration::from_nanos(n.try_into().unwrap())),
            None => None,
            other => panic!("{other:?}"),
        };
        let built = std::fs::metadata(program.path()).unwrap().modified().unwrap();
        assert_eq!(moment("service.built"), Some(since(built)));
        let (started, now) = (moment("service.started").unwrap(), since(SystemTime::now()));
        assert!(now.abs_diff(started) < Duration::from_secs(60), "{started:?}");
        let left = moment("service.certificate_ends").unwrap() - started;
        let days = |n: u64| Duration::from_secs(n * 24 * 60 * 60);
        assert!(left > days(89) && left <= days(90), "{left:?}");
        assert_eq!(moment("service.last_failure"), None);
    }

    pub(super) fn window(program: &mut Program) {
        let seen = program.look();
        let mean = |count, sum| AverageValue { count, sum };
        // Twice 9 + 10 + 11 + 12.
        let recent = OwnedValue::Window(mean(8.0, 84.0));
        assert_eq!(seen.value("window", "link.round_trip"), recent);
        let ever = OwnedValue::Average(mean(100.0, 92.0 * 40.0 + 84.0));
        assert_eq!(seen.value("average", "link.round_trip_ever"), ever);
        let in_flight = OwnedValue::Window(mean(8.0, 12_000.0));
        assert_eq!(seen.value("window", "link.in_flight"), in_flight);
    }

    /// Checks a quantile within a relative error.
    fn near(histogram: &HistogramValue, q: f64, value: f64, error: f64) {
        let found = histogram.quantile(q).unwrap().value().unwrap();
        assert!((found / value - 1.0).abs() <= error, "{q}: {found} instead of {value}");
    }
}
