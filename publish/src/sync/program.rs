//! The publisher of the program, as the locks use it: the fields of its threads, and the number of
//! locks that it shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mmstats_core::{Aggregation, Level};

use crate::error::Error;
use crate::handles::Gauge;
use crate::handles::SharedGauge;
use crate::handles::activity::Activity;
use crate::lock::{Locked, Mutex};
use crate::publisher::Registry;
use crate::publisher::global::{global, is_live, record};
use crate::schema::key::Key;
use crate::schema::options::FieldOptions;

/// Locks that are shown at the same time.
pub(super) const MOST_LOCKS: u32 = 256;
/// Read locks that a thread shows at the same time.
pub(super) const READING: usize = 4;
/// Bytes of the text of a wait.
pub(super) const TEXT: usize = 64;
/// Waits that a thread shows at the same time: a signal handler may wait during a wait.
const WAITS: u32 = 2;

pub(super) type Waits = Activity<TEXT>;

/// A publisher of the whole program.
#[derive(Debug)]
pub(super) struct Program {
    /// No other one of this process has it.
    pub(super) id: u32,
    pub(super) registry: Registry,
    pub(super) waits: Key<Waits>,
    pub(super) reading: [Key<Gauge<u64>>; READING],
    pub(super) more: Key<Gauge<u64>>,
    refused: SharedGauge<u64>,
    /// Number of locks that it shows.
    locks: AtomicU32,
}

impl Program {
    fn new(id: u32, registry: Registry) -> Result<Self, Error> {
        record(&registry);
        let options = || FieldOptions::<()>::new().level(Level::Diagnostic);
        // The gauges first: room is made in proportion to the first field.
        let help = "Locks without fields, because there were too many.";
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

    /// Counts a lock that gets no fields.
    pub(super) fn refuse_lock(&self) {
        self.refused.add(1);
    }

    /// Ends what a successful [`Program::begin_lock`] began.
    pub(super) fn end_lock(&self) {
        self.locks.fetch_sub(1, Ordering::Relaxed);
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
    /// Looks for the publisher, if the epoch has changed. Returns the one that it replaces.
    pub(super) fn renew(&mut self, epoch: u32) -> Option<Arc<Program>> {
        if self.epoch == epoch {
            return None;
        }
        self.epoch = epoch;
        let found = global().filter(is_live);
        let is_same = |program: &Program, found: &Registry| program.registry.is_same(found);
        match (&self.program, found) {
            (Some(program), Some(found)) if is_same(program, &found) => None,
            (_, found) => {
                let id = self.next_program;
                let new = found.and_then(|registry| Program::new(id, registry).ok());
                self.next_program += u32::from(new.is_some());
                std::mem::replace(&mut self.program, new.map(Arc::new))
            }
        }
    }
}

/// Longest wait for another thread that does the same. After it the lock stays as it is until the next
/// use: a thread of the parent may hold `CURRENT` for ever in a forked child, or wait for a lock that
/// this thread has, in the program's allocator.
const LONGEST: Duration = Duration::from_secs(1);

/// The publisher of the program, for one thread at a time. Not from within the library.
pub(super) fn current() -> Option<Locked<'static, Current>> {
    CURRENT.lock_within(LONGEST)
}

/// The first bytes of whole characters of `text`, at most `size`.
pub(super) fn cut(text: &str, size: usize) -> &str {
    if text.len() <= size {
        return text;
    }
    let end = (0..=size).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
