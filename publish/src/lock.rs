//! Locks of the library: no other thread forks while one is held, and a thread sees that it holds
//! one.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::backend::fork::{Inhibitor, inhibit};

thread_local! {
    /// Number of sections of the library that this thread is in. Without a destructor, so that it
    /// exists until the thread has ended. Its address is the identity of the thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A section of this thread that allocates or locks: what calls the library from within it (a
/// global allocator, a signal handler) must neither enter it again nor wait for it.
#[derive(Debug)]
pub struct Inside(
    /// Not `Send`: it belongs to its thread.
    PhantomData<*const ()>,
);

impl Inside {
    /// Begins a section, which ends when the result is dropped.
    #[must_use]
    pub fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self(PhantomData)
    }

    /// Begins a section; `None` if this thread is in one.
    #[must_use]
    pub fn enter_first() -> Option<Self> {
        (!Self::is_entered()).then(Self::enter)
    }

    /// Whether this thread is in a section.
    #[must_use]
    pub fn is_entered() -> bool {
        DEPTH.get() != 0
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

fn this_thread() -> usize {
    DEPTH.with(|depth| std::ptr::from_ref(depth).addr())
}

/// A mutex for short sections, without poison: a panic in one leaves nothing half-done.
///
/// No thread holds it while another one forks: the child would never see it unlocked.
#[derive(Debug, Default)]
pub struct Mutex<T> {
    inner: std::sync::Mutex<T>,
    /// The thread that holds the lock; 0 if there is none.
    owner: AtomicUsize,
}

impl<T> Mutex<T> {
    /// An unlocked mutex.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self { inner: std::sync::Mutex::new(value), owner: AtomicUsize::new(0) }
    }

    /// Waits for the lock, and for a thread that forks. The thread is [`Inside`] until the result is
    /// dropped.
    ///
    /// A thread that forks waits at most about 0.2 s for the lock to be released.
    pub fn lock(&self) -> Locked<'_, T> {
        let (inhibitor, inside) = (inhibit(), Inside::enter());
        let guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.own(guard, inhibitor, inside)
    }

    /// [`Mutex::lock`], but gives up after about this time: in a forked child the holder may be a thread
    /// of the parent.
    pub fn lock_within(&self, time: Duration) -> Option<Locked<'_, T>> {
        let begin = Instant::now();
        loop {
            let (inhibitor, inside) = (inhibit(), Inside::enter());
            match self.inner.try_lock() {
                Ok(guard) => return Some(self.own(guard, inhibitor, inside)),
                Err(TryLockError::Poisoned(poisoned)) => {
                    return Some(self.own(poisoned.into_inner(), inhibitor, inside));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            drop((inside, inhibitor));
            if begin.elapsed() >= time {
                return None;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    fn own<'a>(
        &'a self,
        guard: MutexGuard<'a, T>,
        inhibitor: Inhibitor,
        inside: Inside,
    ) -> Locked<'a, T> {
        self.owner.store(this_thread(), Ordering::Relaxed);
        Locked { guard, owner: &self.owner, _inside: inside, _inhibitor: inhibitor }
    }

    /// Whether this thread holds the lock, so that it would wait for itself.
    pub fn is_mine(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == this_thread()
    }
}

/// A locked value.
#[derive(Debug)]
pub struct Locked<'a, T> {
    // Must be dropped first, so it is the first field.
    guard: MutexGuard<'a, T>,
    owner: &'a AtomicUsize,
    _inside: Inside,
    _inhibitor: Inhibitor,
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        self.owner.store(0, Ordering::Relaxed);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_of_the_thread_that_holds_it() {
        let mutex = Mutex::new(1);
        assert!(!mutex.is_mine());
        let held = mutex.lock();
        assert!(mutex.is_mine() && Inside::is_entered());
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(!mutex.is_mine() && !Inside::is_entered()));
        });
        drop(held);
        assert!(!mutex.is_mine() && !Inside::is_entered());
    }

    #[test]
    fn lock_within_gives_up_while_another_thread_has_it() {
        let mutex = Mutex::new(1);
        let held = mutex.lock();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(mutex.lock_within(Duration::from_millis(1)).is_none());
                assert!(!Inside::is_entered());
            });
        });
        drop(held);
        assert_eq!(*mutex.lock_within(Duration::ZERO).unwrap(), 1);
    }
}
