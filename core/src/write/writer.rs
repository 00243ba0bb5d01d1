//! The writer of an image: creates it, adds and retires fields, hands out lanes.
//!
//! Everything here is set-up work. Updates go through the handles of a [`Lane`].

use core::fmt;

use heapless::Vec;

use super::geometry::{Geometry, group_slot};
use super::lane::Lane;
use super::spec::{FieldSpec, SpecError, cell_bytes, slots_for};
use crate::checksum::Fletcher64;
use crate::layout::{
    self, MAJOR, MINOR, descriptor as d, field_state, flags, header as h, image_state, lane,
    lane_state, presence_size, round_up,
};
use crate::raw::{RawDescriptor, RawHeader};
use crate::region::{Memory, Region, RegionError, Source};
use crate::types::Storage;

/// A field of an image: its place in the descriptor table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(u32);

impl FieldId {
    /// The number of the descriptor, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The field with this number; a number that no field has is refused by `attach`.
    #[must_use]
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }
}

/// Strings that are likely to come again; their heap offsets.
type Recent = Vec<u32, 16>;

/// The writer of an image.
///
/// One image has one writer; a program with several threads keeps it in a lock and
/// gives each thread a lane.
#[derive(Debug)]
pub struct Writer<M> {
    region: Region<M>,
    header: RawHeader,
    fields: u32,
    heap: u32,
    cells: u32,
    lanes: u32,
    recent: Recent,
}

impl<M: Memory> Writer<M> {
    /// Makes an empty image in `memory`, in the state *building*.
    ///
    /// `part` is 0 for the first image of an instance. All bytes of the image are
    /// written, so the memory may hold anything before.
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

