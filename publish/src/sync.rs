//! A mutex that no thread holds while another one forks: in the child nobody would ever let
//! go of it, and the first thread to ask for it would hang.

use std::ops::{Deref, DerefMut};
use std::sync::{MutexGuard, PoisonError};

use crate::backend::fork::{Held, hold};

/// Held for moments. A panic of a holder leaves nothing half-done that matters to those who
/// use it, so there is no poison.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// One that nobody holds.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for who holds it, and for a thread that forks.
    ///
    /// A thread that forks waits for a holder for about a fifth of a second and no longer.
    pub fn lock(&self) -> Guard<'_, T> {
        let held = hold();
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { guard, _held: held }
    }
}

/// The value, while it is locked.
#[derive(Debug)]
pub struct Guard<'a, T> {
    // Given back first: the order of the fields.
    guard: MutexGuard<'a, T>,
    _held: Held,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
