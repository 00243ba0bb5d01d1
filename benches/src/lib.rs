//! The table of costs of mmstats: `cargo bench -p mmstats-benches`.
//!
//! `benches/costs` has the rows, this crate the harness. A run ends with one table: the name of
//! the row, its median, the ratio to a bare uncontended relaxed `fetch_add` of the same run, the
//! limit, and whether it is met.
//!
//! ```text
//! cargo bench -p mmstats-benches                     all rows, about two minutes
//! cargo bench -p mmstats-benches -- counter          rows with this in their names
//! cargo bench -p mmstats-benches -- --quick          rough numbers, in seconds
//! cargo test -p mmstats-benches                      each row once, to see that it works
//! benches/results                                    all rows, written to RESULTS.md
//! ```
//!
//! # Method
//!
//! - **Rounds.** A round is a block of `fetch_add`s (about 20 microseconds) followed by a block of
//!   the subject (about 50 microseconds, or one iteration if that takes longer). The ratio is taken
//!   within a round; the table shows the median over all rounds of a row, so that other load, a
//!   changing clock frequency or a migration to another core in a few rounds do not move it.
//!   criterion decides the number of rounds, prints its own statistics of the subject alone, and
//!   keeps them for comparison under `target/criterion`.
//! - **Waiting for a core** is subtracted from the time of a block, as Linux reports it: a block of
//!   some milliseconds would otherwise measure other programs. Nothing else is subtracted.
//! - **Loops** are plain: `for _ in 0..n { counter.incr() }` in a function that is not inlined and
//!   takes the handle by reference. Loads and stores of handles are relaxed atomics, which the
//!   compiler neither merges nor moves out of the loop. A `black_box` around a handle would
//!   store it on the stack in each turn and cost more than the increment. Arguments by reference (a
//!   text, a record) alternate between two, so that their length and words are loaded each time.
//! - **Beside another thread** (two writers, or a scanning observer) a round counts only if the other
//!   thread made progress and this one kept its core: then both ran at the same time. If no round
//!   counts because all cores are busy, the table shows none.
//! - Files are in memory (`/dev/shm` where it exists).
//!
//! # Reading the table
//!
//! - These loops are bound by one store a cycle: a text of 64 bytes is ten stores, a timer six.
//!   A `fetch_add` is bound by latency. Load on the other half of a core slows the former, not the
//!   latter, so compare a few runs on a shared machine.
//! - `Publisher::with` (the thread-local route) over one field computes the address anew each
//!   time, so each increment waits for the store before it (about 1.5 ns). Over ten fields in turn
//!   nothing waits, and the row shows the cost of the route itself.

#![forbid(unsafe_code)]

mod columns;
mod contest;
mod pace;
mod table;
pub mod work;

use std::fmt;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};

pub use contest::{Base, Contest, Group, Limit, Subject};
use pace::{BLOCK, FETCH_ADD_BLOCK, Paced, Word, fetch_adds};
use table::{Outcome, Table};
pub use table::{Row, Target};

/// One run: measures rows, then prints the table.
pub struct Bench {
    criterion: Criterion,
    smoke: bool,
    fetch_add: Paced,
    word: Box<Word>,
    table: Table,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("table", &self.table).finish_non_exhaustive()
    }
}

/// Number of times this thread lost its core; constant where the system does not tell.
fn switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

impl Default for Bench {
    fn default() -> Self {
        Self::from_args()
    }
}

