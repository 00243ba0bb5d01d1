//! Checks of one field, in the order of FORMAT.md section 10.

use super::attributes::find_fault;
use super::error::FieldError;
use super::header::Header;
use super::heap::{Heap, HeapStr, Scan, check_utf8, with_bytes};
use super::kind_param::check_kind_param;
use crate::descriptor::RawDescriptor;
use crate::layout::{
    ATOMIC_CELL, MAX_ATTRIBUTES, MAX_CAPACITY, MAX_DETAIL, MAX_ELEMENTS, MAX_HELP, MAX_LABEL,
    MAX_SLOT, MAX_UNIT, descriptor as d, field_state, flags,
};
use crate::region::Source;
use crate::types::{DataType, Kind, Storage};

/// State of the good fields before a field, which some rules compare it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Preceding {
    /// End of their cells, from the start of the lane.
    end: u32,
    /// Group of the field just before.
    group: Option<Group>,
    /// Offset of the descriptor just after, if the field just before is a counter that can have
    /// a rate.
    counter: Option<u32>,
    /// Bytes of constants so far.
    constants: u64,
}

impl Preceding {
    pub(super) const NONE: Self = Self { end: 0, group: None, counter: None, constants: 0 };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    place: u32,
    slot_bits: u8,
    slot_size: u32,
    /// First offset in the slot that the next member may have.
    member_end: u32,
}

/// A descriptor with decoded type and storage.
pub(super) struct Check<'a> {
    at: u32,
    /// Distance to the next descriptor.
    next: u32,
    /// The bytes of `raw`, for the checksum.
    bytes: &'a [u8; d::SIZE as usize],
    raw: &'a RawDescriptor,
    ty: Option<DataType>,
    storage: Option<Storage>,
}

/// Results of the checks.
///
/// They are written one by one: a result by value would be copied right after its short members are stored,
/// and the copy would wait for these stores.
#[derive(Default)]
pub(super) struct Checked {
    /// Lengths of label, unit, help, attributes and detail.
    pub(super) lengths: [u16; 5],
    /// Number of states; 0 if the field is no state set.
    pub(super) states: u16,
}

impl<'a> Check<'a> {
    #[inline]
    pub(super) const fn new(
        at: u32,
        next: u32,
        bytes: &'a [u8; d::SIZE as usize],
        raw: &'a RawDescriptor,
    ) -> Self {
        let ty = raw.properties.ty();
        Self { at, next, bytes, raw, ty, storage: Storage::from_code(raw.storage) }
    }

    #[inline]
    pub(super) fn run<S: Source + ?Sized>(
        &self,
        source: &S,
        header: &Header,
        heap_used: u32,
        preceding: &mut Preceding,
        checked: &mut Checked,
    ) -> Result<(), FieldError> {
        let found = self.raw.state;
        if !matches!(found, field_state::LIVE | field_state::RETIRED) {
            return Err(FieldError::State { offset: self.offset(d::STATE), found });
        }
        let start = header.heap_offset();
        let heap = Heap { start, end: start.saturating_add(heap_used) };
        self.check_metadata(source, heap, preceding, &mut checked.lengths)?;
        if !self.check_plain_scalar(header, preceding) {
            let [.., detail] = checked.lengths;
            checked.states = self.check_value(source, header, heap, detail, preceding)?;
        }
        Ok(())
    }

    /// Fast path for valid atomic scalars, which most fields are; false means that the full check
    /// must decide.
    #[inline]
    fn check_plain_scalar(&self, header: &Header, preceding: &mut Preceding) -> bool {
        let RawDescriptor { properties, place, slot_size, member, .. } = *self.raw;
        let (count, slot_bits) = (properties.count(), properties.slot_bits());
        let (Some(ty), Some(kind)) = (self.ty, properties.kind()) else { return false };
        // No overflow: the end of a lane is at most `file_size`.
        let last = header.lane_stride().saturating_sub(ATOMIC_CELL);
        let plain = self.storage == Some(Storage::Atomic)
            && kind != Kind::State
            && kind.allows_storage(Storage::Atomic)
            && ty.is_scalar()
            && kind.allows_type(ty, count, false)
            && !self.is(flags::ARRAY | flags::MEMBER)
            && count == 1
            && (slot_size | member | u32::from(slot_bits)) == 0
            && place.is_multiple_of(8)
            && place >= header.cells_offset().max(preceding.end)
            && place <= last;
        if plain {
            preceding.end = place.saturating_add(ATOMIC_CELL);
            preceding.group = None;
            preceding.counter = self.counter();
        }
        plain
    }

