//! Access to shared memory: the only module with `unsafe` code.
//!
//! Other modules work with offsets. This module turns them into accesses: Relaxed atomics on words
//! of 4 and 8 bytes, plus fences, in the byte order of the format. It is the only module that names
//! the atomic types.
//!
//! # Why not `read_volatile`, `copy_nonoverlapping` or `&[u8]`
//!
//! Another thread or process may write these bytes during a read. A plain or volatile access that
//! races is undefined behaviour, and a reference promises that there are no writes. A Relaxed
//! atomic access of the same size may race, compiles to the same instruction, and is allowed on a
//! read-only mapping (see [`core::sync::atomic`], "Atomic accesses to read-only memory": word-size
//! Relaxed loads).
#![allow(unsafe_code)] // The only module of the crate with unsafe code: see above.
#![allow(clippy::disallowed_types)] // The only module that names the atomic types
#![allow(clippy::disallowed_methods)] // The only module with fences.

mod cells;
mod memory;
mod source;
mod table;

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use portable_atomic::AtomicU32;
#[cfg(target_pointer_width = "64")]
use portable_atomic::AtomicU64;
use portable_atomic::fence;

use crate::layout::CACHE_LINE;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use crate::protocol::SharedWord;
use crate::protocol::{Site, WriteWord};

