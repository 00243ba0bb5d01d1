//! Descriptor as a plain value, unchecked: FORMAT.md section 4.

use crate::layout::{CELL_HEAD, descriptor as d, set_word64, table};
use crate::properties::Properties;
use crate::region::Source;
use crate::types::Storage;

/// A descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // Named and documented in `layout::descriptor`.
pub struct RawDescriptor {
    pub label: u32,
    pub unit: u32,
    pub help: u32,
    pub attributes: u32,
    /// `ty`, `kind`, `aggregation`, `count`, `slot_bits`, `level`, `flags` and `param`.
    pub properties: Properties,
    pub storage: u8,
    pub place: u32,
    pub slot_size: u32,
    pub member: u32,
    pub detail: u32,
    pub state: u32,
    pub checksum: u64,
}

impl RawDescriptor {
    /// Loads the descriptor at `offset`, a multiple of 8.
    #[inline]
    pub fn load<S: Source + ?Sized>(source: &S, offset: u32) -> Self {
        let mut bytes = [0; d::SIZE as usize];
        source.copy(offset, &mut bytes);
        Self::from_bytes(&bytes)
    }

    /// Decodes a descriptor.
    #[inline]
    #[must_use]
    pub fn from_bytes(bytes: &[u8; d::SIZE as usize]) -> Self {
        Self::from_words(|at: u32| {
            let at = at as usize;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        })
    }

    /// Decodes a descriptor whose word at `at` is `u32_at(at)`.
    #[inline(always)]
    pub(crate) fn from_words(u32_at: impl Fn(u32) -> u32) -> Self {
        let ty = u32_at(d::TYPE);
        let [.., storage] = ty.to_le_bytes();
        let properties =
            Properties::from_words(ty, u32_at(d::COUNT), u32_at(d::SLOT_BITS), u32_at(d::PARAM));
        Self {
            label: u32_at(d::LABEL),
            unit: u32_at(d::UNIT),
            help: u32_at(d::HELP),
            attributes: u32_at(d::ATTRIBUTES),
            properties,
            storage,
            place: u32_at(d::PLACE),
            slot_size: u32_at(d::SLOT_SIZE),
            member: u32_at(d::MEMBER),
            detail: u32_at(d::DETAIL),
            state: u32_at(d::STATE),
            checksum: u64::from(u32_at(d::CHECKSUM)) | u64::from(u32_at(d::CHECKSUM + 4)) << 32,
        }
    }

    /// Offsets of label, unit, help, attributes and detail.
    pub(crate) const fn strings(&self) -> [u32; 5] {
        [self.label, self.unit, self.help, self.attributes, self.detail]
    }

    /// Size of the cell of a latched field, a journal or a table, in bytes; saturates.
    #[inline(always)]
    pub(crate) const fn cell_size(&self) -> u32 {
        let slots =
            self.properties.slots().saturating_mul(self.slot_size).saturating_add(CELL_HEAD);
        if self.storage == Storage::Journal.code() {
            slots.saturating_add(self.properties.count().saturating_mul(8))
        } else if self.storage == Storage::Table.code() {
            // Each row is a cell of its own.
            slots.saturating_mul(self.properties.param()).saturating_add(table::ROWS)
        } else {
            slots
        }
    }

    /// The words of the descriptor, in their order.
    pub(crate) const fn words(&self) -> [u32; d::SIZE as usize / 4] {
        let mut words = [0; d::SIZE as usize / 4];
        words[d::LABEL as usize / 4] = self.label;
        words[d::UNIT as usize / 4] = self.unit;
        words[d::HELP as usize / 4] = self.help;
        words[d::ATTRIBUTES as usize / 4] = self.attributes;
        words[d::TYPE as usize / 4] = self.properties.type_word(self.storage);
        words[d::COUNT as usize / 4] = self.properties.count();
        words[d::PLACE as usize / 4] = self.place;
        words[d::SLOT_SIZE as usize / 4] = self.slot_size;
        words[d::MEMBER as usize / 4] = self.member;
        words[d::SLOT_BITS as usize / 4] = self.properties.slots_word();
        words[d::PARAM as usize / 4] = self.properties.param();
        words[d::DETAIL as usize / 4] = self.detail;
        words[d::STATE as usize / 4] = self.state;
        set_word64(&mut words, d::CHECKSUM, self.checksum);
        words
    }
}
