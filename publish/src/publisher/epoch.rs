//! A number by which a recorder sees that it may have another publisher.

use std::sync::atomic::{AtomicU32, Ordering};

/// The part of [`epoch`] that does not count forks.
static CHANGES: AtomicU32 = AtomicU32::new(0);

/// A number that changes when this process forks, when a publisher of the whole program starts, and
/// when the publisher of a recorder is closed.
#[inline]
#[must_use]
pub fn epoch() -> u32 {
    #[allow(clippy::cast_possible_truncation)] // Only its changes count.
    let forks = crate::backend::fork::generation() as u32;
    CHANGES.load(Ordering::Relaxed).wrapping_add(forks)
}

/// Counts that the publisher of a recorder has changed.
pub fn change_epoch() {
    CHANGES.fetch_add(1, Ordering::Relaxed);
}
