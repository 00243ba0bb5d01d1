//! Values as text: for people, and exact for programs.

mod human;
mod plain;
#[cfg(any(feature = "record", feature = "top"))] // `diff` and `top` show it
mod progress;

pub(crate) use mmstats_json::QUANTILES;
use mmstats_observe::{FieldInfo, Kind, OwnedValue, Quantile, StateValue};

use crate::text::escape;
use crate::text::unit::UnitForm;

pub(crate) use self::human::{activity_rows, buckets, running, shows_unit, to_human};
pub(crate) use self::plain::to_plain;
#[cfg(any(feature = "record", feature = "top"))] // `diff` and `top` show it
pub(crate) use self::progress::progress_line;

/// Kinds of values that this version does not know.
const UNKNOWN: &str = "?";
/// Maximum length of a text in characters, and of a byte string in bytes; JSON has no limit.
const MAX_LENGTH: usize = 4096;

/// Whether the value is one number.
pub(crate) const fn is_number(value: &OwnedValue) -> bool {
    matches!(
        value,
        OwnedValue::Unsigned(_) | OwnedValue::Signed(_) | OwnedValue::F32(_) | OwnedValue::F64(_)
    )
}

/// A point in time, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Of a timestamp.
    Timestamp(i128),
    /// Of a gauge with a unit of time: its value is that long after 1970.
    Epoch(i128),
}

/// The moment that a value stands for, if it does: a timestamp, or a gauge whose duration would be
/// from 2001-09-09 to 2065-01-24 if it began in 1970.
pub(crate) fn moment(field: &FieldInfo, value: &OwnedValue) -> Option<Moment> {
    match field.properties.kind() {
        Some(Kind::Timestamp) => match value {
            OwnedValue::Unsigned(n) => i128::try_from(*n).ok().map(Moment::Timestamp),
            OwnedValue::Signed(n) => Some(Moment::Timestamp(*n)),
            _ => None,
        },
        Some(Kind::Gauge | Kind::Info) | None if is_number(value) => {
            let unit = unit_of_time(field)?;
            let seconds = (value.as_f64()? * unit).round();
            #[allow(clippy::cast_possible_truncation)] // In range.
            (1e9..3e9)
                .contains(&seconds)
                .then(|| Moment::Epoch(i128::from(seconds as i64) * 1_000_000_000))
        }
        _ => None,
    }
}

/// Whether another value of the field may be a [`moment`].
pub(crate) fn may_be_moment(field: &FieldInfo) -> bool {
    match field.properties.kind() {
        Some(Kind::Timestamp) => true,
        Some(Kind::Gauge | Kind::Info) | None => unit_of_time(field).is_some(),
        _ => false,
    }
}

/// Seconds of the unit of a field, if it is one of time.
fn unit_of_time(field: &FieldInfo) -> Option<f64> {
    match UnitForm::from_unit(&field.unit) {
        UnitForm::Time(unit) => Some(unit),
        _ => None,
    }
}

/// A quantile as text: a value as `text` writes it, or a bound behind `>` or `<=`.
pub(crate) fn quantile(quantile: Quantile, text: impl FnOnce(f64) -> String) -> String {
    let sign = match quantile {
        Quantile::Value(_) => "",
        Quantile::Below(_) => "<=",
        Quantile::Above(_) => ">",
    };
    format!("{sign}{}", text(quantile.number()))
}

/// The number that stands for a value in a table: a mean, or the rate over the first window.
pub(crate) fn main_number(value: &OwnedValue) -> Option<f64> {
    match value {
        OwnedValue::Average(value) | OwnedValue::Window(value) => value.mean(),
        OwnedValue::Rate(value) => value.first()?.rate,
        _ => in_progress(value),
    }
}

/// Number of activities, or sections of a timer, in progress, of one lane or of all.
#[allow(clippy::cast_precision_loss)] // At most 4,095 in a lane.
pub(crate) fn in_progress(value: &OwnedValue) -> Option<f64> {
    match value {
        OwnedValue::Activity(value) => Some(value.in_progress() as f64),
        OwnedValue::Running(value) => Some(value.number as f64),
        OwnedValue::Each(each) => {
            let lanes = each.iter().filter_map(|lane| in_progress(lane.value.as_ref()?));
            let is_one = |value: &Option<OwnedValue>| {
                matches!(value, Some(OwnedValue::Activity(_) | OwnedValue::Running(_)))
            };
            each.iter().any(|lane| is_one(&lane.value)).then(|| lanes.sum())
        }
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
