//! What a thread publishes of its locks: for which it waits, and which it has locked for reading.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use mmstats_core::ActivityRow;

use super::program::cut;
use super::program::{Program, READING, TEXT, Waits};
use crate::error::Error;
use crate::handles::Gauge;
use crate::lock::Inside;
use crate::thread::Lane;

/// Id of a thread whose id the system does not tell.
const UNKNOWN: u64 = u64::MAX;

thread_local! {
    /// The id of this thread, and the program for which it was asked: a forked child has another one.
    static ID: Cell<(u32, u64)> = const { Cell::new((0, 0)) };
    /// The id of the program whose fields this thread has, or could not get; 0 for none. Without a
    /// destructor, so that it is found quickly.
    static PROGRAM: Cell<u32> = const { Cell::new(0) };
    static FIELDS: RefCell<Option<Fields>> = const { RefCell::new(None) };
}

/// The id of this thread, as in `sys.tid`.
#[inline]
pub(super) fn id(program: u32) -> u64 {
    let (known, id) = ID.get();
    if known == program { id } else { ask(program) }
}

#[cold]
#[inline(never)]
fn ask(program: u32) -> u64 {
    let id = crate::backend::process::thread_id().unwrap_or(UNKNOWN);
    ID.set((program, id));
    id
}

/// The fields of this thread.
struct Fields {
    program: u32,
    waits: Waits,
    reading: [Gauge<u64>; READING],
    /// The slots of `reading` in use.
    used: Cell<u8>,
    more: Gauge<u64>,
    /// The value of `more`.
    beyond: Cell<u64>,
}

impl Fields {
    fn attach(program: &Program, lane: &Lane) -> Result<Self, Error> {
        let reading = |slot: usize| lane.attach(program.reading[slot]);
        Ok(Self {
            program: program.id,
            waits: lane.attach(program.waits)?,
            reading: [reading(0)?, reading(1)?, reading(2)?, reading(3)?],
            used: Cell::new(0),
            more: lane.attach(program.more)?,
            beyond: Cell::new(0),
        })
    }
}

/// Calls `work` with the fields of this thread, if it has those of the program with this id.
#[inline]
fn with<R>(program: u32, work: impl FnOnce(&Fields) -> Option<R>) -> Option<R> {
    let found = FIELDS.try_with(|fields| {
        let fields = fields.try_borrow().ok()?;
        work(fields.as_ref().filter(|fields| fields.program == program)?)
    });
    found.ok().flatten()
}

/// Whether this thread has tried to get the fields of the program with this id.
#[inline]
pub(super) fn is_ready(program: u32) -> bool {
    PROGRAM.get() == program
}

/// Gets the fields of a program for this thread; to be called without a lock of the program.
#[cold]
pub(super) fn prepare(program: &Arc<Program>) {
    // Not in a call from within the library: the next call does.
    if is_ready(program.id) || Inside::enter_first().is_none() {
        return;
    }
    // Before: what allocates here may use a lock.
    PROGRAM.set(program.id);
    let new = program.registry.with(|lane| Fields::attach(program, lane)).ok();
    let replace = |fields: &RefCell<Option<Fields>>| {
        fields.try_borrow_mut().ok().map(|mut fields| std::mem::replace(&mut *fields, new))
    };
    // The old ones are dropped while nothing is borrowed.
    drop(FIELDS.try_with(replace));
}

/// A wait of this thread, published until it is dropped.
#[derive(Debug)]
pub(super) struct Wait {
    program: u32,
    row: Option<ActivityRow>,
}

impl Wait {
    /// The text is `prefix`, the name of what the thread waits for, and the number of the lock that it
    /// has to get. A name that does not fit is cut.
    pub(super) fn begin(
        program: &Arc<Program>,
        since: u64,
        prefix: &str,
        name: &str,
        number: u64,
    ) -> Self {
        prepare(program);
        let digits = number.checked_ilog10().map_or(1, |log| log as usize + 1);
        let name = cut(name, TEXT.saturating_sub(prefix.len() + " #".len() + digits));
        let row = with(program.id, |fields| {
            fields.waits.begin_row_fmt(since, format_args!("{prefix}{name} #{number}"))
        });
        Self { program: program.id, row }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(row) = self.row.take() {
            with(self.program, |fields| {
                fields.waits.end_row(row);
                Some(())
            });
        }
    }
}

/// The place in which a read lock of this thread is published: `Program::id`, and above it the slot. One
/// number, so that a guard stays in registers; 0 if it is not published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading(u64);

impl Reading {
    /// It is not published.
    pub(super) const NONE: Self = Self(0);

    /// Publishes that this thread has locked the lock with this number for reading, if it is prepared
    /// for the program.
    #[inline]
    pub(super) fn begin(program: u32, number: u64) -> Self {
        let slot = with(program, |fields| {
            let used = fields.used.get();
            let slot = used.trailing_ones();
            match fields.reading.get(slot as usize) {
                Some(gauge) => {
                    gauge.set(number);
                    fields.used.set(used | 1 << slot);
                }
                None => fields.count_beyond(1),
            }
            Some(slot)
        });
        slot.map_or(Self::NONE, |slot| Self(u64::from(program) | u64::from(slot) << 32))
    }

    /// The lock is about to be released.
    #[inline(always)]
    pub(super) fn end(self) {
        if self.0 != 0 {
            self.end_published();
        }
    }

    #[inline(never)]
    fn end_published(self) {
        #[allow(clippy::cast_possible_truncation)] // The lower half.
        let (program, slot) = (self.0 as u32, (self.0 >> 32) as usize);
        with(program, |fields| {
            match fields.reading.get(slot) {
                Some(gauge) => {
                    gauge.set(0);
                    fields.used.set(fields.used.get() & !(1 << slot));
                }
                None => fields.count_beyond(-1),
            }
            Some(())
        });
    }
}

impl Fields {
    #[cold]
    #[inline(never)]
    fn count_beyond(&self, change: i64) {
        let beyond = self.beyond.get().saturating_add_signed(change);
        self.beyond.set(beyond);
        self.more.set(beyond);
    }
}
