//! Sampled fields.
#![allow(missing_docs)]

mod support;

#[cfg(unix)] // signals
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mmstats::{Counter, FieldOptions, Gauge, Lane, Options, Publisher};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};
use support::{alone, file_names, look, threads_named, wait_until};

fn start(directory: &Path) -> Publisher<Lane> {
    let options = Options::new().directory(directory).lanes(1);
    options.sample_every(Duration::from_millis(5)).start().unwrap()
}

fn value(directory: &Path, label: &str) -> Option<OwnedValue> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    totals(observer.files()).into_iter().find(|t| t.field.label == label)?.reading.value
}

/// Number of threads that watch, and of threads that call callbacks; `None` where the system does
/// not tell.
fn threads() -> Option<[usize; 2]> {
    threads_named(["mmstats-sample", "mmstats-call"])
}

#[test]
fn sampled_thread_ends_with_publisher() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    // No field, no thread; those of the test before may just be ending.
    wait_until(|| threads().is_none_or(|n| n == [0, 0]));
    let (source, calls) = (Arc::new(AtomicU64::new(7)), Arc::new(AtomicU64::new(0)));
    let (from, called) = (Arc::clone(&source), Arc::clone(&calls));
    publisher
        .sampled("depth", FieldOptions::new(), move |depth: &Gauge<u64>| {
            called.fetch_add(1, Ordering::Relaxed);
            depth.set(from.load(Ordering::Relaxed));
        })
        .unwrap();
    wait_until(|| value(place.path(), "depth") == Some(OwnedValue::Unsigned(7)));
    source.store(9, Ordering::Relaxed);
    wait_until(|| value(place.path(), "depth") == Some(OwnedValue::Unsigned(9)));
    // A callback that panics is removed; the others are called.
    publisher.sampled("bad", FieldOptions::new(), |_: &Gauge<u64>| panic!("on purpose")).unwrap();
    let total = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&total);
    publisher
        .sampled("total", FieldOptions::new(), move |counter: &Counter| {
            counter.set(sum.fetch_add(1, Ordering::Relaxed));
        })
        .unwrap();
    wait_until(|| publisher.sampling_panics() == 1 && total.load(Ordering::Relaxed) > 3);
    assert!(threads().is_none_or(|n| n == [1, 1]));
    assert_eq!(publisher.sampling_panics(), 1);
    let panics = || value(place.path(), "sys.sampling_panics");
    wait_until(|| panics() == Some(OwnedValue::Unsigned(1)));
    let clone = publisher.clone();
    drop(publisher);
    let before = calls.load(Ordering::Relaxed);
    wait_until(|| calls.load(Ordering::Relaxed) > before + 2);
    drop(clone);
    wait_until(|| threads().is_none_or(|n| n == [0, 0]));
    assert_eq!(file_names(place.path()), [""; 0]);
}

/// A callback that adds one to a number at each call, and sets it.
fn counting(publisher: &Publisher<Lane>, label: &str) -> Arc<AtomicU64> {
    let calls = Arc::new(AtomicU64::new(0));
    let called = Arc::clone(&calls);
    let count = move |gauge: &Gauge<u64>| gauge.set(called.fetch_add(1, Ordering::Relaxed));
    publisher.sampled(label, FieldOptions::new(), count).unwrap();
    calls
}

