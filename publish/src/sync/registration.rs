//! How a lock finds its fields.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::fields::{Fields, Waiter};
use super::program;
use super::thread::{self, Reading, Wait};
use crate::lock::Inside;
use crate::publisher::epoch::epoch;

/// Publishers under which a lock finds its fields at once: those of a program, and of its forked child.
const NEAR: usize = 4;
/// Further publishers under which it has fields.
const FAR: usize = 60;

/// Name of a lock, and its fields under the publisher of the program.
#[derive(Debug)]
pub(super) struct Registration {
    epoch: AtomicU32,
    /// `Program::id` in this epoch; 0 if the lock has no fields.
    program: AtomicU32,
    /// Number of the lock in this epoch; 0 if it has no fields.
    number: AtomicU64,
    /// Which of `near` and then `far` has the fields of this epoch; a larger number if it has none.
    place: AtomicUsize,
    // The fields stay as long as the lock, so that a guard can refer to them.
    near: [OnceLock<Box<Fields>>; NEAR],
    far: OnceLock<Box<[OnceLock<Box<Fields>>; FAR]>>,
    name: Cow<'static, str>,
}

impl Registration {
    pub(super) const fn new(name: Cow<'static, str>) -> Self {
        Self {
            // The epoch before the first publisher.
            epoch: AtomicU32::new(0),
            program: AtomicU32::new(0),
            number: AtomicU64::new(0),
            place: AtomicUsize::new(usize::MAX),
            near: [const { OnceLock::new() }; NEAR],
            far: OnceLock::new(),
            name,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The fields of the lock, if it has any, after a look for another publisher. To be called without
    /// the lock.
    #[inline]
    pub(super) fn find(&self) -> Option<&Fields> {
        self.refresh();
        self.fields()
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
    fn fields(&self) -> Option<&Fields> {
        let place = self.place.load(Ordering::Relaxed);
        match self.near.get(place) {
            Some(near) => near.get().map(Box::as_ref),
            None if place == usize::MAX => None,
            None => self.far_fields(place),
        }
    }

    #[cold]
    #[inline(never)]
    fn far_fields(&self, place: usize) -> Option<&Fields> {
        self.far.get()?.get(place - NEAR)?.get().map(Box::as_ref)
    }

    /// This thread has the lock from now on, perhaps after a wait. `fields` is what it found before;
    /// returns what it has to end.
    #[inline(always)]
    pub(super) fn begin<'a>(
        &'a self,
        mut fields: Option<&'a Fields>,
        has_waited: bool,
    ) -> Option<&'a Fields> {
        // Another thread may have found another publisher meanwhile. If it had the lock since then, its
        // number is seen here: who has the lock never writes to older fields than who had it before.
        if fields.map_or(0, |fields| fields.number) != self.number() {
            fields = self.fields();
        }
        if let Some(fields) = fields {
            fields.begin_hold(has_waited);
        }
        fields
    }

    /// [`Registration::find`] before the lock is locked for reading.
    #[inline]
    pub(super) fn find_reader(&self) {
        self.refresh();
        let program = self.program();
        if program != 0 && !thread::is_ready(program) {
            self.prepare_reader();
        }
    }

    #[cold]
    #[inline(never)]
    fn prepare_reader(&self) {
        if let Some(fields) = self.fields() {
            thread::prepare(fields.program());
        }
    }

    /// Publishes that this thread has locked the lock for reading.
    #[inline(always)]
    pub(super) fn begin_reading(&self) -> Reading {
        match self.program() {
            0 => Reading::NONE,
            program => self.publish_reading(program),
        }
    }

    #[inline(never)]
    fn publish_reading(&self, program: u32) -> Reading {
        Reading::begin(program, self.number())
    }

    /// Publishes that this thread waits, while `wait` does.
    #[cold]
    #[inline(never)]
    pub(super) fn waiting<R>(&self, wait: impl FnOnce() -> R) -> R {
        // Not in a call from within the library.
        let fields = if Inside::enter_first().is_some() { self.fields() } else { None };
        let Some(fields) = fields else { return wait() };
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
        let is_same = match (&program, self.fields()) {
            (Some(program), Some(fields)) => Arc::ptr_eq(program, fields.program()),
            _ => false,
        };
        if !is_same {
            let fields = program.as_ref().and_then(|program| {
                let number = current.next_lock;
                let added = Fields::new(program, number, self.name());
                current.next_lock += u64::from(added.is_some());
                added.map(|fields| (program, number, fields))
            });
            let known = fields.and_then(|(program, number, fields)| {
                self.keep(Box::new(fields)).map(|place| (place, program.id, number))
            });
            if let (None, Some(program)) = (known, &program) {
                program.refuse_lock();
            }
            let (place, program, number) = known.unwrap_or((usize::MAX, 0, 0));
            self.place.store(place, Ordering::Relaxed);
            self.program.store(program, Ordering::Relaxed);
            self.number.store(number, Ordering::Relaxed);
        }
        self.set_epoch(epoch);
        drop(current);
        drop((ended, program));
    }

    /// Keeps the fields under one more publisher; returns their place.
    fn keep(&self, fields: Box<Fields>) -> Option<usize> {
        let free =
            |all: &[OnceLock<Box<Fields>>]| all.iter().position(|place| place.get().is_none());
        if let Some(place) = free(&self.near) {
            return self.near[place].set(fields).ok().map(|()| place);
        }
        let far = self.far.get_or_init(|| Box::new([const { OnceLock::new() }; FAR]));
        let place = free(&far[..])?;
        far[place].set(fields).ok().map(|()| NEAR + place)
    }
}