    /// Rules `count` to `cell-overlap`. Returns the number of states.
    #[inline(never)]
    fn check_value<S: Source + ?Sized>(
        &self,
        source: &S,
        header: &Header,
        heap: Heap,
        detail: u16,
        preceding: &mut Preceding,
    ) -> Result<u16, FieldError> {
        let value_size = self.check_type()?;
        let detail = HeapStr::new(self.raw.detail, detail);
        let counter = preceding.counter == Some(self.at);
        let states = check_kind_param(source, self.raw, detail, counter).ok_or_else(|| {
            let offset = self.offset(d::PARAM);
            let kind = self.raw.properties.kind().unwrap_or(Kind::Gauge);
            FieldError::KindParam { offset, kind, param: self.raw.properties.param() }
        })?;
        let group = self.group(preceding);
        self.check_slot(value_size, group)?;
        match self.storage {
            Some(Storage::Constant) => self.check_constant(source, heap, preceding)?,
            Some(Storage::Atomic | Storage::Latched | Storage::Journal | Storage::Table) => {
                self.check_cell(header, value_size, group, preceding)?;
            }
            // Skipped: a group continues after it.
            None => {}
        }
        preceding.counter = self.counter();
        Ok(states)
    }

    /// Offset of the next descriptor, if this field is a counter that can have a rate. Members of
    /// groups are latched scalars and can have one too.
    fn counter(&self) -> Option<u32> {
        let counter = self.raw.properties.is_kind(Kind::Counter)
            && self.ty == Some(DataType::U64)
            && !self.is(flags::ARRAY)
            && matches!(self.storage, Some(Storage::Atomic | Storage::Latched));
        counter.then(|| self.at.saturating_add(self.next))
    }

    /// Offset in the image of the descriptor's member at `member`.
    const fn offset(&self, member: u32) -> u32 {
        self.at.saturating_add(member)
    }

    const fn is(&self, flag: u16) -> bool {
        self.raw.properties.flags() & flag != 0
    }

    /// Rules `string-place` to `attributes`. Sets the lengths of the strings.
    #[inline]
    fn check_metadata<S: Source + ?Sized>(
        &self,
        source: &S,
        heap: Heap,
        preceding: &mut Preceding,
        lengths: &mut [u16; 5],
    ) -> Result<(), FieldError> {
        let raw = self.raw;
        let mut scan = Scan::default();
        scan.sum.range(self.bytes.as_slice(), 0, d::COVERED);
        let mut string =
            |from: u32, to, limit| heap.string(source, self.offset(from), to, limit, &mut scan);
        let label = string(d::LABEL, raw.label, MAX_LABEL)?;
        let mut optional = |from, to, limit| if to == 0 { Ok(0) } else { string(from, to, limit) };
        let unit = optional(d::UNIT, raw.unit, MAX_UNIT)?;
        let help = optional(d::HELP, raw.help, MAX_HELP)?;
        let attributes = optional(d::ATTRIBUTES, raw.attributes, MAX_ATTRIBUTES)?;
        let detail = optional(d::DETAIL, raw.detail, MAX_DETAIL)?;
        let complete = self.storage != Some(Storage::Constant)
            || match locate_constant(source, heap, raw) {
                Some(size) => {
                    self.count_constant(size, heap, preceding)?;
                    scan.sum.range(source, raw.place, u32::try_from(size).unwrap_or(0));
                    true
                }
                None => false,
            };
        if complete {
            let (found, expected) = (raw.checksum, scan.sum.finish());
            if found != expected {
                let offset = self.offset(d::CHECKSUM);
                return Err(FieldError::Checksum { offset, found, expected });
            }
        }
        *lengths = [label, unit, help, attributes, detail];
        if !scan.is_ascii() {
            for (at, len) in raw.strings().into_iter().zip(*lengths) {
                check_utf8(source, HeapStr::new(at, len))?;
            }
        }
        if attributes != 0 {
            check_pairs(source, HeapStr::new(raw.attributes, attributes))?;
        }
        Ok(())
    }