impl Bench {
    /// Reads criterion's arguments: a filter, `--quick`, `--save-baseline`, ...
    #[must_use]
    pub fn from_args() -> Self {
        let criterion = Criterion::default()
            .without_plots()
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(1_000))
            .sample_size(20)
            .nresamples(1_000)
            .configure_from_args();
        let word = Box::<Word>::default();
        let fetch_add = Paced::find(FETCH_ADD_BLOCK, |n| fetch_adds(&word.0, n));
        // Only `cargo bench` passes it.
        let smoke = !std::env::args().any(|arg| arg == "--bench");
        Self { criterion, smoke, fetch_add, word, table: Table::default() }
    }

    /// Whether this run only checks that rows work, with small sizes.
    #[must_use]
    pub const fn smoke(&self) -> bool {
        self.smoke
    }

    /// `full`, or `small` in a run that only checks that rows work.
    #[must_use]
    pub const fn size(&self, full: u32, small: u32) -> u32 {
        if self.smoke { small } else { full }
    }

    /// Starts a section of the table.
    pub fn section(&mut self, title: &'static str) {
        self.table.section(title);
    }

    /// Measures `run`, whose second argument is the number of iterations. `setup` is called once,
    /// and only if the row is not filtered out.
    pub fn row<S>(&mut self, row: Row, setup: impl FnOnce() -> S, run: impl FnMut(&mut S, u64)) {
        self.row_between(row, setup, |_| (), run, |_, ()| true);
    }

    /// As [`Bench::row`], beside another thread: a round counts only if `progress` grew (unless
    /// `idle`: the other thread mostly sleeps) and this thread kept its core.
    pub fn row_beside<S>(
        &mut self,
        row: Row,
        idle: bool,
        setup: impl FnOnce() -> S,
        progress: impl Fn(&S) -> u64,
        run: impl FnMut(&mut S, u64),
    ) {
        self.row_between(
            row,
            setup,
            |state| (switches(), progress(state)),
            run,
            |state, (switches_before, before)| {
                (idle || progress(state) > before) && switches() == switches_before
            },
        );
    }

    /// As [`Bench::row`]; `before` and `valid` run before and after each block and are not timed. A
    /// round counts only if `valid` returns true.
    pub fn row_between<S, P>(
        &mut self,
        row: Row,
        setup: impl FnOnce() -> S,
        mut before: impl FnMut(&mut S) -> P,
        run: impl FnMut(&mut S, u64),
        mut valid: impl FnMut(&mut S, P) -> bool,
    ) {
        let before = |state: &mut S, _| before(state);
        let after = |state: &mut S, seen| valid(state, seen).then_some(0.0);
        self.measure(row, setup, before, run, after);
    }

    /// Measures by how much `run` takes longer than `floor`, both in each round, as often as each other.
    pub fn row_over<S>(
        &mut self,
        row: Row,
        setup: impl FnOnce() -> S,
        run: impl FnMut(&mut S, u64),
        mut floor: impl FnMut(&mut S, u64),
    ) {
        let below = |state: &mut S, paced: Paced| paced.run(|n| floor(state, n)).1;
        self.measure(row, setup, below, run, |_, below| Some(below));
    }

    /// Measures `run`, less what `after` returns in nanoseconds of one iteration; the round does not count if
    /// that is `None`. `before` runs before each block, and its result is given to `after`.
    fn measure<S, P>(
        &mut self,
        row: Row,
        setup: impl FnOnce() -> S,
        mut before: impl FnMut(&mut S, Paced) -> P,
        mut run: impl FnMut(&mut S, u64),
        mut after: impl FnMut(&mut S, P) -> Option<f64>,
    ) {
        let mut setup = Some(setup);
        let mut subject: Option<(S, Paced)> = None;
        let mut rounds = Vec::new();
        let (word, fetch_add) = (&self.word.0, self.fetch_add);
        let mut group = self.criterion.benchmark_group("costs");
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(row.name(), |bencher| {
            if let Some(setup) = setup.take() {
                let mut state = setup();
                let paced = Paced::find(BLOCK, |n| run(&mut state, n));
                subject = Some((state, paced));
            }
            let Some((state, paced)) = &mut subject else { return };
            bencher.iter_custom(|iterations| {
                let blocks = iterations.div_ceil(paced.iterations);
                let mut total = Duration::ZERO;
                for _ in 0..blocks {
                    let (_, bare) = fetch_add.run(|n| fetch_adds(word, n));
                    let seen = before(state, *paced);
                    let (time, nanos) = paced.run(|n| run(state, n));
                    total += time;
                    if let Some(below) = after(state, seen) {
                        let nanos = nanos - below;
                        rounds.push(Round { nanos, ratio: nanos / bare });
                    }
                }
                // criterion expects the time of exactly as many iterations as it asked for.
                total.mul_f64(iterations as f64 / (blocks * paced.iterations).max(1) as f64)
            });
        });
        group.finish();
        if subject.is_some() {
            self.table.push(row, outcome(&mut rounds));
        }
    }

    /// Adds a number that is not a time.
    pub fn fact(&mut self, row: Row, value: f64) {
        self.table.push(row, Outcome::Bytes(value));
    }

    /// Prints the table.
    pub fn finish(self) {
        if cfg!(debug_assertions) {
            println!("Not an optimised build: the numbers only show that each row works.");
        }
        print!("\n{}", self.table);
    }
}

#[derive(Debug, Clone, Copy)]
struct Round {
    nanos: f64,
    ratio: f64,
}

fn outcome(rounds: &mut [Round]) -> Outcome {
    Outcome::Time {
        nanos: median(rounds, |round| round.nanos),
        ratio: median(rounds, |round| round.ratio),
    }
}

fn median(rounds: &mut [Round], key: impl Fn(&Round) -> f64) -> f64 {
    rounds.sort_by(|a, b| key(a).total_cmp(&key(b)));
    rounds.get(rounds.len() / 2).map_or(f64::NAN, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_has_median_of_each_number() {
        let mut rounds: Vec<Round> = [(3.0, 1.0), (1.0, 9.0), (2.0, 5.0)]
            .map(|(nanos, ratio)| Round { nanos, ratio })
            .into();
        assert_eq!(outcome(&mut rounds), Outcome::Time { nanos: 2.0, ratio: 5.0 });
    }
}
