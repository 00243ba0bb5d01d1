//! Room of retired fields, used again: FORMAT.md section 4, PROTOCOL.md section 6.1.

use super::error::WriteError;
use super::geometry::group_slot;
use super::heap::HeapWriter;
use super::lane::FieldId;
use super::spec::{FieldSpec, cell_bytes};
use super::writer::Writer;
use crate::descriptor::RawDescriptor;
use crate::layout::{ATOMIC_CELL, descriptor as d, field_state, header as h, lane, round_up};
use crate::protocol;
use crate::region::{Memory, Source};
use crate::types::Storage;

/// Consecutive fields that are added and retired together.
#[derive(Debug, Clone, Copy)]
pub struct Tenants<'a> {
    /// The fields.
    pub specs: &'a [FieldSpec<'a>],
    /// Whether they are published together, as those of [`Writer::add_group`].
    pub is_group: bool,
}

impl Tenants<'_> {
    /// Bytes of heap that their strings and constants need in a room of their own.
    #[must_use]
    pub fn heap(&self) -> u32 {
        let need = self.specs.iter().fold(0_u32, |sum, spec| sum.saturating_add(spec.heap_bytes()));
        round_up(need, 8).unwrap_or(u32::MAX)
    }

    /// Checks the specifications. Returns the size of the group's slot; 0 without a group.
    fn check(&self) -> Result<u32, WriteError> {
        if self.is_group {
            return group_slot(self.specs).map_err(WriteError::Spec);
        }
        let mut before = None;
        for spec in self.specs {
            spec.check_after(before).map_err(WriteError::Spec)?;
            before = Some(spec);
        }
        Ok(0)
    }

    /// Size of their cells in a lane, in bytes.
    fn lane_bytes(&self, slot_size: u32) -> u32 {
        if self.is_group {
            return cell_bytes(slot_size);
        }
        self.specs.iter().fold(0, |sum, spec| sum.saturating_add(spec.lane_bytes()))
    }
}

impl<M: Memory> Writer<M> {
    /// Adds consecutive fields in a room of their own, all or none, so that [`Writer::reuse`] can
    /// give it to others when they are retired. Returns the first.
    ///
    /// The room has `heap` bytes for strings and constants, or [`Tenants::heap`] if that is more.
    /// Units and helps are not shared with other fields.
    ///
    /// # Errors
    ///
    /// As [`Writer::add_all`] and [`Writer::add_group`].
    pub fn add_room(&mut self, tenants: Tenants<'_>, heap: u32) -> Result<FieldId, WriteError> {
        let slot_size = tenants.check()?;
        let full = WriteError::HeapFull { size: self.header.heap_size };
        let start = round_up(self.heap.end(), 8).ok_or(full)?;
        let size = round_up(heap.max(tenants.heap()), 8).ok_or(full)?;
        let gap = start - self.heap.end();
        let count = u32::try_from(tenants.specs.len()).unwrap_or(u32::MAX);
        let need = size.checked_add(gap).ok_or(full)?;
        let bytes = tenants.lane_bytes(slot_size);
        let place = self.room(count, need, bytes)?;
        let first = self.fields;
        let places = tenants.specs.iter().scan(place, |next, spec| {
            let bytes = spec.lane_bytes();
            Some(core::mem::replace(next, next.saturating_add(bytes)))
        });
        let shared = core::mem::replace(&mut self.heap, HeapWriter::new(start));
        if tenants.is_group {
            self.describe_group(first, tenants.specs, place, slot_size, field_state::LIVE);
        } else {
            for ((id, spec), place) in (first..).zip(tenants.specs).zip(places) {
                self.describe(id, spec, place, None, field_state::LIVE);
            }
        }
        self.heap = shared;
        self.heap.skip_to(start + size);
        self.cells = place + bytes;
        self.publish_count(first + count);
        Ok(FieldId::from_index(first))
    }

