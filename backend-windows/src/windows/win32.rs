//! Conventions of the Windows API: results, sizes, numbers in two halves, times.

use std::io;
use std::time::{Duration, SystemTime};

/// Result of a function that returns 0 on failure.
pub(super) fn check(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Size of a structure in bytes, as the API takes it.
pub(super) const fn size<T>() -> u32 {
    const { assert!(size_of::<T>() < 1 << 16) };
    #[allow(clippy::cast_possible_truncation)] // checked above
    let size = size_of::<T>() as u32;
    size
}

/// Joins the halves of a number.
pub(super) const fn whole(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// Converts a time, in units of 100 ns since 1601.
pub(super) fn system_time(ticks: u64) -> SystemTime {
    let since = |ticks: u64| {
        Duration::from_secs(ticks / 10_000_000) + Duration::from_nanos(ticks % 10_000_000 * 100)
    };
    let time = match ticks.checked_sub(EPOCH) {
        Some(after) => SystemTime::UNIX_EPOCH.checked_add(since(after)),
        None => SystemTime::UNIX_EPOCH.checked_sub(since(EPOCH - ticks)),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Time from 1601 to 1970, in units of 100 ns.
pub(super) const EPOCH: u64 = 116_444_736_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_time_converts_times_around_1970() {
        assert_eq!(system_time(EPOCH), SystemTime::UNIX_EPOCH);
        assert_eq!(
            system_time(EPOCH - 10_000_000),
            SystemTime::UNIX_EPOCH - Duration::from_secs(1)
        );
    }
}
