//! Metrics of the facade as fields, read by an observer.
#![allow(missing_docs)]

use std::path::Path;
use std::process::Command;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use mmstats::{Lane, Level, Options, Publisher};
use mmstats_metrics::Recorder;
use mmstats_observe::{Observer, OwnedValue, Sources, Total, totals};

fn start(directory: &Path) -> (Publisher<Lane>, Recorder) {
    let publisher = Options::new().directory(directory).start::<Lane>().unwrap();
    let recorder = Recorder::new(&publisher.registry());
    (publisher, recorder)
}

fn all(directory: &Path) -> Vec<Total> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let mut all = totals(observer.files());
    all.retain(|total| !total.field.label.starts_with("sys."));
    all
}

/// Label, attributes as `key=value,...`, and value.
fn values(directory: &Path) -> Vec<String> {
    let one = |total: &Total| {
        // Separated by zero bytes.
        let attributes = total.field.attributes.replace('\0', ",");
        let value = match &total.reading.value {
            Some(OwnedValue::Unsigned(n)) => n.to_string(),
            Some(OwnedValue::F64(n)) => n.to_string(),
            Some(OwnedValue::Histogram(h)) => format!("{} values", h.count()),
            None => "none".to_owned(),
            other => panic!("{}: {other:?}", total.field.label),
        };
        format!("{}{{{}}} {value}", total.field.label, attributes)
    };
    let mut values: Vec<_> = all(directory).iter().map(one).collect();
    values.sort();
    values
}

#[test]
fn recorder_names_labels_units_and_descriptions_published() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    metrics::with_local_recorder(&recorder, || {
        describe_counter!("requests", Unit::Count, "Requests served.");
        describe_gauge!("queue.bytes", Unit::Bytes, "Waiting.");
        describe_histogram!("latency", Unit::Seconds, "From request to answer.");
        counter!("requests", "method" => "GET", "code" => "200").increment(2);
        counter!("requests", "code" => "200", "method" => "GET").increment(1);
        let method = String::from("POST");
        counter!("requests", "method" => method.clone(), "code" => "500").increment(1);
        let _ = counter!(level: metrics::Level::DEBUG, "untouched");
        gauge!("queue.bytes").set(1.5);
        histogram!("latency").record(0.25);
        histogram!("latency").record_many(0.5, 3);
    });
    let wanted = [
        "latency{} 4 values",
        "queue.bytes{} 1.5",
        "requests{code=200,method=GET} 3",
        "requests{code=500,method=POST} 1",
        "untouched{} 0",
    ];
    assert_eq!(values(place.path()), wanted);
    let all = all(place.path());
    let about = |label: &str| {
        let field = &all.iter().find(|t| t.field.label == label).unwrap().field;
        (field.unit.as_str(), &*field.help, field.properties.level())
    };
    assert_eq!(about("requests"), ("", "Requests served.", Level::Info));
    assert_eq!(about("queue.bytes"), ("bytes", "Waiting.", Level::Info));
    assert_eq!(about("latency"), ("seconds", "From request to answer.", Level::Info));
    assert_eq!(about("untouched"), ("", "", Level::Diagnostic));
    let latency = all.iter().find(|t| t.field.label == "latency").unwrap();
    let Some(OwnedValue::Histogram(latency)) = &latency.reading.value else { panic!() };
    let median = latency.quantile(0.5).unwrap().value().unwrap();
    assert!((0.475..=0.525).contains(&median), "{median}");
}

#[test]
fn recorder_many_threads_lose_no_update() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    // A handle made on one thread and used on all others.
    let kept = metrics::with_local_recorder(&recorder, || counter!("kept"));
    let depth = metrics::with_local_recorder(&recorder, || gauge!("depth"));
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    metrics::with_local_recorder(&recorder, || {
                        for _ in 0..1_000 {
                            counter!("calls", "from" => "thread").increment(1);
                            kept.increment(2);
                            depth.increment(1.0);
                            histogram!("size").record(7.0);
                        }
                        depth.decrement(1_000.0);
                    });
                });
            }
        });
    }
    let wanted = ["calls{from=thread} 16000", "depth{} 0", "kept{} 32000", "size{} 16000 values"];
    assert_eq!(values(place.path()), wanted);
}

