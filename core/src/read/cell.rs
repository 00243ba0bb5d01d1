//! The reader of a latched cell: PROTOCOL.md section 2.

use crate::layout::CELL_HEAD;
use crate::protocol::{ReadCell, Site};
use crate::region::Source;

/// Copies a value into `out`, which has whole words. Of text and bytes, which have a `capacity`,
/// only the used part is copied.
#[inline]
pub(super) fn copy_value<S: Source + ?Sized>(
    source: &S,
    at: u32,
    capacity: Option<u32>,
    out: &mut [u8],
) {
    let Some(capacity) = capacity else { return source.copy(at, out) };
    let Some((prefix, text)) = out.split_at_mut_checked(8) else { return };
    source.copy(at, prefix);
    let length = prefix.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let size = length.min(capacity).next_multiple_of(8) as usize;
    let size = size.min(text.len());
    if let Some(text) = text.get_mut(..size) {
        source.copy(at.saturating_add(8), text);
    }
}

/// A latched cell in a source, and a buffer for part of a slot.
pub(crate) struct SlotReader<'a, S: ?Sized> {
    source: &'a S,
    cell: u32,
    slot_size: u32,
    /// Offset of the part in the slot.
    from: u32,
    /// Capacity of text and bytes.
    capacity: Option<u32>,
    out: &'a mut [u8],
}

impl<'a, S: ?Sized> SlotReader<'a, S> {
    /// A reader of whole slots, of `out.len()` bytes each.
    pub(crate) fn new(source: &'a S, cell: u32, out: &'a mut [u8]) -> Self {
        let slot_size = u32::try_from(out.len()).unwrap_or(u32::MAX);
        Self::with_size(source, cell, slot_size, out)
    }

    /// A reader of whole slots.
    pub(super) const fn with_size(
        source: &'a S,
        cell: u32,
        slot_size: u32,
        out: &'a mut [u8],
    ) -> Self {
        Self::of_part(source, cell, slot_size, 0, None, out)
    }

    /// A reader of the part from offset `from` of a slot on; of text and bytes with a capacity.
    pub(super) const fn of_part(
        source: &'a S,
        cell: u32,
        slot_size: u32,
        from: u32,
        capacity: Option<u32>,
        out: &'a mut [u8],
    ) -> Self {
        Self { source, cell, slot_size, from, capacity, out }
    }

    #[cfg(feature = "alloc")] // For the mirror.
    /// The bytes of the last slot.
    pub(crate) const fn copied(&self) -> &[u8] {
        self.out
    }
}

impl<S: ?Sized> SlotReader<'_, S> {
    /// Offset of a slot in the image.
    pub(super) fn slot(&self, slot: u32) -> u32 {
        let before = slot.saturating_mul(self.slot_size).saturating_add(CELL_HEAD);
        self.cell.saturating_add(before)
    }
}

impl<S: Source + ?Sized> ReadCell for SlotReader<'_, S> {
    #[inline]
    fn seq(&mut self) -> u32 {
        self.source.load32(self.cell)
    }

    #[inline]
    fn fence(&mut self, site: Site) {
        self.source.fence(site);
    }

    #[inline]
    fn load_slot(&mut self, slot: u32) {
        let at = self.slot(slot).saturating_add(self.from);
        copy_value(self.source, at, self.capacity, self.out);
    }
}
