//! Lookup of the fields of a lock.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::fields::{Fields, Waiter};
use super::guard::Hold;
use super::program::{self, Current, Program, Refusal};
use super::thread::{self, Reading, Wait};
use crate::lock::Inside;
use crate::publisher::epoch::epoch;

/// Number of publishers whose fields are stored inline: of a program, and of its forked children.
const NEAR: usize = 4;
/// Number of further publishers, whose fields are allocated.
const FAR: usize = 60;

/// Name of a lock, and its fields under the publisher of the program.
#[derive(Debug)]
pub(super) struct Registration {
    epoch: AtomicU32,
    /// `Program::id` in this epoch; 0 if the lock has no fields.
    program: AtomicU32,
    /// Number of the lock in this epoch; 0 if it has no fields.
    number: AtomicU64,
    /// Index of the fields of this epoch in `near`, then `far`; `usize::MAX` if there are none.
    place: AtomicUsize,
    // The fields stay as long as the lock, so that a guard can refer to them.
    near: [OnceLock<Box<Fields>>; NEAR],
    far: OnceLock<Box<[OnceLock<Box<Fields>>; FAR]>>,
    /// Refusal by the program of this epoch, if it had no room for the fields.
    refusal: Mutex<Option<Box<Refusal>>>,
    name: Cow<'static, str>,
}

impl Registration {
    pub(super) const fn new(name: Cow<'static, str>) -> Self {
        Self {
            // 0 is the epoch before the first publisher.
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

    /// The fields of the lock, if it has any; in a new epoch they are registered first. Must be called before the
    /// lock is taken.
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

    /// The fields of the last registration.
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

    /// Publishes that this thread holds the lock; `fields` are those found before it was taken.
    #[inline(always)]
    pub(super) fn begin<'a>(
        &'a self,
        mut fields: Option<&'a Fields>,
        has_waited: bool,
    ) -> Hold<'a> {
        // Another thread may have registered the lock again meanwhile. The unlock of a thread that wrote to
        // newer fields makes their number visible here.
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

    /// Publishes that this thread waits, during `wait`.
    #[cold]
    #[inline(never)]
    pub(super) fn waiting<R>(&self, wait: impl FnOnce() -> R) -> R {
        // Calls from within the library are not shown.
        let fields = if Inside::is_entered() { None } else { self.fields() };
        let Some(fields) = fields else { return wait() };
        thread::prepare(fields.program());
        let waiter = Waiter::begin(fields);
        let since = fields.notice_holder();
        let row = Wait::begin(fields.program(), since, "", self.name(), fields.number);
        // Again: a hold and a wait that begin at the same time can miss each other, for neither has a fence
        // between its store and its load.
        fields.notice_holder();
        let result = wait();
        drop((waiter, row));
        result
    }

    #[cold]
    #[inline(never)]
    fn register(&self) {
        // Calls from within the library must not wait for it: the next call registers.
        if Inside::is_entered() {
            return;
        }
        // The result of `renew` is dropped after the unlock: its drop locks and frees memory.
        drop(program::with_current(|epoch, current| {
            // If equal, another thread was first.
            (self.epoch() != epoch).then(|| self.renew(epoch, current))
        }));
    }

    /// Finds or adds the fields in this epoch, one thread at a time. Returns values for the caller to drop.
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

    /// Adds fields under one more publisher. Returns their place and the `Program::id`.
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

    /// Sets the refusal by `program`, or none. Returns the previous one, for the caller to drop.
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