#[test]
fn callbacks_that_do_not_return_stop_only_themselves() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    #[cfg(all(feature = "process", target_os = "linux"))] // from /proc
    publisher.add_process_fields().unwrap();
    let good: Vec<_> = (0..5).map(|n| counting(&publisher, &format!("good.{n}"))).collect();
    let hang = Arc::new(AtomicBool::new(false));
    for n in 0..3 {
        let hang = Arc::clone(&hang);
        let callback = move |gauge: &Gauge<u64>| {
            while hang.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            gauge.set(n);
        };
        publisher.sampled(format!("bad.{n}"), FieldOptions::new(), callback).unwrap();
    }
    let bad = |n| value(place.path(), &format!("bad.{n}"));
    wait_until(|| (0..3).all(|n| bad(n).is_some()));
    hang.store(true, Ordering::Relaxed);
    // Their values are withdrawn; their number and the age of their last answers are shown.
    wait_until(|| (0..3).all(|n| bad(n).is_none()));
    let late = || value(place.path(), "sys.sampling_late");
    wait_until(|| late() == Some(OwnedValue::Unsigned(3)));
    assert!(value(place.path(), "sys.sampled").is_some());
    let before: Vec<_> = good.iter().map(|calls| calls.load(Ordering::Relaxed)).collect();
    wait_until(|| {
        good.iter().zip(&before).all(|(calls, before)| calls.load(Ordering::Relaxed) > before + 20)
    });
    #[cfg(all(feature = "process", target_os = "linux"))] // from /proc
    assert!(value(place.path(), "process.memory.resident").is_some());
    hang.store(false, Ordering::Relaxed);
    wait_until(|| (0..3).all(|n| bad(n) == Some(OwnedValue::Unsigned(n))));
    wait_until(|| late() == Some(OwnedValue::Unsigned(0)));
    assert!(value(place.path(), "sys.sampled").is_none());
    // Threads that were replaced have ended.
    wait_until(|| threads().is_none_or(|n| n == [1, 1]));
    drop(publisher);
    wait_until(|| threads().is_none_or(|n| n == [0, 0]));
}

/// Adds a gauge whose callback answers once, and hangs from then on while `hangs`.
fn hanging(
    publisher: &Publisher<Lane>,
    label: &str,
    options: FieldOptions<Gauge<u64>>,
    hangs: &Arc<AtomicBool>,
) {
    let (hangs, mut calls) = (Arc::clone(hangs), 0);
    let callback = move |gauge: &Gauge<u64>| {
        calls += 1;
        while calls > 1 && hangs.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        gauge.set(calls);
    };
    publisher.sampled(label, options, callback).unwrap();
}

#[test]
fn late_fields_of_one_label_are_told_apart_by_attributes() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    let hangs = Arc::new(AtomicBool::new(true));
    for shard in ["1", "2"] {
        let options = FieldOptions::new().attribute("shard", shard);
        hanging(&publisher, "depth", options, &hangs);
    }
    hanging(&publisher, "other", FieldOptions::new(), &hangs);
    let sampled = || {
        let observer = look(place.path());
        let all = totals(observer.files()).into_iter();
        let all = all.filter(|total| total.field.label == "sys.sampled");
        let mut all: Vec<_> = all
            .filter(|total| total.reading.value.is_some())
            .map(|total| total.field.attributes.replace('\0', ","))
            .collect();
        all.sort();
        all
    };
    let wanted = ["field=depth,shard=1", "field=depth,shard=2", "field=other"];
    wait_until(|| sampled() == wanted);
    assert!(publisher.problem().is_none(), "{:?}", publisher.problem());
    hangs.store(false, Ordering::Relaxed);
}

#[test]
fn fields_that_no_thread_calls_are_late_and_lose_their_values() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    let good = counting(&publisher, "good");
    let depth = |gauge: &Gauge<u64>| gauge.set(7);
    publisher.sampled("depth", FieldOptions::new(), depth).unwrap();
    wait_until(|| good.load(Ordering::Relaxed) > 1);
    assert!(value(place.path(), "depth").is_some());
    let hangs = Arc::new(AtomicBool::new(true));
    for n in 0..40 {
        hanging(&publisher, &format!("bad.{n}"), FieldOptions::new(), &hangs);
    }
    let late = || value(place.path(), "sys.sampling_late");
    wait_until(|| late() == Some(OwnedValue::Unsigned(42)));
    wait_until(|| value(place.path(), "depth").is_none());
    hangs.store(false, Ordering::Relaxed);
    wait_until(|| late() == Some(OwnedValue::Unsigned(0)));
    assert!(value(place.path(), "depth").is_some());
}

#[test]
fn publisher_ends_while_a_callback_does_not_return() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    let hang = Arc::new(AtomicBool::new(true));
    let hangs = Arc::clone(&hang);
    let callback = move |_: &Gauge<u64>| {
        while hangs.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    publisher.sampled("bad", FieldOptions::new(), callback).unwrap();
    wait_until(|| value(place.path(), "sys.sampling_late").is_some());
    drop(publisher);
    assert_eq!(file_names(place.path()), [""; 0]);
    hang.store(false, Ordering::Relaxed);
    wait_until(|| threads().is_none_or(|n| n == [0, 0]));
}

