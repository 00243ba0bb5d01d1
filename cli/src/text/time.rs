//! Moments for people.

use std::time::{Duration, SystemTime};

use super::human;

/// `3m 12s ago`, or `in 3m 12s`; `nanoseconds` since 1970.
pub(crate) fn ago(nanoseconds: i128, now: SystemTime) -> String {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let past = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX).saturating_sub(nanoseconds);
    let seconds = u64::try_from(past.unsigned_abs() / 1_000_000_000).unwrap_or(u64::MAX);
    let age = human::age(Duration::from_secs(seconds));
    if past >= 0 { format!("{age} ago") } else { format!("in {age}") }
}

/// The local time, formatted as by `strftime`; `nanoseconds` since 1970.
pub(crate) fn local(nanoseconds: i128, format: &str) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(nanoseconds).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::system()).strftime(format).to_string())
}

/// The local date and time; `nanoseconds` since 1970.
pub(crate) fn date(nanoseconds: i128) -> Option<String> {
    local(nanoseconds, "%Y-%m-%d %H:%M:%S %Z")
}

/// As [`date`], with digits of the second.
#[cfg(feature = "record")] // times of looks
pub(crate) fn date_with_digits(nanoseconds: i128, digits: usize) -> Option<String> {
    match digits {
        0 => date(nanoseconds),
        _ => local(nanoseconds, &format!("%Y-%m-%d %H:%M:%S%.{digits}f %Z")),
    }
}

/// The local time of day of a moment, to a minute, with the day if that is another one: `~21:35`,
/// `~11-28 21:35`.
pub(crate) fn short(at: SystemTime, now: SystemTime) -> Option<String> {
    let (at, now) = (zoned(at)?, zoned(now)?);
    let format = match at.date() == now.date() {
        true => "~%H:%M",
        false if at.year() == now.year() => "~%m-%d %H:%M",
        false => "~%Y-%m-%d %H:%M",
    };
    Some(at.strftime(format).to_string())
}

/// The name of the local zone.
pub(crate) fn zone(now: SystemTime) -> Option<String> {
    Some(zoned(now)?.strftime("%Z").to_string())
}

/// The moment in the local zone.
fn zoned(at: SystemTime) -> Option<jiff::Zoned> {
    Some(jiff::Timestamp::try_from(at).ok()?.to_zoned(jiff::tz::TimeZone::system()))
}

/// The moment in UTC: `2026-11-29T21:35:10Z`.
pub(crate) fn utc(at: SystemTime) -> Option<String> {
    let whole = jiff::Timestamp::try_from(at).ok()?.as_second();
    Some(jiff::Timestamp::from_second(whole).ok()?.to_string())
}

/// The local date and time of a moment, to a minute.
pub(crate) fn minute(at: SystemTime) -> Option<String> {
    Some(zoned(at)?.strftime("%Y-%m-%d %H:%M %Z").to_string())
}

/// The time in UTC, as long for every time: `2026-11-29T21:35:10.250Z`; `nanoseconds` since 1970.
#[cfg(feature = "record")] // times of looks
pub(crate) fn milliseconds(nanoseconds: i128) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(nanoseconds).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The local date and time of a look: `2026-11-29 21:35:10.250 UTC`.
#[cfg(feature = "record")] // times of looks
pub(crate) fn look(at: SystemTime) -> Option<String> {
    Some(zoned(at)?.strftime("%Y-%m-%d %H:%M:%S%.3f %Z").to_string())
}

/// `1767323045.000000000`, the seconds since 1970.
pub(crate) fn seconds(nanoseconds: i128) -> String {
    let (sign, size) = (if nanoseconds < 0 { "-" } else { "" }, nanoseconds.unsigned_abs());
    format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So that times sort as texts.
    #[test]
    #[cfg(feature = "record")] // times of looks
    fn milliseconds_are_as_long_for_each_time() {
        let text = |millis: i128| milliseconds(millis * 1_000_000).unwrap();
        assert_eq!(text(1_796_000_000_710), "2026-11-30T00:53:20.710Z");
        assert_eq!(text(1_796_000_000_000), "2026-11-30T00:53:20.000Z");
    }

    #[test]
    fn seconds_keep_nanoseconds() {
        assert_eq!(seconds(1_767_323_045_000_000_007), "1767323045.000000007");
        assert_eq!((seconds(0), seconds(-1)), ("0.000000000".into(), "-0.000000001".into()));
    }
}
