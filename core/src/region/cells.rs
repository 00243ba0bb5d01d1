//! Words and cells of the writer: the offset is checked once, accesses are not.

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
use super::Acquire;
#[cfg(target_pointer_width = "64")]
use super::AtomicU64;
use super::{AtomicU32, Memory, NonNull, Region, Relaxed, Release, fence};
use crate::layout::CELL_HEAD;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
use crate::protocol::{ClaimWord, SharedWord};
use crate::protocol::{Site, WriteCell, WriteJournal, WriteWord};

/// A word of a latched value: as wide as a pointer.
///
/// Not "as wide as the widest atomic": 32-bit ARM has 64-bit atomics, but their store is
/// a loop of exclusive accesses, a read-modify-write in disguise.
#[cfg(target_pointer_width = "64")]
pub type Word = u64;
/// A word of a latched value: as wide as a pointer.
#[cfg(not(target_pointer_width = "64"))]
pub type Word = u32;

#[cfg(target_pointer_width = "64")]
type AtomicWord = AtomicU64;
#[cfg(not(target_pointer_width = "64"))]
type AtomicWord = AtomicU32;

/// Bytes in a [`Word`].
pub(crate) const WORD_SIZE: u32 = Word::BITS / 8;

/// Implemented by no type: a handle is never `Send` or `Sync`, because its lane has one writer. The
/// trait exists for the message of the compiler.
#[diagnostic::on_unimplemented(
    message = "a handle stays on the thread that made it, because its lane has one writer",
    label = "this takes a handle to another thread",
    note = "make a handle in the other thread: with the crate `mmstats`, call `Publisher::with` or \
            `Publisher::lane` there"
)]
pub(super) trait OtherThread {}

/// Gives the message of [`OtherThread`] where a handle is sent or shared.
macro_rules! stays_on_its_thread {
    ($name:ident) => {
        // SAFETY: never applies: no type implements `OtherThread`, which is private to the region.
        unsafe impl<M: OtherThread> Send for $name<M> {}
        // SAFETY: as for `Send`.
        unsafe impl<M: OtherThread> Sync for $name<M> {}
    };
}

pub(super) use stays_on_its_thread;

stays_on_its_thread!(Atom32);
#[cfg(target_pointer_width = "64")]
stays_on_its_thread!(Atom64);
stays_on_its_thread!(Latch);
stays_on_its_thread!(Journal);

macro_rules! atom {
    ($(#[$doc:meta])* $name:ident, $atomic:ident, $int:ident, $size:literal) => {
        $(#[$doc])*
        pub struct $name<M> {
            at: NonNull<$atomic>,
            // Keeps the bytes alive.
            memory: M,
        }

        impl<M: Memory + Clone> $name<M> {
            /// The word at `offset`, or `None` if it is misaligned or not inside.
            #[must_use]
            #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
            pub fn new(region: &Region<M>, offset: u32) -> Option<Self> {
                let at = region.at(offset, $size)?.cast();
                Some(Self { at, memory: region.memory.clone() })
            }
        }

        impl<M> $name<M> {
            /// The address of the word, for updates in another language: little-endian, by atomic
            /// accesses of its size only, while this or a clone exists, with one writer.
            #[cfg(feature = "raw")] // Nobody else needs addresses.
            #[must_use]
            pub const fn place(&self) -> NonNull<$int> {
                self.at.cast()
            }

            /// `at` is an aligned word of the region whose bytes `memory` keeps.
            #[inline(always)]
            pub(super) const fn from_parts(at: NonNull<$atomic>, memory: M) -> Self {
                Self { at, memory }
            }

            #[inline(always)]
            fn word(&self) -> &$atomic {
                // SAFETY:
                // - in bounds and aligned: `Region::at` checked it in `new`, or the caller of
                //   `from_parts` did;
                // - valid: any bit pattern is an atomic integer;
                // - no data race: the bytes are touched by atomics only (`Memory`);
                // - lifetime: `self.memory` keeps the bytes.
                unsafe { self.at.as_ref() }
            }

            /// The stored value.
            #[inline(always)]
            pub fn load(&self) -> $int {
                $int::from_le(self.word().load(Relaxed))
            }

            /// Stores a value: one store.
            #[inline(always)]
            pub fn store(&self, value: $int) {
                self.word().store(value.to_le(), Relaxed);
            }
        }

        impl<M: Clone> Clone for $name<M> {
            fn clone(&self) -> Self {
                Self { at: self.at, memory: self.memory.clone() }
            }
        }

        impl<M> core::fmt::Debug for $name<M> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.load()).finish()
            }
        }
    };
}

