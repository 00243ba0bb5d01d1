//! The publisher of the whole program.

use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::{Closer, Publisher, Registry};
use crate::error::Error;
use crate::lock::Mutex;
use crate::thread::Lane;
use crate::thread::stats::Stats;

/// The publisher that [`init`](crate::init) or [`Options::init`](crate::Options::init) started,
/// while a guard of it lives.
///
/// A library adds its fields to it, so that they are published if its program publishes. This
/// takes a lock: keep the result.
#[must_use]
pub fn global() -> Option<Registry> {
    if GLOBAL.is_mine() {
        return None; // Called by an allocator while the publisher starts.
    }
    running(&GLOBAL.lock()).map(|shared| shared.registry.clone())
}

/// [`global`], or `None` if another thread starts a publisher for longer than about this time.
#[cfg(all(feature = "sync", target_pointer_width = "64", target_has_atomic = "64"))]
// For `crate::sync` alone.
pub(crate) fn global_within(time: std::time::Duration) -> Option<Option<Registry>> {
    let global = GLOBAL.lock_within(time)?;
    Some(running(&global).map(|shared| shared.registry.clone()))
}

/// Keeps the publisher of the whole program open; it dereferences to that publisher.
#[must_use = "publishing ends when the guard is dropped"]
pub struct Guard<S: Stats = Lane> {
    publisher: Publisher<S>,
    shared: Arc<Global>,
}

struct Global {
    registry: Registry,
}

impl Drop for Global {
    fn drop(&mut self) {
        // Clones of the publisher do not keep it open.
        self.registry.closer.close_unless_panicking();
    }
}

impl<S: Stats> Guard<S> {
    /// Makes the result of `start` the publisher of the whole program.
    pub(crate) fn start(
        start: impl FnOnce() -> Result<Publisher<S>, Error>,
    ) -> Result<Self, Error> {
        let mut global = GLOBAL.lock();
        if running(&global).is_some() {
            return Err(Error::Initialised);
        }
        Ok(Self::new(&mut global, start()?))
    }

    fn new(global: &mut Weak<Global>, publisher: Publisher<S>) -> Self {
        let shared = Arc::new(Global { registry: publisher.registry() });
        *global = Arc::downgrade(&shared);
        super::epoch::change_epoch();
        Self { publisher, shared }
    }
}

impl Guard {
    /// A guard of the publisher of the whole program; `start` makes one if there is none.
    pub(crate) fn get_or_start(start: impl FnOnce() -> Registry) -> Self {
        let mut global = GLOBAL.lock();
        match running(&global) {
            Some(shared) => Self { publisher: shared.registry.clone(), shared },
            None => Self::new(&mut global, start()),
        }
    }
}

impl<S: Stats> Deref for Guard<S> {
    type Target = Publisher<S>;

    fn deref(&self) -> &Publisher<S> {
        &self.publisher
    }
}

impl<S: Stats> std::fmt::Debug for Guard<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let guards = Arc::strong_count(&self.shared);
        f.debug_struct("Guard").field("guards", &guards).finish_non_exhaustive()
    }
}

/// Sees whether a publisher is open, without keeping it open.
#[derive(Debug)]
pub struct Watch(Weak<Closer>);

impl Watch {
    /// Watches this publisher.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self(Arc::downgrade(&registry.closer))
    }

    /// [`is_live`], and whether the publisher is still referenced.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let is_live = |closer: Arc<Closer>| !closer.files.is_forked() && !closer.files.is_closed();
        self.0.upgrade().is_some_and(is_live)
    }
}

/// Changes the epoch when this publisher is closed.
pub fn record(registry: &Registry) {
    registry.closer.is_recorded.store(true, Ordering::Relaxed);
}

/// Whether a publisher is of this process and not closed.
#[must_use]
pub fn is_live(registry: &Registry) -> bool {
    !registry.is_forked() && !registry.files.is_closed()
}

static GLOBAL: Mutex<Weak<Global>> = Mutex::new(Weak::new());

fn running(global: &Weak<Global>) -> Option<Arc<Global>> {
    let shared = global.upgrade()?;
    // The publisher of the parent process does not publish in a forked child.
    (!shared.registry.files.is_forked()).then_some(shared)
}
