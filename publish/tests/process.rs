//! The fields of the process, compared with those of the system.
#![allow(missing_docs)]
#![cfg(all(feature = "process", target_os = "linux"))]

mod support;

use std::path::Path;
use std::time::Duration;

use mmstats::{Lane, Options};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};
use support::wait_until;

fn value(directory: &Path, label: &str) -> u64 {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let all = totals(observer.files());
    let found = all.iter().find(|t| t.field.label == label).expect(label);
    match found.reading.value {
        Some(OwnedValue::Unsigned(value)) => u64::try_from(value).unwrap(),
        // Before the first sample.
        None => 0,
        ref other => panic!("{label}: {other:?}"),
    }
}

#[test]
fn process_fields_follow_process() {
    let place = tempfile::tempdir().unwrap();
    let options = Options::new().directory(place.path());
    let publisher = options.sample_every(Duration::from_millis(5)).start::<Lane>().unwrap();
    publisher.add_process_fields().unwrap();
    let get = |label: &str| value(place.path(), &format!("process.{label}"));
    wait_until(|| get("threads") >= 2);
    let status = |key: &str| -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    };
    let (open, resident) = (get("files.open"), get("memory.resident"));
    assert!(open < get("files.limit"), "{open}");
    assert!(resident > 1 << 19 && resident < get("memory.virtual"), "{resident}");
    // Allocators of new threads reserve memory.
    wait_until(|| get("memory.virtual").abs_diff(status("VmSize") << 10) < 64 << 20);
    // Files.
    let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    wait_until(|| get("files.open") >= open + 50);
    drop(files);
    wait_until(|| get("files.open") < open + 25);
    // Memory, in pages that are written.
    let memory = std::hint::black_box(vec![1u8; 64 << 20]);
    wait_until(|| get("memory.resident") > resident + (60 << 20));
    drop(memory);
    // Processor time.
    let begin = get("cpu.user");
    wait_until(|| {
        std::hint::black_box((0..100_000u64).fold(0, |a, b| std::hint::black_box(a ^ b)));
        get("cpu.user") > begin + 100_000_000
    });
    // Threads.
    let threads = get("threads");
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receive.recv());
    wait_until(|| get("threads") > threads);
    drop(send);
    let _ = thread.join().unwrap();
}
