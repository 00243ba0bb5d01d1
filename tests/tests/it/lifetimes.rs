//! Publishers, lanes and threads may end in any order, and nothing bad comes of it.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mmstats::{Counter, Error, Gauge, OnDrop, Options, Publisher, Stats, Text};
use mmstats_observe::FileState;
use mmstats_tests::look::{look, unsigned, value};

use mmstats_tests::actor::{Meeting, count_of_files, directory};

#[derive(Stats)]
struct One {
    hits: Counter,
    level: Gauge<u32>,
}

#[derive(Stats)]
struct Two {
    name: Text<16>,
    hits: Counter,
}

fn one(directory: &Path) -> Publisher<One> {
    Options::new().directory(directory).on_drop(OnDrop::Keep).start().unwrap()
}

fn hits_of(path: &Path) -> u128 {
    unsigned(&look(path), "hits")
}

/// Publishers of one type and of two, used by the same threads through `with`.
#[test]
fn publishers_in_one_process_are_separate() {
    let directory = directory();
    let (a, b) = (one(directory.path()), one(directory.path()));
    let c: Publisher<Two> =
        Options::new().directory(directory.path()).on_drop(OnDrop::Keep).start().unwrap();
    let paths = [a.paths(), b.paths(), c.paths()].concat();
    assert_eq!(paths.len(), 3);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (a, b, c) = (&a, &b, &c);
            scope.spawn(move || {
                // Each thread meets them in another order.
                for n in thread..thread + 3000 {
                    match n % 3 {
                        0 => a.with(|stats| stats.hits.incr()),
                        1 => b.with(|stats| stats.hits.add(10)),
                        _ => c.with(|stats| {
                            stats.name.set("two");
                            // One within another.
                            a.with(|one| one.level.set(3));
                            stats.hits.add(100);
                        }),
                    }
                }
            });
        }
    });
    let want = [4000, 40_000, 400_000];
    for (path, want) in paths.iter().zip(want) {
        assert_eq!(hits_of(path), want);
    }
    // The order of the ends is another one than that of the starts.
    drop(b);
    a.with(|stats| stats.hits.incr());
    drop(a);
    c.with(|stats| stats.hits.incr());
    drop(c);
    for (path, want) in paths.iter().zip([4001, 40_000, 400_001]) {
        assert_eq!(look(path).files()[0].state(), FileState::Closed);
        assert_eq!(hits_of(path), want);
    }
}

/// The last clone closes; `close` does so at once. No later update fails.
#[test]
fn handles_after_close_leave_the_file_alone() {
    let directory = directory();
    let publisher = one(directory.path());
    let path = publisher.paths().remove(0);
    let clone = publisher.clone();
    let stats = publisher.lane().unwrap();
    stats.hits.incr();
    stats.level.set(4);
    drop(publisher);
    assert_eq!(look(&path).files()[0].state(), FileState::Live, "a clone is left");

    let again = clone.clone();
    clone.close();
    assert_eq!(look(&path).files()[0].state(), FileState::Closed);
    assert!(matches!(again.lane(), Err(Error::Closed)));
    // The thread-local route never fails: it writes to private memory.
    again.with(|stats| stats.hits.add(1000));
    std::thread::scope(|scope| {
        scope.spawn(|| again.with(|stats| stats.hits.add(1000)));
    });
    assert_eq!(again.with(|stats| stats.hits.get()), 1000);
    assert!(matches!(again.problem(), Some(Error::Closed)));
    // Not even the end of a thread that still had a lane changes the file.
    drop((again, stats));
    let observer = look(&path);
    assert_eq!(observer.files()[0].state(), FileState::Closed);
    assert_eq!((hits_of(&path), observer.files()[0].lanes().owned), (1, 1));
    let level = value(&observer.files()[0], "level").value.unwrap();
    assert_eq!(level.as_f64(), Some(4.0));
    assert_eq!(count_of_files(directory.path()), 1);
}

/// Threads update before, during and after the close by another thread.
#[test]
fn threads_at_work_during_close_lose_nothing() {
    let directory = directory();
    let publisher: Publisher<One> = Options::new().directory(directory.path()).start().unwrap();
    let path = publisher.paths().remove(0);
    let (at_work, closed) = (Meeting::new(5), AtomicBool::new(false));
    let counts = std::thread::scope(|scope| {
        let work = |publisher: Publisher<One>| {
            let stats = publisher.lane().unwrap();
            at_work.wait();
            let (mut after, start) = (0, Instant::now());
            while after < 1000 && start.elapsed() < Duration::from_secs(20) {
                stats.hits.incr();
                publisher.with(|stats| stats.hits.incr());
                after += u64::from(closed.load(Ordering::Relaxed));
            }
            (after, stats.hits.get() == publisher.with(|stats| stats.hits.get()))
        };
        let threads: Vec<_> = (0..4)
            .map(|_| publisher.clone())
            .map(|publisher| scope.spawn(move || work(publisher)))
            .collect();
        at_work.wait();
        publisher.close();
        closed.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    // Both handles of each thread count the same.
    assert_eq!(counts, [(1000, true); 4]);
    assert!(!path.exists(), "closed and removed");
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// Counts when its thread is ending.
struct Last(Publisher<One>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.with(|stats| stats.hits.add(7));
        self.0.with(|stats| stats.level.set(1));
    }
}

/// The thread's handles may be destroyed before or after the variable.
#[test]
fn with_in_a_thread_destructor_counts() {
    let directory = directory();
    let publisher = one(directory.path());
    let path = publisher.paths().remove(0);
    for first in [true, false] {
        let publisher = publisher.clone();
        let thread = std::thread::spawn(move || {
            // Destructors run in some order of registration: try both.
            if first {
                publisher.with(|stats| stats.hits.incr());
            }
            LAST.set(Some(Last(publisher.clone())));
            publisher.with(|stats| stats.hits.incr());
        });
        thread.join().unwrap();
    }
    assert_eq!(hits_of(&path), 3 + 2 * 7);
    let observer = look(&path);
    assert_eq!(observer.files()[0].lanes().owned, 0, "all lanes were handed back");
    assert!(value(&observer.files()[0], "level").value.is_none());
}

#[cfg(target_os = "linux")] // has /proc
#[test]
fn thread_with_many_publishers_keeps_no_files_open() {
    let directory = directory();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let publish = || {
        let publisher: Publisher<One> = Options::new().directory(directory.path()).start().unwrap();
        publisher.with(|stats| stats.hits.incr());
        drop(publisher);
    };
    publish();
    let before = open();
    (0..200).for_each(|_| publish());
    // Other tests open fewer files meanwhile.
    assert!(open() < before + 100, "{before} open files became {}", open());
    assert_eq!(count_of_files(directory.path()), 0);
}

/// Handles that remain write to a private copy.
#[test]
fn closed_file_after_updates_does_not_change() {
    let directory = directory();
    let publisher = one(directory.path());
    let path = publisher.paths().remove(0);
    let stats = publisher.lane().unwrap();
    stats.hits.add(7);
    stats.level.set(3);
    publisher.close();
    let closed = std::fs::read(&path).unwrap();
    stats.hits.add(100);
    stats.level.set(9);
    assert_eq!(stats.hits.get(), 107, "the program itself sees no difference");
    drop((stats, publisher));
    assert!(std::fs::read(&path).unwrap() == closed, "a closed file has changed");
    let program = look(&path);
    assert_eq!(program.files()[0].state(), FileState::Closed);
    assert_eq!(hits_of(&path), 7);
}
