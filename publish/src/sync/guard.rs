//! Code that the guards of mutexes and RwLocks share.

use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use super::fields::Fields;

/// Publishes that this thread holds a lock for writing, until dropped. Must be the first field of a guard:
/// fields are dropped in order, so the hold ends before the unlock.
pub(super) struct Hold<'a>(Option<&'a Fields>);

impl<'a> Hold<'a> {
    /// `fields` are those in which the hold was begun; `None` if nothing is published.
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

/// The guard of a lock that was free, poisoned or not; `None` if the lock is taken.
#[inline(always)]
pub(super) fn at_once<G>(result: TryLockResult<G>) -> Option<LockResult<G>> {
    match result {
        Ok(guard) => Some(Ok(guard)),
        Err(TryLockError::Poisoned(poisoned)) => Some(Err(poisoned)),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Applies `make` to the guard, poisoned or not. `make` must be small enough to be inlined: then the guard stays
/// in registers.
#[inline(always)]
pub(super) fn map<G, H>(result: LockResult<G>, make: impl FnOnce(G) -> H) -> LockResult<H> {
    match result {
        Ok(guard) => Ok(make(guard)),
        Err(poisoned) => Err(PoisonError::new(make(poisoned.into_inner()))),
    }
}

/// Implements `Deref`, `Debug` and `Display` of a guard by its value.
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
