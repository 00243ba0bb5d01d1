//! A field's description, checked: FORMAT.md sections 4 to 6 and 12.

use super::attributes::check_attributes;
use super::cursor::{Cursor, Group};
use super::error::FieldError;
use super::header::Header;
use super::heap::{Heap, HeapStr, with_text};
use crate::checksum::Fletcher64;
use crate::layout::{
    ATOMIC_CELL, CELL_HEAD, MAX_ATTRIBUTES, MAX_CAPACITY, MAX_HELP, MAX_LABEL, MAX_SLOT, MAX_UNIT,
    descriptor as d, field_state, flags,
};
use crate::raw::RawDescriptor;
use crate::region::Source;
use crate::types::{Aggregation, DataType, Kind, Level, Storage};

/// The checked description of a field. No accessor fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    index: u32,
    /// Offset of the descriptor.
    at: u32,
    raw: RawDescriptor,
    /// Lengths of label, unit, help and attributes.
    lengths: [u16; 4],
    value_size: u32,
    ty: Option<DataType>,
    storage: Option<Storage>,
}

impl Field {
    /// Loads and checks descriptor `index`, in the order of FORMAT.md section 12.
    ///
    /// `heap_used` is [`Header::heap_used`], loaded after the count that `index` is below.
    /// `cursor` must have seen the fields before; it is changed only by a good field.
    ///
    /// `source` may be a copy of the metadata alone: all bytes before
    /// [`Header::lanes_offset`].
    ///
    /// # Errors
    ///
    /// The first broken rule. The other fields of the image are still good.
    pub fn read<S: Source + ?Sized>(
        source: &S,
        header: &Header,
        heap_used: u32,
        index: u32,
        cursor: &mut Cursor,
    ) -> Result<Self, FieldError> {
        // Past the capacity there are only zeros, and they are no state of a field.
        let at = header.descriptor(index).unwrap_or(!7);
        let mut bytes = [0; d::SIZE as usize];
        source.copy(at, &mut bytes);
        let raw = RawDescriptor::from_bytes(&bytes);
        if !matches!(raw.state, field_state::LIVE | field_state::RETIRED) {
            return Err(FieldError::State {
                offset: at.saturating_add(d::STATE),
                found: raw.state,
            });
        }
        let start = header.heap_offset();
        let heap = Heap { start, end: start.saturating_add(heap_used) };
        let ty = DataType::from_code(raw.ty);
        let storage = Storage::from_code(raw.storage);
        let lengths = check_metadata(source, heap, at, &bytes, &raw)?;
        let mut field = Self { index, at, raw, lengths, value_size: 0, ty, storage };
        field.value_size = field.check_type()?;
        field.check_slot(cursor)?;
        match storage {
            Some(Storage::Constant) => field.check_constant(source, heap, cursor)?,
            Some(Storage::Atomic | Storage::Latched) => field.check_cell(header, cursor)?,
            None => cursor.group = None,
        }
        Ok(field)
    }

    /// Number of the descriptor in its image.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// The numbers as they are in the image.
    #[must_use]
    pub const fn raw(&self) -> &RawDescriptor {
        &self.raw
    }

    /// Data type of the value or of its elements; `None` if this reader does not know it.
    #[must_use]
    pub const fn ty(&self) -> Option<DataType> {
        self.ty
    }

