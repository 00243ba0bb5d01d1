//! Parts that the guards of mutexes and of locks for writing have in common.

use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use super::fields::Fields;

/// Publishes that this thread has a lock for writing, until this is dropped. The first field of a guard, so
/// that it ends before the lock is unlocked.
pub(super) struct Hold<'a>(Option<&'a Fields>);

impl<'a> Hold<'a> {
    /// The lock has these fields, in which the hold has begun.
    #[inline(always)]
    pub(super) const fn new(fields: Option<&'a Fields>) -> Self {
        Self(fields)
    }

    pub(super) const fn fields(&self) -> Option<&'a Fields> {
        self.0
    }
}

impl Drop for Hold<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(fields) = self.0 {
            fields.end_hold();
        }
    }
}

/// The guard of a lock that was free, poisoned or not; `None` if the thread would have to wait.
#[inline(always)]
pub(super) fn at_once<G>(result: TryLockResult<G>) -> Option<LockResult<G>> {
    match result {
        Ok(guard) => Some(Ok(guard)),
        Err(TryLockError::Poisoned(poisoned)) => Some(Err(poisoned)),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Makes another guard of one, and keeps the poison. `make` must be so small that it is inlined: then the guard
/// stays in registers.
#[inline(always)]
pub(super) fn map<G, H>(result: LockResult<G>, make: impl FnOnce(G) -> H) -> LockResult<H> {
    match result {
        Ok(guard) => Ok(make(guard)),
        Err(poisoned) => Err(PoisonError::new(make(poisoned.into_inner()))),
    }
}

/// `Deref`, `Debug` and `Display` of a guard are those of its value.
macro_rules! shows_value {
    ($guard:ident) => {
        impl<T: ?Sized> std::ops::Deref for $guard<'_, T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                &self.inner
            }
        }

        impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized + std::fmt::Display> std::fmt::Display for $guard<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}
pub(super) use shows_value;
