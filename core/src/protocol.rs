//! The protocols of a latched cell and of a journal: PROTOCOL.md, written once.
//!
//! [`publish`] and [`read`] know nothing of memory: they work on the traits
//! [`WriteCell`] and [`ReadCell`]; so do [`change`] and [`read_journal`]. [`Latch`](crate::Latch) and the reader implement
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
    /// element.store(Release) after the stores of a journal's slot.
    ///
    /// Must be Release, because a reader that sees the changed element must also see the
    /// slot that says so, and seq as it was before. Partner: [`Site::ReaderElements`].
    WriterElement,
    /// fence(Acquire) between the loads of a journal's elements and the second load of seq.
    ///
    /// Must be Acquire, because what made an element new must be visible to the loads that
    /// find it out. Partner: [`Site::WriterElement`].
    ReaderElements,
    /// fence(Acquire) between the second load of seq and the loads of a journal's slots.
    ///
    /// Must be Acquire, because the slots up to that seq must be those of their changes.
    /// Partner: [`Site::WriterSeq`].
    ReaderSlots,
}

impl Site {
    /// All sites: each needs a mutant that loom refuses.
    pub const ALL: [Self; 7] = [
        Self::WriterEnter,
        Self::WriterSeq,
        Self::ReaderEnter,
        Self::ReaderExit,
        Self::WriterElement,
        Self::ReaderElements,
        Self::ReaderSlots,
    ];
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

/// Reads a value of a cell with `slots` slots (a power of 2) in bounded time.
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

/// Reads value number `n` of a cell that keeps its last values. `newest` is a seq loaded
/// before, followed by a fence of [`Site::ReaderEnter`]; `n` is not newer.
///
/// `false` if the slot has been given to a newer value, or may have been.
#[inline]
pub fn read_number<C: ReadCell>(cell: &mut C, slots: u32, n: u32) -> bool {
    cell.load_slot(n & (slots - 1));
    cell.fence(Site::ReaderExit);
    cell.seq().wrapping_sub(n) <= slots - 2
}

/// A journal as its one writer sees it. Slots and elements are units of 8 bytes.
///
/// Unit 0 of a slot is the total of all elements, unit 1 the change; see [`pack`].
pub trait WriteJournal {
    /// Relaxed load of seq.
    fn seq(&self) -> u32;

    /// fence(Release).
    fn fence(&self, site: Site);

    /// Unit `unit` of the slot of change `n`: the writer's own last store.
    fn load(&self, n: u32, unit: usize) -> u64;

    /// Relaxed store of unit `unit` of the slot of change `n`.
    fn store(&self, n: u32, unit: usize, value: u64);

    /// Element `index`: the writer's own last store.
    fn element(&self, index: u32) -> u64;

    /// Release store of element `index`. Where it takes two stores, the low half is first.
    fn set_element(&self, index: u32, value: u64, site: Site);

    /// Release store of seq.
    fn set_seq(&self, n: u32, site: Site);
}

/// The slot being filled by [`change`].
#[derive(Debug)]
pub struct Change<'a, C> {
    journal: &'a C,
    n: u32,
}

impl<C: WriteJournal> Change<'_, C> {
    /// Stores a unit from 2 on.
    #[inline(always)]
    pub fn set(&self, unit: usize, value: u64) {
        self.journal.store(self.n, unit, value);
    }

    /// A unit of the change before; 0 is the total.
    #[inline(always)]
    #[must_use]
    pub fn last(&self, unit: usize) -> u64 {
        self.journal.load(self.n.wrapping_sub(1), unit)
    }
}

/// Unit 1 of a journal's slot: which element changed, and the low 48 bits of its value.
#[inline(always)]
#[must_use]
pub const fn pack(index: u32, after: u64) -> u64 {
    after << 16 | (index & 0xFFFF) as u64
}

/// The index in unit 1 of a journal's slot.
#[inline]
#[allow(clippy::cast_possible_truncation)] // 16 bits.
const fn index_of(change: u64) -> u32 {
    (change & 0xFFFF) as u32
}

