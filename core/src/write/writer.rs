//! The writer of an image: creates it, adds and retires fields, hands out lanes.
//!
//! All of this is set-up. Updates go through handles of a [`Lane`].

use super::error::WriteError;
use super::geometry::{Geometry, group_slot};
use super::heap::HeapWriter;
use super::lane::{FieldId, Lane};
use super::spec::{FieldSpec, Group, cell_bytes};
use crate::checksum::Fletcher64;
use crate::descriptor::RawDescriptor;
use crate::header::RawHeader;
use crate::layout::{
    CELL_HEAD, descriptor as d, field_state, halves, header as h, image_state, lane, lane_state,
    presence_size, table,
};
use crate::protocol;
use crate::region::{Memory, Region, Source};
use crate::types::Storage;

/// The writer of an image.
///
/// An image has one writer. A program with several threads keeps it in a lock and gives each thread
/// a lane.
#[derive(Debug)]
pub struct Writer<M> {
    pub(super) region: Region<M>,
    pub(super) header: RawHeader,
    pub(super) fields: u32,
    pub(super) heap: HeapWriter,
    /// End of the cells, from the start of a lane.
    pub(super) cells: u32,
    pub(super) lanes: u32,
    /// The fields with a table are among these: from the first, before the last.
    tables: (u32, u32),
    /// While an image is resumed: whether all fields so far are the same.
    same: Option<bool>,
}

impl<M: Memory> Writer<M> {
    /// Makes an empty image in `memory`, in the state *building*.
    ///
    /// `part` is 0 for the first image of an instance. All bytes of the image are written, so the
    /// memory may hold arbitrary bytes.
    ///
    /// # Errors
    ///
    /// If the memory is misaligned or too small, or the geometry passes a limit.
    pub fn create(
        memory: M,
        geometry: &Geometry,
        instance: [u8; 16],
        part: u32,
    ) -> Result<Self, WriteError> {
        let writer = Self::prepare(memory, geometry, instance, part)?;
        for offset in (0..writer.header.file_size).step_by(4) {
            writer.region.store32(offset, 0);
        }
        writer.begin();
        Ok(writer)
    }

    /// [`Writer::create`] in memory whose bytes are all zero: a new file or mapping.
    ///
    /// # Errors
    ///
    /// As [`Writer::create`].
    pub fn create_zeroed(
        memory: M,
        geometry: &Geometry,
        instance: [u8; 16],
        part: u32,
    ) -> Result<Self, WriteError> {
        let writer = Self::prepare(memory, geometry, instance, part)?;
        writer.begin();
        Ok(writer)
    }