atom!(
    /// A 4-byte word with one writer.
    Atom32, AtomicU32, u32, 4
);

impl<M> WriteWord for Atom32<M> {
    #[inline(always)]
    fn load(&self) -> u32 {
        self.load()
    }

    #[inline(always)]
    fn store(&self, value: u32) {
        self.store(value);
    }

    #[inline(always)]
    fn publish(&self, value: u32, _site: Site) {
        // Must be Release: the site has the reason and the partner.
        self.word().store(value.to_le(), Release);
    }

    fn fence(&self, _site: Site) {
        // Must be Release: the site has the reason and the partner.
        fence(Release);
    }
}

/// Words that several threads of the writer change: rows of a table that they claim.
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
impl<M> SharedWord for Atom32<M> {
    #[inline(always)]
    fn load(&self) -> u32 {
        self.load()
    }

    #[inline(always)]
    fn set(&self, bit: u32, _site: Site) {
        // Must be Release: the site has the reason and the partner.
        self.word().fetch_or(bit.to_le(), Release);
    }

    #[inline(always)]
    fn clear(&self, bit: u32) {
        self.word().fetch_and(!bit.to_le(), Relaxed);
    }
}

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
impl<M> ClaimWord for Atom32<M> {
    #[inline(always)]
    fn exchange(&self, old: u32, new: u32, _site: Site) -> bool {
        // Must be Acquire: the site has the reason and the partner.
        self.word().compare_exchange_weak(old.to_le(), new.to_le(), Acquire, Relaxed).is_ok()
    }

    #[inline(always)]
    fn give_back(&self, bit: u32, _site: Site) {
        // Must be Release: the site has the reason and the partner.
        self.word().fetch_and(!bit.to_le(), Release);
    }
}

#[cfg(target_pointer_width = "64")]
atom!(
    /// An 8-byte word with one writer.
    Atom64, AtomicU64, u64, 8
);

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
impl<M> Atom64<M> {
    /// Adds 1, also while other threads do. Returns the sum.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        if cfg!(target_endian = "little") {
            return self.word().fetch_add(1, Relaxed).wrapping_add(1);
        }
        // The bytes are in another order than those of the machine.
        let count = |old: u64| Some(u64::from_le(old).wrapping_add(1).to_le());
        let old = self.word().fetch_update(Relaxed, Relaxed, count);
        u64::from_le(old.unwrap_or_else(|old| old)).wrapping_add(1)
    }
}

/// A word of 8 bytes that threads of the writer store to, one after the other.
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
#[derive(Debug)]
pub(crate) struct SharedAtom64<M>(pub(crate) Atom64<M>);

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As above.
// SAFETY: the pointer is used for atomic accesses only, which any thread may do, and `memory`, which
// keeps the bytes, is itself `Send`.
unsafe impl<M: Send> Send for SharedAtom64<M> {}
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As above.
// SAFETY: all methods of `&Atom64` are atomic accesses; `&memory` is given out only where `M: Sync`.
unsafe impl<M: Sync> Sync for SharedAtom64<M> {}

/// A word with one writer, of the size of [`Word`]. At a place for 8 bytes it is their low half
/// where it has 4.
#[cfg(target_pointer_width = "64")]
pub(crate) type AtomWord<M> = Atom64<M>;
/// A word with one writer, of the size of [`Word`]. At a place for 8 bytes it is their low half
/// where it has 4.
#[cfg(not(target_pointer_width = "64"))]
pub(crate) type AtomWord<M> = Atom32<M>;

impl<M> AtomWord<M> {
    /// Adds `n`. Stops at the largest number of a word.
    #[inline(always)]
    pub(crate) fn add_saturating(&self, n: u64) {
        let n = Word::try_from(n).unwrap_or(Word::MAX);
        self.store(self.load().saturating_add(n));
    }
}

/// The writer's end of a latched cell (FORMAT.md section 6).
pub struct Latch<M> {
    cell: NonNull<u8>,
    /// Number of slots minus one; slots is a power of 2.
    mask: u32,
    /// Words in a slot.
    slot_words: u32,
    memory: M,
}

impl<M: Memory + Clone> Latch<M> {
    /// The cell at `offset`, or `None` if it is misaligned, not inside, or `slots` is no
    /// power of 2 above 1, or `slot_size` is not a positive multiple of 8.
    #[must_use]
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn new(region: &Region<M>, offset: u32, slots: u32, slot_size: u32) -> Option<Self> {
        if slots < 2 || !slots.is_power_of_two() || slot_size == 0 || !slot_size.is_multiple_of(8) {
            return None;
        }
        let size = slots.checked_mul(slot_size)?.checked_add(CELL_HEAD)?;
        if offset.checked_add(size)? > region.len {
            return None;
        }
        let cell = region.at(offset, 8)?;
        Some(Self {
            cell,
            mask: slots - 1,
            slot_words: slot_size / WORD_SIZE,
            memory: region.memory.clone(),
        })
    }
}

