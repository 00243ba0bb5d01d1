//! Sampled fields.
#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mmstats::{Counter, FieldOptions, Gauge, Lane, Options, Publisher};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};
use support::{file_names, wait_until};

fn start(directory: &Path) -> Publisher<Lane> {
    let options = Options::new().directory(directory).lanes(1);
    options.sample_every(Duration::from_millis(5)).start().unwrap()
}

fn value(directory: &Path, label: &str) -> Option<OwnedValue> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    totals(observer.files()).into_iter().find(|t| t.field.label == label)?.reading.value
}

/// Number of sampling threads; `None` where the system does not tell.
fn threads() -> Option<usize> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let named = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    Some(tasks.filter_map(named).filter(|name| name.trim() == "mmstats-sample").count())
}

#[test]
fn sampled_thread_ends_with_publisher() {
    let place = tempfile::tempdir().unwrap();
    let publisher = start(place.path());
    assert!(threads().is_none_or(|n| n == 0), "no field, no thread");
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
    assert!(threads().is_none_or(|n| n == 1));
    assert_eq!(publisher.sampling_panics(), 1);
    assert_eq!(value(place.path(), "sys.sampling_panics"), Some(OwnedValue::Unsigned(1)));
    let clone = publisher.clone();
    drop(publisher);
    let before = calls.load(Ordering::Relaxed);
    wait_until(|| calls.load(Ordering::Relaxed) > before + 2);
    drop(clone);
    wait_until(|| threads().is_none_or(|n| n == 0));
    assert_eq!(file_names(place.path()), [""; 0]);
}