#[test]
fn absolute_out_of_order_never_goes_back() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let recorder = &recorder;
            scope.spawn(move || {
                metrics::with_local_recorder(recorder, || {
                    for n in 0..1_000 {
                        counter!("outside").absolute(n * 4 + thread);
                    }
                });
            });
        }
    });
    assert_eq!(values(place.path()), ["outside{} 3999"]);
    metrics::with_local_recorder(&recorder, || {
        counter!("outside").absolute(17);
        counter!("outside").increment(1);
    });
    assert_eq!(values(place.path()), ["outside{} 4000"]);
}

#[test]
fn recorder_limits_exceeded_counted() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    let recorder = recorder.cap(2).counters(|name, options| match name {
        "refused" => options.unit("x".repeat(100)),
        name => options.help(format!("about {name}")),
    });
    metrics::with_local_recorder(&recorder, || {
        for user in 0..10 {
            for _ in 0..3 {
                counter!("logins", "user" => user.to_string()).increment(1);
                histogram!("size", "user" => user.to_string()).record(1.0);
            }
        }
        // A gauge without labels has no counter's name.
        gauge!("logins").set(5.0);
        counter!("odd", "a key" => "a\0value", "a.key" => "b").increment(1);
        counter!("long", "text" => "x".repeat(5_000)).increment(1);
        counter!("refused").increment(1);
        counter!("refused").increment(1);
    });
    let wanted = [
        "logins{overflow=true} 24",
        "logins{user=0} 3",
        "logins{user=1} 3",
        "logins{} 5",
        "metrics.refused{} 2",
        "odd{a.key=b,a_key.182dbc10=a_value~88cf3c46} 1",
        "size{overflow=true} 24 values",
        "size{user=0} 3 values",
        "size{user=1} 3 values",
    ];
    assert_eq!(values(place.path()), wanted);
    let all = all(place.path());
    assert!(all.iter().any(|t| &*t.field.help == "about odd"));
}

#[test]
fn recorder_name_of_two_kinds_gets_suffix() {
    let place = tempfile::tempdir().unwrap();
    let (publisher, recorder) = start(place.path());
    publisher.add::<mmstats::Counter>("mine", mmstats::FieldOptions::new()).unwrap();
    metrics::with_local_recorder(&recorder, || {
        counter!("mine").increment(1);
        counter!("load").increment(2);
        gauge!("load").set(0.5);
        histogram!("load").record(0.5);
    });
    let wanted = [
        "load.gauge{} 0.5",
        "load.histogram{} 1 values",
        "load{} 2",
        "mine.counter{} 1",
        "mine{} 0",
    ];
    assert_eq!(values(place.path()), wanted);
}

#[test]
fn recorder_distinct_metrics_stay_distinct() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    let long = "x".repeat(300);
    metrics::with_local_recorder(&recorder, || {
        counter!("m", "a b" => "1").increment(1);
        counter!("m", "a_b" => "1").increment(20);
        counter!("m", "k" => "1", "k" => "2").increment(300);
        counter!("m", "k" => "2").increment(4_000);
        counter!("m", "k" => "1\0").absolute(50_000);
        counter!("m", "k" => "1_").absolute(600_000);
        counter!("").increment(7_000_000);
        counter!("unnamed").increment(80_000_000);
        counter!(format!("{long}1")).increment(1);
        counter!(format!("{long}2")).increment(2);
        // The attribute of the overflow field.
        counter!("m", "overflow" => "true").increment(900_000_000);
    });
    let values = values(place.path());
    let mut numbers: Vec<u64> =
        values.iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    let wanted = [1, 1, 2, 20, 300, 4_000, 50_000, 600_000, 7_000_000, 80_000_000, 900_000_000];
    assert_eq!(numbers, wanted, "{values:?}");
    assert!(
        values.contains(&"m{k=2} 4000".to_owned()) && values.contains(&"m{a_b=1} 20".to_owned())
    );
}

#[test]
fn overflow_beside_a_metric_with_its_attribute() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    let recorder = recorder.cap(2);
    metrics::with_local_recorder(&recorder, || {
        counter!("m", "overflow" => "true").increment(1);
        for user in 0..5 {
            counter!("m", "user" => user.to_string()).increment(10);
        }
    });
    let wanted = ["m.counter{overflow=true} 40", "m{overflow=true} 1", "m{user=0} 10"];
    assert_eq!(values(place.path()), wanted);
}

