//! Text and bytes with a capacity.

use crate::layout::CUT;
use crate::protocol::{Slot, publish};
use crate::region::{Latch, Memory, Word};
use crate::types::DataType;
use crate::utf8::floor_char_boundary;
use crate::write::{AttachError, FieldId, Lane, Presence};

const WORD: usize = size_of::<Word>();
const WORD_BITS: usize = WORD * 8;

/// The cell of a text or bytes field.
#[derive(Debug, Clone)]
struct Cell<M> {
    latch: Latch<M>,
    presence: Option<Presence<M>>,
}

impl<M: Memory + Clone> Cell<M> {
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    fn attach(
        lane: &Lane<M>,
        field: FieldId,
        ty: DataType,
        capacity: usize,
    ) -> Result<Self, AttachError> {
        let raw = lane.field(field, ty, None)?;
        if raw.properties.count() as usize != capacity {
            return Err(AttachError::OtherCount {
                found: raw.properties.count(),
                wanted: u32::try_from(capacity).unwrap_or(u32::MAX),
            });
        }
        if raw.member != 0 || (capacity + 8).next_multiple_of(8) > raw.slot_size as usize {
            return Err(AttachError::Place { place: raw.place });
        }
        Ok(Self { latch: lane.latch(&raw)?, presence: lane.presence(&raw, field)? })
    }

    /// The cell of a field with any capacity, and the capacity.
    fn attach_any(
        lane: &Lane<M>,
        field: FieldId,
        ty: DataType,
    ) -> Result<(Self, usize), AttachError> {
        let capacity = lane.field(field, ty, None)?.properties.count() as usize;
        Ok((Self::attach(lane, field, ty, capacity)?, capacity))
    }
}

impl<M> Cell<M> {
    /// Publishes `bytes`, at most `capacity`.
    #[inline(always)]
    fn set(&self, capacity: usize, bytes: &[u8], cut: bool) {
        if !self.latch.holds_units(1 + capacity.div_ceil(8)) {
            return; // Never: `attach` checked it.
        }
        publish(
            &self.latch,
            #[inline(always)]
            |slot| fill(slot, 0, bytes, cut),
        );
        if let Some(presence) = &self.presence {
            presence.set();
        }
    }

    #[inline]
    fn clear(&self) {
        if let Some(presence) = &self.presence {
            // The cell keeps the last value: see `Gauge::clear`.
            presence.clear();
        }
    }
}

/// Stores length, flags and bytes from 8-byte unit `unit` of the slot on. Bytes after the end
/// remain from older values; the length excludes them.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // At most 1,048,560 bytes.
pub(super) fn fill<M>(slot: &Slot<'_, Latch<M>>, unit: usize, bytes: &[u8], cut: bool) {
    let flags = if cut { CUT } else { 0 };
    let head = u64::from(flags) << 32 | bytes.len() as u64;
    super::scalar::set64(slot, unit, head);
    let (words, rest) = bytes.as_chunks::<WORD>();
    let (latch, n) = slot.parts();
    let first = (unit + 1) * (8 / WORD);
    latch.store_words(n, first, words);
    if !rest.is_empty() {
        slot.set(first + words.len(), last_word(bytes, rest));
    }
}

/// The longest prefix of whole characters with at most `most` bytes.
pub(super) fn floor(text: &str, most: usize) -> &[u8] {
    let end = floor_char_boundary(text, most);
    text.as_bytes().get(..end).unwrap_or(&[]) // Always `Some`; an index could panic.
}

/// The bytes after the last whole word, padded with zeros.
#[inline(always)]
fn last_word(bytes: &[u8], rest: &[u8]) -> Word {
    match bytes.last_chunk() {
        // The last whole word, shifted: needs no loop and no call.
        Some(last) => Word::from_le_bytes(*last) >> (8 * (WORD - rest.len()) % WORD_BITS),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | Word::from(*byte)),
    }
}

/// UTF-8 text of at most `N` bytes. It has no value until one is set.
#[derive(Debug, Clone)]
pub struct Text<const N: usize, M> {
    cell: Cell<M>,
}

