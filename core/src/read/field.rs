//! A field's description, checked: FORMAT.md section 4.

use super::check::{Check, Checked, Preceding};
use super::error::FieldError;
use super::header::Header;
use super::heap::HeapStr;
use crate::buckets::Buckets;
use crate::descriptor::RawDescriptor;
use crate::layout::descriptor as d;
use crate::properties::Properties;
use crate::protocol;
use crate::region::{Source, SourceWord};
use crate::types::{DataType, Kind, Storage};

/// Bytes before the copy of a row's slot in a buffer: u32, offset of the slot in the image, 0 if the row is
/// contended.
pub(super) const ROW_HEAD: u32 = 8;

/// A checked descriptor. No accessor fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    index: u32,
    /// Offset of the descriptor.
    at: u32,
    raw: RawDescriptor,
    /// Lengths of label, unit, help, attributes and detail.
    lengths: [u16; 5],
    states: u16,
    value_size: u32,
    ty: Option<DataType>,
    storage: Option<Storage>,
}

impl Field {
    /// Loads and checks descriptor `index`, in the order of FORMAT.md section 12. `preceding` is
    /// changed only by a good field.
    #[inline]
    pub(super) fn read<S: Source + ?Sized>(
        source: &S,
        header: &Header,
        heap_used: u32,
        index: u32,
        preceding: &mut Preceding,
    ) -> Result<Self, FieldError> {
        // An index past the capacity reads as zeros, whose state is refused.
        let at = header.descriptor(index).unwrap_or(!7);
        let mut bytes = [0; d::SIZE as usize];
        source.copy(at, &mut bytes);
        let raw = RawDescriptor::from_bytes(&bytes);
        let next = header.descriptor_size();
        let checked =
            Check::new(at, next, &bytes, &raw).run(source, header, heap_used, preceding)?;
        let Checked { ty, storage, lengths, value_size, states } = checked;
        Ok(Self { index, at, raw, lengths, states, value_size, ty, storage })
    }

    /// Number of the descriptor in its image.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// The unchecked numbers of the descriptor.
    #[must_use]
    pub const fn raw(&self) -> &RawDescriptor {
        &self.raw
    }

    /// Type, kind, aggregation, level, count, flags and parameter.
    #[must_use]
    #[inline]
    pub const fn properties(&self) -> Properties {
        self.raw.properties
    }

    /// Data type of the value or of its elements; `None` if unknown.
    #[must_use]
    pub const fn ty(&self) -> Option<DataType> {
        self.ty
    }

    /// Meaning of the value; `None` if unknown.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        self.raw.properties.kind()
    }

    /// Storage class of the value; `None` if unknown.
    #[must_use]
    pub const fn storage(&self) -> Option<Storage> {
        self.storage
    }

    /// Whether both fields are members of one group, so that one slot has both values.
    #[must_use]
    pub const fn same_cell(&self, other: &Self) -> bool {
        self.properties().is_member()
            && other.properties().is_member()
            && self.raw.place == other.raw.place
    }

    /// Number of elements, or capacity of text and bytes in bytes.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.raw.properties.count()
    }

    /// Size of the value in bytes, with the length words of text and bytes; 0 if the type is
    /// unknown.
    #[must_use]
    pub const fn value_size(&self) -> u32 {
        self.value_size
    }

    /// Minimum size of a read's buffer in bytes, a multiple of 8. For a journal, the elements and a
    /// slot; for a table, a slot of each row.
    #[must_use]
    pub const fn buffer_size(&self) -> usize {
        let slot = match self.storage {
            Some(Storage::Journal) => self.raw.slot_size,
            Some(Storage::Table) => {
                let row = self.raw.slot_size.saturating_add(ROW_HEAD);
                return row.saturating_mul(self.rows()) as usize;
            }
            Some(_) => 0,
            // Its value is never read and its sizes were not checked.
            None => return 0,
        };
        self.value_size.next_multiple_of(8).saturating_add(slot) as usize
    }

    /// Offset of the constant in the image, or of the cell from the start of the lane.
    #[must_use]
    pub const fn place(&self) -> u32 {
        self.raw.place
    }

    /// Size of a slot in bytes; 0 unless latched, a journal or a table.
    #[must_use]
    #[inline]
    pub const fn slot_size(&self) -> u32 {
        if self.has_slots() { self.raw.slot_size } else { 0 }
    }

    /// Number of slots, a power of 2; 0 unless latched, a journal or a table. Of a table, each row
    /// has so many.
    #[must_use]
    #[inline]
    pub const fn slots(&self) -> u32 {
        if self.has_slots() { self.raw.properties.slots() } else { 0 }
    }

    /// The numbers of an unknown storage were not checked.
    const fn has_slots(&self) -> bool {
        matches!(self.storage, Some(Storage::Latched | Storage::Journal | Storage::Table))
    }

    /// Number of rows of a table, 1 to 64; 0 for other storages.
    #[must_use]
    #[inline]
    pub const fn rows(&self) -> u32 {
        match self.storage {
            Some(Storage::Table) => self.raw.properties.param(),
            _ => 0,
        }
    }

    /// The buckets of a histogram.
    #[must_use]
    pub fn buckets(&self) -> Option<Buckets> {
        (self.kind() == Some(Kind::Histogram))
            .then(|| Buckets::from_param(self.raw.properties.param(), self.raw.properties.count()))
            .flatten()
    }

    /// Number of states of a state set; 0 for other kinds.
    #[must_use]
    #[inline]
    pub const fn states(&self) -> u16 {
        self.states
    }

    /// Offset of the value in its slot, in bytes.
    #[must_use]
    pub const fn member(&self) -> u32 {
        self.raw.member
    }

    /// The label.
    #[must_use]
    pub const fn label(&self) -> HeapStr {
        HeapStr::new(self.raw.label, self.lengths[0])
    }

    /// The unit; empty if there is none.
    #[must_use]
    pub const fn unit(&self) -> HeapStr {
        HeapStr::new(self.raw.unit, self.lengths[1])
    }

    /// The help text; empty if there is none.
    #[must_use]
    pub const fn help(&self) -> HeapStr {
        HeapStr::new(self.raw.help, self.lengths[2])
    }

    /// The attributes, for [`parse_attributes`](super::parse_attributes); empty if there
    /// are none.
    #[must_use]
    pub const fn attributes(&self) -> HeapStr {
        HeapStr::new(self.raw.attributes, self.lengths[3])
    }

    /// The detail: items separated by zero bytes, the names of states or the windows of a rate.
    /// Empty if there is none.
    #[must_use]
    pub const fn detail(&self) -> HeapStr {
        HeapStr::new(self.raw.detail, self.lengths[4])
    }

    /// Whether the descriptor is still that of this field, and live. `source` must be the image
    /// itself, not a copy; the answer holds while [`Header::reused_since`] returns false.
    #[inline]
    pub fn is_current<S: Source + ?Sized>(&self, source: &S) -> bool {
        let word = |at| source.load32(self.at.saturating_add(at));
        let sum = u64::from(word(d::CHECKSUM)) | u64::from(word(d::CHECKSUM + 4)) << 32;
        sum == self.raw.checksum && !self.retired(source)
    }

    /// Whether the field is retired now. If so, a field count loaded after this call includes a
    /// field that was added as its replacement. `source` must be the image itself, not a copy.
    #[inline]
    pub fn retired<S: Source + ?Sized>(&self, source: &S) -> bool {
        protocol::retired(&SourceWord { source, offset: self.at.saturating_add(d::STATE) })
    }
}
