//! Differences of counters and timers between two readings.

use mmstats_observe::OwnedValue;

/// The value of a counter or timer at one time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Progress {
    Whole(u128),
    /// Also a signed integer.
    Real(f64),
    /// Count and sum of the durations, the sum in nanoseconds.
    Timer(Box<(u128, u128)>),
}

impl Progress {
    pub(crate) fn from_value(value: &OwnedValue) -> Option<Self> {
        match value {
            OwnedValue::Unsigned(n) => Some(Self::Whole(*n)),
            OwnedValue::Timer(timer) => Some(Self::Timer(Box::new((timer.count, timer.sum)))),
            value => value.as_f64().map(Self::Real),
        }
    }

    /// Increase since `before`, or since zero: a count and, for a timer, seconds. `None` if it
    /// went down or the two differ in kind.
    #[allow(clippy::cast_precision_loss)] // Rounded after the exact difference.
    pub(crate) fn gained(&self, before: Option<&Self>) -> Option<(f64, f64)> {
        match (self, before) {
            (Self::Whole(now), None) => Some((*now as f64, 0.0)),
            (Self::Whole(now), Some(Self::Whole(before))) => {
                now.checked_sub(*before).map(|gain| (gain as f64, 0.0))
            }
            (Self::Timer(now), before) => {
                let (count, sum) = match before {
                    None => (0, 0),
                    Some(Self::Timer(before)) => **before,
                    Some(_) => return None,
                };
                let (count, sum) = (now.0.checked_sub(count)?, now.1.checked_sub(sum)?);
                Some((count as f64, sum as f64 / 1e9))
            }
            (Self::Real(now), None) => Some((*now, 0.0)),
            (now, Some(before)) => {
                let gain = now.real()? - before.real()?;
                // False for NaN.
                (gain >= 0.0).then_some((gain, 0.0))
            }
        }
    }

    #[allow(clippy::cast_precision_loss)] // Only if the type of the field changed.
    fn real(&self) -> Option<f64> {
        match self {
            Self::Whole(n) => Some(*n as f64),
            Self::Real(x) => Some(*x),
            Self::Timer(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use mmstats_observe::TimerValue;

    use super::*;

    #[test]
    fn gained_subtracts_before_rounding() {
        let gained = |before: OwnedValue, after: OwnedValue| {
            let before = Progress::from_value(&before)?;
            Progress::from_value(&after)?.gained(Some(&before)).map(|(gain, _)| gain)
        };
        let (a, b) = (u128::from(u64::MAX), u128::from(u64::MAX) + 1);
        assert_eq!(gained(OwnedValue::Unsigned(a), OwnedValue::Unsigned(b)), Some(1.0));
        assert_eq!(gained(OwnedValue::Unsigned(b), OwnedValue::Unsigned(a)), None);
        assert_eq!(gained(OwnedValue::F64(1.0), OwnedValue::F64(2.5)), Some(1.5));
        assert_eq!(gained(OwnedValue::F64(1.0), OwnedValue::F64(f64::NAN)), None);
        assert_eq!(gained(OwnedValue::Unsigned(1), OwnedValue::F64(2.5)), Some(1.5));
        assert_eq!(gained(OwnedValue::Bool(true), OwnedValue::Array(Vec::new())), None);
        assert_eq!(Progress::Whole(7).gained(None), Some((7.0, 0.0)));
        assert_eq!(Progress::Real(7.5).gained(None), Some((7.5, 0.0)));
    }

    #[test]
    fn gained_of_timers_is_count_and_seconds() {
        let at = |count, sum| {
            let timer = TimerValue { count, sum, min: None, max: None, last: None };
            Progress::from_value(&OwnedValue::Timer(timer)).unwrap()
        };
        assert_eq!(at(3, 2_000_000_010).gained(Some(&at(1, 10))), Some((2.0, 2.0)));
        assert_eq!(at(2, 1_000_000_000).gained(None), Some((2.0, 1.0)));
        assert_eq!(at(1, 20).gained(Some(&at(3, 10))), None);
        assert_eq!(at(1, 20).gained(Some(&Progress::Whole(1))), None);
        assert_eq!(Progress::Whole(1).gained(Some(&at(1, 20))), None);
    }
}
