//! Numbers and times as text.

use std::time::{SystemTime, UNIX_EPOCH};

/// NaN and the infinities, in text and in JSON.
#[must_use]
pub const fn non_finite(x: f64) -> &'static str {
    if x.is_nan() {
        "NaN"
    } else if x > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// `2026-01-02T03:04:05.000000007Z`; `nanoseconds` since 1970. `None` after the year 9999.
#[must_use]
pub fn rfc_3339(nanoseconds: i128) -> Option<String> {
    Some(jiff::Timestamp::from_nanosecond(nanoseconds).ok()?.to_string())
}

/// The nanoseconds since 1970 of a time that [`rfc_3339`] wrote.
#[must_use]
pub fn nanoseconds(time: &str) -> Option<i128> {
    Some(time.parse::<jiff::Timestamp>().ok()?.as_nanosecond())
}

/// Seconds since 1970; 0 before.
#[must_use]
pub fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
