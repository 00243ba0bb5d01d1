//! A mutex that no thread holds while another one forks: the child would never see it unlocked.

use std::ops::{Deref, DerefMut};
use std::sync::{MutexGuard, PoisonError};

use crate::backend::fork::{Inhibitor, inhibit};

/// A mutex for short sections, without poison: a panic in one leaves nothing half-done.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// An unlocked mutex.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for the lock, and for a thread that forks.
    ///
    /// A thread that forks waits at most about 0.2 s for the lock to be released.
    pub fn lock(&self) -> Locked<'_, T> {
        let inhibitor = inhibit();
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { guard, _inhibitor: inhibitor }
    }
}

/// A locked value.
#[derive(Debug)]
pub struct Locked<'a, T> {
    // Must be dropped first, so it is the first field.
    guard: MutexGuard<'a, T>,
    _inhibitor: Inhibitor,
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
