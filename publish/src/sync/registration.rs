//! How a lock finds its fields.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::fields::{Fields, Waiter};
use super::program;
use super::thread::{self, Reading, Wait};
use crate::lock::{Inside, Mutex};
use crate::publisher::epoch::epoch;

/// Publishers whose fields a lock finds without a lock: those of a program, and of its forked child.
const KEPT: usize = 4;

/// Name of a lock, and its fields under the publisher of the program.
#[derive(Debug)]
pub(super) struct Registration {
    epoch: AtomicU32,
    /// `Program::id` in this epoch; 0 if the lock has no fields.
    program: AtomicU32,
    /// Number of the lock in this epoch; 0 if it has no fields.
    number: AtomicU64,
    /// Index of the fields in `kept`; [`KEPT`] if they are in `later`.
    place: AtomicUsize,
    /// The fields under the first publishers. They stay as long as the lock.
    kept: [OnceLock<Arc<Fields>>; KEPT],
    /// The fields under a later publisher. Nothing is allocated or freed while it is locked.
    later: Mutex<Option<Arc<Fields>>>,
    name: Cow<'static, str>,
}

/// The fields of a lock, while a thread has it or tries to get it.
#[derive(Debug)]
pub(super) enum Hold<'a> {
    /// It has none.
    None,
    Kept(&'a Fields),
    Later(Arc<Fields>),
}

impl Hold<'_> {
    #[inline]
    pub(super) fn fields(&self) -> Option<&Fields> {
        match self {
            Self::None => None,
            Self::Kept(fields) => Some(fields),
            Self::Later(fields) => Some(fields),
        }
    }

    #[inline]
    fn number(&self) -> u64 {
        self.fields().map_or(0, |fields| fields.number)
    }

    /// The lock is about to be released.
    #[inline]
    pub(super) fn end(&self) {
        if let Some(fields) = self.fields() {
            fields.end_hold();
        }
    }
}

impl Registration {
    pub(super) const fn new(name: Cow<'static, str>) -> Self {
        Self {
            // The epoch before the first publisher.
            epoch: AtomicU32::new(0),
            program: AtomicU32::new(0),
            number: AtomicU64::new(0),
            place: AtomicUsize::new(KEPT),
            kept: [const { OnceLock::new() }; KEPT],
            later: Mutex::new(None),
            name,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The fields of the lock, after a look for another publisher. To be called without the lock.
    #[inline]
    pub(super) fn find(&self) -> Hold<'_> {
        self.refresh();
        self.hold()
    }

    #[inline]
    fn refresh(&self) {
        if self.epoch() != epoch() {
            self.register();
        }
    }

    #[inline]
    fn epoch(&self) -> u32 {
        // Must be Acquire, because place and number must not be older. Partner: `set_epoch`.
        self.epoch.load(Ordering::Acquire)
    }

    fn set_epoch(&self, epoch: u32) {
        // Must be Release: see `epoch`.
        self.epoch.store(epoch, Ordering::Release);
    }

    #[inline]
    fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    #[inline]
    fn program(&self) -> u32 {
        self.program.load(Ordering::Relaxed)
    }

    /// The fields as they are known.
    #[inline]
    fn hold(&self) -> Hold<'_> {
        match self.kept.get(self.place.load(Ordering::Relaxed)).and_then(OnceLock::get) {
            Some(fields) => Hold::Kept(fields),
            None => self.hold_later(),
        }
    }

    #[inline]
    fn hold_later(&self) -> Hold<'_> {
        if self.number() == 0 { Hold::None } else { self.clone_later() }
    }

    #[cold]
    #[inline(never)]
    fn clone_later(&self) -> Hold<'_> {
        self.later.lock().clone().map_or(Hold::None, Hold::Later)
    }

    /// This thread has the lock from now on, perhaps after a wait. `hold` is what it found before.
    #[inline]
    pub(super) fn begin<'a>(&'a self, mut hold: Hold<'a>, has_waited: bool) -> Hold<'a> {
        // Another thread may have found another publisher meanwhile. If it had the lock since then, its
        // number is seen here: who has the lock never writes to older fields than who had it before.
        if hold.number() != self.number() {
            hold = self.hold();
        }
        if let Some(fields) = hold.fields() {
            fields.begin_hold(has_waited);
        }
        hold
    }

    /// [`Registration::find`] before the lock is locked for reading.
    #[inline]
    pub(super) fn find_reader(&self) {
        self.refresh();
        if !thread::is_ready(self.program()) {
            self.prepare_reader();
        }
    }

    #[cold]
    #[inline(never)]
    fn prepare_reader(&self) {
        if self.program() != 0
            && let Some(fields) = self.hold().fields()
        {
            thread::prepare(fields.program());
        }
    }

    /// Publishes that this thread has locked the lock for reading.
    #[inline]
    pub(super) fn begin_reading(&self) -> Reading {
        match self.program() {
            0 => Reading::NONE,
            program => Reading::begin(program, self.number()),
        }
    }

    /// Publishes that this thread waits, while `wait` does.
    #[cold]
    #[inline(never)]
    pub(super) fn waiting<R>(&self, wait: impl FnOnce() -> R) -> R {
        // Not in a call from within the library.
        let hold = if Inside::enter_first().is_some() { self.hold() } else { Hold::None };
        let Some(fields) = hold.fields() else { return wait() };
        let waiter = Waiter::begin(fields);
        let since = fields.notice_holder();
        let row = Wait::begin(fields.program(), since, "", self.name(), fields.number);
        let result = wait();
        drop((waiter, row));
        result
    }

    #[cold]
    #[inline(never)]
    fn register(&self) {
        // What calls from within the library must not wait for it: the next call registers.
        if Inside::enter_first().is_none() {
            return;
        }
        // One thread at a time. All that is dropped is dropped afterwards: it locks and frees.
        let Some(mut current) = program::current() else { return };
        let epoch = epoch();
        if self.epoch() == epoch {
            return; // Another thread was first.
        }
        let ended = current.renew(epoch);
        let program = current.program.clone();
        let known = self.hold();
        let is_same = match (&program, known.fields()) {
            (Some(program), Some(fields)) => Arc::ptr_eq(program, fields.program()),
            _ => false,
        };
        let replaced = if is_same {
            None
        } else {
            let fields = program.as_ref().and_then(|program| {
                let new = Fields::new(program, current.next_lock, self.name());
                if new.is_none() {
                    program.refuse_lock();
                }
                new
            });
            current.next_lock += u64::from(fields.is_some());
            self.replace(fields)
        };
        self.set_epoch(epoch);
        drop(current);
        drop((ended, program, replaced));
    }

    /// Replaces the fields; returns old ones, which are to be dropped without a lock.
    fn replace(&self, fields: Option<Fields>) -> Option<Arc<Fields>> {
        let number = fields.as_ref().map_or(0, |fields| fields.number);
        let program = fields.as_ref().map_or(0, |fields| fields.program().id);
        let (mut later, mut place) = (fields.map(Arc::new), KEPT);
        for (index, kept) in self.kept.iter().enumerate() {
            let Some(fields) = later.take() else { break };
            match kept.set(fields) {
                Ok(()) => place = index,
                Err(fields) => later = Some(fields),
            }
        }
        let old = std::mem::replace(&mut *self.later.lock(), later);
        self.place.store(place, Ordering::Relaxed);
        self.program.store(program, Ordering::Relaxed);
        self.number.store(number, Ordering::Relaxed);
        old
    }
}
