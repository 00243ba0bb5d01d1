//! Looks at 1,000 Hz, for a quiet machine and a release build:
//! `cargo test --release -p mmstats-history --test times -- --ignored --test-threads 1`.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use mmstats::{Counter, Publisher};
use mmstats_history::{Options, Sampler, Watch};
use mmstats_observe::Sources;

#[derive(mmstats::Stats)]
struct Stats {
    hits: Counter,
}

fn publisher(directory: &Path) -> Publisher<Stats> {
    mmstats::Options::new().directory(directory).start().unwrap()
}

/// A sampler, and the watch of the counter at 1,000 Hz.
fn sampler(directory: &Path) -> (Sampler, Watch) {
    let sampler = Sampler::start(Options::new(Sources::new().path(directory))).unwrap();
    sampler.wait(0, Duration::from_secs(10));
    let watch = sampler.read(|history| {
        let program = &history.programs()[0];
        let field = program.fields().iter().find(|field| field.info.label == "hits").unwrap();
        let (field, label) = (field.info.key(), "hits".to_owned());
        let every = Duration::from_millis(1);
        Watch { program: program.key, field, label, every, lanes: false }
    });
    (sampler, watch)
}

#[test]
#[ignore = "needs a quiet machine and a release build"]
fn looks_at_1_000_hz_are_taken_99_times_of_100() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    let (sampler, watch) = sampler(directory.path());
    sampler.watch(vec![watch]);
    std::thread::sleep(Duration::from_millis(100));
    let (start, before) = (Instant::now(), sampler.watched_looks());
    while start.elapsed() < Duration::from_secs(10) {
        stats.hits.add(1);
        std::thread::sleep(Duration::from_millis(1));
    }
    let looks = sampler.watched_looks() - before;
    #[allow(clippy::cast_precision_loss)] // Below 2^53.
    let share = looks as f64 / (start.elapsed().as_secs_f64() * 1000.0);
    println!("{looks} looks, {:.2} %; {} missed", share * 100.0, sampler.missed_looks());
    assert!(share >= 0.99, "{share}");
}

/// Time of an increment, in nanoseconds: of the fastest block of many.
fn increment(stats: &Stats) -> f64 {
    const BLOCK: u32 = 20_000;
    let mut best = f64::INFINITY;
    for _ in 0..2_000 {
        let start = Instant::now();
        for _ in 0..BLOCK {
            black_box(&stats.hits).add(1);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(BLOCK));
    }
    best
}

#[test]
#[ignore = "needs a quiet machine and a release build"]
fn increments_cost_the_same_while_they_are_looked_at_1_000_times_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    let (sampler, watch) = sampler(directory.path());
    let mut ratios: Vec<f64> = (0..9)
        .map(|_| {
            sampler.watch(Vec::new());
            let alone = increment(&stats);
            sampler.watch(vec![watch.clone()]);
            increment(&stats) / alone
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("an increment beside looks takes {:.3} times as long", ratios[4]);
    assert!(ratios[4] <= 1.05, "{ratios:?}");
}