    /// Bounds the work on constants (rule `cell-overlap`): many fields could share one large
    /// constant. Constants that do not overlap have at most the size of the heap; twice as much
    /// leaves room for one whose size is damaged.
    fn count_constant(
        &self,
        size: u64,
        heap: Heap,
        preceding: &mut Preceding,
    ) -> Result<(), FieldError> {
        preceding.constants = preceding.constants.saturating_add(size);
        let used = heap.end.saturating_sub(heap.start);
        if preceding.constants > 2 * u64::from(used) {
            let offset = self.offset(d::PLACE);
            return Err(FieldError::CellOverlap { offset, found: self.raw.place, limit: heap.end });
        }
        Ok(())
    }

    /// Rules `count`, `type-storage` and `kind-type`. Returns the size of the value.
    #[inline]
    fn check_type(&self) -> Result<u32, FieldError> {
        let (raw, array, count) = (self.raw, self.is(flags::ARRAY), self.raw.properties.count());
        let bad_count =
            |limit| FieldError::Count { offset: self.offset(d::COUNT), found: count, limit };
        let size = match self.ty {
            Some(ty) => value_size(ty, count, array).map_err(bad_count)?,
            None => 0,
        };
        if self.storage == Some(Storage::Journal) && !(2..=MAX_ELEMENTS).contains(&count) {
            return Err(bad_count(MAX_ELEMENTS));
        }
        let text = self.ty.is_some_and(|ty| !ty.is_scalar());
        let bad = match self.storage {
            Some(Storage::Constant) => self.is(flags::OPTIONAL | flags::MEMBER),
            Some(Storage::Atomic) => array || text || self.is(flags::MEMBER),
            Some(Storage::Latched) | None => false,
            Some(Storage::Journal) => {
                self.is(flags::OPTIONAL | flags::MEMBER)
                    || !array
                    || !matches!(self.ty, Some(DataType::U64) | None)
            }
            Some(Storage::Table) => {
                self.is(flags::OPTIONAL | flags::ARRAY | flags::MEMBER)
                    || !matches!(self.ty, Some(DataType::Text) | None)
            }
        };
        if bad || (text && array) {
            return Err(FieldError::TypeStorage {
                offset: self.offset(d::TYPE),
                ty: raw.properties.ty_code(),
                storage: raw.storage,
                flags: raw.properties.flags(),
            });
        }
        match (raw.properties.kind(), self.ty) {
            (Some(kind), Some(ty))
                if !kind.allows_type(ty, count, array)
                    || self.storage.is_some_and(|storage| !kind.allows_storage(storage)) =>
            {
                Err(FieldError::KindType { offset: self.offset(d::KIND), kind, ty })
            }
            _ => Ok(size),
        }
    }

    /// Rules `slots` and `member`.
    #[inline]
    fn check_slot(&self, value_size: u32, group: Option<Group>) -> Result<(), FieldError> {
        let RawDescriptor { properties, slot_size, member, .. } = *self.raw;
        let slot_bits = properties.slot_bits();
        let slotted =
            properties.slots() != 0 && slot_size.is_multiple_of(8) && slot_size <= MAX_SLOT;
        let good = match self.storage {
            Some(Storage::Latched | Storage::Table) => slotted && slot_size != 0,
            Some(Storage::Journal) => slotted && slot_size >= 16,
            Some(Storage::Constant | Storage::Atomic) => slot_bits == 0 && slot_size == 0,
            None => return Ok(()),
        };
        if !good {
            let offset = self.offset(d::SLOT_SIZE);
            return Err(FieldError::Slots { offset, slot_bits, slot_size });
        }
        if self.storage == Some(Storage::Journal) {
            // The elements lie after the slots, so the offset in a slot must be 0.
            let (offset, found) = (self.offset(d::MEMBER), member);
            let bad = FieldError::Member { offset, found, size: 0, least: 0, limit: 0 };
            return if member == 0 { Ok(()) } else { Err(bad) };
        }
        // Without slots `member` must be 0. A value of unknown type takes at least one byte.
        let size = if slot_bits == 0 { 0 } else { value_size.max(1) };
        let least = group.map_or(0, |group| group.member_end);
        let inside = member.checked_add(size).is_some_and(|end| end <= slot_size);
        if !inside || member < least || !member.is_multiple_of(8) {
            let offset = self.offset(d::MEMBER);
            let limit = slot_size;
            return Err(FieldError::Member { offset, found: member, size, least, limit });
        }
        Ok(())
    }

