//! Storage and sizes of a field, and its descriptor.

use super::FieldSpec;
use crate::buckets::HISTOGRAM_SLOT;
use crate::descriptor::RawDescriptor;
use crate::layout::{ATOMIC_CELL, CELL_HEAD, field_state, round_up, string_size, table};
use crate::types::{Kind, Storage};

impl FieldSpec<'_> {
    /// Size of the encoded details in bytes.
    pub(crate) const fn details_len(&self) -> usize {
        let (mut len, mut rest) = (self.details.len().saturating_sub(1), self.details);
        while let [item, others @ ..] = rest {
            len += item.len();
            rest = others;
        }
        len
    }

    /// Size of the encoded attributes in bytes.
    pub(crate) const fn attributes_len(&self) -> usize {
        let (mut len, mut rest) = (self.attributes.len().saturating_sub(1), self.attributes);
        while let [(key, value), others @ ..] = rest {
            len += key.len() + value.len() + 1;
            rest = others;
        }
        len
    }

    /// Storage class of the value for a writer of this word size.
    #[must_use]
    pub const fn storage(&self) -> Storage {
        if self.constant.is_some() {
            return Storage::Constant;
        }
        let properties = self.properties;
        if properties.is_kind(Kind::Histogram) {
            return Storage::Journal;
        }
        if properties.is_kind(Kind::Activity) {
            return Storage::Table;
        }
        let word = usize::BITS / 8;
        match properties.ty() {
            Some(ty)
                if ty.is_scalar()
                    && ty.size() <= word
                    && !properties.is_array()
                    && properties.ring().is_none() =>
            {
                Storage::Atomic
            }
            _ => Storage::Latched,
        }
    }

    /// Size of a slot in bytes, a multiple of 8. `self` was checked.
    pub(crate) const fn slot_bytes(&self) -> u32 {
        if matches!(self.storage(), Storage::Journal) {
            return HISTOGRAM_SLOT;
        }
        let Some(size) = self.properties.value_size() else { return u32::MAX };
        let Some(size) = round_up(size, 8) else { return u32::MAX };
        size.saturating_add(self.lead())
    }

    /// Offset of the value in its slot.
    pub(crate) const fn lead(&self) -> u32 {
        match self.properties.kind() {
            Some(Kind::Events) => 8,
            Some(Kind::Activity) => table::VALUE,
            _ => 0,
        }
    }

    /// The number of slots as a power of 2.
    pub(crate) const fn slot_bits(&self, slot_size: u32) -> u8 {
        match self.properties.ring() {
            Some(bits) => bits,
            None => slot_bits_for(slot_size),
        }
    }

    /// The descriptor of this field without strings: with a cell of its own at `place`, or as a
    /// member of a group. `self` was checked.
    pub(crate) const fn descriptor(&self, place: u32, group: Option<Group>) -> RawDescriptor {
        let (storage, slot_size, member) = match group {
            Some(group) => (Storage::Latched, group.slot_size, group.member),
            None if self.storage().has_slots() => (self.storage(), self.slot_bytes(), self.lead()),
            None => (self.storage(), 0, self.lead()),
        };
        let slot_bits = if storage.has_slots() { self.slot_bits(slot_size) } else { 0 };
        RawDescriptor {
            label: 0,
            unit: 0,
            help: 0,
            attributes: 0,
            properties: self.properties.with_member(group.is_some()).with_slot_bits(slot_bits),
            storage: storage.code(),
            place,
            slot_size,
            member,
            detail: 0,
            state: field_state::LIVE,
            checksum: 0,
        }
    }

    /// Size of the field's own cell in each lane, in bytes. `self` was checked.
    pub(crate) const fn lane_bytes(&self) -> u32 {
        match self.storage() {
            Storage::Constant => 0,
            Storage::Atomic => ATOMIC_CELL,
            Storage::Latched | Storage::Journal => {
                let slot_size = self.slot_bytes();
                let slots = slot_size.saturating_mul(1 << self.slot_bits(slot_size));
                let journal = matches!(self.storage(), Storage::Journal);
                let tail = if journal { self.properties.count().saturating_mul(8) } else { 0 };
                CELL_HEAD.saturating_add(slots).saturating_add(tail)
            }
            Storage::Table => {
                let slot_size = self.slot_bytes();
                let row = table::row_size(1 << self.slot_bits(slot_size), slot_size);
                row.saturating_mul(self.properties.param()).saturating_add(table::ROWS)
            }
        }
    }

    /// Maximum size of strings and constant in the heap, in bytes. `self` was checked.
    pub(crate) const fn heap_bytes(&self) -> u32 {
        let mut bytes = string_size(self.label.len())
            + string_size(self.unit.len())
            + string_size(self.help.len())
            + string_size(self.attributes_len())
            + string_size(self.details_len());
        if let Some(value) = &self.constant {
            // Up to 4 bytes align the value to 8.
            bytes += 4 + 8 + value.tail().len().next_multiple_of(8);
        }
        #[allow(clippy::cast_possible_truncation)] // Compared just before.
        if bytes > u32::MAX as usize { u32::MAX } else { bytes as u32 }
    }
}

/// Place of a field in the slot of its group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// Size of the slot in bytes.
    pub(crate) slot_size: u32,
    /// Offset of the value in the slot.
    pub(crate) member: u32,
}

/// Slots of a latched cell as a power of 2: 2 slots up to 32 bytes and 4 above.
const fn slot_bits_for(slot_size: u32) -> u8 {
    if slot_size <= 32 { 1 } else { 2 }
}

/// Size of a latched cell that keeps only the last value, in bytes.
pub(crate) const fn cell_bytes(slot_size: u32) -> u32 {
    CELL_HEAD.saturating_add(slot_size.saturating_mul(1 << slot_bits_for(slot_size)))
}
