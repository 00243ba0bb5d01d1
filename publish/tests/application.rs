//! Applications: what an ended process has counted stays.
#![allow(missing_docs)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mmstats::{
    Average, Counter, Error, FieldOptions, Gauge, Lane, Latency, OnDrop, Options, Publisher,
    Registry, Stats, Timer,
};
use mmstats_observe::{Observer, OwnedValue, Sources, Totals};
use support::file_names;

#[derive(Stats)]
struct Worker {
    jobs: Counter,
    open: Gauge<u64>,
    time: Timer,
    latency: Latency,
    size: Average,
}

fn options(directory: &Path) -> Options {
    Options::new().application("shop").directory(directory)
}

/// Counts 10 jobs, ends cleanly.
fn work(options: Options) {
    let worker: Publisher<Worker> = options.start().unwrap();
    worker.with(|worker| {
        for n in 1..=10 {
            worker.jobs.incr();
            worker.open.set(n);
            worker.time.record(Duration::from_millis(n));
            worker.latency.record(Duration::from_millis(n));
            #[allow(clippy::cast_precision_loss)] // small numbers
            worker.size.record(n as f64);
        }
    });
}

fn observe(directory: &Path) -> Totals {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    assert_eq!(observer.problems().count(), 0, "{:?}", observer.problems().collect::<Vec<_>>());
    let mut totals = Totals::new();
    totals.update(observer.files(), None);
    totals
}

fn value(totals: &Totals, label: &str) -> Option<OwnedValue> {
    let total = totals.get(label).next()?;
    total.reading.value.clone()
}

#[test]
fn ended_processes_are_one_ledger_with_their_sums() {
    let place = tempfile::tempdir().unwrap();
    for n in 1..=30_u128 {
        work(options(place.path()));
        let names = file_names(place.path());
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(names[0].ends_with(&format!("-{n}.mmst")), "{names:?}");
        let totals = observe(place.path());
        assert_eq!(value(&totals, "jobs"), Some(OwnedValue::Unsigned(10 * n)));
    }
    let totals = observe(place.path());
    let Some(OwnedValue::Timer(timer)) = value(&totals, "time") else { panic!() };
    assert_eq!((timer.count, timer.sum), (300, 30 * 55_000_000));
    assert_eq!((timer.min, timer.max), (Some(1_000_000), Some(10_000_000)));
    let Some(OwnedValue::Histogram(latency)) = value(&totals, "latency") else { panic!() };
    assert_eq!((latency.count(), latency.sum().as_f64()), (300, 30.0 * 55_000_000.0));
    let Some(OwnedValue::Average(size)) = value(&totals, "size") else { panic!() };
    assert_eq!(size.mean(), Some(5.5));
    assert_eq!(value(&totals, "open"), None);
    assert_eq!(value(&totals, "ledger.instances"), Some(OwnedValue::Unsigned(30)));
}

#[test]
fn fields_added_at_run_time_and_of_others_are_carried_on() {
    let place = tempfile::tempdir().unwrap();
    for n in 0..4_u64 {
        let registry: Registry = options(place.path()).reserve(1, 64).start().unwrap();
        for field in 0..40 + n {
            let key = registry.add::<Counter>(format!("f{field}"), FieldOptions::new()).unwrap();
            registry.with(|lane: &Lane| lane.attach(key).unwrap().add(n + 1));
        }
        assert!(registry.paths().len() > 1);
    }
    let totals = observe(place.path());
    assert_eq!(value(&totals, "f0"), Some(OwnedValue::Unsigned(10)));
    assert_eq!(value(&totals, "f42"), Some(OwnedValue::Unsigned(4)));
    assert_eq!(file_names(place.path()).len(), 1);
}

#[test]
fn fields_of_other_units_stay_apart() {
    let place = tempfile::tempdir().unwrap();
    for unit in ["seconds", "bytes", "seconds"] {
        let registry: Registry = options(place.path()).start().unwrap();
        let key = registry.add::<Counter>("used", FieldOptions::new().unit(unit)).unwrap();
        registry.with(|lane: &Lane| lane.attach(key).unwrap().add(3));
    }
    let totals = observe(place.path());
    let mut found: Vec<_> = totals
        .get("used")
        .map(|total| (total.field.unit.clone(), total.reading.value.clone().unwrap()))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let (bytes, seconds) = (OwnedValue::Unsigned(3), OwnedValue::Unsigned(6));
    assert_eq!(found, [("bytes".to_owned(), bytes), ("seconds".to_owned(), seconds)]);
}

