//! Rows of `poll` over programs, families and intervals, and quantiles beyond the buckets.

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mmstats::{Counter, Family, Gauge, Histogram, Latency, Options, Publisher, Stats, Timer};
use mmstats_core::{Buckets, DataType, FieldSpec, Schema, StaticMemory};
use serde_json::{Value, json};

use common::{field, image, json, mmstats, printed, run};

#[derive(Stats)]
struct Old {
    #[stats(unit = "seconds")]
    lag: Gauge<f64>,
    jobs: Counter,
    took: Timer,
    #[stats(unit = "bytes")]
    size: Gauge<u64>,
    same: Gauge<u64>,
}

#[derive(Stats)]
struct New {
    #[stats(unit = "milliseconds")]
    lag: Gauge<f64>,
    jobs: Gauge<f64>,
    took: Counter,
    #[stats(unit = "bytes", aggregation = "max")]
    size: Gauge<u64>,
    same: Gauge<u64>,
}

/// The rows of `poll --json`.
fn rows(directory: &Path, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["poll", "--json", "-d0.3"], arguments].concat();
    let printed = run(directory, &arguments);
    assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
    printed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn columns<'a>(row: &'a Value, label: &str) -> Vec<&'a Value> {
    let fields = row["fields"].as_array().unwrap().iter();
    fields.filter(|field| field["label"] == label).collect()
}

fn only<'a>(row: &'a Value, label: &str) -> &'a Value {
    let [column] = columns(row, label)[..] else { panic!("{label} in {row}") };
    column
}

/// Two versions of a program run at once: fields whose unit, kind or rule has changed are not
/// added up, and none is left out.
#[test]
fn poll_of_mixed_versions_has_column_for_each_meaning() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options::new().directory(dir.path()).name("svc");
    let (old, new): (Publisher<Old>, Publisher<New>) =
        (options().start().unwrap(), options().start().unwrap());
    let (old, new) = (old.lane().unwrap(), new.lane().unwrap());
    old.lag.set(2.0);
    new.lag.set(2_000.0);
    old.size.set(10);
    new.size.set(20);
    old.same.set(3);
    new.same.set(4);
    old.jobs.add(5);
    new.jobs.set(7.0);
    new.took.add(9);
    old.took.record(Duration::from_millis(1));

    let row = rows(dir.path(), &["-c1", "*"]).remove(0);
    let values = |label| -> Vec<(&str, &Value)> {
        let all = columns(&row, label).into_iter();
        let mut all: Vec<_> =
            all.map(|column| (column["unit"].as_str().unwrap(), &column["value"])).collect();
        all.sort_by_key(|(unit, value)| (*unit, value.to_string()));
        all
    };
    assert_eq!(values("lag"), [("milliseconds", &json!(2_000.0)), ("seconds", &json!(2.0))]);
    assert_eq!(values("size"), [("bytes", &json!(10)), ("bytes", &json!(20))]);
    assert_eq!(values("same"), [("", &json!(7))]);
    let kinds = |label| -> Vec<(&Value, &Value, &Value)> {
        let all = columns(&row, label).into_iter();
        let mut all: Vec<_> = all.map(|c| (&c["kind"], &c["total"], &c["value"])).collect();
        all.sort_by_key(|(kind, ..)| kind.to_string());
        all
    };
    let null = &Value::Null;
    assert_eq!(
        kinds("jobs"),
        [(&json!("counter"), &json!(5), null), (&json!("gauge"), null, &json!(7.0))]
    );
    let timer = json!({"count": 1, "sum": 1_000_000, "mean": 1_000_000});
    assert_eq!(
        kinds("took"),
        [(&json!("counter"), &json!(9), null), (&json!("timer"), &timer, null)]
    );

    let piped = run(dir.path(), &["poll", "-d0.1", "-c1", "lag,jobs,size,same"]).out;
    let lines: Vec<Vec<&str>> =
        piped.lines().map(|line| line.split_whitespace().collect()).collect();
    let mut cells: Vec<(&str, &str)> =
        lines[0].iter().copied().zip(lines[1].iter().copied()).collect();
    cells.sort_unstable();
    let wanted = [
        ("jobs(gauge)", "7"),
        ("jobs/s(counter)", "0.000"),
        ("lag(milliseconds)", "2000"),
        ("lag(seconds)", "2"),
        ("same", "7"),
        ("size(max)", "20"),
        ("size(sum)", "10"),
    ];
    assert_eq!(cells, wanted);
}

#[derive(Stats)]
struct Http {
    #[stats(labels("route"))]
    latency: Family<Latency, 1>,
    #[stats(labels("route"))]
    wait: Family<Timer, 1>,
    #[stats(labels("route"))]
    requests: Family<Counter, 1>,
    rare: Histogram,
}