/// Adds `more` to element `index` (below 65,536): wait-free, no read-modify-write, and only
/// that element and a slot are touched.
#[inline(always)]
pub fn change<C: WriteJournal>(
    journal: &C,
    index: u32,
    more: u64,
    fill: impl FnOnce(&Change<'_, C>),
) {
    let n = journal.seq().wrapping_add(1);
    let after = journal.element(index).wrapping_add(more);
    journal.fence(Site::WriterEnter);
    let slot = Change { journal, n };
    slot.set(0, slot.last(0).wrapping_add(more));
    slot.set(1, pack(index, after));
    fill(&slot);
    journal.set_element(index, after, Site::WriterElement);
    journal.set_seq(n, Site::WriterSeq);
}

/// To be called by a new writer of the lane, before its first change: takes a change back
/// that the writer before did not complete. `elements` and `slots` are their numbers.
pub fn repair<C: WriteJournal>(journal: &C, elements: u32, slots: u32) {
    let n = journal.seq();
    let total = journal.load(n, 0);
    let index = index_of(journal.load(n.wrapping_add(1), 1));
    let sum = (0..elements).fold(0_u64, |sum, i| sum.wrapping_add(journal.element(i)));
    if sum != total && index < elements {
        let others = sum.wrapping_sub(journal.element(index));
        journal.set_element(index, total.wrapping_sub(others), Site::WriterElement);
    }
    // The same slot under a new number: a reader that is on its way across must not take
    // the slot of our first change for the one that the writer before did not complete.
    journal.set_seq(n.wrapping_add(slots), Site::WriterSeq);
}

/// A journal as a reader sees it, with the reader's own copy of the elements and one slot.
pub trait ReadJournal {
    /// Relaxed load of seq.
    fn seq(&mut self) -> u32;

    /// fence(Acquire).
    fn fence(&mut self, site: Site);

    /// Relaxed loads of all elements into the copy.
    fn load_elements(&mut self);

    /// Relaxed loads of a whole slot into the copy.
    fn load_slot(&mut self, slot: u32);

    /// Relaxed loads of units 0 and 1 of a slot: the total and the change.
    fn load_change(&mut self, slot: u32) -> [u64; 2];

    /// An element of the copy; `None` past the end.
    fn element(&self, index: u32) -> Option<u64>;

    /// Replaces an element of the copy.
    fn set_element(&mut self, index: u32, value: u64);

    /// All elements of the copy added up, modulo 2^64.
    fn sum(&self) -> u64;

    /// Unit 0 of the slot in the copy.
    fn total(&self) -> u64;

    /// Tells the processor that this is a retry.
    fn pause(&mut self) {
        core::hint::spin_loop();
    }
}

/// Why a journal gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalError {
    /// The writer was faster in all attempts.
    Contended,
    /// Nothing moved, and the elements do not add up to the total.
    Total,
}

/// Reads a journal with `slots` slots in bounded time: all elements and the slot as change
/// number n left them, which is returned.
///
/// # Errors
///
/// Contended after [`ATTEMPTS`] attempts; damaged if the elements do not add up.
pub fn read_journal<C: ReadJournal>(journal: &mut C, slots: u32) -> Result<u32, JournalError> {
    for _ in 0..ATTEMPTS {
        let first = journal.seq();
        journal.fence(Site::ReaderEnter);
        journal.load_elements();
        journal.fence(Site::ReaderElements);
        let n = journal.seq();
        journal.fence(Site::ReaderSlots);
        let moved = n.wrapping_sub(first);
        if moved <= slots - 2 {
            for i in 1..=moved {
                let [_, change] = journal.load_change(first.wrapping_add(i) & (slots - 1));
                redo(journal, change);
            }
            journal.load_slot(n & (slots - 1));
            let pending = journal.load_change(n.wrapping_add(1) & (slots - 1));
            journal.fence(Site::ReaderExit);
            let last = journal.seq();
            if last.wrapping_sub(first) <= slots - 2 {
                if undo(journal, pending) {
                    return Ok(n);
                }
                if last == first {
                    return Err(JournalError::Total);
                }
            }
        }
        journal.pause();
    }
    Err(JournalError::Contended)
}

/// Sets the element of a complete change to its value after it: the one with these low 48
/// bits that is nearest to what was loaded, which may be older, newer or two halves.
#[inline]
fn redo<C: ReadJournal>(journal: &mut C, change: u64) {
    let index = index_of(change);
    if let Some(loaded) = journal.element(index) {
        // The difference of the low 48 bits, sign-extended.
        let ahead = ((change & !0xFFFF).wrapping_sub(loaded << 16)).cast_signed() >> 16;
        journal.set_element(index, loaded.wrapping_add_signed(ahead));
    }
}

/// Makes the elements add up to the total, where they do not because a part of the pending
/// change, with its total, was seen. Returns whether they do now.
#[inline]
fn undo<C: ReadJournal>(journal: &mut C, [after, change]: [u64; 2]) -> bool {
    let (sum, total) = (journal.sum(), journal.total());
    if sum == total {
        return true;
    }
    let index = index_of(change);
    let Some(loaded) = journal.element(index) else { return false };
    let before = total.wrapping_sub(sum.wrapping_sub(loaded));
    journal.set_element(index, before);
    // The change must be the one from this total to the next.
    before.wrapping_add(after.wrapping_sub(total)) << 16 == change & !0xFFFF
}
