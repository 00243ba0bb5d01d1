//! The fields of one lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use mmstats_core::{Aggregation, Level, StoringGauge};

use super::program::{Program, cut};
use super::thread;
use crate::claim::Keep;
use crate::handles::kinds::{Timestamp, now};
use crate::handles::{Gauge, SharedGauge};
use crate::schema::declaration::{Declaration, Field};
use crate::schema::key::Address;
use crate::schema::options::AnyOptions;

/// Maximum length of the name in the attribute of a lock, in bytes.
const NAME: usize = 255;

/// One numeric field of a lock, retired when dropped.
#[derive(Debug)]
struct Number {
    // In this order: the room of a field is free once it is retired and has neither value nor handle.
    gauge: Cleared,
    _room: RetiredAtEnd,
}

#[derive(Debug)]
struct Cleared(SharedGauge<u64>);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.clear();
    }
}

#[derive(Debug)]
struct RetiredAtEnd {
    program: Arc<Program>,
    address: Address,
}

impl Drop for RetiredAtEnd {
    fn drop(&mut self) {
        self.program.registry.retire_passing(self.address);
    }
}

impl Number {
    fn new(program: &Arc<Program>, declaration: Declaration) -> Option<Self> {
        let (address, gauge) = program.registry.shared_passing(declaration).ok()?;
        let room = RetiredAtEnd { program: Arc::clone(program), address };
        Some(Self { gauge: Cleared(gauge), _room: room })
    }

    #[inline]
    fn set(&self, value: u64) {
        self.gauge.0.set(value);
    }

    fn get(&self) -> Option<u64> {
        self.gauge.0.get()
    }
}

/// The fields of a lock.
#[derive(Debug)]
pub(super) struct Fields {
    // Fields of the fast path: stored by each lock and unlock.
    holder_now: StoringGauge<Keep>,
    count_now: StoringGauge<Keep>,
    /// `Program::id`.
    program: u32,
    /// Number of waiting threads.
    waiters: AtomicU32,
    /// The number of the lock.
    pub(super) number: u64,
    count: Number,
    holder: Number,
    noticed: Number,
    since: Number,
    /// Spin lock of `since` and `noticed`: whether a thread writes them.
    notices: AtomicBool,
    place: PlaceOfLock,
}

/// A place among the `MOST_LOCKS` shown locks, freed when dropped.
#[derive(Debug)]
struct PlaceOfLock(Arc<Program>);

impl Drop for PlaceOfLock {
    fn drop(&mut self) {
        self.0.end_lock();
    }
}

impl Fields {
    /// Adds the fields of a lock. `None` if there are too many locks, or no room.
    pub(super) fn new(program: &Arc<Program>, number: u64, name: &str) -> Option<Self> {
        if !program.begin_lock() {
            return None;
        }
        let place = PlaceOfLock(Arc::clone(program));
        // A zero byte is not allowed in attributes.
        let mut name = cut(name, NAME).replace('\0', "\u{fffd}");
        name.truncate(cut(&name, NAME).len());
        let options = |help: &str| {
            let options = AnyOptions {
                help: help.to_owned(),
                level: Level::Diagnostic,
                aggregation: Some(Aggregation::Each),
                ..AnyOptions::default()
            };
            options.attribute("lock", &name).attribute("id", &number.to_string())
        };
        let gauge = |label: &str, help| {
            Number::new(program, Gauge::<u64>::declaration(label.to_owned(), options(help)))
        };
        let count = gauge("sys.lock.count", "Times that it was locked for writing.")?;
        let holder = gauge("sys.lock.holder", "Thread that holds it for writing; 0 for none.")?;
        let noticed = gauge("sys.lock.noticed", "Count to which `since` belongs.")?;
        let help = "Held at least since then, if `noticed` is the count.";
        let since = Timestamp::declaration("sys.lock.since".to_owned(), options(help));
        let since = Number::new(program, since)?;
        // `holder` has no value before the first known holder.
        count.set(0);
        let (holder_now, count_now) = (holder.gauge.0.storing()?, count.gauge.0.storing()?);
        Some(Self {
            holder_now,
            count_now,
            program: program.id,
            waiters: AtomicU32::new(0),
            number,
            count,
            holder,
            noticed,
            since,
            notices: AtomicBool::new(false),
            place,
        })
    }

    pub(super) const fn program(&self) -> &Arc<Program> {
        &self.place.0
    }

    /// Publishes that this thread holds the lock.
    #[inline(always)]
    pub(super) fn begin_hold(&self, has_waited: bool) {
        let before = self.count_now.get();
        let count = before.wrapping_add(1);
        self.count_now.set(count);
        let holder = thread::id(self.program);
        self.holder_now.set(holder);
        if before == 0 {
            self.begin_first_hold(holder);
        }
        if has_waited || self.waiters.load(Ordering::Relaxed) != 0 {
            self.notice_own(count);
        }
    }

    /// Marks `holder` as present.
    #[cold]
    #[inline(never)]
    fn begin_first_hold(&self, holder: u64) {
        self.holder.set(holder);
    }

    #[cold]
    #[inline(never)]
    fn notice_own(&self, count: u64) {
        self.notice(count, now());
    }

    /// Publishes that this thread is about to release the lock.
    #[inline(always)]
    pub(super) fn end_hold(&self) {
        self.holder_now.set(0);
    }

    /// Publishes that the holder of acquisition `count` has the lock at `now`, unless a time of it is published.
    fn notice(&self, count: u64, now: u64) {
        // One writer at a time: else an old `since` could stand beside a new `noticed`. If the writer was
        // preempted, the time is left for the next thread that begins to wait.
        let mut tries = 100;
        while self.notices.swap(true, Ordering::Acquire) {
            tries -= 1;
            if tries == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        if self.noticed.get().is_none_or(|noticed| noticed < count) {
            self.since.set(now);
            // Must be Release, because a reader that sees `noticed` must see this `since`, or a later one.
            // Partner: an observer that reads `noticed` first, and compares two looks (FILES.md, section 2).
            fence(Ordering::Release);
            self.noticed.set(count);
        }
        self.notices.store(false, Ordering::Release);
    }

    /// [`Fields::notice`] by a thread that begins to wait. Returns the time.
    pub(super) fn notice_holder(&self) -> u64 {
        let (holder, count) = (self.holder.get(), self.count.get());
        // The clock is read after the count, so the holder has the lock by then.
        let now = now();
        // Holder 0: locked for reading, or between two holders.
        if let (None | Some(1..), Some(count)) = (holder, count) {
            self.notice(count, now);
        }
        now
    }
}

/// Counts a waiting thread, until dropped.
pub(super) struct Waiter<'a>(&'a Fields);

impl<'a> Waiter<'a> {
    pub(super) fn begin(fields: &'a Fields) -> Self {
        fields.waiters.fetch_add(1, Ordering::Relaxed);
        Self(fields)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}
