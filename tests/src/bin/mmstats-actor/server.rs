//! A long-lived publisher of everything, and a long-lived observer.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mmstats::{Counter, Events, Family, FieldOptions, Gauge, Group, Latency, OnDrop, Options};
use mmstats::{Publisher, Stats, Text};
use mmstats_observe::{Fold, Observer, Scratch, Sources, Totals};
use mmstats_tests::payload::Eight;

use crate::lines::{hear, say};

#[derive(Debug, Stats)]
#[stats(prefix = "server")]
struct Server {
    requests: Counter,
    busy: Gauge<i64>,
    doing: Text<48>,
    latency: Latency,
    moment: Group<Eight>,
    log: Events<64>,
    #[stats(labels("route"), cap = 50)]
    by_route: Family<Counter, 1>,
}

/// Threads start, count and end; up to a hundred fields are added. Answers `sum` with the number of
/// counts, and ends at `end`.
pub(crate) fn run(directory: &Path) {
    let options = Options::new().directory(directory).name("server").lanes(4);
    let options = options.post_mortems(Some(20)).on_drop(OnDrop::Remove).reserve(50, 2000);
    let options = options.sample_every(Duration::from_millis(100));
    let publisher: Publisher<Server> = options.start().expect("a publisher");
    let sampled = publisher.sampled("server.sampled", FieldOptions::new(), |n: &Gauge<u64>| {
        n.set(n.get().unwrap_or(0) + 1);
    });
    sampled.expect("a field");
    let sum: &AtomicU64 = Box::leak(Box::default());
    let worker = publisher.clone();
    std::thread::spawn(move || {
        for n in 1_u64.. {
            let work = || {
                worker.with(|stats| {
                    for step in 0..100 {
                        stats.requests.incr();
                        stats.busy.set(step);
                        stats.latency.record_nanos(n * 1000 % 1_000_000_007);
                        stats.moment.set(&Eight::of(n));
                    }
                    stats.by_route.get(&[&format!("/route/{}", n % 80)]).incr();
                    stats.log.record_fmt(format_args!("round {n}"));
                    stats.doing.set(&format!("round {n}"));
                });
                sum.fetch_add(100, Ordering::Relaxed);
            };
            std::thread::scope(|scope| {
                (0..1 + n % 3).for_each(|_| drop(scope.spawn(work)));
            });
            if n % 50 == 0 && n < 5000 {
                let label = format!("server.later.{n}");
                let key = worker.add::<Counter>(label, FieldOptions::new()).expect("a field");
                if n % 100 == 0 {
                    worker.retire(key).expect("a field");
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    say("ready");
    while let Some(line) = hear() {
        match line.as_str() {
            "sum" => {
                // No more than this, no less than the other.
                let before = sum.load(Ordering::Relaxed);
                say(before);
            }
            _ => break,
        }
    }
    drop(publisher);
    // The other thread still has a clone, as at the end of most programs.
    std::process::exit(0);
}

/// Reads everything 20 times a second, as a monitor does.
pub(crate) fn observe(directory: &Path) {
    let mut observer = Observer::new(Sources::new().path(directory));
    let (mut fold, mut totals, mut scratch) = (Fold::new(), Totals::new(), Scratch::new());
    say("ready");
    let looks: &AtomicU64 = Box::leak(Box::default());
    std::thread::spawn(move || {
        while hear().is_some() {
            say(looks.load(Ordering::Relaxed));
        }
        std::process::exit(0);
    });
    loop {
        let changes = observer.refresh();
        fold.add_ended(observer.files(), &changes.vanished);
        totals.update(observer.files(), Some(&fold));
        for file in observer.files() {
            (0..file.lanes().used).for_each(|lane| {
                file.visit_lane(lane, &mut scratch, |_, _| ());
            });
        }
        looks.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(50));
    }
}
