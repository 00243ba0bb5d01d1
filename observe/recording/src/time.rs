//! Times in lines: seconds since 1970 with three digits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; 0 before.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn text(time: SystemTime) -> String {
    let milliseconds = milliseconds(time);
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// The time of such a text; `None` if it is none, or after the year 9999.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: u64 = seconds.parse().ok().filter(|seconds| *seconds < 253_402_300_800)?;
    let nanoseconds: u32 = format!("{fraction:0<9}").parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_parsed_exactly() {
        for ms in [0, 7, 1_767_323_045_123] {
            let time = UNIX_EPOCH + Duration::from_millis(ms);
            assert_eq!(parse(&text(time)), Some(time));
        }
        for wrong in ["", ".", "1.", "-1", "1e9", "99999999999999", "1.0000000000", "null"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
