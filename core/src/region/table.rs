//! The writer's end of a table (FORMAT.md section 6): rows that are latched one by one.

use super::cells::{Atom32, AtomWord, Latch, OtherThread, WORD_SIZE, stays_on_its_thread};
use super::{AtomicU32, Memory, NonNull, Region};
use crate::layout::{MAX_ROWS, table as t};

/// The writer's end of a table.
pub struct Table<M> {
    cell: NonNull<u8>,
    /// 1 to 64.
    rows: u32,
    /// Size of a row in bytes.
    row_size: u32,
    /// Number of slots of a row minus one; slots is a power of 2.
    mask: u32,
    /// Words in a slot.
    slot_words: u32,
    memory: M,
}

stays_on_its_thread!(Table);

impl<M: Memory + Clone> Table<M> {
    /// The table at `offset`, or `None` if it is misaligned or not inside, `rows` is not 1 to 64, or
    /// [`Latch::new`] refuses the slots.
    #[must_use]
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn new(
        region: &Region<M>,
        offset: u32,
        rows: u32,
        slots: u32,
        slot_size: u32,
    ) -> Option<Self> {
        if rows == 0 || rows > MAX_ROWS {
            return None;
        }
        // Row 0, with the checks of its slots; the others are as large.
        let first = Latch::new(region, offset.checked_add(t::ROWS)?, slots, slot_size)?;
        let row_size = t::row_size(slots, slot_size);
        let size = row_size.checked_mul(rows)?.checked_add(t::ROWS)?;
        if offset.checked_add(size)? > region.len {
            return None;
        }
        let cell = region.at(offset, 8)?;
        let (mask, slot_words) = (slots - 1, slot_size / WORD_SIZE);
        Some(Self { cell, rows, row_size, mask, slot_words, memory: first.into_memory() })
    }
}

impl<M> Table<M> {
    /// Number of rows, 1 to 64.
    #[inline(always)]
    #[must_use]
    pub const fn rows(&self) -> u32 {
        self.rows
    }

    /// The word of the rows in use that has the bit of `row`: bit `row % 32`.
    #[inline(always)]
    #[must_use]
    pub fn used(&self, row: u32) -> Atom32<&M> {
        self.bits(t::USED, row)
    }

    /// The word of the claimed rows that has the bit of `row`: bit `row % 32`.
    #[inline(always)]
    #[must_use]
    pub fn claimed(&self, row: u32) -> Atom32<&M> {
        self.bits(t::CLAIMED, row)
    }

    #[inline(always)]
    fn bits(&self, at: u32, row: u32) -> Atom32<&M> {
        let at = at + row / 32 % 2 * 4;
        // SAFETY: `at` is below `ROWS`, and `new` found the cell inside the region from a multiple of 8
        // on, so that a word of 4 bytes is inside and aligned.
        let word = unsafe { self.cell.add(at as usize) }.cast::<AtomicU32>();
        Atom32::from_parts(word, &self.memory)
    }

    /// The number of times that no row was free.
    #[inline(always)]
    pub(crate) fn refused(&self) -> AtomWord<&M> {
        // SAFETY: as in `bits`, with 8 bytes at a multiple of 8.
        let word = unsafe { self.cell.add(t::REFUSED as usize) };
        AtomWord::from_parts(word.cast(), &self.memory)
    }

    /// The number of the use that began last.
    #[inline(always)]
    pub(crate) fn begun(&self) -> AtomWord<&M> {
        // SAFETY: as in `bits`, with 8 bytes at a multiple of 8.
        let word = unsafe { self.cell.add(t::BEGUN as usize) };
        AtomWord::from_parts(word.cast(), &self.memory)
    }

    /// The cell of a row, which must be below [`Table::rows`]: the last row for others.
    #[inline(always)]
    #[must_use]
    pub fn row(&self, row: u32) -> Latch<&M> {
        let row = row.min(self.rows - 1);
        let at = t::ROWS as usize + row as usize * self.row_size as usize;
        // SAFETY: row < rows, so the row ends at most at ROWS + rows * row_size, which `new` found
        // inside the region.
        let cell = unsafe { self.cell.add(at) };
        // The start is a multiple of 8: the cell, ROWS and `row_size` are.
        Latch::from_parts(cell, self.mask, self.slot_words, &self.memory)
    }
}

impl<M: Clone> Clone for Table<M> {
    fn clone(&self) -> Self {
        Self { memory: self.memory.clone(), ..*self }
    }
}

impl<M> core::fmt::Debug for Table<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Table")
            .field("rows", &self.rows)
            .field("slots", &(self.mask + 1))
            .field("slot_words", &self.slot_words)
            .finish_non_exhaustive()
    }
}

/// A table whose rows are claimed by threads: each row has one writer at a time.
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
pub(crate) struct SharedTable<M>(pub(crate) Table<M>);

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As above.
// SAFETY: the pointer is used for atomic accesses only, which any thread may do, and `memory`, which
// keeps the bytes, is itself `Send`.
unsafe impl<M: Send> Send for SharedTable<M> {}
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As above.
// SAFETY: all methods of `&Table` give atomic accesses; `&memory` is given out only where `M: Sync`.
unsafe impl<M: Sync> Sync for SharedTable<M> {}
