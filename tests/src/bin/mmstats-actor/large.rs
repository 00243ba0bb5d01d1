//! A program with many fields and threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mmstats::{Counter, FieldOptions, Group, Lane, Schema};
use mmstats_tests::payload::Eight;
use rustix::time::{ClockId, clock_gettime};

use crate::lines::{hear, say};

/// Increments of the first fields for each increment of all.
const HOT: usize = 50;

/// `large DIRECTORY FIELDS THREADS [OPTION...]`: each thread increments all fields in turn and
/// publishes a group of its number of rounds. Between two rounds it increments the first 50 fields
/// as often as there are fields, and rests. Prints `ready`; at a line of input it stops and prints
/// the sum of the rounds and the median over the threads of the processor time of an increment: of
/// the first fields, and of all.
pub(crate) fn run(directory: &Path, words: &[String]) {
    let [fields, threads] = [0, 1].map(|i| words[i].parse::<usize>().expect("a number"));
    let mut schema = Schema::new();
    let counters: Vec<_> = (0..fields)
        .map(|i| schema.add::<Counter>(format!("field.{i}"), FieldOptions::new()))
        .collect();
    let group = schema.add::<Group<Eight>>("group", FieldOptions::new());
    let lanes = u32::try_from(threads).expect("few threads");
    let options = super::publish::options(directory, &words[2..]).lanes(lanes).schema(schema);
    let publisher = options.start::<Lane>().expect("publishing");
    let stop = AtomicBool::new(false);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[allow(clippy::cast_precision_loss)] // Small numbers.
    let rest = (2.0 * threads as f64 / cores as f64 - 1.0).max(0.0);
    let work = || {
        let lane = publisher.lane().expect("a lane");
        let handles: Vec<Counter> =
            counters.iter().map(|key| lane.attach(*key).expect("a counter")).collect();
        let group = lane.attach(group).expect("a group");
        let (mut rounds, mut hot, mut all) = (0_u64, Duration::ZERO, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let start = used();
            handles.iter().for_each(Counter::incr);
            let middle = used();
            for _ in 0..fields / HOT {
                handles.iter().take(HOT).for_each(Counter::incr);
            }
            rounds += 1;
            group.set(&Eight::of(rounds));
            let end = used();
            hot += end - middle;
            all += middle - start;
            // All threads together take half of the processors' time.
            std::thread::sleep((end - start).mul_f64(rest));
        }
        #[allow(clippy::cast_precision_loss)] // For people.
        let updates = (rounds.max(1) * fields as u64) as f64;
        let nanoseconds = |time: Duration| time.as_secs_f64() * 1e9 / updates;
        (rounds, nanoseconds(hot), nanoseconds(all))
    };
    let results: Vec<(u64, f64, f64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        say("ready");
        hear();
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let median = |of: fn(&(u64, f64, f64)) -> f64| {
        let mut all: Vec<f64> = results.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    };
    let rounds: u64 = results.iter().map(|(rounds, ..)| rounds).sum();
    say(format_args!("{rounds} {:.2} {:.2}", median(|r| r.1), median(|r| r.2)));
    hear();
}

/// Processor time of this thread.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