    /// As [`Writer::create`], in memory whose bytes are all zero: a new file or mapping.
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
        let header = RawHeader {
            magic: layout::MAGIC,
            major: MAJOR,
            minor: MINOR,
            min_minor: 0,
            instance,
            part,
            ..header
        };
        let (heap, cells) = (header.heap_offset, header.cells_offset);
        Ok(Self { region, header, fields: 0, heap, cells, lanes: 0, recent: Recent::new() })
    }

    fn begin(&self) {
        self.region.store32(h::STATE, image_state::BUILDING);
        self.header.store(&self.region);
    }

    /// Lets readers in: everything added so far is complete.
    pub fn go_live(&mut self) {
        self.region.publish32(h::STATE, image_state::LIVE);
    }

    /// Says that no value will change any more. The image stays readable.
    pub fn close(&mut self) {
        self.region.publish32(h::STATE, image_state::CLOSED);
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

    /// Adds a field; also while lanes are in use and readers read.
    ///
    /// # Errors
    ///
    /// If the specification breaks a rule, or there is no room (see
    /// [`WriteError::is_full`]); then nothing has changed.
    pub fn add(&mut self, spec: &FieldSpec<'_>) -> Result<FieldId, WriteError> {
        spec.check().map_err(WriteError::Spec)?;
        let (lane_bytes, slot_size) = match spec.storage() {
            Storage::Latched => (spec.lane_bytes(), spec.slot_bytes()),
            _ => (spec.lane_bytes(), 0),
        };
        let place = self.room(1, spec.heap_bytes(), lane_bytes)?;
        let id = self.fields;
        self.describe(id, spec, place, slot_size, None);
        self.cells = place + lane_bytes;
        self.publish_count(id + 1);
        Ok(FieldId(id))
    }

    /// Adds fields that are published together, one after the other in the table, and
    /// returns the first.
    ///
    /// # Errors
    ///
    /// As [`Writer::add`]; also if the group is empty or larger than a slot can be.
    pub fn add_group(&mut self, specs: &[FieldSpec<'_>]) -> Result<FieldId, WriteError> {
        let slot_size = group_slot(specs).map_err(WriteError::Spec)?;
        let heap = specs.iter().fold(0_u32, |sum, spec| sum.saturating_add(spec.heap_bytes()));
        let count = u32::try_from(specs.len()).unwrap_or(u32::MAX);
        let place = self.room(count, heap, cell_bytes(slot_size))?;
        let first = self.fields;
        let mut member = 0;
        for (id, spec) in (first..).zip(specs) {
            self.describe(id, spec, place, slot_size, Some(member));
            member += spec.slot_bytes();
        }
        self.cells = place + cell_bytes(slot_size);
        self.publish_count(first + count);
        Ok(FieldId(first))
    }

    /// Retires a field: readers stop showing it, handles go on into the void.
    ///
    /// # Errors
    ///
    /// If there is no such field.
    pub fn retire(&mut self, field: FieldId) -> Result<(), WriteError> {
        if field.0 >= self.fields {
            return Err(WriteError::NoSuchField { index: field.0 });
        }
        self.region.publish32(self.descriptor(field.0) + d::STATE, field_state::RETIRED);
        Ok(())
    }

    /// Counts a field that went to no image.
    pub fn count_refused(&mut self) {
        let refused = self.region.load32(h::FIELDS_REFUSED).saturating_add(1);
        self.region.store32(h::FIELDS_REFUSED, refused);
    }

    const fn descriptor(&self, index: u32) -> u32 {
        self.header.descriptor_offset + index * d::SIZE
    }

    /// Checks that there is room and returns the place of the next cell.
    fn room(&self, fields: u32, heap: u32, lane_bytes: u32) -> Result<u32, WriteError> {
        let fits =
            |used: u32, more: u32, end: u32| used.checked_add(more).is_some_and(|sum| sum <= end);
        if !fits(self.fields, fields, self.header.descriptor_capacity) {
            return Err(WriteError::TableFull { capacity: self.header.descriptor_capacity });
        }
        if !fits(self.heap, heap, self.header.heap_offset + self.header.heap_size) {
            return Err(WriteError::HeapFull { size: self.header.heap_size });
        }
        if !fits(self.cells, lane_bytes, self.header.lane_stride) {
            return Err(WriteError::LaneFull { stride: self.header.lane_stride });
        }
        Ok(self.cells)
    }

    /// Writes descriptor `id` with its strings. There is room.
    fn describe(
        &mut self,
        id: u32,
        spec: &FieldSpec<'_>,
        place: u32,
        slot_size: u32,
        member: Option<u32>,
    ) {
        let storage = if member.is_some() { Storage::Latched } else { spec.storage() };
        let mut bits = 0;
        for (set, bit) in [
            (spec.optional, flags::OPTIONAL),
            (spec.array, flags::ARRAY),
            (member.is_some(), flags::MEMBER),
        ] {
            bits |= if set { bit } else { 0 };
        }
        let mut raw = RawDescriptor {
            label: self.string(spec.label.as_bytes()),
            unit: self.interned(spec.unit.as_bytes()),
            help: self.interned(spec.help.as_bytes()),
            attributes: self.attributes(spec),
            ty: spec.ty.code(),
            kind: spec.kind.code(),
            aggregation: spec.aggregation.code(),
            storage: storage.code(),
            count: spec.count,
            place,
            slot_size,
            member: member.unwrap_or(0),
            slots: if storage == Storage::Latched { slots_for(slot_size) } else { 0 },
            level: spec.level.code(),
            flags: bits,
            param: 0,
            state: field_state::LIVE,
            checksum: 0,
        };
        let mut constant_len = 0;
        if let Some(value) = &spec.constant {
            (raw.place, constant_len) = self.constant(value);
        }
        let at = self.descriptor(id);
        raw.store(&self.region, at);
        let mut sum = Fletcher64::new();
        sum.range(&self.region, at, d::COVERED);
        for string in [raw.label, raw.unit, raw.help, raw.attributes] {
            if string != 0 {
                let len = self.region.load32(string) & 0xFFFF;
                sum.range(&self.region, string, (2 + len).next_multiple_of(4));
            }
        }
        sum.range(&self.region, raw.place, constant_len);
        RawDescriptor::store_checksum(&self.region, at, sum.finish());
    }

    fn publish_count(&mut self, count: u32) {
        self.fields = count;
        self.region.store32(h::HEAP_USED, self.heap - self.header.heap_offset);
        // Release: announces descriptors, strings, constants and heap_used.
        self.region.publish32(h::FIELD_COUNT, count);
    }

    /// Appends a heap string; 0 for an empty one.
    fn string(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let mut bytes = HeapBytes::new(self.heap);
        bytes.put(&self.region, &u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.put(&self.region, text);
        self.end_string(bytes)
    }

    fn end_string(&mut self, bytes: HeapBytes) -> u32 {
        core::mem::replace(&mut self.heap, bytes.finish(&self.region))
    }

    /// As `string`, but uses a recent equal one again.
    fn interned(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let known = self.recent.iter().copied().find(|&at| {
            let mut stored = (0..).map(|i: u32| heap_byte(&self.region, at + i));
            let len = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
            len.iter().chain(text).all(|byte| stored.next() == Some(*byte))
        });
        known.unwrap_or_else(|| {
            let at = self.string(text);
            self.remember(at);
            at
        })
    }

    fn remember(&mut self, at: u32) {
        if self.recent.is_full() {
            self.recent.remove(0);
        }
        // There is room: one was just removed if not.
        let _ = self.recent.push(at);
    }

    fn attributes(&mut self, spec: &FieldSpec<'_>) -> u32 {
        if spec.attributes.is_empty() {
            return 0;
        }
        let len = u16::try_from(spec.attributes_len()).unwrap_or(u16::MAX);
        let mut bytes = HeapBytes::new(self.heap);
        bytes.put(&self.region, &len.to_le_bytes());
        for (i, (key, value)) in spec.attributes.iter().enumerate() {
            if i > 0 {
                bytes.put(&self.region, b"\0");
            }
            bytes.put(&self.region, key.as_bytes());
            bytes.put(&self.region, b"=");
            bytes.put(&self.region, value.as_bytes());
        }
        self.end_string(bytes)
    }

    /// Appends a constant; returns its place and its length with padding.
    fn constant(&mut self, value: &super::Constant<'_>) -> (u32, u32) {
        // `room` counted these bytes.
        let place = round_up(self.heap, 8).unwrap_or(self.heap);
        let end = match value.scalar_bytes() {
            Some(bytes) => {
                self.region.write(place, &bytes);
                place + 8
            }
            None => {
                let tail = value.tail();
                let len = u32::try_from(tail.len()).unwrap_or(u32::MAX);
                self.region.store32(place, len);
                self.region.store32(place + 4, 0);
                self.region.write(place + 8, tail);
                round_up(place + 8 + len, 8).unwrap_or(place + 8)
            }
        };
        self.heap = end;
        (place, end - place)
    }

    // Lanes.

    /// Claims a lane that nobody owns: one that was handed back, else a new one.
    ///
    /// The caller is now its one writer, until [`Writer::hand_back`].
    ///
    /// # Errors
    ///
    /// [`WriteError::LanesFull`].
    pub fn claim(&mut self) -> Result<u32, WriteError> {
        let free = (0..self.lanes)
            .find(|&i| self.region.load32(self.lane_base(i) + lane::STATE) == lane_state::FREE);
        let index = match free {
            Some(index) => index,
            None if self.lanes < self.header.lane_capacity => self.lanes,
            None => return Err(WriteError::LanesFull { capacity: self.header.lane_capacity }),
        };
        let base = self.lane_base(index);
        let owners = self.region.load32(base + lane::OWNERS).wrapping_add(1);
        self.region.store32(base + lane::OWNERS, owners);
        self.region.publish32(base + lane::STATE, lane_state::OWNED);
        if index == self.lanes {
            self.lanes += 1;
            self.region.publish32(h::LANES_USED, self.lanes);
        }
        Ok(index)
    }

    /// Hands a claimed lane back: optional fields lose their values, the others stay.
    ///
    /// The handles of the lane must be gone: a handle used later writes into a lane
    /// that may belong to somebody else.
    pub fn hand_back(&mut self, index: u32) {
        if index >= self.lanes {
            return;
        }
        let base = self.lane_base(index);
        // Which bits belong to OPTIONAL fields need not be looked up: no other field has
        // its bit set.
        let size = presence_size(self.header.descriptor_capacity);
        for offset in (0..size).step_by(4) {
            self.region.store32(base + lane::PRESENCE + offset, 0);
        }
        self.region.publish32(base + lane::STATE, lane_state::FREE);
    }

    const fn lane_base(&self, index: u32) -> u32 {
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

/// One byte of the heap, from the word around it.
fn heap_byte<M>(region: &Region<M>, offset: u32) -> u8 {
    region.load32(offset & !3).to_le_bytes()[(offset % 4) as usize]
}

/// Bytes appended to the heap in whole words.
struct HeapBytes {
    at: u32,
    word: [u8; 4],
    filled: usize,
}

impl HeapBytes {
    const fn new(at: u32) -> Self {
        Self { at, word: [0; 4], filled: 0 }
    }

    fn put<M>(&mut self, region: &Region<M>, bytes: &[u8]) {
        for &byte in bytes {
            self.word[self.filled] = byte;
            self.filled += 1;
            if self.filled == 4 {
                region.store32(self.at, u32::from_le_bytes(self.word));
                *self = Self::new(self.at + 4);
            }
        }
    }

    /// Stores what is left and returns the end.
    fn finish<M>(self, region: &Region<M>) -> u32 {
        if self.filled == 0 {
            return self.at;
        }
        region.store32(self.at, u32::from_le_bytes(self.word));
        self.at + 4
    }
}

/// Why an image could not be made or extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The memory cannot hold an image.
    Region(RegionError),
    /// The geometry passes a limit of the format.
    TooLarge,
    /// The memory is too small.
    Memory {
        /// Bytes needed.
        need: u32,
        /// Bytes there.
        have: u32,
    },
    /// The specification of a field breaks a rule.
    Spec(SpecError),
    /// No descriptor is free.
    TableFull {
        /// Number of descriptors.
        capacity: u32,
    },
    /// The strings do not fit.
    HeapFull {
        /// Bytes of heap.
        size: u32,
    },
    /// The value does not fit into a lane.
    LaneFull {
        /// Bytes of a lane.
        stride: u32,
    },
    /// All lanes are owned.
    LanesFull {
        /// Number of lanes.
        capacity: u32,
    },
    /// There is no field with this number.
    NoSuchField {
        /// The number.
        index: u32,
    },
}

impl WriteError {
    /// Whether a larger or another image would take the field or the lane.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(
            self,
            Self::TableFull { .. }
                | Self::HeapFull { .. }
                | Self::LaneFull { .. }
                | Self::LanesFull { .. }
        )
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(e) => e.fmt(f),
            Self::TooLarge => f.write_str(
                "an image has at most 16777216 fields, 1 to 65536 lanes and less than 4 GiB",
            ),
            Self::Memory { need, have } => {
                write!(f, "the image needs {need} bytes of memory, there are {have}")
            }
            Self::Spec(e) => e.fmt(f),
            Self::TableFull { capacity } => write!(f, "all {capacity} descriptors are used"),
            Self::HeapFull { size } => write!(f, "the heap of {size} bytes is full"),
            Self::LaneFull { stride } => write!(f, "lanes of {stride} bytes are full"),
            Self::LanesFull { capacity } => write!(f, "all {capacity} lanes are owned"),
            Self::NoSuchField { index } => write!(f, "there is no field {index}"),
        }
    }
}

impl core::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Region(e) => Some(e),
            Self::Spec(e) => Some(e),
            _ => None,
        }
    }
}
