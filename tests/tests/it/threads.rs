//! No increment is lost when threads start and end.
//!
//! Each thread counts in a lane of its own. A thread that ends hands its lane on with its counters;
//! when all lanes are owned, the next thread opens another file.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use mmstats::{Counter, Flag, Gauge, OnDrop, Options, Publisher, Stats, Text, Timer};
use mmstats_observe::{FileState, OwnedValue, Verdict};
use mmstats_tests::look::{is_absent, look, states, total, unsigned};

use mmstats_tests::actor::{Actor, Meeting, directory};

#[derive(Stats)]
struct Work {
    done: Counter,
    took: Timer,
    current: Gauge<i64>,
    busy: Flag,
    doing: Text<32>,
}

impl Work {
    fn step(&self, n: u64) {
        self.done.incr();
        if n.is_multiple_of(1000) {
            self.took.record_nanos(n);
            self.current.set(n.cast_signed());
            self.busy.set(true);
            self.doing.set("counting");
        }
    }
}

fn start(directory: &Path, lanes: u32) -> Publisher<Work> {
    Options::new().directory(directory).lanes(lanes).on_drop(OnDrop::Keep).start().unwrap()
}

/// The total that another process reads, given only the directory.
fn seen_by_another_process(directory: &Path, label: &str) -> u128 {
    Actor::start("look", directory, &[label]).line().parse().unwrap()
}

/// Waits for the end of the threads, which drops their thread-local variables and hands their lanes
/// back: the end of a scope only waits for the closures.
fn join_all<'scope>(threads: impl IntoIterator<Item = ScopedJoinHandle<'scope, ()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// 8 short-lived threads in two waves of 4, observed while they run.
#[test]
fn increments_by_with_sum_exactly() {
    let directory = directory();
    let publisher = start(directory.path(), 4);
    for wave in 1..=2 {
        let (before, end) = ((wave - 1) * 500_000, wave * 500_000);
        let (together, finished, looked) = (Meeting::new(5), AtomicU32::new(0), Meeting::new(5));
        std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| {
                scope.spawn(|| {
                    publisher.with(|_| ());
                    // All four have a lane at once.
                    together.wait();
                    for n in 0..125_000 {
                        publisher.with(|work| work.step(n));
                    }
                    finished.fetch_add(1, Ordering::Relaxed);
                    looked.wait();
                })
            });
            // A counter has no value before a thread owns a lane.
            together.wait();
            // The sum never drops, and never exceeds the increments of all waves so far.
            let (mut observer, mut last) = (look(directory.path()), before);
            let start = Instant::now();
            while finished.load(Ordering::Relaxed) < 4 {
                assert!(start.elapsed() < Duration::from_secs(30), "the threads do not end");
                observer.refresh();
                // A program of 32 bits latches its counters: at this speed a read may be
                // contended.
                let reading = total(&observer, "done");
                if cfg!(target_pointer_width = "32") && reading.verdict == Verdict::Contended {
                    continue;
                }
                assert!(reading.is_consistent(), "{reading:?}");
                let Some(OwnedValue::Unsigned(now)) = reading.value else { panic!("{reading:?}") };
                assert!((last..=end).contains(&now), "{last} {now} {end}");
                last = now;
            }
            looked.wait();
            join_all(threads);
        });
        assert_eq!(seen_by_another_process(directory.path(), "done"), end);
    }
    let observer = look(directory.path());
    assert_eq!(unsigned(&observer, "done"), 1_000_000);
    let lanes = observer.files()[0].lanes();
    assert_eq!((observer.files().len(), lanes.owned), (1, 0), "{lanes:?}");
    drop(publisher);
    assert_eq!(seen_by_another_process(directory.path(), "done"), 1_000_000);
}

/// The same by handles that each thread keeps, observed after each wave.
#[test]
fn increments_by_lanes_sum_exactly() {
    let directory = directory();
    let publisher = start(directory.path(), 4);
    for wave in 1..=2 {
        let together = Meeting::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let work = publisher.lane().unwrap();
                    together.wait();
                    (0..125_000).for_each(|n| work.step(n));
                });
            }
        });
        assert_eq!(seen_by_another_process(directory.path(), "done"), wave * 500_000);
    }
    let observer = look(directory.path());
    assert_eq!(unsigned(&observer, "done"), 1_000_000);
    assert_eq!(observer.files().len(), 1);
    let lanes = observer.files()[0].lanes();
    assert_eq!((lanes.used, lanes.owned, lanes.capacity), (4, 0, 4), "lanes are handed on");
    let timer = total(&observer, "took").value.unwrap();
    let OwnedValue::Timer(timer) = timer else { panic!("{timer:?}") };
    assert_eq!(timer.count, 8 * 125);
    assert_eq!(timer.sum, 8 * (0..125).map(|n| n * 1000).sum::<u128>());
    drop(publisher);
    let observer = look(directory.path());
    assert_eq!(observer.files()[0].state(), FileState::Closed);
    assert_eq!(unsigned(&observer, "done"), 1_000_000, "after the end too");
}

