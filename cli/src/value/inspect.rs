//! Properties of values.

use mmstats_observe::{OwnedValue, StateValue};

/// The quantiles of a histogram that are shown: the value, its key in JSON, its usual name.
pub(crate) const QUANTILES: [(f64, &str, &str); 4] =
    [(0.5, "0.5", "p50"), (0.9, "0.9", "p90"), (0.99, "0.99", "p99"), (0.999, "0.999", "p99.9")];

/// Whether the value is one number.
pub(crate) const fn is_number(value: &OwnedValue) -> bool {
    matches!(
        value,
        OwnedValue::Unsigned(_) | OwnedValue::Signed(_) | OwnedValue::F32(_) | OwnedValue::F64(_)
    )
}

/// The number that stands for a value in a table: a mean, the quantile 0.99, the rate over the
/// first window.
pub(crate) fn main_number(value: &OwnedValue) -> Option<f64> {
    match value {
        OwnedValue::Histogram(value) => value.quantile(0.99),
        OwnedValue::Average(value) | OwnedValue::Window(value) => value.mean(),
        OwnedValue::Rate(value) => value.first()?.rate,
        _ => None,
    }
}

/// The state of a single lane.
pub(crate) fn single_state(value: &StateValue) -> Option<&str> {
    value.only().filter(|_| value.counts.iter().sum::<u64>() == 1)
}
