//! Rates between two readings.

use std::time::Duration;

use mmstats_core::Kind;

use super::owned::{OwnedValue, Reading};

/// Increments of a counter per second; durations of a timer, or values of a histogram or average.
///
/// `None` if a reading is not consistent, no time has passed, the field is of another kind or not
/// a single value, or the value went down: the program was restarted, or one of
/// several ended (and was not [folded](crate::Fold)).
///
/// ```
/// use std::time::Duration;
/// use mmstats_observe::{Kind, OwnedValue, Reading, rate};
///
/// let counted = |n| Reading::consistent(OwnedValue::Unsigned(n));
/// let second = Duration::from_secs(1);
/// assert_eq!(rate(Some(Kind::Counter), &counted(10), &counted(14), second), Some(4.0));
/// assert_eq!(rate(Some(Kind::Counter), &counted(10), &counted(3), second), None);
/// ```
#[must_use]
pub fn rate(
    kind: Option<Kind>,
    before: &Reading,
    after: &Reading,
    elapsed: Duration,
) -> Option<f64> {
    let seconds = elapsed.as_secs_f64();
    if seconds <= 0.0 || !before.is_consistent() || !after.is_consistent() {
        return None;
    }
    if !matches!(kind?, Kind::Counter | Kind::Timer | Kind::Histogram | Kind::Average) {
        return None;
    }
    let gained = after.value.as_ref()?.since(before.value.as_ref()?)?;
    Some(gained.counted()? / seconds)
}

/// Mean of the durations between two readings of a timer, in nanoseconds.
///
/// `None` if there were none, or for the reasons of [`rate`].
#[must_use]
pub fn timer_mean(before: &Reading, after: &Reading) -> Option<f64> {
    if !before.is_consistent() || !after.is_consistent() {
        return None;
    }
    match (before.value.as_ref()?.only(), after.value.as_ref()?.only()) {
        (before @ OwnedValue::Timer(_), after) => match after.since(before)? {
            OwnedValue::Timer(gained) => gained.mean(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mmstats_core::merge::TimerValue;

    use super::*;
    use crate::value::{EachValue, Origin, Verdict};

    const SECOND: Duration = Duration::from_secs(1);

    fn unsigned(n: u128) -> Reading {
        Reading::consistent(OwnedValue::Unsigned(n))
    }

    fn timer(count: u128, sum: u128) -> Reading {
        Reading::consistent(OwnedValue::Timer(TimerValue { count, sum, ..TimerValue::default() }))
    }

    #[test]
    fn rate_of_counter_is_increments_per_second() {
        let counter = Some(Kind::Counter);
        let half = Duration::from_millis(500);
        assert_eq!(rate(counter, &unsigned(1), &unsigned(3), half), Some(4.0));
        assert_eq!(rate(counter, &unsigned(1), &unsigned(1), half), Some(0.0));
        assert_eq!(rate(Some(Kind::Gauge), &unsigned(1), &unsigned(3), half), None);
        assert_eq!(rate(None, &unsigned(1), &unsigned(3), half), None);
        assert_eq!(rate(counter, &unsigned(1), &unsigned(3), Duration::ZERO), None);
        let float = |x| Reading::consistent(OwnedValue::F64(x));
        assert_eq!(rate(counter, &float(1.0), &float(1.5), SECOND), Some(0.5));
        assert_eq!(rate(counter, &float(1.0), &float(f64::NAN), SECOND), None);
        assert_eq!(rate(counter, &float(2.0), &float(1.0), SECOND), None);
        // Exact, although 2^100 + 3 is no f64.
        let big = 1_u128 << 100;
        assert_eq!(rate(counter, &unsigned(big), &unsigned(big + 3), SECOND), Some(3.0));
    }

    #[test]
    fn timer_has_rate_and_mean() {
        assert_eq!(rate(Some(Kind::Timer), &timer(2, 10), &timer(6, 30), SECOND), Some(4.0));
        assert_eq!(timer_mean(&timer(2, 10), &timer(6, 30)), Some(5.0));
        assert_eq!(timer_mean(&timer(2, 10), &timer(2, 10)), None);
        assert_eq!(timer_mean(&timer(6, 30), &timer(2, 10)), None);
    }

    #[test]
    fn rate_without_consistent_readings_is_none() {
        let mut bad = unsigned(9);
        bad.verdict = Verdict::Contended;
        assert_eq!(rate(Some(Kind::Counter), &unsigned(1), &bad, SECOND), None);
        assert_eq!(rate(Some(Kind::Counter), &bad, &unsigned(10), SECOND), None);
        let mut bad = timer(9, 9);
        bad.verdict = Verdict::Contended;
        assert_eq!(timer_mean(&timer(1, 1), &bad), None);
    }

    #[test]
    fn rate_between_different_lanes_is_none() {
        let listed = |file, lane, n| {
            let origin = Origin { file, pid: Some(7), part: 0, lane: Some(lane) };
            let (value, verdict) = (Some(OwnedValue::Unsigned(n)), Verdict::Consistent);
            Reading::consistent(OwnedValue::Each(vec![EachValue { origin, value, verdict }]))
        };
        let counter = Some(Kind::Counter);
        assert_eq!(rate(counter, &listed(0, 2, 5), &listed(1, 2, 9), SECOND), Some(4.0));
        assert_eq!(rate(counter, &listed(0, 2, 5), &listed(0, 3, 900), SECOND), None);
    }
}