    /// What the value means; `None` if this reader does not know it.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        Kind::from_code(self.raw.kind)
    }

    /// How values combine; one that this reader does not know is `Each`.
    #[must_use]
    pub const fn aggregation(&self) -> Aggregation {
        match Aggregation::from_code(self.raw.aggregation) {
            Some(rule) => rule,
            None => Aggregation::Each,
        }
    }

    /// Where the value is kept; `None` if this reader does not know it.
    #[must_use]
    pub const fn storage(&self) -> Option<Storage> {
        self.storage
    }

    /// How much the field matters.
    #[must_use]
    pub const fn level(&self) -> Level {
        Level::from_code(self.raw.level)
    }

    /// Whether the value is an array of scalars.
    #[must_use]
    pub const fn is_array(&self) -> bool {
        self.raw.flags & flags::ARRAY != 0
    }

    /// Whether a lane may have no value.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        self.raw.flags & flags::OPTIONAL != 0
    }

    /// Whether the field is published together with others: see [`Field::same_cell`].
    #[must_use]
    pub const fn is_member(&self) -> bool {
        self.raw.flags & flags::MEMBER != 0
    }

    /// Whether both fields are members of one group, so that one slot has both values.
    #[must_use]
    pub const fn same_cell(&self, other: &Self) -> bool {
        self.is_member() && other.is_member() && self.raw.place == other.raw.place
    }

    /// Number of elements, or capacity of text and bytes in bytes.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.raw.count
    }

    /// Size of the value in bytes, with the length words of text and bytes; 0 if the
    /// type is not known.
    #[must_use]
    pub const fn value_size(&self) -> u32 {
        self.value_size
    }

    /// Bytes that the buffer of a read must have: whole words.
    #[must_use]
    pub const fn buffer_size(&self) -> usize {
        self.value_size.next_multiple_of(8) as usize
    }

    /// Offset of the constant in the image, or of the cell from the start of the lane.
    #[must_use]
    pub const fn place(&self) -> u32 {
        self.raw.place
    }

    /// Size of a slot in bytes; 0 unless latched.
    #[must_use]
    pub const fn slot_size(&self) -> u32 {
        self.raw.slot_size
    }

    /// Number of slots, 2 or 4; 0 unless latched.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.raw.slots as u32
    }

    /// Where the value is in its slot, in bytes.
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

    /// Whether the field is retired now. `source` must be the image itself, not a copy.
    #[inline]
    pub fn retired<S: Source + ?Sized>(&self, source: &S) -> bool {
        source.load32(self.at.saturating_add(d::STATE)) != field_state::LIVE
    }

    /// Rules `count`, `type-storage` and `kind-type`. Returns the size of the value.
    fn check_type(&self) -> Result<u32, FieldError> {
        let (raw, array) = (&self.raw, self.is_array());
        let size = match self.ty {
            Some(ty) => value_size(ty, raw.count, array).map_err(|limit| {
                let offset = self.at.saturating_add(d::COUNT);
                FieldError::Count { offset, found: raw.count, limit }
            })?,
            None => 0,
        };
        let text = self.ty.is_some_and(|ty| !ty.is_scalar());
        let bad = match self.storage {
            Some(Storage::Constant) => self.is_optional() || self.is_member(),
            Some(Storage::Atomic) => array || text || self.is_member(),
            Some(Storage::Latched) | None => false,
        };
        if bad || (text && array) {
            return Err(FieldError::TypeStorage {
                offset: self.at.saturating_add(d::TYPE),
                ty: raw.ty,
                storage: raw.storage,
                flags: raw.flags,
            });
        }
        match (self.kind(), self.ty) {
            (Some(kind), Some(ty)) if !ty.fits(kind, raw.count, array) => {
                Err(FieldError::KindType { offset: self.at.saturating_add(d::KIND), kind, ty })
            }
            _ => Ok(size),
        }
    }

    /// Rules `slots` and `member`.
    fn check_slot(&self, cursor: &Cursor) -> Result<(), FieldError> {
        let RawDescriptor { slots, slot_size, member, .. } = self.raw;
        let good = match self.storage {
            Some(Storage::Latched) => {
                matches!(slots, 2 | 4)
                    && slot_size != 0
                    && slot_size.is_multiple_of(8)
                    && slot_size <= MAX_SLOT
            }
            Some(Storage::Constant | Storage::Atomic) => slots == 0 && slot_size == 0,
            None => return Ok(()),
        };
        if !good {
            let offset = self.at.saturating_add(d::SLOT_SIZE);
            return Err(FieldError::Slots { offset, slots, slot_size });
        }
        // Without slots the limit is 0 and so must `member` be.
        let size = if slots == 0 { 0 } else { self.value_size };
        let least = self.group(cursor).map_or(0, |group| group.member_end);
        let inside = member.checked_add(size).is_some_and(|end| end <= slot_size);
        if !inside || member < least || !member.is_multiple_of(8) {
            let offset = self.at.saturating_add(d::MEMBER);
            let limit = slot_size;
            return Err(FieldError::Member { offset, found: member, size, least, limit });
        }
        Ok(())
    }

    /// The group of the fields before, if this field goes on with it.
    fn group(&self, cursor: &Cursor) -> Option<Group> {
        let raw = &self.raw;
        cursor.group.filter(|group| {
            self.is_member()
                && self.storage == Some(Storage::Latched)
                && (group.place, group.slots, group.slot_size)
                    == (raw.place, raw.slots, raw.slot_size)
        })
    }

    /// Rule `cell-place` for a constant.
    fn check_constant<S: Source + ?Sized>(
        &self,
        source: &S,
        heap: Heap,
        cursor: &mut Cursor,
    ) -> Result<(), FieldError> {
        let size = self.ty.map_or(0, |ty| constant_size(source, heap, &self.raw, ty));
        if !self.raw.place.is_multiple_of(8) || !heap.holds(self.raw.place, size) {
            return Err(self.misplaced(size, heap.start, heap.end));
        }
        cursor.group = None;
        Ok(())
    }

    /// Rules `cell-place` and `cell-overlap`. The cursor goes on.
    fn check_cell(&self, header: &Header, cursor: &mut Cursor) -> Result<(), FieldError> {
        let RawDescriptor { place, slots, slot_size, member, .. } = self.raw;
        let size = if self.storage == Some(Storage::Atomic) {
            ATOMIC_CELL
        } else {
            // No overflow: at most 8 + 4 MiB.
            u32::from(slots).saturating_mul(slot_size).saturating_add(CELL_HEAD)
        };
        let (least, limit) = (header.cells_offset(), header.lane_stride());
        let end = place.checked_add(size).filter(|end| *end <= limit);
        let (true, Some(end)) = (place.is_multiple_of(8) && place >= least, end) else {
            return Err(self.misplaced(size.into(), least, limit));
        };
        if self.group(cursor).is_none() && place < cursor.end {
            let offset = self.at.saturating_add(d::PLACE);
            return Err(FieldError::CellOverlap { offset, found: place, limit: cursor.end });
        }
        cursor.end = end;
        // A value of a type that is not known has at least one byte.
        let value_end = member.saturating_add(self.value_size.max(1)).next_multiple_of(8);
        cursor.group =
            self.is_member().then_some(Group { place, slots, slot_size, member_end: value_end });
        Ok(())
    }

    fn misplaced(&self, size: u64, least: u32, limit: u32) -> FieldError {
        let offset = self.at.saturating_add(d::PLACE);
        FieldError::CellPlace { offset, found: self.raw.place, size, least, limit }
    }
}