/// A family is combined over all its fields; quantiles and means are those of the interval, and
/// in the first row of the whole life if the interval has none.
#[test]
fn poll_of_family_has_quantiles_of_interval_over_all_fields() {
    let dir = tempfile::tempdir().unwrap();
    let http: Publisher<Http> = Options::new().directory(dir.path()).start().unwrap();
    let record = |route: &str, millis| {
        let duration = Duration::from_millis(millis);
        http.with(|http| {
            http.latency.get(&[route]).record(duration);
            http.wait.get(&[route]).record(duration);
            http.requests.get(&[route]).incr();
        });
    };
    // Never recorded.
    http.with(|http| assert!(size_of_val(&http.rare) > 0));
    for (route, millis) in [("/fast", 1), ("/middle", 30), ("/slow", 900)] {
        (0..100).for_each(|_| record(route, millis));
    }
    let near = |found: &Value, wanted: f64| {
        let found = found.as_f64().unwrap_or(f64::NAN);
        assert!((found / wanted - 1.0).abs() < 0.06, "{found} instead of {wanted}");
    };
    let fields = "latency,wait,requests,rare";
    for (number, row) in rows(dir.path(), &["-c2", fields]).iter().enumerate() {
        let latency = only(row, "latency");
        assert_eq!((&latency["rate"], &latency["total"]["count"]), (&json!(0.0), &json!(300)));
        let (wait, requests) = (only(row, "wait"), only(row, "requests"));
        assert_eq!((&requests["rate"], &requests["total"]), (&json!(0.0), &json!(300)));
        if number == 0 {
            near(&latency["quantiles"]["0.99"], 9e8);
            near(&latency["quantiles"]["0.5"], 3e7);
            near(&wait["mean_seconds"], 0.931 / 3.0);
        } else {
            assert_eq!(latency["quantiles"]["0.99"], Value::Null);
            assert_eq!(wait["mean_seconds"], Value::Null);
        }
        let over = if number == 0 { "life" } else { "interval" };
        assert_eq!((&latency["over"], &wait["over"]), (&json!(over), &json!(over)));
        let rare = only(row, "rare");
        assert_eq!((&rare["over"], &rare["mean"]), (&json!("interval"), &Value::Null));
    }
    let piped = run(dir.path(), &["poll", "-d0.1", "-c1", "latency,rare"]).out;
    let lines: Vec<Vec<&str>> =
        piped.lines().map(|line| line.split_whitespace().collect()).collect();
    let wanted = [
        "latency/s",
        "latency:p50(since_start)",
        "latency:p99(since_start)",
        "rare/s",
        "rare:p50",
        "rare:p99",
    ];
    assert_eq!(lines[0], wanted);
    assert!(lines[1][2].starts_with("0.9") || lines[1][2].starts_with("0.8"), "{piped}");
    assert_eq!(lines[1][3..], ["0.000", "-", "-"]);

    // Slow ones of earlier are not in the quantiles of now. Two of three are fast: a look between two
    // records moves no quantile.
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                record("/fast", 1);
                record("/fast", 1);
                record("/new", 2);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let found = rows(dir.path(), &["-c2", fields]);
        ended.store(true, Ordering::Relaxed);
        for row in &found {
            let (latency, wait) = (only(row, "latency"), only(row, "wait"));
            near(&latency["quantiles"]["0.5"], 1e6);
            near(&latency["quantiles"]["0.99"], 2e6);
            near(&latency["mean"], 4e6 / 3.0);
            near(&wait["mean_seconds"], 0.004 / 3.0);
            for rate in [&latency["rate"], &wait["rate"], &only(row, "requests")["rate"]] {
                let rate = rate.as_f64().unwrap();
                assert!(rate > 1.0 && rate < 3_300.0, "{rate}");
            }
            assert!(latency["total"]["count"].as_u64().unwrap() > 300);
        }
    });
}

/// What was counted before the first look is no rate.
#[test]
fn poll_of_one_row_is_one_interval() {
    let dir = tempfile::tempdir().unwrap();
    let publisher: Publisher<Old> = Options::new().directory(dir.path()).start().unwrap();
    publisher.lane().unwrap().jobs.add(1_000_000);
    let before = std::time::Instant::now();
    let row = rows(dir.path(), &["-c1", "jobs"]).remove(0);
    assert!(before.elapsed() >= Duration::from_millis(300));
    let jobs = only(&row, "jobs");
    assert_eq!((&jobs["rate"], &jobs["total"]), (&json!(0.0), &json!(1_000_000)));
    assert!(row["seconds"].as_f64().unwrap() >= 0.29 && row["time"].as_f64().unwrap() > 1e9);
}

