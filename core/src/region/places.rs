//! Handles to single words and cells: a checked place, then accesses without checks.

#[cfg(target_pointer_width = "64")]
use super::AtomicU64;
use super::{AtomicU32, Memory, NonNull, Region, Relaxed, Release, fence};
use crate::layout::CELL_HEAD;
use crate::protocol::{Site, WriteCell};

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

macro_rules! atom {
    ($(#[$doc:meta])* $name:ident, $atomic:ident, $int:ident, $size:literal) => {
        $(#[$doc])*
        pub struct $name<M> {
            // `NonNull` makes the handle neither `Send` nor `Sync`: one writer a lane.
            at: NonNull<$atomic>,
            // Keeps the bytes alive.
            memory: M,
        }

        impl<M: Memory + Clone> $name<M> {
            /// The word at `offset`, or `None` if it is misaligned or not inside.
            #[must_use]
            pub fn new(region: &Region<M>, offset: u32) -> Option<Self> {
                let at = region.at(offset, $size)?.cast();
                Some(Self { at, memory: region.memory.clone() })
            }
        }

        impl<M> $name<M> {
            #[inline(always)]
            fn word(&self) -> &$atomic {
                // SAFETY:
                // - in bounds and aligned: `Region::at` checked it in `new`;
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

            /// Stores a value after everything that was stored before.
            #[inline(always)]
            pub fn publish(&self, value: $int) {
                // Must be Release, because it announces an earlier store (a presence bit
                // announces a value); partner: the reader's fence after loading it.
                self.word().store(value.to_le(), Release);
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
#[cfg(target_pointer_width = "64")]
atom!(
    /// An 8-byte word with one writer.
    Atom64, AtomicU64, u64, 8
);

/// The writer's end of a latched cell (FORMAT.md section 6).
pub struct Latch<M> {
    cell: NonNull<u8>,
    /// Number of slots minus one; slots is 2 or 4.
    mask: u32,
    /// Words in a slot.
    slot_words: u32,
    memory: M,
}

impl<M: Memory + Clone> Latch<M> {
    /// The cell at `offset`, or `None` if it is misaligned, not inside, or `slots` is
    /// neither 2 nor 4, or `slot_size` is not a positive multiple of 8.
    #[must_use]
    pub fn new(region: &Region<M>, offset: u32, slots: u32, slot_size: u32) -> Option<Self> {
        if !matches!(slots, 2 | 4) || slot_size == 0 || !slot_size.is_multiple_of(8) {
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
    /// Words in a slot.
    #[inline(always)]
    #[must_use]
    pub const fn slot_words(&self) -> usize {
        self.slot_words as usize
    }

    #[inline(always)]
    fn seq_word(&self) -> &AtomicU32 {
        // SAFETY: the cell starts with an aligned u32 inside the region (`new`); for the
        // other points see `Region::word32`; `self.memory` keeps the bytes.
        unsafe { self.cell.cast::<AtomicU32>().as_ref() }
    }

    /// Word `index` of the slot of value `n`; `None` past the slot.
    #[inline(always)]
    fn word(&self, n: u32, index: usize) -> Option<&AtomicWord> {
        if index >= self.slot_words as usize {
            return None;
        }
        let slot = (n & self.mask) as usize;
        let words = slot * self.slot_words as usize + index;
        let bytes = CELL_HEAD as usize + words * WORD_SIZE as usize;
        // SAFETY: slot <= mask and index < slot_words, so bytes + WORD_SIZE <= CELL_HEAD +
        // slots * slot_size, which `new` found inside the region.
        let at = unsafe { self.cell.add(bytes) };
        // SAFETY:
        // - in bounds: above; aligned: the cell and CELL_HEAD are multiples of 8;
        // - valid, no data race, lifetime: as in `seq_word`.
        Some(unsafe { at.cast::<AtomicWord>().as_ref() })
    }
}

impl<M> WriteCell for Latch<M> {
    type Word = Word;

    #[inline(always)]
    fn seq(&self) -> u32 {
        u32::from_le(self.seq_word().load(Relaxed))
    }

    #[inline(always)]
    fn fence(&self, _site: Site) {
        // Orders this publish's slot stores after the previous seq store; see
        // `Site::WriterEnter`.
        fence(Release);
    }

    #[inline(always)]
    fn store(&self, n: u32, index: usize, word: Word) {
        if let Some(at) = self.word(n, index) {
            at.store(word.to_le(), Relaxed);
        }
    }

    #[inline(always)]
    fn load(&self, n: u32, index: usize) -> Word {
        self.word(n, index).map_or(0, |at| Word::from_le(at.load(Relaxed)))
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
