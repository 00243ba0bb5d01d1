//! Times of looks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// Times of day of looks, from which those of other moments are reckoned.
///
/// The system's clock may be set, and it goes on while the machine sleeps; moments are never set, and stand
/// still. So each look has its time of day, and a step between the two begins another reckoning.
#[derive(Debug, Clone, Default)]
pub struct Days(Vec<Day>);

/// The moments from `from` on, up to the next step.
#[derive(Debug, Clone, Copy)]
struct Day {
    from: Moment,
    /// The last look of them, and its time of day.
    at: Moment,
    time: SystemTime,
}

/// Minimum step of the system's clock that is noticed.
const STEP: Duration = Duration::from_secs(1);
/// Maximum number of steps that are kept, the newest ones.
const MAX_STEPS: usize = 1_000;

impl Day {
    /// The time of day; `None` beyond the range of times.
    fn time_of_day(&self, moment: Moment) -> Option<SystemTime> {
        if moment >= self.at {
            self.time.checked_add(moment.since(self.at))
        } else {
            self.time.checked_sub(self.at.since(moment))
        }
    }

    fn moment(&self, time: SystemTime) -> Option<Moment> {
        match time.duration_since(self.time) {
            Ok(later) => Some(self.at.after(later)),
            Err(earlier) => {
                // Rounded down too.
                let back = milliseconds(earlier.duration() + Duration::from_nanos(999_999));
                self.at.milliseconds().checked_sub(back).map(Moment)
            }
        }
    }
}

impl Days {
    /// Takes the time of day of a look. Looks must be taken in order of time.
    pub fn take(&mut self, at: Moment, time: SystemTime) {
        let is_step = |last: &Day| {
            let expected = last.time_of_day(at).unwrap_or(last.time);
            let step = time.duration_since(expected).unwrap_or_else(|back| back.duration());
            step >= STEP
        };
        match self.0.last_mut().filter(|last| !is_step(last)) {
            Some(last) => (last.at, last.time) = (at, time),
            None => {
                if self.0.len() == MAX_STEPS {
                    self.0.remove(0);
                }
                self.0.push(Day { from: at, at, time });
            }
        }
    }

    fn time_of_day(&self, moment: Moment) -> SystemTime {
        let after = self.0.partition_point(|day| day.from <= moment);
        let day = self.0.get(after.saturating_sub(1));
        // A moment of a hostile recording may be later than any time.
        day.map_or(SystemTime::UNIX_EPOCH, |day| day.time_of_day(moment).unwrap_or(day.time))
    }

    fn moment(&self, time: SystemTime) -> Option<Moment> {
        let ends = self.0.iter().skip(1).map(|next| next.from);
        let ends = ends.chain(self.0.last().map(|last| last.at.after(Duration::from_millis(1))));
        let days: Vec<(&Day, Moment)> = self.0.iter().zip(ends).collect();
        let found = days.into_iter().rev().find_map(|(day, end)| {
            day.moment(time).filter(|moment| day.from <= *moment && *moment < end)
        });
        // After the last look.
        let later = || {
            let last = self.0.last()?;
            last.moment(time).filter(|moment| *moment > last.at)
        };
        found.or_else(later)
    }

    fn last_moment(&self, time: SystemTime) -> Option<Moment> {
        let before = |next: &Day| Moment(next.from.0.saturating_sub(1));
        let ends = self.0.iter().skip(1).map(before).chain([Moment(u64::MAX)]);
        let days: Vec<(&Day, Moment)> = self.0.iter().zip(ends).collect();
        days.into_iter().rev().find_map(|(day, end)| {
            day.moment(time).filter(|moment| day.from <= *moment).map(|moment| moment.min(end))
        })
    }
}

/// Converts between moments and the time of day.
///
/// Setting the system's clock does not change moments.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Instant,
    days: Arc<Mutex<Days>>,
    /// The current moment, if the clock stands still.
    still: Option<Moment>,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        let clock = Self { start: Instant::now(), days: Arc::default(), still: None };
        clock.take_time(clock.now());
        clock
    }

    /// A clock of a recording whose looks had these times of day; it stands still at `now`.
    #[must_use]
    pub fn still(days: Days, now: Moment) -> Self {
        Self { start: Instant::now(), days: Arc::new(Mutex::new(days)), still: Some(now) }
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

    /// Takes the time of day of a look at `at`, which is now.
    pub(crate) fn take_time(&self, at: Moment) {
        self.days().take(at, SystemTime::now());
    }

    /// The time of day of a moment, by the system's clock then. It goes back where that clock was set back.
    #[must_use]
    pub fn time_of_day(&self, moment: Moment) -> SystemTime {
        self.days().time_of_day(moment)
    }

    /// The last moment with this time of day; `None` if there is none: before the start, or while the machine
    /// slept.
    #[must_use]
    pub fn moment(&self, time: SystemTime) -> Option<Moment> {
        self.days().moment(time)
    }

    /// As [`moment`](Self::moment); while the machine slept the moment before. `None` before the start.
    #[must_use]
    pub fn last_moment(&self, time: SystemTime) -> Option<Moment> {
        let days = self.days();
        days.moment(time).or_else(|| days.last_moment(time))
    }

    fn days(&self) -> MutexGuard<'_, Days> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_milliseconds(seconds * 1000)
    }

    fn day(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// The clock of looks at these moments and times of day.
    fn clock(looks: &[(u64, u64)]) -> Clock {
        let mut days = Days::default();
        looks.iter().for_each(|(moment, time)| days.take(at(*moment), day(*time)));
        Clock::still(days, at(looks.last().unwrap().0))
    }

    #[test]
    fn time_of_day_after_clock_was_set_is_that_of_the_look() {
        // The machine slept for an hour; then the clock was set back by ten minutes.
        let clock = clock(&[(0, 1_000), (5, 1_005), (6, 4_606), (9, 4_609), (10, 4_010)]);
        for (moment, time) in [(0, 1_000), (5, 1_005), (6, 4_606), (8, 4_608), (10, 4_010)] {
            assert_eq!(clock.time_of_day(at(moment)), day(time), "{moment}");
            assert_eq!(clock.moment(day(time)), Some(at(moment)), "{time}");
        }
        assert_eq!(clock.time_of_day(at(20)), day(4_020));
        // Before the first look, while the machine slept, and after the last look.
        let others = [999, 2_000, 4_020].map(|time| clock.moment(day(time)));
        assert_eq!(others, [None, None, Some(at(20))]);
        let before = Some(Moment::from_milliseconds(5_999));
        assert_eq!([999, 2_000].map(|time| clock.last_moment(day(time))), [None, before]);
    }

    #[test]
    fn time_of_day_of_small_steps_is_that_of_the_last_look() {
        let mut days = Days::default();
        for look in 0..100 {
            days.take(at(look), day(1_000) + Duration::from_millis(look * 1_001));
        }
        assert_eq!(days.0.len(), 1);
        let clock = Clock::still(days, at(99));
        assert_eq!(clock.time_of_day(at(99)), day(1_099) + Duration::from_millis(99));
    }

    #[test]
    fn clock_keeps_the_newest_steps() {
        let looks: Vec<(u64, u64)> = (0..3_000).map(|look| (look, 1_000 + look * 10)).collect();
        let clock = clock(&looks);
        assert_eq!(clock.days().0.len(), MAX_STEPS);
        assert_eq!(clock.time_of_day(at(2_999)), day(30_990));
        assert_eq!(clock.time_of_day(at(2_500)), day(26_000));
    }
}