/// A program that starts with the counts of its earlier run has not counted them now.
#[test]
fn poll_of_persistent_program_shows_no_counts_of_earlier_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept.mmst");
    let start = || -> Publisher<Old> { Options::new().persistent(&path).start().unwrap() };
    let first = start();
    first.lane().unwrap().jobs.add(1_000_000);
    drop(first);
    let other: Publisher<Old> = Options::new().directory(dir.path()).start().unwrap();
    let other = other.lane().unwrap();
    let mut command = mmstats(dir.path());
    let command = command.args(["poll", "--json", "-d0.3", "-c5", "jobs"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines: Vec<String> = out.by_ref().take(2).map(Result::unwrap).collect();
    let second = start();
    second.lane().unwrap().jobs.add(3);
    other.jobs.add(2);
    lines.extend(out.map(Result::unwrap));
    let printed = printed(child.wait_with_output().unwrap());
    assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
    let rows: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let total = &only(rows.last().unwrap(), "jobs")["total"];
    assert_eq!((rows.len(), total), (5, &json!(1_000_005)), "{lines:?}");
    for row in &rows {
        let rate = only(row, "jobs")["rate"].as_f64();
        assert!(rate.is_none_or(|rate| rate < 1_000.0), "{row}");
    }
}

/// 999 samples of 2 s and one of 30 minutes, in buckets up to 1 s: the median is not 30 minutes.
#[test]
fn quantile_beyond_buckets_is_bound_in_text_and_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    let buckets = Buckets::floats(0.05, 0.001, 1.0);
    let mut schema = Schema::<16>::new();
    let above = FieldSpec::histogram("above", buckets).unit("seconds");
    let (above, below) =
        (schema.add(above).unwrap(), schema.add(FieldSpec::histogram("below", buckets)).unwrap());
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        let histogram =
            |id| mmstats_core::Histogram::<f64, StaticMemory>::attach(&lane, id).unwrap();
        let (above, below) = (histogram(above), histogram(below));
        (0..999).for_each(|_| above.record(2.0));
        above.record(1_800.0);
        [-50.0, -1.0, 0.5].iter().for_each(|x| below.record(*x));
    });
    let text = path.to_str().unwrap();
    let document = json(dir.path(), &["show", "--json", text]);
    let quantiles = |label: &str| field(&document, label)["value"]["quantiles"].clone();
    assert_eq!(quantiles("above")["0.5"], json!({"above": 1}));
    assert_eq!(quantiles("above")["0.999"], json!({"above": 1}));
    let bound = quantiles("below")["0.5"]["below"].as_f64().unwrap();
    assert!((0.0009..=0.001).contains(&bound), "{bound}");
    assert_eq!(quantiles("below")["0.99"], json!(0.5), "the largest is exact");

    let verbose = run(dir.path(), &["show", "-v", text]).out;
    let line = |label: &str| verbose.lines().find(|line| line.trim_start().starts_with(label));
    assert!(line("above").unwrap().contains("1,000, p50 >1."), "{verbose}");
    assert!(line("above").unwrap().ends_with("max 30m 00s"), "{verbose}");
    assert!(line("below").unwrap().contains("p50 <=0.0009"), "{verbose}");
    // The error holds inside the buckets.
    assert!(verbose.contains("quantiles up to 1.0") && verbose.contains("quantiles above 0.0009"));
    let piped = run(dir.path(), &["show", text]).out;
    assert!(piped.contains(" p50=>1 ") && piped.contains(" p50=<=0.0009"), "{piped}");
    let row = json(dir.path(), &["poll", "--json", "-c1", "above", text]);
    assert!(only(&row, "above")["quantiles"]["0.5"]["above"].is_number(), "{row}");
}

/// Two fields of one program with the same name are told apart.
#[test]
fn show_of_same_names_says_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    let mut schema = Schema::<16>::new();
    for unit in ["seconds", "milliseconds"] {
        schema.add(FieldSpec::gauge("lag", DataType::U64).unit(unit)).unwrap();
    }
    schema.add(FieldSpec::counter("jobs")).unwrap();
    schema.add(FieldSpec::gauge("jobs", DataType::U64)).unwrap();
    schema.add(FieldSpec::counter("other")).unwrap();
    image(&path, &schema, |writer| {
        writer.lane().unwrap();
    });
    let text = path.to_str().unwrap();
    for arguments in [&["show", text][..], &["show", "-v", text], &["show", "--lanes", text]] {
        let shown = run(dir.path(), arguments).out;
        for name in ["lag (seconds)", "lag (milliseconds)", "jobs (counter)", "jobs (gauge)"] {
            assert!(shown.contains(name), "{name} in {shown}");
        }
        assert!(shown.contains("other") && !shown.contains("other ("), "{shown}");
    }
}
