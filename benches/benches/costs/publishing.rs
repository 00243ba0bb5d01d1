//! Cost of an update.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mmstats::{Counter, FieldOptions, Lane, Publisher, Schema};
use mmstats_benches::work::loops;
use mmstats_benches::work::programs::{Kinds, One, Publishing, Record8, Ten, directory, options};
use mmstats_benches::work::reading::{look, scan};
use mmstats_benches::{Bench, Row, Target};
use tempfile::TempDir;

fn fifty() -> (TempDir, Publisher<Lane>, [Counter; 50]) {
    let directory = directory();
    let mut schema = Schema::new();
    let keys: [_; 50] = std::array::from_fn(|i| {
        schema.add::<Counter>(format!("requests.{i:02}"), FieldOptions::new())
    });
    let publisher: Publisher<Lane> =
        options(&directory).schema(schema).start().expect("a publisher");
    let lane = publisher.lane().expect("a lane");
    let counters = keys.map(|key| lane.attach(key).expect("a counter"));
    (directory, publisher, counters)
}

/// A thread that repeats its work, with a counter on its own cache line.
pub(crate) struct Aide {
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[repr(align(128))]
struct Progress(AtomicU64);

/// Keeps this thread on the first core, or off it; `None` allows all cores.
///
/// Two threads that share a core do not run at the same time, and a busy system leaves them
/// there for seconds.
#[cfg(target_os = "linux")]
fn stay(on_first: Option<bool>) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    use std::sync::OnceLock;

    // Allowed cores of this process before any change.
    static ALL: OnceLock<Option<CpuSet>> = OnceLock::new();
    let Some(all) = ALL.get_or_init(|| sched_getaffinity(None).ok()) else { return };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
    let Some(first) = cores.next() else { return };
    let mut set = *all;
    match on_first {
        None => {}
        Some(true) => {
            set.clear();
            set.set(first);
        }
        Some(false) => set.unset(first),
    }
    // With one core, or where it is not allowed, no round counts: see `row_beside`.
    let _ = sched_setaffinity(None, &set);
}

#[cfg(not(target_os = "linux"))] // where rustix binds no thread to a processor
fn stay(_on_first: Option<bool>) {}

impl Aide {
    /// Runs `make` on the thread.
    pub(crate) fn new<W: FnMut()>(make: impl FnOnce() -> W + Send + 'static) -> Self {
        let progress = Arc::new(Progress(AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (its_progress, its_stop) = (Arc::clone(&progress), Arc::clone(&stop));
        stay(Some(true));
        let thread = thread::spawn(move || {
            stay(Some(false));
            let mut work = make();
            let mut done = 0;
            while !its_stop.load(Ordering::Relaxed) {
                work();
                done += 1;
                its_progress.0.store(done, Ordering::Relaxed);
            }
        });
        while progress.0.load(Ordering::Relaxed) == 0 && !thread.is_finished() {
            thread::yield_now();
        }
        Self { progress, stop, thread: Some(thread) }
    }

    pub(crate) fn progress(&self) -> u64 {
        self.progress.0.load(Ordering::Relaxed)
    }
}

impl Drop for Aide {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the other thread");
        }
        stay(None);
    }
}