impl<M> Latch<M> {
    /// `cell` is a cell of `mask + 1` slots (a power of 2 from 2 on) of `slot_words` words, inside a
    /// region whose bytes `memory` keeps, at a multiple of 8.
    #[inline(always)]
    pub(super) const fn from_parts(
        cell: NonNull<u8>,
        mask: u32,
        slot_words: u32,
        memory: M,
    ) -> Self {
        Self { cell, mask, slot_words, memory }
    }

    pub(super) fn into_memory(self) -> M {
        self.memory
    }

    /// Words in a slot.
    #[inline(always)]
    #[must_use]
    pub const fn slot_words(&self) -> usize {
        self.slot_words as usize
    }

    /// Whether a slot has at least `units` units of 8 bytes. One call before a publish saves the
    /// check of each word.
    #[inline(always)]
    pub(crate) const fn holds_units(&self, units: usize) -> bool {
        units <= self.slot_words() / (8 / WORD_SIZE as usize)
    }

    #[inline(always)]
    fn seq_word(&self) -> &AtomicU32 {
        // SAFETY: the cell starts with an aligned u32 inside the region (`new`); for the
        // other points see `Region::word32`; `self.memory` keeps the bytes.
        unsafe { self.cell.cast::<AtomicU32>().as_ref() }
    }

    /// The slot of value `n`.
    #[inline(always)]
    fn slot(&self, n: u32) -> &[AtomicWord] {
        let slot = (n & self.mask) as usize;
        let bytes = CELL_HEAD as usize + slot * self.slot_words() * WORD_SIZE as usize;
        // SAFETY: slot <= mask, so the slot ends at most at CELL_HEAD + slots * slot_size,
        // which `new` found inside the region.
        let first = unsafe { self.cell.add(bytes) }.cast::<AtomicWord>();
        // SAFETY:
        // - in bounds: above; aligned: the cell and CELL_HEAD are multiples of 8, and
        //   slot_size is one of the size of a word;
        // - valid, no data race, lifetime: as in `seq_word`; a slice of atomics says no
        //   more about the bytes than each atomic does.
        unsafe { core::slice::from_raw_parts(first.as_ptr(), self.slot_words()) }
    }

    /// Stores `words` from word `index` of the slot of value `n` on. Words that do not fit are left
    /// out.
    ///
    /// Eight words share one check of the length, which takes half the time of eight calls of
    /// `store`.
    #[inline(always)]
    pub(crate) fn store_words(&self, n: u32, index: usize, words: &[[u8; size_of::<Word>()]]) {
        let mut to = self.slot(n).get(index..).unwrap_or(&[]);
        let (eights, rest) = words.as_chunks::<8>();
        for eight in eights {
            let Some((now, later)) = to.split_first_chunk::<8>() else { return };
            store_each(now, eight);
            to = later;
        }
        store_each(to, rest);
    }
}

#[inline(always)]
fn store_each(to: &[AtomicWord], words: &[[u8; size_of::<Word>()]]) {
    // In the byte order of the value, whatever the host's order.
    to.iter().zip(words).for_each(|(to, word)| to.store(Word::from_ne_bytes(*word), Relaxed));
}

impl<M> WriteCell for Latch<M> {
    type Word = Word;

    #[inline(always)]
    fn seq(&self) -> u32 {
        u32::from_le(self.seq_word().load(Relaxed))
    }

    #[inline(always)]
    fn fence(&self, _site: Site) {
        // See `Site::WriterEnter`.
        fence(Release);
    }

    #[inline(always)]
    fn store(&self, n: u32, index: usize, word: Word) {
        // Not `get`: its `None` costs another comparison for each word.
        let slot = self.slot(n);
        if index < slot.len() {
            slot[index].store(word.to_le(), Relaxed);
        }
    }

    #[inline(always)]
    fn load(&self, n: u32, index: usize) -> Word {
        let slot = self.slot(n);
        if index < slot.len() { Word::from_le(slot[index].load(Relaxed)) } else { 0 }
    }

    #[inline(always)]
    fn set_seq(&self, n: u32, _site: Site) {
        // Must be Release: see `Site::WriterSeq`.
        self.seq_word().store(n.to_le(), Release);
    }
}