#[test]
fn absolute_of_each_source_beyond_the_cap_is_added() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    let recorder = recorder.cap(1);
    metrics::with_local_recorder(&recorder, || {
        for round in 1..=3 {
            for (user, total) in [("a", 100), ("b", 200), ("c", 50)] {
                counter!("read", "user" => user).absolute(total * round);
                counter!("read", "user" => user).absolute(total * round - 1);
            }
        }
        // Two handles of one counter, as two components have them.
        let (one, other) = (counter!("shared"), counter!("shared"));
        one.absolute(10);
        other.absolute(7);
        other.absolute(12);
        one.absolute(11);
    });
    assert_eq!(
        values(place.path()),
        ["read{overflow=true} 750", "read{user=a} 300", "shared{} 12"]
    );
}

#[test]
fn recorders_of_one_publisher_share_fields() {
    let place = tempfile::tempdir().unwrap();
    let (publisher, first) = start(place.path());
    let second = Recorder::new(&publisher.registry());
    for recorder in [&first, &second] {
        metrics::with_local_recorder(recorder, || {
            counter!("requests").increment(2);
            counter!("outside").absolute(5);
            gauge!("depth").increment(1.0);
        });
    }
    assert_eq!(values(place.path()), ["depth{} 2", "outside{} 5", "requests{} 4"]);
}

#[test]
fn description_after_first_use_counted() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    metrics::with_local_recorder(&recorder, || {
        describe_histogram!("latency", Unit::Milliseconds, "First.");
        describe_histogram!("latency", Unit::Seconds, "Second.");
        histogram!("latency").record(0.5);
        describe_histogram!("latency", Unit::Seconds, "Second.");
        describe_histogram!("latency", Unit::Milliseconds, "Third.");
    });
    let wanted = ["latency{} 1 values", "metrics.late_descriptions_refused{} 1"];
    assert_eq!(values(place.path()), wanted);
    let latency = all(place.path()).into_iter().find(|t| t.field.label == "latency").unwrap();
    assert_eq!((latency.field.unit.as_str(), &*latency.field.help), ("seconds", "Second."));
}

/// Names made of data: each one beyond the limit counts once, on whatever thread it is used.
#[test]
fn names_beyond_the_limit_count_once_as_refused() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    let use_names = || {
        metrics::with_local_recorder(&recorder, || {
            for n in 9_990..10_010 {
                counter!(format!("n{n}")).increment(1);
            }
        });
    };
    metrics::with_local_recorder(&recorder, || {
        (0..9_990).for_each(|n| counter!(format!("n{n}")).increment(1));
    });
    use_names();
    use_names();
    std::thread::scope(|scope| scope.spawn(use_names).join().unwrap());
    let values = values(place.path());
    assert!(values.contains(&"metrics.refused{} 10".to_owned()), "{:?}", &values[..3]);
    assert!(values.contains(&"n9999{} 3".to_owned()));
}

#[test]
fn record_many_takes_constant_time() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    let begin = std::time::Instant::now();
    metrics::with_local_recorder(&recorder, || {
        histogram!("size").record_many(7.0, 1_000_000_000_000);
        histogram!("size").record_many(7.0, 0);
    });
    assert!(begin.elapsed() < std::time::Duration::from_secs(1));
    assert_eq!(values(place.path()), ["size{} 1000000000000 values"]);
}

/// Values of the usual sizes of each unit are between the outer buckets.
#[test]
fn histogram_range_holds_values_of_its_unit() {
    let place = tempfile::tempdir().unwrap();
    let (_publisher, recorder) = start(place.path());
    let cases = [
        ("seconds", Some(Unit::Seconds), [1e-9, 0.25, 864_000.0]),
        ("milliseconds", Some(Unit::Milliseconds), [1e-6, 250.0, 8.64e8]),
        ("nanoseconds", Some(Unit::Nanoseconds), [1.0, 2.5e8, 8.64e14]),
        ("bytes", Some(Unit::Bytes), [1.0, 4096.0, 1e15]),
        ("percent", Some(Unit::Percent), [0.01, 50.0, 1_000.0]),
        ("none", None, [1e-9, 250.0, 8.64e14]),
    ];
    metrics::with_local_recorder(&recorder, || {
        for (name, unit, values) in cases {
            if let Some(unit) = unit {
                describe_histogram!(name, unit, "");
            }
            values.into_iter().for_each(|value| histogram!(name).record(value));
        }
        histogram!("negative").record(-5.0);
        histogram!("negative").record(5.0);
    });
    let all = all(place.path());
    let histogram = |name: &str| {
        let total = all.iter().find(|t| t.field.label == name).unwrap();
        let Some(OwnedValue::Histogram(histogram)) = &total.reading.value else { panic!("{name}") };
        histogram.clone()
    };
    for (name, _, values) in cases {
        let histogram = histogram(name);
        for (quantile, value) in [0.1, 0.5, 0.9].into_iter().zip(values) {
            let found = histogram.quantile(quantile).unwrap().value().expect(name);
            assert!((found / value - 1.0).abs() < 0.05, "{name}: {found} instead of {value}");
        }
    }
    assert_eq!(histogram("negative").count(), 2);
}

