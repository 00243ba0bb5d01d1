//! The protocol of a latched cell: PROTOCOL.md section 2, written once.
//!
//! [`publish`] and [`read`] know nothing of memory: they work on the traits
//! [`WriteCell`] and [`ReadCell`]. [`Latch`](crate::Latch) and the reader implement
//! them over shared memory; the loom tests implement them over loom's atomics, so
//! that the model checker runs this source and not a copy. Every ordering has a
//! [`Site`]; a test can weaken one site and must then find a torn value.

/// Where the protocol orders memory. Each names its reason and its partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Site {
    /// fence(Release) before the slot's stores.
    ///
    /// Must be Release, because a reader that sees one of the stores that follow must
    /// also see the seq store of the publish before. Partner: [`Site::ReaderExit`].
    WriterEnter,
    /// seq.store(Release) after the slot's stores.
    ///
    /// Must be Release, because a reader that sees this seq must see the value of the
    /// slot it points to. Partner: [`Site::ReaderEnter`].
    WriterSeq,
    /// fence(Acquire) after the first load of seq.
    ///
    /// Must be Acquire, because the loads of the slot must not return anything older
    /// than the value that seq announced. Partner: [`Site::WriterSeq`].
    ReaderEnter,
    /// fence(Acquire) between the loads of the slot and the second load of seq.
    ///
    /// Must be Acquire, because a load that returned a store of a later publish must make
    /// that publish's predecessor visible to the second load. Partner:
    /// [`Site::WriterEnter`].
    ReaderExit,
}

impl Site {
    /// All sites: each needs a mutant that loom refuses.
    pub const ALL: [Self; 4] =
        [Self::WriterEnter, Self::WriterSeq, Self::ReaderEnter, Self::ReaderExit];
}

/// How often a reader tries before it says *contended*.
pub const ATTEMPTS: u32 = 16;

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
}

/// Reads a value of a cell with `slots` slots (2 or 4) in bounded time.
///
/// Returns the number of the value that is now in the reader's buffer, or `None` after
/// [`ATTEMPTS`] refused attempts: contended.
#[inline]
pub fn read<C: ReadCell>(cell: &mut C, slots: u32) -> Option<u32> {
    for _ in 0..ATTEMPTS {
        let before = cell.seq();
        cell.fence(Site::ReaderEnter);
        cell.load_slot(before & (slots - 1));
        cell.fence(Site::ReaderExit);
        let after = cell.seq();
        // Value `before` is overwritten by publish before + slots, and whoever saw a part
        // of that also sees seq at before + slots - 1 or later.
        if after.wrapping_sub(before) <= slots - 2 {
            return Some(before);
        }
        cell.pause();
    }
    None
}
