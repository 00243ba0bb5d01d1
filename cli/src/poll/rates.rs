//! What came in between two readings.

use mmstats_observe::{OwnedValue, TimerValue};

/// How much a counter gained; `None` if it is no number or went down.
#[allow(clippy::cast_precision_loss)] // The difference is exact, and shown with few digits.
pub(crate) fn gained(before: &OwnedValue, after: &OwnedValue) -> Option<f64> {
    match (before, after) {
        (OwnedValue::Unsigned(a), OwnedValue::Unsigned(b)) => b.checked_sub(*a).map(|d| d as f64),
        _ => {
            let gain = after.as_f64()? - before.as_f64()?;
            (gain >= 0.0).then_some(gain)
        }
    }
}

/// How many durations came, and their sum in seconds; `None` if the timer went down.
#[allow(clippy::cast_precision_loss)] // As above.
pub(crate) fn timed(before: &TimerValue, after: &TimerValue) -> Option<(f64, f64)> {
    let count = after.count.checked_sub(before.count)?;
    let sum = after.sum.checked_sub(before.sum)?;
    Some((count as f64, sum as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_taken_before_rounding() {
        let (a, b) = (u128::from(u64::MAX), u128::from(u64::MAX) + 1);
        assert_eq!(gained(&OwnedValue::Unsigned(a), &OwnedValue::Unsigned(b)), Some(1.0));
        assert_eq!(gained(&OwnedValue::Unsigned(b), &OwnedValue::Unsigned(a)), None);
        assert_eq!(gained(&OwnedValue::F64(1.0), &OwnedValue::F64(2.5)), Some(1.5));
        assert_eq!(gained(&OwnedValue::F64(1.0), &OwnedValue::F64(f64::NAN)), None);
        assert_eq!(gained(&OwnedValue::Bool(true), &OwnedValue::Array(Vec::new())), None);
    }

    #[test]
    fn timers_give_count_and_seconds() {
        let at = |count, sum| TimerValue { count, sum, min: None, max: None, last: None };
        assert_eq!(timed(&at(1, 10), &at(3, 2_000_000_010)), Some((2.0, 2.0)));
        assert_eq!(timed(&at(3, 10), &at(1, 20)), None);
    }
}
