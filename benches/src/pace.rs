//! Blocks of iterations that are long enough to be timed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Least duration of a block of `fetch_add`s.
pub(crate) const FETCH_ADD_BLOCK: Duration = Duration::from_micros(20);
/// Least duration of a block of a subject.
pub(crate) const BLOCK: Duration = Duration::from_micros(50);

/// The word of the bare `fetch_add`, on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Word(pub(crate) AtomicU64);

/// Number of iterations in a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paced {
    pub(crate) iterations: u64,
}

impl Paced {
    /// Doubles the block until it takes as long as `least`.
    pub(crate) fn find(least: Duration, mut block: impl FnMut(u64)) -> Self {
        let mut iterations = 1;
        loop {
            // The shortest of three: the first touches cold memory.
            let time = (0..3).map(|_| timed(|| block(iterations))).min().unwrap_or_default();
            if time >= least || iterations >= 1 << 30 {
                return Self { iterations };
            }
            iterations *= 2;
        }
    }

    /// The time of a block and of one iteration, in nanoseconds.
    pub(crate) fn run(self, mut block: impl FnMut(u64)) -> (Duration, f64) {
        let waited = waited();
        let time = timed(|| block(self.iterations)).saturating_sub(self::waited() - waited);
        (time, time.as_secs_f64() * 1e9 / self.iterations as f64)
    }
}

/// Time for which this thread was ready to run without a core; zero where the system does not tell.
fn waited() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The unit of all ratios.
#[inline(never)]
pub(crate) fn fetch_adds(word: &AtomicU64, n: u64) {
    for _ in 0..n {
        word.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_makes_a_block_long_enough() {
        let paced = Paced::find(Duration::from_micros(200), |n| {
            std::thread::sleep(Duration::from_micros(n));
        });
        assert!(paced.iterations <= 256, "{paced:?}");
    }
}
