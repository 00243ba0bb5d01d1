//! Counts of an interval: differences of readings of counters, timers, histograms and averages.

use mmstats_core::merge::{AverageValue, TimerSum, TimerValue};

use super::owned::{EachValue, OwnedValue};

impl OwnedValue {
    /// The difference since `before`, an earlier reading of the same field: the increase of a
    /// number, the durations of a timer, the values of a histogram or an average. Numbers are
    /// exact; a minimum and a maximum are not known, unless nothing was counted before.
    ///
    /// `None` if the count went down, if the two differ in kind, if they are lists of one value from
    /// different lanes, or for other values.
    ///
    /// ```
    /// use mmstats_observe::OwnedValue::{F64, Signed, Unsigned};
    ///
    /// let big = 1 << 100;
    /// assert_eq!(Unsigned(big + 3).since(&Unsigned(big)), Some(Unsigned(3)));
    /// assert_eq!(Unsigned(3).since(&Unsigned(big)), None);
    /// assert_eq!(Signed(-5).since(&Signed(-8)), Some(Signed(3)));
    /// assert_eq!(F64(1.5).since(&F64(1.0)), Some(F64(0.5)));
    /// assert_eq!(F64(f64::NAN).since(&F64(1.0)), None);
    /// ```
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<Self> {
        if let (Self::Each(now), Self::Each(before)) = (self, before)
            && !now.iter().map(place).eq(before.iter().map(place))
        {
            return None;
        }
        match (self.only(), before.only()) {
            (Self::Unsigned(now), Self::Unsigned(before)) => {
                now.checked_sub(*before).map(Self::Unsigned)
            }
            (Self::Signed(now), Self::Signed(before)) => {
                now.checked_sub(*before).filter(|gain| *gain >= 0).map(Self::Signed)
            }
            (Self::Timer(now), Self::Timer(before)) => timer_since(now, before).map(Self::Timer),
            (Self::Histogram(now), Self::Histogram(before)) => {
                Some(Self::Histogram(Box::new(now.since(before)?)))
            }
            (Self::Average(now), Self::Average(before)) => {
                average_since(*now, *before).map(Self::Average)
            }
            (now @ (Self::F32(_) | Self::F64(_)), before @ (Self::F32(_) | Self::F64(_))) => {
                let gain = now.as_f64()? - before.as_f64()?;
                (gain >= 0.0 && gain.is_finite()).then_some(Self::F64(gain))
            }
            _ => None,
        }
    }

    /// Adds what other fields of the same kind, or other programs, have counted. False, without
    /// a change, if the two differ in kind or are no counts.
    pub fn add_counts(&mut self, more: &Self) -> bool {
        match (&mut *self, more) {
            (Self::Unsigned(sum), Self::Unsigned(n)) => *sum = sum.saturating_add(*n),
            (Self::Signed(sum), Self::Signed(n)) => *sum = sum.saturating_add(*n),
            (Self::Timer(sum), Self::Timer(timer)) => {
                let mut both = TimerSum::from(*sum);
                both.add(*timer);
                // The ends of some of the durations are not those of all.
                let ended = |value: &TimerValue| value.count == 0 || value.min.is_some();
                let (known, mut value) = (ended(sum) && ended(timer), both.value());
                if !known {
                    (value.min, value.max, value.last) = (None, None, None);
                }
                *sum = value;
            }
            (Self::Histogram(sum), Self::Histogram(histogram)) => sum.merge(histogram),
            (Self::Average(sum), Self::Average(average)) => sum.merge_sum(*average),
            (a @ (Self::F32(_) | Self::F64(_)), b @ (Self::F32(_) | Self::F64(_))) => {
                match (a.as_f64(), b.as_f64()) {
                    (Some(x), Some(y)) => *a = Self::F64(x + y),
                    _ => return false,
                }
            }
            _ => return false,
        }
        true
    }

    /// Number of counted events: of a counter the number itself, else the number of durations or
    /// values; `None` for other values.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // The nearest float.
    pub fn counted(&self) -> Option<f64> {
        match self.only() {
            Self::Timer(timer) => Some(timer.count as f64),
            Self::Histogram(histogram) => Some(histogram.count() as f64),
            Self::Average(average) => Some(average.count),
            Self::Bool(_) => None,
            other => other.as_f64(),
        }
    }
}

/// Where a listed value comes from. The number of the file says nothing: that of another look differs.
const fn place(each: &EachValue) -> (Option<u32>, u32, Option<u32>) {
    (each.origin.pid, each.origin.part, each.origin.lane)
}

fn timer_since(now: &TimerValue, before: &TimerValue) -> Option<TimerValue> {
    if before.count == 0 {
        return Some(*now);
    }
    let gained = now.since(before)?;
    // The durations lie between the ends that the timer has now; else the sum has wrapped around.
    let (min, max) = (now.min, now.max);
    let is_possible = gained.count > 0 || gained.sum == 0;
    let ends = TimerValue { min, max, ..gained };
    (is_possible && (gained.count == 0 || ends.mean().is_some())).then_some(gained)
}

fn average_since(now: AverageValue, before: AverageValue) -> Option<AverageValue> {
    let gained = AverageValue { count: now.count - before.count, sum: now.sum - before.sum };
    let is_possible = gained.count > 0.0 || (gained.count == 0.0 && gained.sum == 0.0);
    (is_possible && gained.count.is_finite() && gained.sum.is_finite()).then_some(gained)
}
