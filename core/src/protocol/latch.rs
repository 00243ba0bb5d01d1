//! Latched cells: PROTOCOL.md section 2.

use super::{ATTEMPTS, Bound, Site};

/// A latched cell from its one writer's side. Value number `n` lies in slot `n` modulo the number
/// of slots.
pub trait WriteCell {
    /// The unit of payload accesses.
    type Word: Copy;

    /// Relaxed load of seq: the writer's own last store.
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
    /// The cell and the number of the value in this slot.
    #[inline(always)]
    pub(crate) const fn parts(&self) -> (&'a C, u32) {
        (self.cell, self.n)
    }
}

impl<C: WriteCell> Slot<'_, C> {
    /// Stores payload word `index`. Words that are not stored keep those of an older value.
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

/// Publishes a value. Wait-free, without read-modify-write, in one pass over the value.
#[inline(always)]
pub fn publish<C: WriteCell>(cell: &C, fill: impl FnOnce(&Slot<'_, C>)) {
    let n = cell.seq().wrapping_add(1);
    cell.fence(Site::WriterEnter);
    fill(&Slot { cell, n });
    cell.set_seq(n, Site::WriterSeq);
}

/// [`publish`], unless `fill` returns false before it has stored a word. Returns what `fill` does.
#[inline(always)]
pub fn publish_if<C: WriteCell>(cell: &C, fill: impl FnOnce(&Slot<'_, C>) -> bool) -> bool {
    let n = cell.seq().wrapping_add(1);
    cell.fence(Site::WriterEnter);
    let filled = fill(&Slot { cell, n });
    if filled {
        cell.set_seq(n, Site::WriterSeq);
    }
    filled
}

/// Calls `look` with the value published last, on the writer's side. Stores nothing.
#[inline(always)]
pub fn peek<C: WriteCell>(cell: &C, look: impl FnOnce(&Slot<'_, C>)) {
    look(&Slot { cell, n: cell.seq().wrapping_add(1) });
}

/// A latched cell from a reader's side. Read-only memory is enough.
pub trait ReadCell {
    /// Relaxed load of seq.
    fn seq(&mut self) -> u32;

    /// fence(Acquire).
    fn fence(&mut self, site: Site);

    /// Relaxed loads of slot `slot` into the reader's buffer.
    fn load_slot(&mut self, slot: u32);

    /// Spin hint before a retry.
    fn pause(&mut self) {
        core::hint::spin_loop();
    }

    /// The bound; tests override it with another one.
    #[inline(always)]
    fn bound(&self, bound: Bound, exact: u32) -> u32 {
        let _ = bound;
        exact
    }
}

/// Reads a value of a cell with `slots` slots (a power of 2) in bounded time.
///
/// Returns the number of the value in the reader's buffer; `None` (contended) after [`ATTEMPTS`]
/// refused attempts.
#[inline]
pub fn read<C: ReadCell>(cell: &mut C, slots: u32) -> Option<u32> {
    for _ in 0..cell.bound(Bound::Attempts, ATTEMPTS) {
        let before = cell.seq();
        cell.fence(Site::ReaderEnter);
        cell.load_slot(before & (slots - 1));
        cell.fence(Site::ReaderExit);
        let after = cell.seq();
        // Publish before + slots overwrites value `before`. A reader that loaded a part of that
        // publish also loads seq at before + slots - 1 or later.
        if after.wrapping_sub(before) <= cell.bound(Bound::Latch, slots - 2) {
            return Some(before);
        }
        cell.pause();
    }
    None
}

/// Number of the newest value of a cell that keeps its last values. [`read_number`] can read this
/// one and the `slots - 2` before it.
#[inline]
pub fn newest<C: ReadCell>(cell: &mut C) -> u32 {
    let newest = cell.seq();
    cell.fence(Site::ReaderEnter);
    newest
}

/// Reads value number `n`, which must not be newer than a result of [`newest`].
///
/// `false` if a newer value has overwritten the slot, or may have.
#[inline]
pub fn read_number<C: ReadCell>(cell: &mut C, slots: u32, n: u32) -> bool {
    cell.load_slot(n & (slots - 1));
    cell.fence(Site::ReaderExit);
    cell.seq().wrapping_sub(n) <= cell.bound(Bound::Ring, slots - 2)
}
