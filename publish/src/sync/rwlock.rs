//! A reader-writer lock.

use std::borrow::Cow;
use std::fmt;
use std::ops::DerefMut;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{self, LockResult, PoisonError, TryLockError, TryLockResult};

use super::fields::Fields;
use super::guard::{Hold, at_once, map, shows_value};
use super::registration::Registration;
use super::thread::Reading;

/// [`std::sync::RwLock`] with a name: it publishes its writer, its readers and the threads that wait, see
/// [`mmstats::sync`](crate::sync).
///
/// ```
/// use mmstats::sync::RwLock;
///
/// static CONFIG: RwLock<u32> = RwLock::new("config", 1);
///
/// *CONFIG.write().unwrap() += 1;
/// assert_eq!(*CONFIG.read().unwrap(), 2);
/// ```
pub struct RwLock<T: ?Sized> {
    registration: Registration,
    inner: sync::RwLock<T>,
}

type StdRead<'a, T> = sync::RwLockReadGuard<'a, T>;
type StdWrite<'a, T> = sync::RwLockWriteGuard<'a, T>;

impl<T> RwLock<T> {
    /// An unlocked lock.
    #[must_use]
    pub const fn new(name: &'static str, value: T) -> Self {
        let registration = Registration::new(Cow::Borrowed(name));
        Self { registration, inner: sync::RwLock::new(value) }
    }

    /// [`RwLock::new`] with a name made at run time.
    #[must_use]
    pub fn with_name(name: impl Into<Cow<'static, str>>, value: T) -> Self {
        let registration = Registration::new(name.into());
        Self { registration, inner: sync::RwLock::new(value) }
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// As [`std::sync::RwLock::into_inner`].
    pub fn into_inner(self) -> LockResult<T> {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.registration.name()
    }

    /// Waits until no thread has it for writing, and locks it for reading.
    ///
    /// # Errors
    ///
    /// As [`std::sync::RwLock::read`].
    ///
    /// # Panics
    ///
    /// As [`std::sync::RwLock::read`].
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.registration.find_reader();
        // The guard is made in one place, so that it stays in registers.
        let inner = at_once(self.inner.try_read()).unwrap_or_else(|| self.wait_read());
        self.begin_read(inner)
    }

    /// Locks it for reading, if that needs no wait.
    ///
    /// # Errors
    ///
    /// As [`std::sync::RwLock::try_read`].
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        self.registration.find_reader();
        let inner = at_once(self.inner.try_read()).ok_or(TryLockError::WouldBlock)?;
        Ok(self.begin_read(inner)?)
    }

    /// Waits until no thread has it, and locks it for writing.
    ///
    /// # Errors
    ///
    /// As [`std::sync::RwLock::write`].
    ///
    /// # Panics
    ///
    /// As [`std::sync::RwLock::write`].
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let fields = self.registration.find();
        // As in `read`.
        let (inner, has_waited) = match at_once(self.inner.try_write()) {
            Some(inner) => (inner, false),
            None => (self.wait_write(), true),
        };
        self.begin_write(inner, fields, has_waited)
    }

    /// Locks it for writing, if that needs no wait.
    ///
    /// # Errors
    ///
    /// As [`std::sync::RwLock::try_write`].
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let fields = self.registration.find();
        let inner = at_once(self.inner.try_write()).ok_or(TryLockError::WouldBlock)?;
        Ok(self.begin_write(inner, fields, false)?)
    }

    /// As [`std::sync::RwLock::is_poisoned`].
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// As [`std::sync::RwLock::clear_poison`].
    pub fn clear_poison(&self) {
        self.inner.clear_poison();
    }

    /// The value, without locking: `&mut self` excludes other users.
    ///
    /// # Errors
    ///
    /// As [`std::sync::RwLock::get_mut`].
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }

    #[cold]
    #[inline(never)]
    fn wait_read(&self) -> LockResult<StdRead<'_, T>> {
        self.registration.waiting(|| self.inner.read())
    }

    #[cold]
    #[inline(never)]
    fn wait_write(&self) -> LockResult<StdWrite<'_, T>> {
        self.registration.waiting(|| self.inner.write())
    }

    /// The guard of a lock just taken for reading.
    #[inline(always)]
    fn begin_read<'a>(
        &self,
        inner: LockResult<StdRead<'a, T>>,
    ) -> LockResult<RwLockReadGuard<'a, T>> {
        let reading = self.registration.begin_reading();
        map(inner, |inner| RwLockReadGuard { _reading: reading, inner })
    }

    /// The guard of a lock just taken for writing.
    #[inline(always)]
    fn begin_write<'a>(
        &'a self,
        inner: LockResult<StdWrite<'a, T>>,
        fields: Option<&'a Fields>,
        has_waited: bool,
    ) -> LockResult<RwLockWriteGuard<'a, T>> {
        let hold = self.registration.begin(fields, has_waited);
        map(inner, |inner| RwLockWriteGuard { _hold: hold, inner })
    }
}

// As the lock of `std`: a panic poisons it.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RwLock");
        debug.field("name", &self.name());
        match at_once(self.inner.try_read()) {
            Some(inner) => debug.field("data", &&*inner.unwrap_or_else(PoisonError::into_inner)),
            None => debug.field("data", &format_args!("<locked>")),
        };
        debug.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// An [`RwLock`] locked for reading, unlocked when dropped.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // In this order: the published read lock ends before the unlock.
    _reading: Reading,
    inner: StdRead<'a, T>,
}

shows_value!(RwLockReadGuard);

/// An [`RwLock`] locked for writing, unlocked when dropped.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    // Order of drops: see `Hold`.
    _hold: Hold<'a>,
    inner: StdWrite<'a, T>,
}

shows_value!(RwLockWriteGuard);

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}
