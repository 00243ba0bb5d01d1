//! A field's description, checked: FORMAT.md section 4.

use super::check::{Check, Checked, Preceding};
use super::error::FieldError;
use super::header::Header;
use super::heap::HeapStr;
use crate::buckets::Buckets;
use crate::descriptor::RawDescriptor;
use crate::layout::{MAX_LABEL, MAX_UNIT, descriptor as d};
use crate::properties::Properties;
use crate::protocol;
use crate::region::{Source, SourceWord};
use crate::types::{DataType, Kind, Storage};

/// Bytes before the copy of a row's slot in a buffer: u64, offset of the slot in the image, 0 if the row is
/// contended.
pub(super) const ROW_HEAD: u32 = 8;

/// A checked descriptor. No accessor fails.
///
/// Files have many: this is smaller than the descriptor with what was checked beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    checksum: u64,
    index: u32,
    /// Offset of the descriptor.
    at: u32,
    /// Offsets of label, unit, help, attributes and detail.
    strings: [u32; 5],
    place: u32,
    slot_size: u32,
    member: u32,
    state: u32,
    properties: Properties,
    /// Lengths of help, attributes and detail.
    long: [u16; 3],
    states: u16,
    /// Lengths of label and unit.
    short: [u8; 2],
    storage: u8,
}

// Of a label at most 255 bytes, of a unit 63: `Field::short`.
const _: () = assert!(MAX_LABEL <= 255 && MAX_UNIT <= 255);

