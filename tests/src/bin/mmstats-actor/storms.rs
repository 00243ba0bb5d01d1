//! Many forks, many threads, and a process id that is used again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mmstats::{Counter, FieldOptions, Publisher};
use mmstats_observe::FileState;
use mmstats_tests::actor::Actor;
use mmstats_tests::everything::Everything;
use mmstats_tests::look::{look, states, unsigned};
use mmstats_tests::system;

use crate::lines::{hear, say};
use crate::publish::options;

/// `CHILDREN`: forks while threads start, claim lanes, count and end. Prints the number of children,
/// how many failed or hung, and the sum of `added`.
pub(crate) fn forks(directory: &Path, words: &[String]) {
    let [children] = words else { panic!("CHILDREN") };
    let children: u64 = children.parse().expect("a number");
    let publisher: Publisher<Everything> =
        options(directory, &["lanes=4".to_owned()]).start().expect("a publisher");
    let stats = publisher.lane().expect("a lane");
    stats.update(1);
    let (ended, sum, mut failed) = (AtomicBool::new(false), AtomicU64::new(3), 0);
    std::thread::scope(|scope| {
        // One thread a round, which claims a lane and releases it.
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let work = || {
                    publisher.with(|stats| stats.added.add(2));
                    sum.fetch_add(2, Ordering::Relaxed);
                };
                std::thread::scope(|inner| inner.spawn(work).join()).expect("a thread");
            }
        });
        // Claims lanes without a pause, so that most forks happen during a claim.
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                publisher.lane().expect("a lane").added.add(1);
                sum.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut waiting = Vec::new();
        for n in 0..children {
            match system::fork_among_threads().expect("a child") {
                None => child(&publisher, &stats, n),
                Some(child) => waiting.push((child, Instant::now())),
            }
            if waiting.len() >= 4 || n + 1 == children {
                for (child, since) in waiting.drain(..) {
                    let left = LIMIT.saturating_sub(since.elapsed());
                    failed += u64::from(!system::wait_for_up_to(child, left));
                }
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    say(format_args!("{children} {failed} {}", sum.load(Ordering::Relaxed)));
    hear();
}

/// Updates inherited handles, and asks for further lanes and fields.
fn child(publisher: &Publisher<Everything>, stats: &Everything, n: u64) -> ! {
    for n in 0..100 {
        stats.update(n);
        publisher.with(|stats| stats.update(n));
    }
    // More lanes and fields than the file has.
    let more: Vec<_> = (0..5).map(|_| publisher.lane()).collect();
    let right = more.iter().all(|lane| {
        lane.as_ref().is_ok_and(|stats| {
            stats.update(77);
            stats.counter.get() == 77
        })
    });
    let added = publisher.add::<Counter>(format!("child.{n}"), FieldOptions::new()).is_ok();
    system::exit_now(i32::from(!(right && added && stats.counter.get() == 99)));
}

/// `THREADS`: short threads, 8 at once, half of them by each route; prints the sum of `added`.
pub(crate) fn threads(directory: &Path, words: &[String]) {
    let [threads] = words else { panic!("THREADS") };
    let threads: u64 = threads.parse().expect("a number");
    let publisher: Publisher<Everything> =
        options(directory, &["lanes=8".to_owned()]).start().expect("a publisher");
    let stats = publisher.lane().expect("a lane");
    stats.update(0);
    say("ready");
    hear();
    let (next, sum) = (AtomicU64::new(0), AtomicU64::new(3));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= threads {
                        break;
                    }
                    let work = || {
                        for _ in 0..=n % 50 {
                            match n % 2 {
                                0 => publisher.with(|stats| stats.added.add(n)),
                                _ => publisher.lane().expect("a lane").added.add(n),
                            }
                            sum.fetch_add(n, Ordering::Relaxed);
                        }
                    };
                    std::thread::scope(|inner| inner.spawn(work).join()).expect("a thread");
                }
            });
        }
    });
    say(sum.load(Ordering::Relaxed));
    hear();
}

/// As the first process of a pid namespace: two programs in turn with one process id.
pub(crate) fn recycle(directory: &Path) {
    let start = || {
        // The next process gets the number after this one.
        std::fs::write("/proc/sys/kernel/ns_last_pid", "300")
            .expect("permission in this namespace");
        let mut actor = Actor::start("idle", directory, &["name=web"]);
        let ready = actor.line();
        (actor, ready.splitn(3, ' ').nth(2).expect("a path").to_owned())
    };
    let (mut a, of_a) = start();
    assert_eq!(a.pid(), 301, "the system gives the numbers in turn");
    a.ask("update 10");
    a.kill();
    let (mut b, of_b) = start();
    assert_eq!(b.pid(), 301, "the number comes again");
    b.ask("update 20");
    let observer = look(directory);
    for (path, state) in [(&of_a, FileState::Dead), (&of_b, FileState::Live)] {
        let file = mmstats_tests::look::file(&observer, Path::new(path));
        assert_eq!((file.state(), file.identity().pid), (state, Some(301)), "{path}");
    }
    assert_eq!(unsigned(&observer, "counter"), 30);
    // A third publisher sweeps the first one's file and leaves the second one's.
    let mut c = Actor::start("idle", directory, &["post=0"]);
    c.line();
    assert!(!Path::new(&of_a).exists() && Path::new(&of_b).exists(), "{:?}", states(&observer));
    b.ask("update 30");
    say("passed");
}

const LIMIT: Duration = Duration::from_secs(20);
