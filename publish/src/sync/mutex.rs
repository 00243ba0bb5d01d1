//! A mutex.

use std::borrow::Cow;
use std::fmt;
use std::ops::DerefMut;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{self, LockResult, PoisonError, TryLockError, TryLockResult};

use super::fields::Fields;
use super::guard::{Hold, at_once, map, shows_value};
use super::registration::Registration;

/// [`std::sync::Mutex`] with a name: it publishes its holder and the threads that wait, see
/// [`mmstats::sync`](crate::sync).
///
/// ```
/// use std::sync::Arc;
///
/// use mmstats::sync::Mutex;
///
/// let log = Arc::new(Mutex::new("log", String::new()));
/// log.lock().unwrap().push_str("started");
/// let shard = Mutex::with_name(format!("shard {}", 7), [0_u8; 16]);
/// assert_eq!((log.name(), shard.name()), ("log", "shard 7"));
/// ```
pub struct Mutex<T: ?Sized> {
    registration: Registration,
    inner: sync::Mutex<T>,
}

impl<T> Mutex<T> {
    /// An unlocked mutex.
    #[must_use]
    pub const fn new(name: &'static str, value: T) -> Self {
        let registration = Registration::new(Cow::Borrowed(name));
        Self { registration, inner: sync::Mutex::new(value) }
    }

    /// [`Mutex::new`] with a name made at run time.
    #[must_use]
    pub fn with_name(name: impl Into<Cow<'static, str>>, value: T) -> Self {
        let registration = Registration::new(name.into());
        Self { registration, inner: sync::Mutex::new(value) }
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// As [`std::sync::Mutex::into_inner`].
    pub fn into_inner(self) -> LockResult<T> {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.registration.name()
    }

    /// Waits for the lock.
    ///
    /// # Errors
    ///
    /// As [`std::sync::Mutex::lock`].
    ///
    /// # Panics
    ///
    /// As [`std::sync::Mutex::lock`].
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let fields = self.registration.find();
        // The guard is made in one place, so that it stays in registers.
        let (inner, has_waited) = match at_once(self.inner.try_lock()) {
            Some(inner) => (inner, false),
            None => (self.wait(), true),
        };
        self.begin(inner, fields, has_waited)
    }

    /// Locks it, if it is free.
    ///
    /// # Errors
    ///
    /// As [`std::sync::Mutex::try_lock`].
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let fields = self.registration.find();
        let inner = at_once(self.inner.try_lock()).ok_or(TryLockError::WouldBlock)?;
        Ok(self.begin(inner, fields, false)?)
    }

    /// As [`std::sync::Mutex::is_poisoned`].
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// As [`std::sync::Mutex::clear_poison`].
    pub fn clear_poison(&self) {
        self.inner.clear_poison();
    }

    /// The value, without locking: `&mut self` excludes other users of the mutex.
    ///
    /// # Errors
    ///
    /// As [`std::sync::Mutex::get_mut`].
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) -> LockResult<sync::MutexGuard<'_, T>> {
        self.registration.waiting(|| self.inner.lock())
    }

    /// The guard of a lock just taken.
    #[inline(always)]
    fn begin<'a>(
        &'a self,
        inner: LockResult<sync::MutexGuard<'a, T>>,
        fields: Option<&'a Fields>,
        has_waited: bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        begin(&self.registration, inner, fields, has_waited)
    }
}

// As the mutex of `std`: a panic poisons it.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Mutex");
        debug.field("name", &self.name());
        match at_once(self.inner.try_lock()) {
            Some(inner) => debug.field("data", &&*inner.unwrap_or_else(PoisonError::into_inner)),
            None => debug.field("data", &format_args!("<locked>")),
        };
        debug.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// A locked [`Mutex`], unlocked when dropped.
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T: ?Sized> {
    // Order of drops: see `Hold`.
    pub(super) hold: Hold<'a>,
    pub(super) inner: sync::MutexGuard<'a, T>,
    pub(super) registration: &'a Registration,
}

/// The guard of a lock just taken.
#[inline(always)]
pub(super) fn begin<'a, T: ?Sized>(
    registration: &'a Registration,
    inner: LockResult<sync::MutexGuard<'a, T>>,
    fields: Option<&'a Fields>,
    has_waited: bool,
) -> LockResult<MutexGuard<'a, T>> {
    let hold = registration.begin(fields, has_waited);
    map(inner, |inner| MutexGuard { hold, inner, registration })
}

shows_value!(MutexGuard);

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}