/// The sum over the files is exact.
#[test]
fn more_threads_than_lanes_open_further_files() {
    let directory = directory();
    let publisher = start(directory.path(), 2);
    let (claimed, looked) = (Meeting::new(12), Meeting::new(12));
    std::thread::scope(|scope| {
        for _ in 0..11 {
            scope.spawn(|| {
                let work = publisher.lane().unwrap();
                (0..1000).for_each(|n| work.step(n));
                claimed.wait();
                looked.wait();
            });
        }
        claimed.wait();
        let observer = look(directory.path());
        let capacities: Vec<_> = observer.files().iter().map(|f| f.lanes().capacity).collect();
        assert_eq!(capacities.iter().sum::<u32>(), 2 + 4 + 8, "{:?}", states(&observer));
        let owned: u32 = observer.files().iter().map(|f| f.lanes().owned).sum();
        assert_eq!((owned, unsigned(&observer, "done")), (11, 11_000));
        // One program, not three.
        let programs = observer.programs();
        assert_eq!(programs.len(), 1);
        let parts: Vec<_> = programs[0].files().iter().map(|f| f.part()).collect();
        assert_eq!(parts, [0, 1, 2]);
        looked.wait();
    });
    assert_eq!(seen_by_another_process(directory.path(), "done"), 11_000);
    // The lanes of all files are handed on.
    std::thread::scope(|scope| {
        for _ in 0..11 {
            scope.spawn(|| publisher.with(|work| work.done.add(9)));
        }
    });
    assert_eq!(publisher.paths().len(), 3);
    assert_eq!(seen_by_another_process(directory.path(), "done"), 11_099);
}

/// Gauges, flags and texts end with their thread; its counters stay.
#[test]
fn gauges_and_texts_of_an_ended_thread_are_absent() {
    let directory = directory();
    let publisher = start(directory.path(), 4);
    let (set, looked) = (Meeting::new(3), Meeting::new(3));
    std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| {
            scope.spawn(|| {
                publisher.with(|work| work.step(1000));
                set.wait();
                looked.wait();
            })
        });
        set.wait();
        let observer = look(directory.path());
        let current = total(&observer, "current");
        assert_eq!(current.tally.values, 2);
        assert_eq!(current.value.unwrap().as_f64(), Some(2000.0));
        assert_eq!(total(&observer, "doing").tally.values, 2);
        assert_eq!(total(&observer, "busy").tally.values, 2);
        assert_eq!(total(&observer, "sys.tid").tally.values, 2);
        looked.wait();
        join_all(threads);
    });
    let observer = look(directory.path());
    for label in ["current", "doing", "busy", "sys.tid"] {
        let reading = total(&observer, label);
        assert!(is_absent(&reading), "{label}: {reading:?}");
    }
    assert_eq!(unsigned(&observer, "done"), 2);
    // The next owner of the lane inherits counters only.
    let work = publisher.lane().unwrap();
    assert_eq!((work.current.get(), work.busy.get(), work.done.get()), (None, None, 1));
    work.current.add(5);
    let current = total(&look(directory.path()), "current");
    assert_eq!(current.value.unwrap().as_f64(), Some(5.0));
}

/// The number of lanes is bounded by the number of threads alive at once.
#[test]
fn threads_in_turn_share_few_lanes() {
    let directory = directory();
    let publisher = start(directory.path(), 4);
    std::thread::scope(|scope| {
        for part in 0..4 {
            let publisher = &publisher;
            scope.spawn(move || {
                for n in 0..250 {
                    // Alternately by `with` and by `lane`.
                    let thread = || match (n + part) % 2 {
                        0 => publisher.with(|work| work.done.add(3)),
                        _ => publisher.lane().unwrap().done.add(3),
                    };
                    std::thread::scope(|inner| inner.spawn(thread).join()).unwrap();
                }
            });
        }
    });
    let observer = look(directory.path());
    assert_eq!(unsigned(&observer, "done"), 3000);
    assert_eq!(observer.files().len(), 1, "no further file");
    let lanes = observer.files()[0].lanes();
    assert!((1..=4).contains(&lanes.used) && lanes.owned == 0, "{lanes:?}");
    let owners: u32 =
        (0..lanes.used).map(|lane| observer.files()[0].lane(lane).unwrap().owners).sum();
    assert_eq!(owners, 1000);
}