pub(crate) fn rows(bench: &mut Bench) {
    bench.section("publishing, plain handles");
    let fa = |most| Target::FetchAdds(most);
    bench.row(Row::new("counter, one field").target(fa(0.25)), Publishing::<One>::new, |p, n| {
        loops::counter(&p.handles.requests, n);
    });
    bench.row(
        Row::new("counter, 50 fields in turn").target(fa(0.5)).per(50),
        fifty,
        |(_, _, counters), n| loops::counters(counters, n),
    );
    bench.row(Row::new("gauge f64, set").target(fa(0.25)), Publishing::<Kinds>::new, |p, n| {
        loops::gauge(&p.handles.load, n);
    });
    bench.row(Row::new("gauge i64, add"), Publishing::<Kinds>::new, |p, n| {
        loops::gauge_add(&p.handles.in_flight, n);
    });
    bench.row(Row::new("flag, set").target(fa(0.25)), Publishing::<Kinds>::new, |p, n| {
        loops::flag(&p.handles.ready, n);
    });
    bench.row(
        Row::new("timer, record (5 words, no clock)").target(fa(1.3)),
        Publishing::<Kinds>::new,
        |p, n| loops::timer_record(&p.handles.latency, n),
    );
    bench.row(Row::new("text of 64 bytes").target(fa(1.6)), Publishing::<Kinds>::new, |p, n| {
        loops::text(&p.handles.doing, &loops::TEXTS, n);
    });
    let record = |a| Record8 { a, b: 2.0, c: 3.0, d: 4.0, e: 5.0, f: 6.0, g: 7.0, h: 8.0 };
    let records = [record(0.0), record(1.0)];
    bench.row(Row::new("group of 8 f64").target(fa(1.6)), Publishing::<Kinds>::new, |p, n| {
        loops::group(&p.handles.moment, &records, n);
    });
    bench.row(Row::new("array of 8 f64").target(fa(1.6)), Publishing::<Kinds>::new, |p, n| {
        loops::array(&p.handles.sizes, &[[0.5; 8], [0.25; 8]], n);
    });

    bench.section("publishing, other routes");
    bench.row(
        Row::new("counter, thread-local route").target(fa(0.8)),
        Publishing::<One>::new,
        |p, n| loops::thread_local(&p.publisher, n),
    );
    bench.row(
        Row::new("counter, thread-local route, 10 fields in turn").target(fa(0.8)).per(10),
        Publishing::<Ten>::new,
        |p, n| loops::thread_local_ten(&p.publisher, n),
    );
    bench.row(Row::new("timed section"), Publishing::<Kinds>::new, |p, n| {
        loops::timer_section(&p.handles.latency, n);
    });
    bench.row(Row::new("  of which two reads of the clock"), || (), |(), n| loops::clock_twice(n));

    bench.section("publishing beside another thread");
    bench.row_beside(
        Row::new("two threads, one counter name").target(fa(0.5)),
        false,
        || {
            let publishing = Publishing::<One>::new();
            let publisher = publishing.publisher.clone();
            let aide = Aide::new(move || {
                let other = publisher.lane().expect("a lane");
                move || loops::counter(&other.requests, 1_000)
            });
            (aide, publishing)
        },
        |(aide, _)| aide.progress(),
        |(_, p), n| loops::counter(&p.handles.requests, n),
    );
    bench.row_beside(
        Row::new("two threads, one shared fetch_add"),
        false,
        || {
            let word = Arc::new(Progress(AtomicU64::new(0)));
            let theirs = Arc::clone(&word);
            (Aide::new(move || move || loops::shared(&theirs.0, 1)), word)
        },
        |(aide, _)| aide.progress(),
        |(_, word), n| loops::shared(&word.0, n),
    );
    for (name, most, pause) in [
        ("counter, scanned without pause", 1.5, Duration::ZERO),
        ("counter, scanned 1,000 times a second", 0.25, Duration::from_millis(1)),
    ] {
        bench.row_beside(
            Row::new(name).target(fa(most)),
            // At 1,000 a second most rounds have no scan in them, as intended.
            !pause.is_zero(),
            || scanned(pause),
            |(aide, _)| aide.progress(),
            |(_, p), n| loops::counter(&p.handles.requests, n),
        );
    }
}

fn scanned(pause: Duration) -> (Aide, Publishing<One>) {
    let publishing = Publishing::<One>::new();
    let path = publishing.path();
    let aide = Aide::new(move || {
        let observer = look(&path);
        move || {
            black_box(scan(&observer));
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
    });
    (aide, publishing)
}
