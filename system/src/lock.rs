//! The rule by which a writer waits for its lock.

use std::time::{Duration, Instant};

/// Takes the exclusive lock of a writer, by retrying `try_lock` every millisecond while
/// `is_busy` accepts its error.
///
/// Observers and sweepers hold a shared lock for an instant, or longer if they are not scheduled
/// meanwhile: it waits up to 2 s for them. It gives up after 20 attempts at which `has_writer`
/// found another writer, time enough for one that is ending.
///
/// # Errors
///
/// The last error of `try_lock`, or one of `has_writer`.
pub fn wait_for_lock<E>(
    try_lock: impl Fn() -> Result<(), E>,
    is_busy: impl Fn(&E) -> bool,
    has_writer: impl Fn() -> Result<bool, E>,
) -> Result<(), E> {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let (start, mut writers) = (Instant::now(), 0);
    loop {
        let busy = match try_lock() {
            Err(error) if is_busy(&error) => error,
            result => return result,
        };
        writers += u32::from(has_writer()?);
        if writers >= 20 || start.elapsed() >= TIMEOUT {
            return Err(busy);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