    /// The group of the preceding field, if this field is a member too.
    #[inline]
    fn group(&self, preceding: &Preceding) -> Option<Group> {
        let raw = self.raw;
        preceding.group.filter(|group| {
            self.is(flags::MEMBER)
                && self.storage == Some(Storage::Latched)
                && (group.place, group.slot_bits, group.slot_size)
                    == (raw.place, raw.properties.slot_bits(), raw.slot_size)
        })
    }

    /// Rule `cell-place` for a constant.
    fn check_constant<S: Source + ?Sized>(
        &self,
        source: &S,
        heap: Heap,
        preceding: &mut Preceding,
    ) -> Result<(), FieldError> {
        // A value of unknown type takes at least one byte.
        let size = self.ty.map_or(1, |ty| constant_size(source, heap, self.raw, ty));
        if !self.raw.place.is_multiple_of(8) || !heap.holds(self.raw.place, size) {
            return Err(self.misplaced(size, heap.start, heap.end));
        }
        preceding.group = None;
        Ok(())
    }

    /// Rules `cell-place` and `cell-overlap`. Adds the field to `preceding`.
    #[inline]
    fn check_cell(
        &self,
        header: &Header,
        value_size: u32,
        group: Option<Group>,
        preceding: &mut Preceding,
    ) -> Result<(), FieldError> {
        let RawDescriptor { properties, place, slot_size, member, .. } = *self.raw;
        let slot_bits = properties.slot_bits();
        let size = match self.storage {
            Some(Storage::Atomic) => ATOMIC_CELL,
            _ => self.raw.cell_size(),
        };
        let (least, limit) = (header.cells_offset(), header.lane_stride());
        let end = place.checked_add(size).filter(|end| *end <= limit);
        let (true, Some(end)) = (place.is_multiple_of(8) && place >= least, end) else {
            return Err(self.misplaced(size.into(), least, limit));
        };
        if group.is_none() && place < preceding.end {
            let offset = self.offset(d::PLACE);
            return Err(FieldError::CellOverlap { offset, found: place, limit: preceding.end });
        }
        preceding.end = end;
        preceding.group = self.is(flags::MEMBER).then(|| {
            // A value of unknown type takes at least one byte.
            let member_end = member.saturating_add(value_size.max(1)).next_multiple_of(8);
            Group { place, slot_bits, slot_size, member_end }
        });
        Ok(())
    }

    fn misplaced(&self, size: u64, least: u32, limit: u32) -> FieldError {
        let offset = self.offset(d::PLACE);
        FieldError::CellPlace { offset, found: self.raw.place, size, least, limit }
    }
}

/// Rule `attributes`, after `utf8`.
#[inline(never)]
fn check_pairs<S: Source + ?Sized>(source: &S, attributes: HeapStr) -> Result<(), FieldError> {
    with_bytes(source, attributes, find_fault).map_or(Ok(()), |(good, fault)| {
        let good = u32::try_from(good).unwrap_or(u32::MAX);
        Err(FieldError::Attributes { offset: attributes.offset().saturating_add(good), fault })
    })
}

/// Size of a constant inside the heap. `None` if its place or size is invalid, so that the checksum
/// cannot be computed: a later rule reports why.
#[inline(never)]
fn locate_constant<S: Source + ?Sized>(source: &S, heap: Heap, raw: &RawDescriptor) -> Option<u64> {
    let ty = raw.properties.ty()?;
    if value_size(ty, raw.properties.count(), raw.properties.is_array()).is_err()
        || !raw.place.is_multiple_of(8)
    {
        return None;
    }
    let size = constant_size(source, heap, raw, ty);
    heap.holds(raw.place, size).then_some(size)
}

/// Size of a constant in the heap, in bytes with padding. The length of a text is limited to its
/// capacity: a longer one damages the value, not the field.
fn constant_size<S: Source + ?Sized>(
    source: &S,
    heap: Heap,
    raw: &RawDescriptor,
    ty: DataType,
) -> u64 {
    if ty.is_scalar() {
        (u64::from(ty.size()) * u64::from(raw.properties.count())).next_multiple_of(8)
    } else if raw.place.is_multiple_of(8) && heap.holds(raw.place, 8) {
        8 + u64::from(source.load32(raw.place).min(raw.properties.count())).next_multiple_of(8)
    } else {
        8
    }
}

/// Size of a value in bytes, or the largest valid count.
#[inline]
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