    /// Gives the room of retired fields, which [`Writer::add_room`] added with `heap` bytes, to as
    /// many new fields: they get the numbers from `first` on, and their cells are zero in all lanes.
    ///
    /// No handle of the retired fields may exist in any lane. A handle of a new field must be
    /// attached after [`Lane::follow_reuse`](super::Lane::follow_reuse).
    ///
    /// # Errors
    ///
    /// [`WriteError::NotFree`] if one of the fields is not retired or has a value in a lane;
    /// [`WriteError::Room`] if the new ones do not fit; or the specifications break a rule. Then
    /// nothing has changed.
    pub fn reuse(
        &mut self,
        first: FieldId,
        tenants: Tenants<'_>,
        heap: u32,
    ) -> Result<(), WriteError> {
        let slot_size = tenants.check()?;
        let first = first.index();
        let count = u32::try_from(tenants.specs.len()).unwrap_or(u32::MAX);
        if count == 0 || first.checked_add(count).is_none_or(|end| end > self.fields) {
            return Err(WriteError::NoSuchField { index: first });
        }
        self.check_free(first, count)?;
        let start = self.check_room(first, tenants, slot_size, heap)?;

        protocol::begin_reuse(&self.region.word(h::REUSES));
        for id in first..first + count {
            let old = self.raw(id);
            // A group has one cell.
            if old.storage != Storage::Constant.code() && (id == first || !tenants.is_group) {
                self.clear_cells(old.place, size_of_cell(&old));
            }
        }
        let shared = core::mem::replace(&mut self.heap, HeapWriter::new(start));
        let place = self.raw(first).place;
        if tenants.is_group {
            self.describe_group(first, tenants.specs, place, slot_size, field_state::RETIRED);
        } else {
            for (id, spec) in (first..).zip(tenants.specs) {
                let place = self.raw(id).place;
                self.describe(id, spec, place, None, field_state::RETIRED);
            }
        }
        // Erases the rest of the old strings.
        for at in (self.heap.end()..start + heap).step_by(4) {
            self.region.store32(at, 0);
        }
        self.heap = shared;
        protocol::end_reuse(&self.region.word(h::REUSES));
        for id in first..first + count {
            protocol::revive(&self.region.word(self.descriptor(id) + d::STATE));
        }
        Ok(())
    }

    /// The lanes with a value of an OPTIONAL field among the `count` fields from `first` on. The room of
    /// the fields is free once their owners have cleared these.
    pub fn lanes_with_value(&self, first: FieldId, count: u32) -> impl Iterator<Item = u32> {
        let indices = first.index()..first.index().saturating_add(count).min(self.fields);
        (0..self.lanes)
            .filter(move |lane| indices.clone().any(|index| self.has_value(*lane, index)))
    }

    /// Removes the values of OPTIONAL fields among the `count` fields from `first` on from a lane.
    ///
    /// The caller must be the owner of the lane: no handle of the lane is used meanwhile.
    pub fn clear_values(&mut self, lane: u32, first: FieldId, count: u32) {
        if lane >= self.lanes {
            return;
        }
        for index in first.index()..first.index().saturating_add(count).min(self.fields) {
            let word = self.region.word(self.presence(lane, index));
            protocol::clear_presence(&word, 1 << (index % 32));
        }
    }

    /// Offset of the presence word of field `index` in a lane.
    const fn presence(&self, lane: u32, index: u32) -> u32 {
        self.lane_base(lane) + lane::PRESENCE + index / 32 * 4
    }

    fn has_value(&self, lane: u32, index: u32) -> bool {
        self.region.load32(self.presence(lane, index)) >> (index % 32) & 1 != 0
    }

    fn raw(&self, id: u32) -> RawDescriptor {
        RawDescriptor::load(&self.region, self.descriptor(id))
    }

    /// Checks that fields are retired and have no value in any lane.
    fn check_free(&self, first: u32, count: u32) -> Result<(), WriteError> {
        for index in first..first + count {
            let mut lanes = 0..self.lanes;
            if self.raw(index).state != field_state::RETIRED
                || lanes.any(|lane| self.has_value(lane, index))
            {
                return Err(WriteError::NotFree { index });
            }
        }
        Ok(())
    }

    /// Checks that fields fit. Returns the start of the room in the heap.
    fn check_room(
        &self,
        first: u32,
        tenants: Tenants<'_>,
        slot_size: u32,
        heap: u32,
    ) -> Result<u32, WriteError> {
        let room = WriteError::Room { index: first };
        // The first string of a room is the label of its first field.
        let start = self.raw(first).label;
        let inside = start.checked_add(heap).is_some_and(|end| end <= self.heap.end());
        if !inside || !start.is_multiple_of(8) || tenants.heap() > heap {
            return Err(room);
        }
        for (id, spec) in (first..).zip(tenants.specs) {
            let old = self.raw(id);
            let is_constant = old.storage == Storage::Constant.code();
            let need = if tenants.is_group { cell_bytes(slot_size) } else { spec.lane_bytes() };
            let fits = is_constant == (spec.storage() == Storage::Constant)
                && old.properties.is_member() == tenants.is_group
                && (is_constant || need <= size_of_cell(&old))
                && (id == first || !tenants.is_group || old.place == self.raw(first).place);
            if !fits {
                return Err(room);
            }
        }
        Ok(start)
    }

    /// Zeroes `size` bytes from `place` on in all lanes ever used.
    fn clear_cells(&self, place: u32, size: u32) {
        for lane in 0..self.lanes {
            let cell = self.lane_base(lane) + place;
            for at in (cell..cell + size).step_by(4) {
                self.region.store32(at, 0);
            }
        }
    }
}

/// Size of the cell of a field that is no constant, in bytes.
fn size_of_cell(raw: &RawDescriptor) -> u32 {
    if raw.storage == Storage::Atomic.code() { ATOMIC_CELL } else { raw.cell_size() }
}
