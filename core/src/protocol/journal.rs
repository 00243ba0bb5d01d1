//! Journals: PROTOCOL.md section 9.

use core::fmt;

use super::{ATTEMPTS, Bound, Site};

/// A journal from its one writer's side. Slots and elements have units of 8 bytes.
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

    /// Release store of element `index`. If it takes two stores, the low half is first.
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
    /// Stores a unit; units 0 and 1 are those of the protocol.
    #[inline(always)]
    pub fn set(&self, unit: usize, value: u64) {
        self.journal.store(self.n, unit, value);
    }

    /// A unit of the previous change; unit 0 is the total.
    #[inline(always)]
    #[must_use]
    pub fn last(&self, unit: usize) -> u64 {
        self.journal.load(self.n.wrapping_sub(1), unit)
    }
}

/// Unit 1 of a slot: the index of the changed element, and the low 48 bits of its value.
#[inline(always)]
#[must_use]
pub const fn pack(index: u32, after: u64) -> u64 {
    after << 16 | (index & 0xFFFF) as u64
}

/// The index of the element in unit 1 of a slot.
#[inline]
#[allow(clippy::cast_possible_truncation)] // 16 bits.
const fn index_of(change: u64) -> u32 {
    (change & 0xFFFF) as u32
}

/// Adds `more` to element `index` (below 65,536). Wait-free, without read-modify-write; only that
/// element and one slot are stored.
#[inline(always)]
pub fn change<C: WriteJournal>(
    journal: &C,
    index: u32,
    more: u64,
    fill: impl FnOnce(&Change<'_, C>),
) {
    change_if(journal, index, more, |slot| {
        fill(slot);
        true
    });
}

/// [`change`], unless `fill` returns false before it has stored a unit. Returns what `fill` does.
#[inline(always)]
pub fn change_if<C: WriteJournal>(
    journal: &C,
    index: u32,
    more: u64,
    fill: impl FnOnce(&Change<'_, C>) -> bool,
) -> bool {
    let n = journal.seq().wrapping_add(1);
    let after = journal.element(index).wrapping_add(more);
    journal.fence(Site::WriterEnter);
    let slot = Change { journal, n };
    let filled = fill(&slot);
    if filled {
        slot.set(0, slot.last(0).wrapping_add(more));
        slot.set(1, pack(index, after));
        journal.set_element(index, after, Site::WriterElement);
        journal.set_seq(n, Site::WriterSeq);
    }
    filled
}

/// Reverts a change that the previous writer of the lane did not complete. A new writer calls it
/// before its first change. `elements` and `slots` are their numbers.
pub fn repair<C: WriteJournal>(journal: &C, elements: u32, slots: u32) {
    let n = journal.seq();
    let total = journal.load(n, 0);
    let index = index_of(journal.load(n.wrapping_add(1), 1));
    let sum = (0..elements).fold(0_u64, |sum, i| sum.wrapping_add(journal.element(i)));
    if sum != total && index < elements {
        let others = sum.wrapping_sub(journal.element(index));
        journal.set_element(index, total.wrapping_sub(others), Site::WriterElement);
    }
    // The same slot under a new number, so that a reader does not take the slot of the first new
    // change for that of the incomplete one.
    journal.set_seq(n.wrapping_add(slots), Site::WriterSeq);
}

/// A journal from a reader's side, with a copy of the elements and of one slot.
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

    /// Sum of the elements of the copy, modulo 2^64.
    fn sum(&self) -> u64;

    /// Unit 0 of the slot in the copy.
    fn total(&self) -> u64;

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

/// Reason why a journal was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalError {
    /// The writer overwrote a slot in each attempt.
    Contended,
    /// There was no change meanwhile, and the elements do not add up to the total.
    Total,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contended => "the writer overwrote a slot in each attempt",
            Self::Total => "the elements do not add up to the total",
        })
    }
}

impl core::error::Error for JournalError {}

/// Reads a journal with `slots` slots in bounded time. Returns the number of the change whose
/// elements and slot are in the copy.
///
/// # Errors
///
/// Contended after [`ATTEMPTS`] attempts; damaged if the elements do not add up to the total.
pub fn read_journal<C: ReadJournal>(journal: &mut C, slots: u32) -> Result<u32, JournalError> {
    for _ in 0..journal.bound(Bound::Attempts, ATTEMPTS) {
        let first = journal.seq();
        journal.fence(Site::ReaderEnter);
        journal.load_elements();
        journal.fence(Site::ReaderElements);
        let n = journal.seq();
        journal.fence(Site::ReaderSlots);
        let moved = n.wrapping_sub(first);
        if moved <= journal.bound(Bound::JournalMoved, slots - 2) {
            for i in 1..=moved {
                let [_, change] = journal.load_change(first.wrapping_add(i) & (slots - 1));
                redo(journal, change);
            }
            journal.load_slot(n & (slots - 1));
            let pending = journal.load_change(n.wrapping_add(1) & (slots - 1));
            journal.fence(Site::ReaderExit);
            let last = journal.seq();
            if last.wrapping_sub(first) <= journal.bound(Bound::Journal, slots - 2) {
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

/// Sets the element of a complete change to its value after that change: the value with these low
/// 48 bits that is nearest to the loaded one. The loaded one may be older, newer or two halves.
#[inline]
fn redo<C: ReadJournal>(journal: &mut C, change: u64) {
    let index = index_of(change);
    if let Some(loaded) = journal.element(index) {
        // Difference of the low 48 bits, sign-extended.
        let ahead = ((change & !0xFFFF).wrapping_sub(loaded << 16)).cast_signed() >> 16;
        journal.set_element(index, loaded.wrapping_add_signed(ahead));
    }
}

/// Reverts a pending change of which a part was loaded, so that the elements add up to the total.
/// Returns whether they do, and the slot of that change confirms it.
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
    // The change must lead from this total to the next.
    before.wrapping_add(after.wrapping_sub(total)) << 16 == change & !0xFFFF
}