impl<const N: usize, M: Memory + Clone> Text<N, M> {
    /// Attaches to the text `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a text of capacity `N` on its own.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        Ok(Self { cell: Cell::attach(lane, field, DataType::Text, N)? })
    }
}

impl<const N: usize, M> Text<N, M> {
    /// Replaces the text. A text of more than `N` bytes is cut at the last character boundary that
    /// fits; then the result is `false` and readers see that it was cut.
    #[inline]
    pub fn set(&self, text: &str) -> bool {
        let whole = text.len() <= N;
        if whole {
            self.cell.set(N, text.as_bytes(), false);
        } else {
            self.set_cut(text);
        }
        whole
    }

    #[cold]
    fn set_cut(&self, text: &str) {
        self.cell.set(N, floor(text, N), true);
    }

    /// Removes the text: readers see that it is absent.
    #[inline]
    pub fn clear(&self) {
        self.cell.clear();
    }
}

/// At most `N` arbitrary bytes. They have no value until one is set.
#[derive(Debug, Clone)]
pub struct Blob<const N: usize, M> {
    cell: Cell<M>,
}

impl<const N: usize, M: Memory + Clone> Blob<N, M> {
    /// Attaches to the bytes `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not of type bytes with capacity `N` on its own.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        Ok(Self { cell: Cell::attach(lane, field, DataType::Bytes, N)? })
    }
}

impl<const N: usize, M> Blob<N, M> {
    /// Replaces the bytes. More than `N` are cut; then the result is `false` and readers see that
    /// they were cut.
    #[inline]
    pub fn set(&self, bytes: &[u8]) -> bool {
        let whole = bytes.len() <= N;
        self.cell.set(N, if whole { bytes } else { &bytes[..N] }, !whole);
        whole
    }

    /// Removes the bytes: readers see that they are absent.
    #[inline]
    pub fn clear(&self) {
        self.cell.clear();
    }
}

/// UTF-8 text with a capacity that is known at run time: see [`Text`].
#[derive(Debug, Clone)]
pub struct DynText<M> {
    cell: Cell<M>,
    capacity: usize,
}

impl<M: Memory + Clone> DynText<M> {
    /// Attaches to the text `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a text on its own.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let (cell, capacity) = Cell::attach_any(lane, field, DataType::Text)?;
        Ok(Self { cell, capacity })
    }
}

impl<M> DynText<M> {
    /// Maximum length of the text, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Replaces the text. A longer one than [`DynText::capacity`] is cut at the last character boundary
    /// that fits; then the result is `false` and readers see that it was cut.
    pub fn set(&self, text: &str) -> bool {
        let bytes = floor(text, self.capacity);
        let whole = bytes.len() == text.len();
        self.cell.set(self.capacity, bytes, !whole);
        whole
    }

    /// Removes the text: readers see that it is absent.
    pub fn clear(&self) {
        self.cell.clear();
    }
}

/// Bytes with a capacity that is known at run time: see [`Blob`].
#[derive(Debug, Clone)]
pub struct DynBlob<M> {
    cell: Cell<M>,
    capacity: usize,
}

impl<M: Memory + Clone> DynBlob<M> {
    /// Attaches to the bytes `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not of type bytes on its own.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let (cell, capacity) = Cell::attach_any(lane, field, DataType::Bytes)?;
        Ok(Self { cell, capacity })
    }
}

impl<M> DynBlob<M> {
    /// Maximum number of bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Replaces the bytes. More than [`DynBlob::capacity`] are cut; then the result is `false` and
    /// readers see that they were cut.
    pub fn set(&self, bytes: &[u8]) -> bool {
        let (bytes, rest) = bytes.split_at_checked(self.capacity).unwrap_or((bytes, &[]));
        self.cell.set(self.capacity, bytes, !rest.is_empty());
        rest.is_empty()
    }

    /// Removes the bytes: readers see that they are absent.
    pub fn clear(&self) {
        self.cell.clear();
    }
}
