//! Children of a program that publishes through the facade `metrics`.
#![cfg(all(unix, target_pointer_width = "64", target_has_atomic = "64"))]
#![allow(missing_docs)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics::{Key, Level, Metadata, Recorder as _};
use mmstats::{Lane, Options};
use mmstats_metrics::Recorder;
use mmstats_tests::system::{exit_now, fork_among_threads, wait_for_up_to};

/// A child has only the thread that forked. It does not hang, even if other threads of its parent
/// were using the recorder at that moment.
///
/// The only test of this program, so that no other one's threads are there.
#[test]
fn child_forked_during_recording_does_not_hang() {
    let place = tempfile::tempdir().unwrap();
    let publisher = Options::new().directory(place.path()).start::<Lane>().unwrap();
    let recorder = Recorder::new(&publisher.registry()).cap(20).counters(|_, options| {
        // Most of the time one of them is here.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(100) {
            std::hint::spin_loop();
        }
        options
    });
    let metadata = Metadata::new("here", Level::INFO, None);
    let count = |name: String| recorder.register_counter(&Key::from_name(name), &metadata);
    let (ended, next) = (AtomicBool::new(false), AtomicU64::new(0));
    let ended_well = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    count(format!("parent.{}", n % 5_000)).increment(1);
                    // Another thread begins with an empty table.
                    scope.spawn(|| count("parent.0".to_owned()).increment(1)).join().unwrap();
                }
            });
        }
        let ended_well = (0..50).take_while(|n| match fork_among_threads().unwrap() {
            None => {
                count("parent.0".to_owned()).increment(1);
                count(format!("child.{n}")).increment(1);
                exit_now(0);
            }
            Some(child) => wait_for_up_to(child, Duration::from_secs(20)),
        });
        let ended_well = ended_well.count();
        ended.store(true, Ordering::Relaxed);
        ended_well
    });
    assert_eq!(ended_well, 50, "the next child hung");
}
