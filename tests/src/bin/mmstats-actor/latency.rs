//! Longest time of an update.

use std::path::Path;
use std::time::{Duration, Instant};

use mmstats::{Array, Counter, Publisher, Stats};

use crate::lines::{hear, say};
use crate::publish::options;

#[derive(Debug, Stats)]
#[stats(prefix = "latency")]
struct Latency {
    updates: Counter,
    words: Array<u64, 64>,
}

/// `SECONDS`: updates for this time, each between two clock reads. Prints the number of updates, the
/// longest in nanoseconds, and how many took more than a millisecond.
pub(crate) fn run(directory: &Path, words: &[String]) {
    let [seconds] = words else { panic!("SECONDS") };
    let time = Duration::from_secs(seconds.parse().expect("seconds"));
    let publisher: Publisher<Latency> = options(directory, &[]).start().expect("a publisher");
    let stats = publisher.lane().expect("a lane");
    let start = Instant::now();
    let (mut worst, mut above, mut updates, mut last) = (Duration::ZERO, 0_u64, 0_u64, start);
    while last - start < time {
        // As in a server: some updates, then other work.
        for _ in 0..1000 {
            updates += 1;
            stats.updates.set(updates);
            stats.words.set(&[updates; 64]);
            let now = Instant::now();
            let took = now - last;
            last = now;
            worst = worst.max(took);
            above += u64::from(took > Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(1));
        last = Instant::now();
    }
    say(format_args!("{updates} {} {above}", worst.as_nanos()));
    hear();
}