#[cfg(target_pointer_width = "64")]
pub use cells::Atom64;
pub(crate) use cells::AtomWord;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
pub(crate) use cells::SharedAtom64;
pub use cells::{Atom32, Journal, Latch, Word};
pub use memory::{Guarded, Memory, NoMemory, ReadMemory, StaticBytes, StaticMemory};
pub(crate) use source::SourceWord;
pub use source::{Source, Still};
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedGauge`.
pub(crate) use table::SharedTable;
pub use table::Table;

/// Reason why memory cannot hold an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionError {
    /// The address is not a multiple of 64.
    Misaligned {
        /// The address modulo 64.
        rest: u32,
    },
    /// More than 4 GiB - 1.
    TooLarge {
        /// The number of bytes.
        len: usize,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { rest } => {
                write!(f, "memory starts {rest} bytes after a multiple of {CACHE_LINE}")
            }
            Self::TooLarge { len } => write!(f, "memory of {len} bytes: the limit is {}", u32::MAX),
        }
    }
}

impl core::error::Error for RegionError {}

/// Shared memory, read and written by offsets.
///
/// Accesses past the end do nothing, and loads return 0. Callers check ranges first; this makes an
/// error of theirs no undefined behaviour.
pub struct Region<M> {
    base: NonNull<u8>,
    len: u32,
    memory: M,
}

impl<M> fmt::Debug for Region<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("base", &self.base).field("len", &self.len).finish()
    }
}

impl<M: Clone> Clone for Region<M> {
    fn clone(&self) -> Self {
        Self { base: self.base, len: self.len, memory: self.memory.clone() }
    }
}

// SAFETY: the pointer is used for atomic accesses only, which any thread may do, and
// `memory`, which keeps the bytes, is itself `Send`.
unsafe impl<M: Send> Send for Region<M> {}
// SAFETY: all methods of `&Region` are atomic accesses; `&memory` is given out only
// where `M: Sync`.
unsafe impl<M: Sync> Sync for Region<M> {}

impl<M: Memory> Region<M> {
    /// Makes a region of `memory`.
    ///
    /// # Errors
    ///
    /// If the memory is misaligned or larger than 4 GiB - 1.
    pub fn new(memory: M) -> Result<Self, RegionError> {
        Self::from_parts(memory.base(), memory.len(), memory)
    }
}

impl<M> Region<M> {
    /// `base` and `len` are those of `memory`.
    fn from_parts(base: NonNull<u8>, len: usize, memory: M) -> Result<Self, RegionError> {
        let rest = u32::try_from(base.addr().get() % CACHE_LINE as usize).unwrap_or(u32::MAX);
        if rest != 0 {
            return Err(RegionError::Misaligned { rest });
        }
        let len = u32::try_from(len).map_err(|_| RegionError::TooLarge { len })?;
        Ok(Self { base, len, memory })
    }

    /// The number of bytes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.len
    }

    /// The memory of the region.
    #[must_use]
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// The word of the metadata at `offset`: a constant if [`Memory::metadata`] has it.
    #[inline(always)]
    pub(crate) fn metadata32(&self, offset: u32) -> u32
    where
        M: Memory,
    {
        let words = self.memory.metadata();
        let known = words.and_then(|words| words.get(offset as usize / 4)).copied();
        known.unwrap_or_else(|| self.load32(offset))
    }

    /// The address of `offset`, if an access of `size` bytes there is aligned and inside.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn at(&self, offset: u32, size: u32) -> Option<NonNull<u8>> {
        let end = offset.checked_add(size)?;
        if end > self.len || !offset.is_multiple_of(size) {
            return None;
        }
        // SAFETY: offset + size <= len, and `Memory` promises that these bytes are one
        // allocation from `base`.
        Some(unsafe { self.base.add(offset as usize) })
    }

    #[inline]
    fn word32(&self, offset: u32) -> Option<&AtomicU32> {
        let at = self.at(offset, 4)?.cast::<AtomicU32>();
        // SAFETY:
        // - in bounds and aligned: `at` checked it, and `base` is a multiple of 64;
        // - valid: any bit pattern is an AtomicU32;
        // - no data race: the bytes are touched by atomics only (`Memory`);
        // - lifetime: the memory lives as long as `self`.
        Some(unsafe { at.as_ref() })
    }

    #[cfg(target_pointer_width = "64")]
    #[inline]
    fn word64(&self, offset: u32) -> Option<&AtomicU64> {
        let at = self.at(offset, 8)?.cast::<AtomicU64>();
        // SAFETY: as in `word32`, with 8 bytes.
        Some(unsafe { at.as_ref() })
    }

    /// At most `count` words from `offset`, a multiple of 8: those that are inside.
    #[cfg(target_pointer_width = "64")]
    #[inline]
    fn words64(&self, offset: u32, count: usize) -> &[AtomicU64] {
        let Some(first) = self.at(offset, 8) else { return &[] };
        let inside = (self.len - offset) / 8;
        let count = count.min(inside as usize);
        let words = NonNull::slice_from_raw_parts(first.cast::<AtomicU64>(), count);
        // SAFETY: as in `word32`, with 8 bytes each; `offset + 8 * count <= len`, because
        // `at` checked that `offset` is inside.
        unsafe { words.as_ref() }
    }

    /// Stores `value` at `offset`, a multiple of 4.
    pub(crate) fn store32(&self, offset: u32, value: u32) {
        debug_assert!(self.at(offset, 4).is_some(), "store past the end: {offset}");
        if let Some(word) = self.word32(offset) {
            word.store(value.to_le(), Relaxed);
        }
    }

    /// Stores `words` from `offset`, a multiple of 4.
    pub(crate) fn store_words(&self, offset: u32, words: &[u32]) {
        (offset..).step_by(4).zip(words).for_each(|(at, word)| self.store32(at, *word));
    }

    /// Stores `value` at `offset` with Release order: a reader that loads it and then has a
    /// fence(Acquire) sees all that was stored before.
    fn publish32(&self, offset: u32, value: u32, _site: Site) {
        debug_assert!(self.at(offset, 4).is_some(), "store past the end: {offset}");
        if let Some(word) = self.word32(offset) {
            // Must be Release: the site has the reason and the partner.
            word.store(value.to_le(), Release);
        }
    }

    /// fence(Release): later stores are not seen without earlier ones. The site has the reason.
    pub(crate) fn fence_release(&self, _site: Site) {
        // Must be Release: the site has the reason and the partner.
        fence(Release);
    }

    /// The word at `offset`, a multiple of 4, for the protocol.
    pub(crate) const fn word(&self, offset: u32) -> RegionWord<'_, M> {
        RegionWord { region: self, offset }
    }

    /// Stores `bytes` from `offset`, a multiple of 4, padded with zeros to whole words.
    pub(crate) fn write(&self, offset: u32, bytes: &[u8]) {
        let mut at = offset;
        for chunk in bytes.chunks(4) {
            // Not by a copy, whose code takes more flash.
            let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
            self.store32(at, word);
            at += 4;
        }
    }
}

/// Updates of one cell by several threads of the writer: `SharedGauge`.
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
impl<M> Region<M> {
    /// An atomic cell of 8 bytes if `wide`, else of 4.
    pub(crate) fn load_cell(&self, offset: u32, wide: bool) -> u64 {
        if wide { self.load64(offset).unwrap_or(0) } else { self.load32(offset).into() }
    }

    /// Replaces the value of an atomic cell: one store.
    #[allow(clippy::cast_possible_truncation)] // A cell of 4 bytes.
    pub(crate) fn store_cell(&self, offset: u32, wide: bool, value: u64) {
        if !wide {
            self.store32(offset, value as u32);
        } else if let Some(word) = self.word64(offset) {
            word.store(value.to_le(), Relaxed);
        }
    }

    /// Replaces the value of an atomic cell by `new` of it, also while other threads do.
    #[allow(clippy::cast_possible_truncation)] // A cell of 4 bytes.
    pub(crate) fn update_cell(&self, offset: u32, wide: bool, new: impl Fn(u64) -> u64) {
        if wide {
            if let Some(word) = self.word64(offset) {
                let update = |old: u64| Some(new(u64::from_le(old)).to_le());
                let _ = word.fetch_update(Relaxed, Relaxed, update);
            }
        } else if let Some(word) = self.word32(offset) {
            let update = |old: u32| Some((new(u32::from_le(old).into()) as u32).to_le());
            let _ = word.fetch_update(Relaxed, Relaxed, update);
        }
    }

    /// Whether a bit of a word is set.
    pub(crate) fn is_set(&self, offset: u32, bit: u32) -> bool {
        self.load32(offset) & bit != 0
    }
}

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
impl<M> SharedWord for RegionWord<'_, M> {
    #[inline(always)]
    fn load(&self) -> u32 {
        self.region.load32(self.offset)
    }

    #[inline(always)]
    fn set(&self, bit: u32, _site: Site) {
        if let Some(word) = self.region.word32(self.offset) {
            // Must be Release: the site has the reason and the partner.
            word.fetch_or(bit.to_le(), Release);
        }
    }

    fn clear(&self, bit: u32) {
        if let Some(word) = self.region.word32(self.offset) {
            word.fetch_and(!bit.to_le(), Relaxed);
        }
    }
}

/// A word of 4 bytes in a region.
pub(crate) struct RegionWord<'a, M> {
    region: &'a Region<M>,
    offset: u32,
}

impl<M> WriteWord for RegionWord<'_, M> {
    fn load(&self) -> u32 {
        self.region.load32(self.offset)
    }

    fn store(&self, value: u32) {
        self.region.store32(self.offset, value);
    }

    fn publish(&self, value: u32, site: Site) {
        self.region.publish32(self.offset, value, site);
    }

    fn fence(&self, site: Site) {
        self.region.fence_release(site);
    }
}

impl<M> Source for Region<M> {
    fn size(&self) -> u32 {
        self.len
    }

    #[inline]
    fn load32(&self, offset: u32) -> u32 {
        self.word32(offset).map_or(0, |word| u32::from_le(word.load(Relaxed)))
    }

    #[cfg(target_pointer_width = "64")]
    #[inline]
    fn load64(&self, offset: u32) -> Option<u64> {
        Some(self.word64(offset).map_or(0, |word| u64::from_le(word.load(Relaxed))))
    }

    // Two loads of 4 bytes may return halves of two values.
    #[cfg(not(target_pointer_width = "64"))]
    fn load64(&self, _offset: u32) -> Option<u64> {
        None
    }

    #[inline]
    fn fence(&self, _site: Site) {
        // Must be Acquire: the site has the reason.
        fence(Acquire);
    }

    #[cfg(target_pointer_width = "64")]
    #[inline]
    fn copy(&self, offset: u32, out: &mut [u8]) {
        let (out, _) = out.as_chunks_mut::<8>();
        let words = self.words64(offset, out.len());
        let (inside, past) = out.split_at_mut(words.len());
        // The bounds are checked once, so that each word takes one load and one store.
        for (to, word) in inside.iter_mut().zip(words) {
            *to = u64::from_le(word.load(Relaxed)).to_le_bytes();
        }
        past.fill([0; 8]);
    }
}

/// Shared memory that is only read, by offsets: a [`Source`] and nothing else.
///
/// Memory of a writer is not a view, and a view is no memory of a writer:
///
/// ```compile_fail
/// fn write<M: mmstats_core::ReadMemory>(memory: M) {
///     let _ = mmstats_core::Region::new(memory);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct View<M>(
    /// Private: a region is writable.
    Region<M>,
);

impl<M: ReadMemory> View<M> {
    /// Makes a view of `memory`.
    ///
    /// # Errors
    ///
    /// If the memory is misaligned or larger than 4 GiB - 1.
    pub fn new(memory: M) -> Result<Self, RegionError> {
        Region::from_parts(memory.base(), memory.len(), memory).map(Self)
    }
}

impl<M> View<M> {
    /// The number of bytes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.0.len
    }

    /// The memory of the view.
    #[must_use]
    pub const fn memory(&self) -> &M {
        &self.0.memory
    }
}

impl<M> Source for View<M> {
    #[inline]
    fn size(&self) -> u32 {
        self.0.len
    }
    #[inline]
    fn load32(&self, offset: u32) -> u32 {
        self.0.load32(offset)
    }
    #[inline]
    fn load64(&self, offset: u32) -> Option<u64> {
        self.0.load64(offset)
    }
    #[inline]
    fn fence(&self, site: Site) {
        self.0.fence(site);
    }
    #[inline]
    fn copy(&self, offset: u32, out: &mut [u8]) {
        self.0.copy(offset, out);
    }
}

#[cfg(test)]
mod tests;