#[test]
fn kept_file_is_not_counted_twice() {
    let place = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        work(options(place.path()).on_drop(OnDrop::Keep));
    }
    assert_eq!(file_names(place.path()).len(), 4);
    assert_eq!(value(&observe(place.path()), "jobs"), Some(OwnedValue::Unsigned(30)));
}

#[test]
fn threads_beside_each_other_lose_nothing() {
    let place = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25).for_each(|_| work(options(place.path()))));
        }
    });
    assert_eq!(value(&observe(place.path()), "jobs"), Some(OwnedValue::Unsigned(1000)));
    assert_eq!(file_names(place.path()).len(), 1);
}

/// Names that another user gave count for nothing, in a directory in which both may write.
#[cfg(unix)] // elsewhere files cannot be given away
#[test]
fn forged_ledger_of_another_user_replaces_no_sums() {
    let place = tempfile::tempdir().unwrap();
    work(options(place.path()));
    let first = file_names(place.path()).remove(0);
    for generation in [999, u64::MAX - 1, u64::MAX] {
        let forged = place.path().join(first.replace("-1.mmst", &format!("-{generation}.mmst")));
        std::fs::write(&forged, "").unwrap();
        if std::os::unix::fs::chown(&forged, Some(54_321), None).is_err() {
            return support::skip("only root can make a file of another user");
        }
    }
    for n in 2..=3_u128 {
        work(options(place.path()));
        let mut observer = Observer::new(Sources::new().path(place.path()));
        observer.refresh();
        let mut totals = Totals::new();
        totals.update(observer.files(), None);
        assert_eq!(value(&totals, "jobs"), Some(OwnedValue::Unsigned(10 * n)));
        assert_eq!(file_names(place.path()).len(), 4);
    }
    // Where the next name is taken, the values stay in the files of those that have ended.
    let forged = place.path().join(first.replace("-1.mmst", "-4.mmst"));
    std::fs::write(&forged, "").unwrap();
    std::os::unix::fs::chown(&forged, Some(54_321), None).unwrap();
    let start = std::time::Instant::now();
    work(options(place.path()));
    assert!(start.elapsed() < Duration::from_secs(4));
    let blocked: Publisher<Worker> = options(place.path()).start().unwrap();
    let problem = blocked.problem().expect("says that its values cannot be taken in").to_string();
    assert!(problem.contains("-4.mmst: the name is already taken"), "{problem}");
    drop(blocked);
    let mut observer = Observer::new(Sources::new().path(place.path()));
    observer.refresh();
    let mut totals = Totals::new();
    totals.update(observer.files(), None);
    assert_eq!(value(&totals, "jobs"), Some(OwnedValue::Unsigned(40)));
}

#[test]
fn start_takes_no_live_program_in() {
    let place = tempfile::tempdir().unwrap();
    let lives: Publisher<Worker> = options(place.path()).start().unwrap();
    let count = || lives.with(|worker| worker.jobs.add(10));
    count();
    work(options(place.path()));
    // Of an instance that a ledger supersedes the file does not count.
    count();
    assert_eq!(value(&observe(place.path()), "jobs"), Some(OwnedValue::Unsigned(30)));
    drop(lives);
    assert_eq!(value(&observe(place.path()), "jobs"), Some(OwnedValue::Unsigned(30)));
    assert_eq!(file_names(place.path()).len(), 1);
}

#[test]
fn file_stays_until_a_ledger_has_its_values() {
    let place = tempfile::tempdir().unwrap();
    work(options(place.path()));
    let first = file_names(place.path()).remove(0);
    // A directory has the name of the next ledger.
    let next = place.path().join(first.replace("-1.mmst", "-2.mmst"));
    std::fs::create_dir(&next).unwrap();
    for n in 2..5_u128 {
        work(options(place.path()));
        assert!(place.path().join(&first).exists());
        let mut observer = Observer::new(Sources::new().path(place.path()));
        observer.refresh();
        let mut totals = Totals::new();
        totals.update(observer.files(), None);
        assert_eq!(value(&totals, "jobs"), Some(OwnedValue::Unsigned(10 * n)), "{n} programs");
    }
    std::fs::remove_dir(next).unwrap();
    work(options(place.path()));
    // The files of the three stay as those of programs that were killed.
    assert_eq!(value(&observe(place.path()), "jobs"), Some(OwnedValue::Unsigned(50)));
}

#[test]
fn name_of_application_has_1_to_255_bytes() {
    let place = tempfile::tempdir().unwrap();
    for name in [String::new(), "x".repeat(256)] {
        let started: Result<Registry, _> = options(place.path()).application(name).start();
        assert!(matches!(started, Err(Error::Application { .. })));
    }
    assert_eq!(file_names(place.path()), [""; 0]);
}

