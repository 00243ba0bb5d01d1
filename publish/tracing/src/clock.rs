//! One monotonic clock, and the time of day from it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Reads one clock for each enter and exit, and derives the time of day from it.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// Time of day at `start`, in nanoseconds since 1970.
    offset: AtomicU64,
    /// When `offset` is taken anew, in nanoseconds since `start`.
    next: AtomicU64,
}

/// The time of day may have been set: it is looked at again after this many nanoseconds.
const REFRESH: u64 = 1_000_000_000;

impl Clock {
    pub(crate) fn new() -> Self {
        let (offset, next) = (AtomicU64::new(0), AtomicU64::new(0));
        let clock = Self { start: Instant::now(), offset, next };
        // Before other threads have it: one could see `next` of another thread's refresh and not `offset`.
        clock.refresh();
        clock
    }

    /// Nanoseconds since the start of this clock.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        nanos(Instant::now().saturating_duration_since(self.start))
    }

    /// Time of day in nanoseconds since 1970 at the time `now` of this clock.
    #[inline]
    pub(crate) fn time_of_day(&self, now: u64) -> u64 {
        if now >= self.next.load(Ordering::Relaxed) {
            self.refresh();
        }
        self.offset.load(Ordering::Relaxed).wrapping_add(now)
    }

    #[cold]
    fn refresh(&self) {
        let now = self.now();
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = nanos(time.unwrap_or(Duration::ZERO));
        self.offset.store(time.wrapping_sub(now), Ordering::Relaxed);
        self.next.store(now.saturating_add(REFRESH), Ordering::Relaxed);
    }
}

#[inline]
fn nanos(duration: Duration) -> u64 {
    // 584 years.
    duration.as_secs().wrapping_mul(1_000_000_000).wrapping_add(duration.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_day_is_that_of_the_system() {
        let clock = Clock::new();
        assert!(clock.offset.load(Ordering::Relaxed) > 0 && clock.next.load(Ordering::Relaxed) > 0);
        let now = clock.now();
        let time = Duration::from_nanos(clock.time_of_day(now));
        let system = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(system.abs_diff(time) < Duration::from_secs(60), "{time:?}, {system:?}");
        clock.offset.store(0, Ordering::Relaxed);
        assert!(clock.time_of_day(now) < REFRESH * 60);
        assert!(clock.time_of_day(now + 2 * REFRESH) > REFRESH * 60, "looked at again");
    }
}
