//! Publisher of the locks of a program: fields of its threads, and number of shown locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use mmstats_core::{Aggregation, Level};

use crate::error::Error;
use crate::handles::Gauge;
use crate::handles::SharedGauge;
use crate::handles::activity::Activity;
use crate::lock::Mutex;
use crate::publisher::Registry;
use crate::publisher::epoch::epoch;
use crate::publisher::global::{global_within, is_live, record};
use crate::schema::key::Key;
use crate::schema::options::FieldOptions;

/// Maximum number of locks shown at the same time.
pub(super) const MOST_LOCKS: u32 = 256;
/// Maximum number of read locks shown for a thread at the same time.
pub(super) const READING: usize = 4;
/// Capacity of the text of a wait, in bytes.
pub(super) const TEXT: usize = 64;
/// Maximum number of waits shown for a thread at the same time: a signal handler can wait during a wait.
const WAITS: u32 = 2;

pub(super) type Waits = Activity<TEXT>;

/// A publisher of the whole program.
#[derive(Debug)]
pub(super) struct Program {
    /// Unique in this process.
    pub(super) id: u32,
    pub(super) registry: Registry,
    pub(super) waits: Key<Waits>,
    pub(super) reading: [Key<Gauge<u64>>; READING],
    pub(super) more: Key<Gauge<u64>>,
    refused: SharedGauge<u64>,
    /// Number of shown locks.
    locks: AtomicU32,
}

impl Program {
    fn new(id: u32, registry: Registry) -> Result<Self, Error> {
        record(&registry);
        let options = || FieldOptions::<()>::new().level(Level::Diagnostic);
        // Gauges first: room is reserved in proportion to the first field.
        let help = "Locks in use without fields: there were too many, or no room.";
        let refused = registry.shared("sys.lock.refused", options().help(help).for_handle())?;
        refused.set(0);
        let each = || options().aggregation(Aggregation::Each);
        let reading = |slot: usize| {
            let help = "Number of a lock that the thread has locked for reading; 0 for none.";
            let options = each().help(help).attribute("slot", slot.to_string());
            registry.add("sys.lock.reading", options.for_handle())
        };
        let reading = [reading(0)?, reading(1)?, reading(2)?, reading(3)?];
        let help = "Locks that the thread has locked for reading beyond those of sys.lock.reading.";
        let more = registry.add("sys.lock.reading.more", each().help(help).for_handle())?;
        let help = "Locks that threads wait for; the number at the end is that of the lock.";
        let waits = options().help(help).for_handle::<Waits>().rows(WAITS);
        let waits = registry.add("sys.lock.waits", waits)?;
        Ok(Self { id, registry, waits, reading, more, refused, locks: AtomicU32::new(0) })
    }

    /// Counts one more lock; `false` if there are too many.
    pub(super) fn begin_lock(&self) -> bool {
        let one_more = |locks: u32| (locks < MOST_LOCKS).then_some(locks + 1);
        self.locks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Reverts a successful [`Program::begin_lock`].
    pub(super) fn end_lock(&self) {
        self.locks.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A lock counted in `sys.lock.refused`, until dropped.
#[derive(Debug)]
pub(super) struct Refusal(Arc<Program>);

impl Refusal {
    pub(super) fn new(program: &Arc<Program>) -> Self {
        program.refused.add(1);
        Self(Arc::clone(program))
    }

    pub(super) fn is_by(&self, program: &Arc<Program>) -> bool {
        Arc::ptr_eq(&self.0, program)
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        self.0.refused.sub(1);
    }
}

/// The publisher of the program in this epoch.
#[derive(Debug)]
pub(super) struct Current {
    epoch: u32,
    pub(super) program: Option<Arc<Program>>,
    /// The next [`Program::id`].
    next_program: u32,
    /// The next number of a lock.
    pub(super) next_lock: u64,
}

static CURRENT: Mutex<Current> =
    Mutex::new(Current { epoch: 0, program: None, next_program: 1, next_lock: 1 });

impl Current {
    /// Uses `found`, if the epoch has changed. Returns the publisher that it replaces.
    fn renew(&mut self, epoch: u32, found: Option<&Registry>) -> Option<Arc<Program>> {
        if self.epoch == epoch {
            return None;
        }
        self.epoch = epoch;
        match (&self.program, found) {
            (Some(program), Some(found)) if program.registry.is_same(found) => None,
            (_, found) => {
                let id = self.next_program;
                let new = found.and_then(|found| Program::new(id, found.clone()).ok());
                self.next_program += u32::from(new.is_some());
                std::mem::replace(&mut self.program, new.map(Arc::new))
            }
        }
    }
}

/// Maximum wait for another thread that registers a lock or starts the publisher. That thread may not exist
/// in a forked child, or may wait, in the program's allocator, for a lock that this thread holds.
const LONGEST: Duration = Duration::from_secs(1);

/// One more than the last epoch in which a wait timed out: other threads do not wait in that epoch.
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);

fn give_up<T>(mark: u64) -> Option<T> {
    GIVEN_UP.store(mark, Ordering::Relaxed);
    None
}

/// Calls `work` with the publisher of the program, for one thread at a time. `None` if the wait times out or
/// the epoch changes meanwhile: the next use of the lock tries again. Must not be called from within the
/// library.
pub(super) fn with_current<R>(work: impl FnOnce(u32, &mut Current) -> R) -> Option<R> {
    let epoch = epoch();
    let mark = u64::from(epoch) + 1;
    let time = if GIVEN_UP.load(Ordering::Relaxed) == mark { Duration::ZERO } else { LONGEST };
    let lock = || CURRENT.lock_within(time).or_else(|| give_up(mark));
    let mut found = None;
    let mut current = lock()?;
    if current.epoch != epoch {
        // `CURRENT` is unlocked: the thread that starts the publisher may need a lock that waits for it.
        drop(current);
        found = global_within(time).or_else(|| give_up(mark))?.filter(is_live);
        current = lock()?;
        if epoch != self::epoch() {
            return None;
        }
    }
    let ended = current.renew(epoch, found.as_ref());
    let result = work(epoch, &mut current);
    // Dropped after the unlock: these drops lock and free memory.
    drop(current);
    drop((ended, found));
    Some(result)
}

/// The start of `text`, at most `size` bytes, cut at a character boundary.
pub(super) fn cut(text: &str, size: usize) -> &str {
    if text.len() <= size {
        return text;
    }
    let end = (0..=size).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