/// Rules `string-place` to `attributes`. Returns the lengths of the strings.
#[inline]
fn check_metadata<S: Source + ?Sized>(
    source: &S,
    heap: Heap,
    at: u32,
    bytes: &[u8; d::SIZE as usize],
    raw: &RawDescriptor,
) -> Result<[u16; 4], FieldError> {
    let mut sum = Fletcher64::new();
    sum.range(bytes.as_slice(), 0, d::COVERED);
    let mut strings = [HeapStr::default(); 4];
    let mut ascii = [true; 4];
    let references = [
        (d::LABEL, raw.label, MAX_LABEL),
        (d::UNIT, raw.unit, MAX_UNIT),
        (d::HELP, raw.help, MAX_HELP),
        (d::ATTRIBUTES, raw.attributes, MAX_ATTRIBUTES),
    ];
    for (i, (from, to, limit)) in references.into_iter().enumerate() {
        // Only the label must be there.
        if to != 0 || from == d::LABEL {
            let from = at.saturating_add(from);
            (strings[i], ascii[i]) = heap.string(source, from, to, limit, &mut sum)?;
        }
    }
    if take_constant(source, heap, raw, &mut sum) {
        let (found, expected) = (raw.checksum, sum.finish());
        if found != expected {
            let offset = at.saturating_add(d::CHECKSUM);
            return Err(FieldError::Checksum { offset, found, expected });
        }
    }
    for (string, ascii) in strings.into_iter().zip(ascii) {
        if !ascii {
            with_text(source, string, |_, _| Ok(()))?;
        }
    }
    if raw.attributes != 0 {
        with_text(source, strings[3], |text, offset| {
            check_attributes(text).map_err(|(good, fault)| {
                let good = u32::try_from(good).unwrap_or(u32::MAX);
                FieldError::Attributes { offset: offset.saturating_add(good), fault }
            })
        })?;
    }
    Ok(strings.map(HeapStr::length))
}

/// Takes the value of a constant into the checksum. False where its place or size is not
/// known, so that there is no checksum to compare: a later rule says why.
fn take_constant<S: Source + ?Sized>(
    source: &S,
    heap: Heap,
    raw: &RawDescriptor,
    sum: &mut Fletcher64,
) -> bool {
    if raw.storage != Storage::Constant.code() {
        return true;
    }
    let Some(ty) = DataType::from_code(raw.ty) else { return false };
    if value_size(ty, raw.count, raw.flags & flags::ARRAY != 0).is_err()
        || !raw.place.is_multiple_of(8)
    {
        return false;
    }
    let size = constant_size(source, heap, raw, ty);
    if !heap.holds(raw.place, size) {
        return false;
    }
    sum.range(source, raw.place, u32::try_from(size).unwrap_or(0));
    true
}

/// Bytes of a constant in the heap with its padding. A text that says it is longer than
/// its capacity is taken as long as that: the value is then refused, not the field.
fn constant_size<S: Source + ?Sized>(
    source: &S,
    heap: Heap,
    raw: &RawDescriptor,
    ty: DataType,
) -> u64 {
    if ty.is_scalar() {
        (u64::from(ty.size()) * u64::from(raw.count)).next_multiple_of(8)
    } else if heap.holds(raw.place, 8) {
        8 + u64::from(source.load32(raw.place).min(raw.count)).next_multiple_of(8)
    } else {
        8
    }
}

/// Size of a value, or the largest count that would have been good.
fn value_size(ty: DataType, count: u32, array: bool) -> Result<u32, u32> {
    let limit = match (ty.is_scalar(), array) {
        (false, _) => MAX_CAPACITY,
        (true, true) => MAX_SLOT / ty.size(),
        (true, false) => 1,
    };
    if count == 0 || count > limit {
        return Err(limit);
    }
    ty.value_size(count).ok_or(limit)
}
