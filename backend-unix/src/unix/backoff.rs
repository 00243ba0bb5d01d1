//! Waiting for another thread without a lock of the system, which a forked child could inherit.

use std::time::Duration;

/// Rounds of [`pause`] for which a thread that forks waits: 100 times giving way, then 200 ms.
pub(super) const FORK_ROUNDS: u32 = 300;

/// Gives way in the first 100 rounds, sleeps 1 ms in later ones.
pub(super) fn pause(round: u32) {
    if round < 100 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_millis(1));
    }
}
