//! How a lock finds its fields.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::fields::{Fields, Waiter};
use super::guard::Hold;
use super::program::{self, Current, Program, Refusal};
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
    /// Of the program that gives it no fields in this epoch.
    refusal: Mutex<Option<Box<Refusal>>>,
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
            refusal: Mutex::new(None),
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

    /// This thread has the lock from now on, perhaps after a wait. `fields` is what it found before.
    #[inline(always)]
    pub(super) fn begin<'a>(
        &'a self,
        mut fields: Option<&'a Fields>,
        has_waited: bool,
    ) -> Hold<'a> {
        // Another thread may have found another publisher meanwhile. A thread that gets the lock after one
        // that wrote to newer fields sees their number.
        if fields.map_or(0, |fields| fields.number) != self.number() {
            fields = self.fields();
        }
        if let Some(fields) = fields {
            fields.begin_hold(has_waited);
        }
        Hold::new(fields)
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
            program => Reading::begin(program, self.number()),
        }
    }

    /// Publishes that this thread waits, while `wait` does.
    #[cold]
    #[inline(never)]
    pub(super) fn waiting<R>(&self, wait: impl FnOnce() -> R) -> R {
        // Not in a call from within the library.
        let fields = if Inside::is_entered() { None } else { self.fields() };
        let Some(fields) = fields else { return wait() };
        thread::prepare(fields.program());
        let waiter = Waiter::begin(fields);
        let since = fields.notice_holder();
        let row = Wait::begin(fields.program(), since, "", self.name(), fields.number);
        // Once more: a holder that began at the same time may have missed the waiter, which may have missed
        // it too. Neither has a fence between its store and its load.
        fields.notice_holder();
        let result = wait();
        drop((waiter, row));
        result
    }

    #[cold]
    #[inline(never)]
    fn register(&self) {
        // What calls from within the library must not wait for it: the next call registers.
        if Inside::is_entered() {
            return;
        }
        // What `renew` returns is dropped without the lock: that locks and frees.
        drop(program::with_current(|epoch, current| {
            // Else another thread was first.
            (self.epoch() != epoch).then(|| self.renew(epoch, current))
        }));
    }

    /// Finds or adds the fields in this epoch, one thread at a time. Returns what is to be dropped.
    fn renew(
        &self,
        epoch: u32,
        current: &mut Current,
    ) -> (Option<Arc<Program>>, Option<Box<Refusal>>) {
        let program = current.program.clone();
        let is_same = match (&program, self.fields()) {
            (Some(program), Some(fields)) => Arc::ptr_eq(program, fields.program()),
            _ => false,
        };
        let mut ended = None;
        if !is_same {
            let added = program.as_ref().and_then(|program| self.add(program, current.next_lock));
            let (place, id) = added.unwrap_or((usize::MAX, 0));
            let number = if added.is_some() { current.next_lock } else { 0 };
            current.next_lock += u64::from(added.is_some());
            ended = self.set_refusal(program.as_ref().filter(|_| added.is_none()));
            self.place.store(place, Ordering::Relaxed);
            self.program.store(id, Ordering::Relaxed);
            self.number.store(number, Ordering::Relaxed);
        }
        self.set_epoch(epoch);
        (program, ended)
    }

    /// Adds fields under one more publisher; returns their place, and `Program::id`.
    fn add(&self, program: &Arc<Program>, number: u64) -> Option<(usize, u32)> {
        let free =
            |all: &[OnceLock<Box<Fields>>]| all.iter().position(|place| place.get().is_none());
        let (place, kept) = match free(&self.near) {
            Some(place) => (place, &self.near[place]),
            None => {
                let far = self.far.get_or_init(|| Box::new([const { OnceLock::new() }; FAR]));
                let place = free(&far[..])?;
                (NEAR + place, &far[place])
            }
        };
        let fields = Fields::new(program, number, self.name())?;
        kept.set(Box::new(fields)).ok().map(|()| (place, program.id))
    }

    /// The program that gives the lock no fields, if there is one. Returns the one before.
    fn set_refusal(&self, program: Option<&Arc<Program>>) -> Option<Box<Refusal>> {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*refusal, program) {
            (Some(refusal), Some(program)) if refusal.is_by(program) => None,
            _ => std::mem::replace(
                &mut refusal,
                program.map(|program| Box::new(Refusal::new(program))),
            ),
        }
    }
}
