//! A condition variable.

use std::borrow::Cow;
use std::sync::{self, LockResult};
use std::time::{Duration, Instant};

use super::guard::map;
use super::mutex::MutexGuard;
use super::thread::{self, Wait};
use crate::handles::kinds::now;

/// [`std::sync::Condvar`] with a name, for a [`Mutex`](super::Mutex): it publishes the threads that
/// wait, see [`mmstats::sync`](crate::sync).
///
/// ```
/// use mmstats::sync::{Condvar, Mutex};
///
/// static JOBS: Mutex<Vec<u32>> = Mutex::new("jobs", Vec::new());
/// static MORE: Condvar = Condvar::new("more jobs");
///
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut jobs = MORE.wait_while(JOBS.lock().unwrap(), |jobs| jobs.is_empty()).unwrap();
///         assert_eq!(jobs.pop(), Some(7));
///     });
///     JOBS.lock().unwrap().push(7);
///     MORE.notify_one();
/// });
/// ```
#[derive(Debug)]
pub struct Condvar {
    name: Cow<'static, str>,
    inner: sync::Condvar,
}

type StdGuard<'a, T> = sync::MutexGuard<'a, T>;

impl Condvar {
    /// A condition variable for which no thread waits.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), inner: sync::Condvar::new() }
    }

    /// [`Condvar::new`] with a name made at run time.
    #[must_use]
    pub fn with_name(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), inner: sync::Condvar::new() }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again.
    ///
    /// # Errors
    ///
    /// As [`std::sync::Condvar::wait`].
    ///
    /// # Panics
    ///
    /// As [`std::sync::Condvar::wait`].
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let wait = |inner| map(self.inner.wait(inner), |inner| (inner, ()));
        map(self.waiting(guard, wait), |(guard, ())| guard)
    }

    /// [`Condvar::wait`] while `condition` holds.
    ///
    /// # Errors
    ///
    /// As [`std::sync::Condvar::wait`].
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// [`Condvar::wait`] for at most about this time.
    ///
    /// # Errors
    ///
    /// As [`std::sync::Condvar::wait_timeout`].
    ///
    /// # Panics
    ///
    /// As [`std::sync::Condvar::wait`].
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        self.waiting(guard, |inner| {
            let own = |(inner, result): (_, sync::WaitTimeoutResult)| {
                (inner, WaitTimeoutResult(result.timed_out()))
            };
            map(self.inner.wait_timeout(inner, timeout), own)
        })
    }

    /// [`Condvar::wait_while`] for at most about this time.
    ///
    /// # Errors
    ///
    /// As [`std::sync::Condvar::wait_timeout_while`].
    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let start = Instant::now();
        while condition(&mut *guard) {
            let Some(left) = timeout.checked_sub(start.elapsed()) else {
                return Ok((guard, WaitTimeoutResult(true)));
            };
            guard = self.wait_timeout(guard, left)?.0;
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    /// As [`std::sync::Condvar::notify_one`].
    pub fn notify_one(&self) {
        self.inner.notify_one();
    }

    /// As [`std::sync::Condvar::notify_all`].
    pub fn notify_all(&self) {
        self.inner.notify_all();
    }

    /// Publishes the wait of this thread during `wait`, which unlocks the mutex and locks it again.
    fn waiting<'a, T, R>(
        &self,
        guard: MutexGuard<'a, T>,
        wait: impl FnOnce(StdGuard<'a, T>) -> LockResult<(StdGuard<'a, T>, R)>,
    ) -> LockResult<(MutexGuard<'a, T>, R)> {
        let MutexGuard { hold, inner, registration } = guard;
        let fields = hold.fields();
        // In this order: a thread that is stopped or killed at any point never shows both a wait for a lock
        // and a hold of it, which would be a deadlock with itself.
        if let Some(fields) = fields {
            thread::prepare(fields.program());
        }
        drop(hold);
        let row = fields.map(|fields| {
            Wait::begin(fields.program(), now(), "condvar ", &self.name, fields.number)
        });
        let result = wait(inner);
        drop(row);
        let hold = registration.begin(fields, true);
        map(result, |(inner, result)| (MutexGuard { hold, inner, registration }, result))
    }
}

/// Whether a wait ended because its time was over: as [`std::sync::WaitTimeoutResult`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over.
    #[must_use]
    pub const fn timed_out(&self) -> bool {
        self.0
    }
}
