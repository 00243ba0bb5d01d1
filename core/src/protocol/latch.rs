//! Latched cells: PROTOCOL.md section 2.

use super::{ATTEMPTS, Bound, Site};

/// A latched cell as its one writer sees it. `n` is a value's number; value `n` lies in
/// slot `n` modulo the number of slots.
pub trait WriteCell {
    /// The unit of payload accesses.
    type Word: Copy;

    /// Relaxed load of seq. The writer is the only one who stores it.
    fn seq(&self) -> u32;

    /// fence(Release).
    fn fence(&self, site: Site);

    /// Relaxed store of payload word `index` of value `n`.
    fn store(&self, n: u32, index: usize, word: Self::Word);

    /// Relaxed load of payload word `index` of value `n`: the writer's own last store.
    fn load(&self, n: u32, index: usize) -> Self::Word;

    /// Release store of seq.
    fn set_seq(&self, n: u32, site: Site);
}

/// The slot being filled by [`publish`].
#[derive(Debug)]
pub struct Slot<'a, C> {
    cell: &'a C,
    n: u32,
}

impl<'a, C> Slot<'a, C> {
    /// The cell, and the number of the value that this is the slot of.
    #[inline(always)]
    pub(crate) const fn parts(&self) -> (&'a C, u32) {
        (self.cell, self.n)
    }
}

impl<C: WriteCell> Slot<'_, C> {
    /// Stores payload word `index`. Words that are not stored keep what an older value
    /// left there.
    #[inline(always)]
    pub fn set(&self, index: usize, word: C::Word) {
        self.cell.store(self.n, index, word);
    }

    /// Payload word `index` of the value published last.
    #[inline(always)]
    #[must_use]
    pub fn last(&self, index: usize) -> C::Word {
        self.cell.load(self.n.wrapping_sub(1), index)
    }
}

/// Publishes a value: wait-free, no read-modify-write, one pass over the value.
#[inline(always)]
pub fn publish<C: WriteCell>(cell: &C, fill: impl FnOnce(&Slot<'_, C>)) {
    let n = cell.seq().wrapping_add(1);
    cell.fence(Site::WriterEnter);
    fill(&Slot { cell, n });
    cell.set_seq(n, Site::WriterSeq);
}

/// Looks at the value published last as its writer; stores nothing.
#[inline(always)]
pub fn peek<C: WriteCell>(cell: &C, look: impl FnOnce(&Slot<'_, C>)) {
    look(&Slot { cell, n: cell.seq().wrapping_add(1) });
}

/// A latched cell as a reader sees it. Read-only memory is enough.
pub trait ReadCell {
    /// Relaxed load of seq.
    fn seq(&mut self) -> u32;

    /// fence(Acquire).
    fn fence(&mut self, site: Site);

    /// Relaxed loads of slot `slot` into the reader's own buffer.
    fn load_slot(&mut self, slot: u32);

    /// Tells the processor that this is a retry.
    fn pause(&mut self) {
        core::hint::spin_loop();
    }

    /// The bound itself; a test says another one.
    #[inline(always)]
    fn bound(&self, bound: Bound, exact: u32) -> u32 {
        let _ = bound;
        exact
    }
}

/// Reads a value of a cell with `slots` slots (a power of 2) in bounded time.
///
/// Returns the number of the value that is now in the reader's buffer, or `None` after
/// [`ATTEMPTS`] refused attempts: contended.
#[inline]
pub fn read<C: ReadCell>(cell: &mut C, slots: u32) -> Option<u32> {
    for _ in 0..cell.bound(Bound::Attempts, ATTEMPTS) {
        let before = cell.seq();
        cell.fence(Site::ReaderEnter);
        cell.load_slot(before & (slots - 1));
        cell.fence(Site::ReaderExit);
        let after = cell.seq();
        // Value `before` is overwritten by publish before + slots, and whoever saw a part
        // of that also sees seq at before + slots - 1 or later.
        if after.wrapping_sub(before) <= cell.bound(Bound::Latch, slots - 2) {
            return Some(before);
        }
        cell.pause();
    }
    None
}

/// Number of the newest value of a cell that keeps its last values: of those,
/// [`read_number`] finds this one and the `slots - 2` before it.
#[inline]
pub fn newest<C: ReadCell>(cell: &mut C) -> u32 {
    let newest = cell.seq();
    cell.fence(Site::ReaderEnter);
    newest
}

/// Reads value number `n`, which is not newer than an answer of [`newest`].
///
/// `false` if the slot has been given to a newer value, or may have been.
#[inline]
pub fn read_number<C: ReadCell>(cell: &mut C, slots: u32, n: u32) -> bool {
    cell.load_slot(n & (slots - 1));
    cell.fence(Site::ReaderExit);
    cell.seq().wrapping_sub(n) <= cell.bound(Bound::Ring, slots - 2)
}
