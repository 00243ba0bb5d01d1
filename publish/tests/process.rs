//! The process's own fields, beside what the system says.
#![allow(missing_docs)]
#![cfg(all(feature = "process", target_os = "linux"))]

use std::path::Path;
use std::time::{Duration, Instant};

use mmstats::{Lane, Options};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};

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

fn wait(what: impl Fn() -> bool) {
    let begin = Instant::now();
    while !what() {
        assert!(begin.elapsed() < Duration::from_secs(30), "it does not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn they_follow_the_process() {
    let place = tempfile::tempdir().unwrap();
    let options = Options::new().directory(place.path());
    let publisher = options.sample_every(Duration::from_millis(5)).start::<Lane>().unwrap();
    publisher.add_process_fields().unwrap();
    let get = |label: &str| value(place.path(), &format!("process.{label}"));
    wait(|| get("threads") >= 2);
    let status = |key: &str| -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    };
    let (open, resident) = (get("files.open"), get("memory.resident"));
    assert!(open < get("files.limit"), "{open}");
    assert!(resident > 1 << 19 && resident < get("memory.virtual"), "{resident}");
    assert!(get("memory.virtual").abs_diff(status("VmSize") << 10) < 64 << 20);
    // Files.
    let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    wait(|| get("files.open") >= open + 50);
    drop(files);
    wait(|| get("files.open") < open + 25);
    // Memory that is used, in pages that were touched.
    let memory = std::hint::black_box(vec![1u8; 64 << 20]);
    wait(|| get("memory.resident") > resident + (60 << 20));
    drop(memory);
    // Processor time.
    let begin = get("cpu.user");
    wait(|| {
        std::hint::black_box((0..100_000u64).fold(0, |a, b| std::hint::black_box(a ^ b)));
        get("cpu.user") > begin + 100_000_000
    });
    // Threads.
    let threads = get("threads");
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receive.recv());
    wait(|| get("threads") > threads);
    drop(send);
    let _ = thread.join().unwrap();
}
