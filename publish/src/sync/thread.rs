//! Published data about the locks of a thread: its waits and its read locks.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use mmstats_core::ActivityRow;

use super::program::cut;
use super::program::{Program, READING, TEXT, Waits};
use crate::error::Error;
use crate::handles::Gauge;
use crate::lock::Inside;
use crate::thread::Lane;

/// Id of a thread whose id is unknown.
const UNKNOWN: u64 = u64::MAX;

thread_local! {
    /// Program and id of this thread: in a forked child both differ.
    static ID: Cell<(u32, u64)> = const { Cell::new((0, 0)) };
    /// Id of the last program whose fields this thread attached or tried to; 0 for none. Without a
    /// destructor, for speed.
    static PROGRAM: Cell<u32> = const { Cell::new(0) };
    /// Fields of the first program of this thread: without a count of borrows, for speed.
    static FIRST: OnceCell<Fields> = const { OnceCell::new() };
    /// Fields of the last of the other programs.
    static LATER: RefCell<Option<Fields>> = const { RefCell::new(None) };
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
#[inline(always)]
fn with<R>(program: u32, work: impl FnOnce(&Fields) -> Option<R>) -> Option<R> {
    let found = FIRST.try_with(|first| match first.get() {
        Some(fields) if fields.program == program => work(fields),
        _ => with_later(program, work),
    });
    found.ok().flatten()
}

#[cold]
#[inline(never)]
fn with_later<R>(program: u32, work: impl FnOnce(&Fields) -> Option<R>) -> Option<R> {
    let found = LATER.try_with(|fields| {
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

/// Attaches this thread to the fields of a program: takes locks of the library, and allocates. A condition
/// variable calls it with its mutex locked, so an allocator must not use that mutex.
#[cold]
pub(super) fn prepare(program: &Arc<Program>) {
    // In a call from within the library nothing is attached: the next call does it.
    if is_ready(program.id) || Inside::is_entered() {
        return;
    }
    // Set first: an allocation here may use a lock, which calls this again.
    PROGRAM.set(program.id);
    let new = program.registry.with(|lane| Fields::attach(program, lane)).ok();
    let keep = |first: &OnceCell<Fields>| new.and_then(|new| first.set(new).err());
    let Ok(new) = FIRST.try_with(keep) else { return };
    let replace = |fields: &RefCell<Option<Fields>>| {
        fields.try_borrow_mut().ok().map(|mut fields| std::mem::replace(&mut *fields, new))
    };
    // The old fields are dropped after the borrow.
    drop(LATER.try_with(replace));
}

/// A wait of this thread, published until dropped.
#[derive(Debug)]
pub(super) struct Wait {
    program: u32,
    row: Option<ActivityRow>,
}

impl Wait {
    /// Publishes a wait with the text `prefix`, name of the lock or condition, ` #` and number of the lock. A
    /// name that does not fit is cut. Must be called after [`prepare`].
    pub(super) fn begin(
        program: &Arc<Program>,
        since: u64,
        prefix: &str,
        name: &str,
        number: u64,
    ) -> Self {
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

/// A read lock of this thread, published until dropped: `Program::id` in the low 32 bits, the slot above; 0
/// if it is not published. One number, so that a guard stays in registers.
#[derive(Debug)]
pub(super) struct Reading(u64);

impl Reading {
    /// A read lock that is not published.
    pub(super) const NONE: Self = Self(0);

    /// Publishes that this thread has locked lock `number` for reading, if it is attached to the program.
    #[inline(always)]
    pub(super) fn begin(program: u32, number: u64) -> Self {
        let slot = with(program, |fields| {
            // Slot 0 apart: an indexed address would depend on the load of `used`.
            Some(if fields.used.get() & 1 == 0 {
                fields.begin_reading(0, &fields.reading[0], number)
            } else {
                fields.begin_further(number)
            })
        });
        slot.map_or(Self::NONE, |slot| Self(u64::from(program) | u64::from(slot) << 32))
    }

    #[inline(always)]
    fn end_published(place: u64) {
        #[allow(clippy::cast_possible_truncation)] // The lower half.
        let (program, slot) = (place as u32, (place >> 32) as usize);
        with(program, |fields| {
            match slot {
                0 => fields.end_reading(0, &fields.reading[0]),
                _ => fields.end_further(slot),
            }
            Some(())
        });
    }
}

impl Drop for Reading {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0 != 0 {
            Self::end_published(self.0);
        }
    }
}

impl Fields {
    #[inline(always)]
    fn begin_reading(&self, slot: u32, gauge: &Gauge<u64>, number: u64) -> u32 {
        // Reserved first: a signal handler can take a read lock in between.
        self.used.set(self.used.get() | 1 << slot);
        compiler_fence(Ordering::SeqCst);
        gauge.set(number);
        slot
    }

    #[inline(always)]
    fn end_reading(&self, slot: usize, gauge: &Gauge<u64>) {
        gauge.set(0);
        // In reverse order, for the same reason.
        compiler_fence(Ordering::SeqCst);
        self.used.set(self.used.get() & !(1 << slot));
    }

    /// Publishes a read lock beside the one in slot 0. Returns its slot; `READING` if none is free.
    #[cold]
    #[inline(never)]
    fn begin_further(&self, number: u64) -> u32 {
        let slot = self.used.get().trailing_ones();
        match self.reading.get(slot as usize) {
            Some(gauge) => self.begin_reading(slot, gauge, number),
            None => {
                self.count_beyond(1);
                slot
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn end_further(&self, slot: usize) {
        match self.reading.get(slot) {
            Some(gauge) => self.end_reading(slot, gauge),
            None => self.count_beyond(-1),
        }
    }

    #[cold]
    #[inline(never)]
    fn count_beyond(&self, change: i64) {
        let beyond = self.beyond.get().saturating_add_signed(change);
        self.beyond.set(beyond);
        self.more.set(beyond);
    }
}