#[cfg(unix)] // signals
#[test]
fn child_that_samples() {
    let Some(path) = std::env::var_os("MMSTATS_TEST_CHILD") else { return };
    let options = Options::new().directory(path).sample_every(Duration::from_millis(150));
    let publisher = options.start::<Lane>().unwrap();
    // Many, so that the thread that watches looks before all were called again.
    (0..50).for_each(|n| drop(counting(&publisher, &format!("other.{n}"))));
    counting(&publisher, "calls");
    // Until the other process ends, or closes its end.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[cfg(unix)] // signals
#[test]
fn process_that_was_stopped_has_no_late_callbacks() {
    use std::process::{Command, Stdio};
    let place = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_samples", "--nocapture"])
        .env("MMSTATS_TEST_CHILD", place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    let calls = || match value(place.path(), "calls") {
        Some(OwnedValue::Unsigned(calls)) => calls,
        _ => 0,
    };
    wait_until(|| calls() > 1);
    for _ in 0..2 {
        signal("-STOP");
        // A callback that is not called for twice an interval after it was due is late.
        std::thread::sleep(Duration::from_millis(600));
        signal("-CONT");
        let before = calls();
        wait_until(|| calls() > before + 1);
    }
    // The field is made when the first one is late.
    let late = value(place.path(), "sys.sampling_late");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(late, None);
}

/// Panics when it is dropped, with a payload that does so too.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Bomb(self.0 - 1));
        }
    }
}

#[test]
fn callback_that_panics_with_any_payload_stops_only_itself() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    let good = counting(&publisher, "good");
    let mut calls = 0;
    let captured = Bomb(2);
    let callback = move |gauge: &Gauge<u64>| {
        let _captured = &captured;
        gauge.set(7);
        calls += 1;
        if calls > 2 {
            std::panic::panic_any(Bomb(3));
        }
    };
    publisher.sampled("bad", FieldOptions::new(), callback).unwrap();
    publisher.sampled("text", FieldOptions::new(), |_: &Counter| panic!("on purpose")).unwrap();
    wait_until(|| publisher.sampling_panics() == 2);
    wait_until(|| value(place.path(), "bad").is_none());
    let before = good.load(Ordering::Relaxed);
    wait_until(|| good.load(Ordering::Relaxed) > before + 5);
    assert!(value(place.path(), "sys.sampled").is_some());
}

#[cfg(target_os = "linux")] // /proc
#[test]
fn sampling_threads_block_signals() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    let calls = counting(&publisher, "good");
    wait_until(|| calls.load(Ordering::Relaxed) > 1);
    let signals = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGALRM, libc::SIGCHLD];
    let blocks = |mask: u64| signals.iter().all(|signal| mask >> (signal - 1) & 1 == 1);
    let masks = || -> Vec<_> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let tasks = tasks.filter_map(|task| {
            let task = task.ok()?.path();
            let read = |name| std::fs::read_to_string(task.join(name)).ok();
            let status = read("comm")?.starts_with("mmstats-").then(|| read("status"))??;
            let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        });
        tasks.collect()
    };
    // One watches the callbacks, one calls them, one looks for files. The system shows no mask of a thread
    // that ends, as those of other tests do.
    wait_until(|| masks().len() == 3 && masks().into_iter().all(blocks));
}

#[test]
fn sample_every_is_clamped() {
    let _alone = alone();
    for interval in [Duration::MAX, Duration::ZERO] {
        let place = tempfile::tempdir().unwrap();
        let options = Options::new().directory(place.path()).sample_every(interval);
        let publisher = options.start::<Lane>().unwrap();
        let calls = counting(&publisher, "calls");
        wait_until(|| calls.load(Ordering::Relaxed) > 0);
        // A field that is added later is sampled at once.
        let later = counting(&publisher, "later");
        wait_until(|| later.load(Ordering::Relaxed) > 0);
        assert!(interval > Duration::ZERO || calls.load(Ordering::Relaxed) < 10_000);
    }
}
