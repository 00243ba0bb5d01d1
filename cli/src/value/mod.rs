//! Values as text: for people, and exact for programs.

mod human;
mod plain;

use mmstats_observe::{OwnedValue, StateValue};

use crate::text::escape;

pub(crate) use self::human::{buckets, shows_unit, to_human};
pub(crate) use self::plain::to_plain;

/// Kinds of values that this version does not know.
const UNKNOWN: &str = "?";
/// Maximum length of a text in characters, and of a byte string in bytes; JSON has no limit.
const MAX_LENGTH: usize = 4096;
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

/// `text`, escaped; a long one is cut, and its length stands behind.
fn bounded_text(text: &str) -> String {
    match text.char_indices().nth(MAX_LENGTH) {
        None => escape::text(text).into_owned(),
        Some((at, _)) => format!("{}… ({} bytes)", escape::text(&text[..at]), text.len()),
    }
}

/// `bytes` in hexadecimal; a long one is cut, and its length stands behind.
fn bounded_hex(bytes: &[u8]) -> String {
    match bytes.get(..MAX_LENGTH) {
        Some(start) if start.len() < bytes.len() => {
            format!("{}… ({} bytes)", escape::hex(start), bytes.len())
        }
        _ => escape::hex(bytes),
    }
}

/// `[a, b, c]`, with at most `max` elements.
fn list<T>(elements: &[T], max: usize, show: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = elements.iter().take(max).map(show).collect();
    let more = if elements.len() > max {
        format!(", … ({} elements)", elements.len())
    } else {
        String::new()
    };
    format!("[{}{more}]", shown.join(", "))
}