impl<M: Clone> Clone for Latch<M> {
    fn clone(&self) -> Self {
        Self { memory: self.memory.clone(), ..*self }
    }
}

impl<M> core::fmt::Debug for Latch<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Latch")
            .field("seq", &self.seq())
            .field("slots", &(self.mask + 1))
            .field("slot_words", &self.slot_words)
            .finish_non_exhaustive()
    }
}

/// The writer's end of a journal (FORMAT.md section 6): a latched cell, and elements after
/// its slots.
pub struct Journal<M> {
    latch: Latch<M>,
    /// The first word of element 0.
    elements: NonNull<AtomicWord>,
    count: u32,
}

/// Words of an element.
const ELEMENT_WORDS: usize = 8 / WORD_SIZE as usize;

impl<M: Memory + Clone> Journal<M> {
    /// The journal at `offset`, or `None` if [`Latch::new`] returns `None` or the `count` elements
    /// are not inside.
    #[must_use]
    pub fn new(
        region: &Region<M>,
        offset: u32,
        slots: u32,
        slot_size: u32,
        count: u32,
    ) -> Option<Self> {
        let latch = Latch::new(region, offset, slots, slot_size)?;
        // No overflow: `Latch::new` checked that the slots are inside.
        let first = offset.checked_add(CELL_HEAD + slots * slot_size)?;
        let size = count.checked_mul(8).filter(|size| *size != 0)?;
        if first.checked_add(size)? > region.len {
            return None;
        }
        let elements = region.at(first, 8)?.cast();
        Some(Self { latch, elements, count })
    }
}

impl<M> Journal<M> {
    /// Number of elements.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// [`Latch::holds_units`] of the slots.
    #[inline(always)]
    pub(crate) const fn holds_units(&self, units: usize) -> bool {
        self.latch.holds_units(units)
    }

    #[inline(always)]
    fn words(&self) -> &[[AtomicWord; ELEMENT_WORDS]] {
        let first = self.elements.cast::<[AtomicWord; ELEMENT_WORDS]>();
        // SAFETY: `new` found `count` elements of 8 bytes inside and aligned; valid, no data
        // race, lifetime: as in `Latch::slot`.
        unsafe { core::slice::from_raw_parts(first.as_ptr(), self.count as usize) }
    }
}

/// Position of the second word in an 8-byte unit, in bits. Unused if a word has 8 bytes.
const SECOND: u32 = if ELEMENT_WORDS == 1 { 0 } else { 32 };

#[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)] // A word is 4 bytes elsewhere.
impl<M> WriteJournal for Journal<M> {
    #[inline(always)]
    fn seq(&self) -> u32 {
        self.latch.seq()
    }

    #[inline(always)]
    fn fence(&self, site: Site) {
        WriteCell::fence(&self.latch, site);
    }

    #[inline(always)]
    fn load(&self, n: u32, unit: usize) -> u64 {
        (0..ELEMENT_WORDS).fold(0, |all, i| {
            let word = WriteCell::load(&self.latch, n, unit * ELEMENT_WORDS + i) as u64;
            all | word << (i as u32 * SECOND)
        })
    }

    #[inline(always)]
    fn store(&self, n: u32, unit: usize, value: u64) {
        for i in 0..ELEMENT_WORDS {
            let word = (value >> (i as u32 * SECOND)) as Word;
            WriteCell::store(&self.latch, n, unit * ELEMENT_WORDS + i, word);
        }
    }

    #[inline(always)]
    fn element(&self, index: u32) -> u64 {
        self.words().get(index as usize).map_or(0, |words| {
            words.iter().rev().fold(0, |all, word| {
                // A shift by 64 bits is not possible.
                let all = if ELEMENT_WORDS == 1 { 0 } else { all << 32 };
                all | Word::from_le(word.load(Relaxed)) as u64
            })
        })
    }

    #[inline(always)]
    fn set_element(&self, index: u32, value: u64, _site: Site) {
        if let Some(words) = self.words().get(index as usize) {
            for (i, word) in words.iter().enumerate() {
                let value = (value >> (i as u32 * SECOND)) as Word;
                // Must be Release: see `Site::WriterElement`.
                word.store(value.to_le(), Release);
            }
        }
    }

    #[inline(always)]
    fn set_seq(&self, n: u32, site: Site) {
        self.latch.set_seq(n, site);
    }
}

impl<M: Clone> Clone for Journal<M> {
    fn clone(&self) -> Self {
        Self { latch: self.latch.clone(), ..*self }
    }
}

impl<M> core::fmt::Debug for Journal<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Journal").field("cell", &self.latch).field("count", &self.count).finish()
    }
}