#[test]
#[cfg(unix)] // Windows truncates no mapped file
fn truncated_part_is_incomplete_in_the_ledger() {
    let place = tempfile::tempdir().unwrap();
    let registry: Registry = options(place.path()).start().unwrap();
    let count = |label: &str| {
        let key = registry.add::<Counter>(label, FieldOptions::new()).unwrap();
        registry.with(|lane: &Lane| lane.attach(key).unwrap().add(5));
    };
    count("first");
    for n in 0..2_000 {
        count(&format!("f{n}"));
    }
    let paths = registry.paths();
    assert!(paths.len() > 1);
    let last = std::fs::OpenOptions::new().write(true).open(paths.last().unwrap()).unwrap();
    // Within the last page, so that no access fails.
    last.set_len(last.metadata().unwrap().len() - 8).unwrap();
    drop(registry);
    let totals = observe(place.path());
    assert_eq!(value(&totals, "first"), Some(OwnedValue::Unsigned(5)));
    assert_eq!(value(&totals, "ledger.instances"), Some(OwnedValue::Unsigned(1)));
    assert_eq!(value(&totals, "ledger.incomplete"), Some(OwnedValue::Unsigned(1)));
}

/// The ledger of another application under the name of this one is damaged: it neither takes the sums
/// away nor has the ledgers of that name removed.
#[test]
fn ledger_of_another_application_takes_no_sums_away() {
    let place = tempfile::tempdir().unwrap();
    work(options(place.path()));
    let real = file_names(place.path()).remove(0);
    // Named after an instance of which there is no file.
    let by_instance = "0123456789abcdef0123456789abcdef";
    let other = tempfile::tempdir().unwrap();
    work(options(other.path()).application(by_instance));
    let forged = other.path().join(file_names(other.path()).remove(0));
    let planted = place.path().join(real.replace("-1.mmst", "-7.mmst"));
    std::fs::copy(forged, &planted).unwrap();

    // A start removes ledgers without use.
    drop(options(place.path()).application("other").start::<Lane>().unwrap());
    assert!(file_names(place.path()).contains(&real), "{:?}", file_names(place.path()));

    work(options(place.path()));
    let totals = observe(place.path());
    let all: u128 = totals
        .get("jobs")
        .map(|total| match total.reading.value {
            Some(OwnedValue::Unsigned(n)) => n,
            _ => 0,
        })
        .sum();
    assert_eq!(all, 20);
    let names = file_names(place.path());
    assert!(names.contains(&real.replace("-1.mmst", "-8.mmst")), "{names:?}");
    assert!(!names.contains(&real), "{names:?}");
}

#[test]
fn ledger_of_an_instance_without_files_is_removed_at_a_start() {
    let place = tempfile::tempdir().unwrap();
    work(options(place.path()).application("0123456789abcdef0123456789abcdef"));
    work(options(place.path()));
    let names = file_names(place.path());
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(value(&observe(place.path()), "jobs"), Some(OwnedValue::Unsigned(10)));
}

/// A worker that is started again under the name of the one that was killed.
#[test]
fn killed_process_with_the_name_of_a_new_one_is_counted() {
    const DIRECTORY: &str = "MMSTATS_TEST_APPLICATION";
    let named = |directory: &Path| options(directory).files("worker-3.mmst").post_mortems(None);
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let worker: Publisher<Worker> = named(directory.as_ref()).start().unwrap();
        worker.with(|worker| worker.jobs.add(10));
        println!("\nready");
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let run_and_kill = || {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed_process_with_the_name_of_a_new_one_is_counted",
                "--nocapture",
            ])
            .env(DIRECTORY, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map(Result::unwrap).any(|line| line == "ready"));
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let jobs = || {
        let mut observer = Observer::new(Sources::new().path(place.path()));
        observer.refresh();
        let mut totals = Totals::new();
        totals.update(observer.files(), None);
        value(&totals, "jobs")
    };
    for n in 1..=3_u128 {
        run_and_kill();
        assert_eq!(jobs(), Some(OwnedValue::Unsigned(10 * n)));
    }
    // Without a next ledger the file must stay, and the new one gets another name.
    let ledger = file_names(place.path()).into_iter().find(|name| name.starts_with("ledger-"));
    let next = place.path().join(ledger.unwrap().replace("-2.mmst", "-3.mmst"));
    std::fs::create_dir(&next).unwrap();
    run_and_kill();
    assert_eq!(jobs(), Some(OwnedValue::Unsigned(40)));
    assert_eq!(file_names(place.path()).len(), 4);
}
