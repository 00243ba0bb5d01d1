//! Times of looks.

use std::time::{Duration, Instant, SystemTime};

/// A moment, in milliseconds since the clock was made. Moments never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The moment `milliseconds` after the start.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the start.
    #[must_use]
    pub const fn milliseconds(self) -> u64 {
        self.0
    }

    /// The moment `duration` before; the start if that is later.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(duration)))
    }

    /// The moment `duration` after.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// Time since `earlier`; zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Converts between moments and the time of day.
///
/// Setting the system's clock does not change moments.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    day: SystemTime,
    /// The current moment, if the clock stands still.
    still: Option<Moment>,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now(), day: SystemTime::now(), still: None }
    }

    /// A clock of a recording: it began at `day` and stands still at `now`.
    #[must_use]
    pub fn still(day: SystemTime, now: Moment) -> Self {
        Self { start: Instant::now(), day, still: Some(now) }
    }

    /// The current moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.still.unwrap_or_else(|| Moment(milliseconds(self.start.elapsed())))
    }

    /// Whether the clock stands still.
    #[must_use]
    pub const fn is_still(&self) -> bool {
        self.still.is_some()
    }

    /// The time of day of a moment, by the system's clock at the start.
    #[must_use]
    pub fn time_of_day(&self, moment: Moment) -> SystemTime {
        // A moment of a hostile recording may be later than any time.
        self.day.checked_add(Duration::from_millis(moment.0)).unwrap_or(self.day)
    }
}