    /// Resumes the image in `memory`, if `fill` adds exactly its fields; else makes one as
    /// [`Writer::create`]. Returns the writer and whether it resumed.
    pub(super) fn resume(
        memory: M,
        geometry: &Geometry,
        instance: [u8; 16],
        fill: impl Fn(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(Self, bool), WriteError>
    where
        M: Clone,
    {
        let mut writer = Self::prepare(memory.clone(), geometry, instance, 0)?;
        if writer.recognises() {
            writer.region.store32(h::STATE, image_state::BUILDING);
            writer.same = Some(true);
            // All descriptors are written again over the same bytes, so a reset during this changes
            // nothing. If one field differs, the image is made anew.
            fill(&mut writer)?;
            if writer.same.take() == Some(true) {
                writer.lanes = writer.region.load32(h::LANES_USED);
                (0..writer.lanes).for_each(|lane| writer.hand_back(lane));
                return Ok((writer, true));
            }
        }
        let mut writer = Self::create(memory, geometry, instance, 0)?;
        fill(&mut writer)?;
        Ok((writer, false))
    }

    /// Whether the region holds a full image of this geometry, of any instance.
    fn recognises(&self) -> bool {
        let found = RawHeader::load(&self.region);
        let (instance, checksum) = (found.instance, found.checksum);
        found == RawHeader { instance, checksum, ..self.header }
            && checksum == RawHeader::checksum_of(&self.region)
            && self.region.load32(h::FIELD_COUNT) == found.descriptor_capacity
            && self.region.load32(h::LANES_USED) <= found.lane_capacity
    }

    /// A writer of another image with the same fields at the same places, in `memory`, whose bytes
    /// are all zero. Its lanes are unclaimed; its state is *building*.
    ///
    /// The images keep the same layout if the same fields are added to both and retired in both, in the
    /// same order. [`Mirror`](super::Mirror) copies the lanes.
    ///
    /// # Errors
    ///
    /// If the memory is misaligned or too small.
    pub fn twin<N: Memory>(&self, memory: N, part: u32) -> Result<Writer<N>, WriteError> {
        let region = Region::new(memory).map_err(WriteError::Region)?;
        let header = RawHeader { part, ..self.header };
        if header.file_size > region.size() {
            return Err(WriteError::Memory { need: header.file_size, have: region.size() });
        }
        let (fields, heap, cells) = (self.fields, self.heap.clone(), self.cells);
        let tables = self.tables;
        let mut twin = Writer { region, header, fields, heap, cells, lanes: 0, tables, same: None };
        twin.begin();
        for offset in (header.descriptor_offset..header.lanes_offset).step_by(4) {
            twin.region.store32(offset, self.region.load32(offset));
        }
        twin.publish_count(fields);
        Ok(twin)
    }

    fn prepare(
        memory: M,
        geometry: &Geometry,
        instance: [u8; 16],
        part: u32,
    ) -> Result<Self, WriteError> {
        let region = Region::new(memory).map_err(WriteError::Region)?;
        let header = geometry.header().ok_or(WriteError::TooLarge)?;
        if header.file_size > region.size() {
            return Err(WriteError::Memory { need: header.file_size, have: region.size() });
        }
        let header = RawHeader { instance, part, ..header };
        let (heap, cells) = (HeapWriter::new(header.heap_offset), header.cells_offset);
        let tables = (u32::MAX, 0);
        Ok(Self { region, header, fields: 0, heap, cells, lanes: 0, tables, same: None })
    }

    fn begin(&self) {
        self.region.store32(h::STATE, image_state::BUILDING);
        self.region.store_words(0, &self.header.words());
        let checksum = RawHeader::checksum_of(&self.region);
        self.region.store_words(h::CHECKSUM, &halves(checksum));
    }

    /// Opens the image for readers: all fields added so far are complete.
    pub fn go_live(&mut self) {
        protocol::set_state(&self.region.word(h::STATE), image_state::LIVE);
    }

    /// Marks the image as closed: values no longer change. It stays readable.
    pub fn close(&mut self) {
        protocol::set_state(&self.region.word(h::STATE), image_state::CLOSED);
    }

    /// The memory of the image.
    #[must_use]
    pub const fn region(&self) -> &Region<M> {
        &self.region
    }

    /// Number of fields.
    #[must_use]
    pub const fn field_count(&self) -> u32 {
        self.fields
    }

    /// Adds a field, also while lanes are in use and the image is read.
    ///
    /// # Errors
    ///
    /// If the specification breaks a rule, or there is no room (see [`WriteError::is_full`]). Then
    /// nothing has changed.
    pub fn add(&mut self, spec: &FieldSpec<'_>) -> Result<FieldId, WriteError> {
        spec.check().map_err(WriteError::Spec)?;
        self.add_all(core::slice::from_ref(spec))
    }

    /// Adds consecutive fields, all or none: for example a counter and its rate. Returns the first.
    ///
    /// # Errors
    ///
    /// As [`Writer::add`].
    pub fn add_all(&mut self, specs: &[FieldSpec<'_>]) -> Result<FieldId, WriteError> {
        let mut lane_bytes = 0_u32;
        let mut before = None;
        for spec in specs {
            spec.check_after(before).map_err(WriteError::Spec)?;
            lane_bytes = lane_bytes.saturating_add(spec.lane_bytes());
            before = Some(spec);
        }
        let heap = self.heap.need(&self.region, specs);
        let count = u32::try_from(specs.len()).unwrap_or(u32::MAX);
        let mut place = self.room(count, heap, lane_bytes)?;
        let first = self.fields;
        for (id, spec) in (first..).zip(specs) {
            self.describe(id, spec, place, None, field_state::LIVE);
            place += spec.lane_bytes();
        }
        self.cells = place;
        self.publish_count(first + count);
        Ok(FieldId::from_index(first))
    }

    /// Adds consecutive fields that are published together. Returns the first.
    ///
    /// # Errors
    ///
    /// As [`Writer::add`]; also if the group is empty or larger than a slot can be.
    pub fn add_group(&mut self, specs: &[FieldSpec<'_>]) -> Result<FieldId, WriteError> {
        let slot_size = group_slot(specs).map_err(WriteError::Spec)?;
        let heap = self.heap.need(&self.region, specs);
        let count = u32::try_from(specs.len()).unwrap_or(u32::MAX);
        let place = self.room(count, heap, cell_bytes(slot_size))?;
        let first = self.fields;
        self.describe_group(first, specs, place, slot_size, field_state::LIVE);
        self.cells = place + cell_bytes(slot_size);
        self.publish_count(first + count);
        Ok(FieldId::from_index(first))
    }

    /// Retires a field: readers no longer show it, and updates through its handles have no effect
    /// for them.
    ///
    /// # Errors
    ///
    /// If there is no such field.
    pub fn retire(&mut self, field: FieldId) -> Result<(), WriteError> {
        if field.index() >= self.fields {
            return Err(WriteError::NoSuchField { index: field.index() });
        }
        protocol::retire(&self.region.word(self.descriptor(field.index()) + d::STATE));
        Ok(())
    }

    /// Sets the number of fields of the program that are in no image.
    pub fn set_fields_refused(&mut self, fields: u32) {
        self.region.store32(h::FIELDS_REFUSED, fields);
    }

    /// Sets the number of lanes of the program whose values are in no image.
    pub fn set_lanes_refused(&mut self, lanes: u32) {
        self.region.store32(h::LANES_REFUSED, lanes);
    }

    /// Sets the number of images of the instance, in the writer of part 0. The last image must have its
    /// name already.
    pub fn set_parts(&mut self, parts: u32) {
        protocol::set_parts(&self.region.word(h::PARTS), parts);
    }

    /// Sets the value of a field in a claimed lane, before [`Writer::go_live`]: for example that of
    /// a counter in an earlier image.
    ///
    /// `units` is the value in units of 8 bytes: an atomic cell, or a slot that becomes the next
    /// value of its cell. `elements` are those of a journal. Surplus units and elements are
    /// ignored.
    ///
    /// # Errors
    ///
    /// If there is no such field or lane, or the image is live. Then nothing has changed.
    pub fn restore(
        &mut self,
        lane: u32,
        field: FieldId,
        units: &[u64],
        elements: &[u64],
    ) -> Result<(), WriteError> {
        if self.region.load32(h::STATE) != image_state::BUILDING {
            return Err(WriteError::Live);
        }
        if field.index() >= self.fields || lane >= self.lanes {
            return Err(WriteError::NoSuchField { index: field.index() });
        }
        let raw = RawDescriptor::load(&self.region, self.descriptor(field.index()));
        let cell = self.lane_base(lane) + raw.place;
        let write = |at: u32, units: &[u64], most: u32| {
            for (at, unit) in (at..).step_by(8).zip(units).take(most as usize) {
                self.region.write(at, &unit.to_le_bytes());
            }
        };
        match Storage::from_code(raw.storage) {
            Some(Storage::Atomic) => write(cell, units, 1),
            Some(storage @ (Storage::Latched | Storage::Journal)) => {
                // The slot of change 0 of a journal, under another number.
                let journal = storage == Storage::Journal;
                let slots = raw.properties.slots();
                let n = if journal { slots } else { self.region.load32(cell) + 1 };
                let slot = cell + CELL_HEAD + (n & (slots - 1)) * raw.slot_size;
                write(slot, units, raw.slot_size / 8);
                if journal {
                    let first = cell + CELL_HEAD + slots * raw.slot_size;
                    write(first, elements, raw.properties.count());
                }
                self.region.store32(cell, n);
            }
            // Constants have their values already.
            _ => {}
        }
        Ok(())
    }

    /// Sets the number of samples that the owners of a claimed lane did not record, for example from an
    /// earlier image.
    pub fn restore_samples_refused(&mut self, lane: u32, samples: u64) {
        if lane < self.lanes {
            let at = self.lane_base(lane) + lane::SAMPLES_REFUSED;
            self.region.store_words(at, &halves(samples));
        }
    }

    pub(super) const fn descriptor(&self, index: u32) -> u32 {
        self.header.descriptor_offset + index * d::SIZE
    }

    /// Checks that there is room. Returns the offset of the next cell in a lane.
    pub(super) fn room(&self, fields: u32, heap: u32, lane_bytes: u32) -> Result<u32, WriteError> {
        let fits =
            |used: u32, more: u32, end: u32| used.checked_add(more).is_some_and(|sum| sum <= end);
        if !fits(self.fields, fields, self.header.descriptor_capacity) {
            return Err(WriteError::TableFull { capacity: self.header.descriptor_capacity });
        }
        if !fits(self.heap.end(), heap, self.header.heap_offset + self.header.heap_size) {
            return Err(WriteError::HeapFull { size: self.header.heap_size });
        }
        if !fits(self.cells, lane_bytes, self.header.lane_stride) {
            return Err(WriteError::LaneFull { stride: self.header.lane_stride });
        }
        Ok(self.cells)
    }

    /// Writes the descriptors of a group from `first` on, with their strings. There is room.
    pub(super) fn describe_group(
        &mut self,
        first: u32,
        specs: &[FieldSpec<'_>],
        place: u32,
        slot_size: u32,
        state: u32,
    ) {
        let mut member = 0;
        for (id, spec) in (first..).zip(specs) {
            self.describe(id, spec, place, Some(Group { slot_size, member }), state);
            member += spec.slot_bytes();
        }
    }

    /// Writes descriptor `id` with its strings. There is room.
    pub(super) fn describe(
        &mut self,
        id: u32,
        spec: &FieldSpec<'_>,
        place: u32,
        group: Option<Group>,
        state: u32,
    ) {
        let mut raw = RawDescriptor { state, ..spec.descriptor(place, group) };
        if raw.storage == Storage::Table.code() {
            self.tables = (self.tables.0.min(id), self.tables.1.max(id + 1));
        }
        raw.label = self.heap.string(&self.region, spec.label);
        raw.unit = self.heap.interned(&self.region, spec.unit);
        raw.help = self.heap.interned(&self.region, spec.help);
        raw.attributes = self.heap.attributes(&self.region, spec);
        raw.detail = self.heap.detail(&self.region, spec);
        let mut constant_len = 0;
        if let Some(value) = &spec.constant {
            (raw.place, constant_len) = self.heap.constant(&self.region, value);
        }
        let at = self.descriptor(id);
        let [all_but_checksum @ .., _, _] = raw.words();
        self.region.store_words(at, &all_but_checksum);
        let mut sum = Fletcher64::new();
        sum.range(&self.region, at, d::COVERED);
        for string in raw.strings() {
            if string != 0 {
                let len = self.region.load32(string) & 0xFFFF;
                sum.range(&self.region, string, (2 + len).next_multiple_of(4));
            }
        }
        sum.range(&self.region, raw.place, constant_len);
        let sum = sum.finish();
        if self.same == Some(true) && RawDescriptor::load(&self.region, at).checksum != sum {
            // Before the checksum: after a reset during this, it must not be taken for the old
            // field.
            self.same = Some(false);
            self.region.store32(h::FIELD_COUNT, 0);
        }
        self.region.store_words(at + d::CHECKSUM, &halves(sum));
    }

    pub(super) fn publish_count(&mut self, count: u32) {
        self.fields = count;
        if self.same.is_some() {
            return; // Published at the end, if all are the same.
        }
        let heap = self.heap.end() - self.header.heap_offset;
        let (heap_used, field_count) =
            (self.region.word(h::HEAP_USED), self.region.word(h::FIELD_COUNT));
        protocol::publish_count(&heap_used, heap, &field_count, count);
    }

    /// Claims a lane: one that was handed back, else a new one.
    ///
    /// The caller is its one writer until [`Writer::hand_back`].
    ///
    /// # Errors
    ///
    /// [`WriteError::LanesFull`].
    pub fn claim(&mut self) -> Result<u32, WriteError> {
        let index = match self.lanes_with(lane_state::FREE).next() {
            Some(index) => index,
            None if self.lanes < self.header.lane_capacity => self.lanes,
            None => return Err(WriteError::LanesFull { capacity: self.header.lane_capacity }),
        };
        let base = self.lane_base(index);
        let lanes_used = self.region.word(h::LANES_USED);
        let new = index == self.lanes;
        self.lanes += u32::from(new);
        // A handle used after its lane was handed back may have set bits.
        self.owner_words(index).for_each(|at| self.region.store32(at, 0));
        protocol::claim_lane(
            &self.region.word(base + lane::OWNERS),
            &self.region.word(base + lane::STATE),
            new.then_some((&lanes_used, self.lanes)),
        );
        Ok(index)
    }

    /// Number of lanes that were ever claimed.
    #[must_use]
    pub const fn lane_count(&self) -> u32 {
        self.lanes
    }

    /// Whether [`Writer::claim`] finds a lane.
    #[must_use]
    pub fn has_free_lane(&self) -> bool {
        self.lanes < self.header.lane_capacity || self.lanes_with(lane_state::FREE).next().is_some()
    }

    /// The lanes that are owned, so that their handles may still be used.
    pub fn owned_lanes(&self) -> impl Iterator<Item = u32> {
        self.lanes_with(lane_state::OWNED)
    }

    fn lanes_with(&self, state: u32) -> impl Iterator<Item = u32> {
        let load = |i: u32| self.region.load32(self.lane_base(i) + lane::STATE);
        (0..self.lanes).filter(move |i| load(*i) == state)
    }

    /// Hands a claimed lane back: optional fields lose their values, others keep them.
    ///
    /// The handles of the lane must no longer be used: the lane may get another writer.
    pub fn hand_back(&mut self, index: u32) {
        if index >= self.lanes {
            return;
        }
        let bits = self.owner_words(index).map(|offset| self.region.word(offset));
        protocol::hand_back_lane(bits, &self.region.word(self.lane_base(index) + lane::STATE));
    }

    /// Offsets of the words of a lane whose bits are those of one owner: presence, and the rows in use
    /// and claimed of all tables.
    pub(super) fn owner_words(&self, index: u32) -> impl Iterator<Item = u32> {
        let base = self.lane_base(index);
        let size = presence_size(self.header.descriptor_capacity);
        let presence = (base + lane::PRESENCE..).step_by(4).take(size as usize / 4);
        let (first, end) = self.tables;
        let tables = (first..end)
            .map(|id| self.descriptor(id))
            // One word, of all fields between the tables.
            .filter(|at| self.region.load32(at + d::TYPE) >> 24 == u32::from(Storage::Table.code()))
            .map(move |at| base + self.region.load32(at + d::PLACE))
            .flat_map(|cell| (cell + table::USED..cell + table::REFUSED).step_by(4));
        presence.chain(tables)
    }

    pub(super) const fn lane_base(&self, index: u32) -> u32 {
        self.header.lanes_offset + index * self.header.lane_stride
    }

    /// Claims a lane and opens it for handles.
    ///
    /// # Errors
    ///
    /// [`WriteError::LanesFull`].
    pub fn lane(&mut self) -> Result<Lane<M>, WriteError>
    where
        M: Clone,
    {
        let index = self.claim()?;
        Ok(Lane::new(self.region.clone(), index))
    }
}