impl Field {
    /// Loads and checks descriptor `index`, in the order of FORMAT.md section 10. `preceding` is
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
        let mut checked = Checked::default();
        let check = Check::new(at, next, &bytes, &raw);
        check.run(source, header, heap_used, preceding, &mut checked)?;
        let Checked { lengths, states } = checked;
        let [label, unit, help, attributes, detail] = lengths;
        let short = |len| u8::try_from(len).unwrap_or(u8::MAX);
        Ok(Self {
            checksum: raw.checksum,
            index,
            at,
            strings: raw.strings(),
            place: raw.place,
            slot_size: raw.slot_size,
            member: raw.member,
            state: raw.state,
            properties: raw.properties,
            long: [help, attributes, detail],
            states,
            short: [short(label), short(unit)],
            storage: raw.storage,
        })
    }

    /// Number of the descriptor in its image.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// The unchecked numbers of the descriptor.
    #[must_use]
    pub const fn raw(&self) -> RawDescriptor {
        let [label, unit, help, attributes, detail] = self.strings;
        RawDescriptor {
            label,
            unit,
            help,
            attributes,
            properties: self.properties,
            storage: self.storage,
            place: self.place,
            slot_size: self.slot_size,
            member: self.member,
            detail,
            state: self.state,
            checksum: self.checksum,
        }
    }

    /// State of the field when its descriptor was loaded: see `layout::field_state`.
    #[must_use]
    #[inline]
    pub const fn state(&self) -> u32 {
        self.state
    }

    /// Type, kind, aggregation, level, count, flags and parameter.
    #[must_use]
    #[inline]
    pub const fn properties(&self) -> Properties {
        self.properties
    }

    /// Data type of the value or of its elements; `None` if unknown.
    #[must_use]
    #[inline]
    pub const fn ty(&self) -> Option<DataType> {
        self.properties.ty()
    }

    /// Meaning of the value; `None` if unknown.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        self.properties.kind()
    }

    /// Storage class of the value; `None` if unknown.
    #[must_use]
    #[inline]
    pub const fn storage(&self) -> Option<Storage> {
        Storage::from_code(self.storage)
    }

    /// Whether both fields are members of one group, so that one slot has both values.
    #[must_use]
    pub const fn same_cell(&self, other: &Self) -> bool {
        self.properties().is_member() && other.properties().is_member() && self.place == other.place
    }

    /// Number of elements, or capacity of text and bytes in bytes.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.properties.count()
    }

    /// Size of the value in bytes, with the length words of text and bytes; 0 if the type is
    /// unknown.
    #[must_use]
    pub const fn value_size(&self) -> u32 {
        match self.ty() {
            Some(ty) => match ty.value_size(self.count()) {
                Some(size) => size,
                None => 0, // Never: it was checked.
            },
            None => 0,
        }
    }

    /// Minimum size of a read's buffer in bytes, a multiple of 8. For a journal, the elements and a
    /// slot; for a table, a slot of each row.
    #[must_use]
    pub const fn buffer_size(&self) -> usize {
        let slot = match self.storage() {
            Some(Storage::Journal) => self.slot_size,
            Some(Storage::Table) => {
                let row = self.slot_size.saturating_add(ROW_HEAD);
                return row.saturating_mul(self.rows()) as usize;
            }
            Some(_) => 0,
            // Its value is never read and its sizes were not checked.
            None => return 0,
        };
        self.value_size().next_multiple_of(8).saturating_add(slot) as usize
    }

    /// Offset of the constant in the image, or of the cell from the start of the lane.
    #[must_use]
    pub const fn place(&self) -> u32 {
        self.place
    }

    /// Size of a slot in bytes; 0 unless latched, a journal or a table.
    #[must_use]
    #[inline]
    pub const fn slot_size(&self) -> u32 {
        if self.has_slots() { self.slot_size } else { 0 }
    }

    /// Number of slots, a power of 2; 0 unless latched, a journal or a table. Of a table, each row
    /// has so many.
    #[must_use]
    #[inline]
    pub const fn slots(&self) -> u32 {
        if self.has_slots() { self.properties.slots() } else { 0 }
    }

    /// The numbers of an unknown storage were not checked.
    const fn has_slots(&self) -> bool {
        matches!(self.storage(), Some(Storage::Latched | Storage::Journal | Storage::Table))
    }

    /// Number of rows of a table, 1 to 64; 0 for other storages.
    #[must_use]
    #[inline]
    pub const fn rows(&self) -> u32 {
        match self.storage() {
            Some(Storage::Table) => self.properties.param(),
            _ => 0,
        }
    }

    /// The buckets of a histogram.
    #[must_use]
    pub fn buckets(&self) -> Option<Buckets> {
        (self.kind() == Some(Kind::Histogram))
            .then(|| Buckets::from_param(self.properties.param(), self.properties.count()))
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
        self.member
    }

    /// The label.
    #[must_use]
    pub const fn label(&self) -> HeapStr {
        HeapStr::new(self.strings[0], self.short[0] as u16)
    }

    /// The unit; empty if there is none.
    #[must_use]
    pub const fn unit(&self) -> HeapStr {
        HeapStr::new(self.strings[1], self.short[1] as u16)
    }

    /// The help text; empty if there is none.
    #[must_use]
    pub const fn help(&self) -> HeapStr {
        HeapStr::new(self.strings[2], self.long[0])
    }

    /// The attributes, for [`parse_attributes`](super::parse_attributes); empty if there
    /// are none.
    #[must_use]
    pub const fn attributes(&self) -> HeapStr {
        HeapStr::new(self.strings[3], self.long[1])
    }

    /// The detail: items separated by zero bytes, the names of states or the windows of a rate.
    /// Empty if there is none.
    #[must_use]
    pub const fn detail(&self) -> HeapStr {
        HeapStr::new(self.strings[4], self.long[2])
    }

    /// Whether the descriptor is still that of this field, and live. `source` must be the image
    /// itself, not a copy; the answer holds while [`Header::reused_since`] returns false.
    #[inline]
    pub fn is_current<S: Source + ?Sized>(&self, source: &S) -> bool {
        let word = |at| source.load32(self.at.saturating_add(at));
        let sum = u64::from(word(d::CHECKSUM)) | u64::from(word(d::CHECKSUM + 4)) << 32;
        sum == self.checksum && !self.retired(source)
    }

    /// Whether the field is retired now. If so, a field count loaded after this call includes a
    /// field that was added as its replacement. `source` must be the image itself, not a copy.
    #[inline]
    pub fn retired<S: Source + ?Sized>(&self, source: &S) -> bool {
        protocol::retired(&SourceWord { source, offset: self.at.saturating_add(d::STATE) })
    }
}