/// A recorder that has ended leaves nothing in the caches of threads.
#[test]
fn recorder_ended_leaves_no_files() {
    let place = tempfile::tempdir().unwrap();
    for round in 1..=20 {
        let (publisher, recorder) = start(place.path());
        metrics::with_local_recorder(&recorder, || counter!("rounds").increment(round));
        assert_eq!(values(place.path()), [format!("rounds{{}} {round}")]);
        drop((recorder, publisher));
        // Windows keeps files that this thread still has, under a temporary name.
        let lingers = |name: &str| cfg!(windows) && name.starts_with('.');
        let names =
            std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.filter(|name| !lingers(&name.to_string_lossy())).count(), 0);
    }
    // Two files each; those of the first and of the last publisher stay mapped.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let path = place.path().to_str().unwrap();
    let mapped = maps.lines().filter(|line| line.contains(path)).count();
    assert!(mapped <= 8, "{mapped}: {maps}");
}

/// One line, in another process.
#[test]
fn install_program_killed_values_stay() {
    const CHILD: &str = "MMSTATS_TEST_METRICS";
    if std::env::var_os(CHILD).is_some() {
        let _mmstats = mmstats_metrics::install().unwrap();
        let other = mmstats_metrics::install().unwrap();
        assert!(Recorder::new(&other.registry()).install().is_err(), "there is one");
        counter!("requests").increment(5);
        std::thread::spawn(|| counter!("requests").increment(6)).join().unwrap();
        std::process::abort();
    }
    let place = tempfile::tempdir().unwrap();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "install_program_killed_values_stay", "--nocapture"])
        .env(CHILD, "1")
        .env("MMSTATS_PATH", place.path())
        .output()
        .unwrap();
    let mut values = values(place.path());
    values.retain(|value| !value.starts_with("process."));
    assert_eq!(values, ["requests{} 11"], "{}", String::from_utf8_lossy(&out.stderr));
}

/// Descriptions of a recorder whose publisher ends hold in that of the program, and handles count
/// there under the label of their own metric.
#[test]
fn recorder_whose_publisher_closed_follows_program() {
    const CHILD: &str = "MMSTATS_TEST_FOLLOW";
    if std::env::var_os(CHILD).is_some() {
        let own = Options::new().start::<Lane>().unwrap();
        Recorder::new(&own.registry()).install().unwrap();
        describe_counter!("requests", Unit::Count, "Requests served.");
        describe_histogram!("later", Unit::Bytes, "Described before the publisher ended.");
        let (requests, other) = (counter!("requests"), counter!("other"));
        requests.increment(1);
        other.increment(2);
        let _global = mmstats::init();
        own.close();
        // In the other order: the numbers of the fields are not those of the closed publisher.
        other.increment(20);
        requests.increment(10);
        counter!("requests").increment(100);
        histogram!("later").record(4096.0);
        std::thread::spawn(|| counter!("other").increment(200)).join().unwrap();
        std::process::abort();
    }
    let place = tempfile::tempdir().unwrap();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "recorder_whose_publisher_closed_follows_program", "--nocapture"])
        .env(CHILD, "1")
        .env("MMSTATS_PATH", place.path())
        .output()
        .unwrap();
    let mut values = values(place.path());
    values.retain(|value| !value.starts_with("process."));
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(values, ["later{} 1 values", "other{} 220", "requests{} 110"], "{error}");
    let all = all(place.path());
    let about = |label: &str| {
        let field = &all.iter().find(|t| t.field.label == label).unwrap().field;
        (field.unit.as_str(), &*field.help)
    };
    assert_eq!(about("requests"), ("", "Requests served."));
    assert_eq!(about("later"), ("bytes", "Described before the publisher ended."));
}
