//! Moments of the history as times of day.

use std::time::{Duration, SystemTime};

use mmstats_history::{Clock, Moment};

use crate::json;

/// Converts between moments and times of day.
#[derive(Debug, Clone)]
pub(super) struct Times(Clock);

impl Times {
    pub(super) const fn new(clock: Clock) -> Self {
        Self(clock)
    }

    pub(super) fn now(&self) -> Moment {
        self.0.now()
    }

    pub(super) fn time_of_day(&self, moment: Moment) -> SystemTime {
        self.0.time_of_day(moment)
    }

    /// Seconds since 1970.
    pub(super) fn seconds(&self, moment: Moment) -> f64 {
        json::seconds(self.time_of_day(moment))
    }

    /// The moment of a time in seconds since 1970; `None` before the clock began, and while the machine slept.
    pub(super) fn moment(&self, time: f64) -> Option<Moment> {
        self.0.moment(day(time)?)
    }

    /// The moment of a parameter `at`, not later than now; now without it.
    pub(super) fn at(&self, time: Option<f64>) -> Moment {
        let moment = |time| self.0.last_moment(day(time)?);
        let moment = time.map_or_else(|| self.now(), |time| moment(time).unwrap_or_default());
        moment.min(self.now())
    }
}

/// The time of day.
fn day(time: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(time).ok()?;
    // Times are given with the digits of a double.
    SystemTime::UNIX_EPOCH.checked_add(since.saturating_add(Duration::from_micros(500)))
}
