//! The header, checked: FORMAT.md sections 3 and 10.

use super::error::{Refusal, Section};
use crate::header::RawHeader;
use crate::layout::{
    CACHE_LINE, MAGIC, MAJOR, MAX_FIELDS, MAX_LANES, MINOR, descriptor, header as h, image_state,
    lane, presence_size,
};
use crate::protocol;
use crate::region::{Source, SourceWord};

/// State of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageState {
    /// Not complete yet.
    Building,
    /// In use, or its writer died: the format does not tell these apart.
    Live,
    /// Its writer ended cleanly: values no longer change.
    Closed,
}

/// The checked fixed part of a header: all offsets are inside the image and in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    raw: RawHeader,
}

impl Header {
    /// Loads and checks the fixed part, in the order of FORMAT.md section 10.
    ///
    /// The state is not checked: a tool may show the header of an image that is building.
    ///
    /// # Errors
    ///
    /// The first broken rule.
    pub fn read<S: Source + ?Sized>(source: &S) -> Result<Self, Refusal> {
        let size = source.size();
        // Other bytes are reported as such, not as too short.
        let mut magic = [0; 8];
        source.copy(h::MAGIC, &mut magic);
        let there = magic.len().min(size as usize);
        if magic[..there] != MAGIC[..there] {
            return Err(Refusal::BadMagic { found: magic });
        }
        if size < h::SIZE {
            return Err(Refusal::TooShort { found: size });
        }
        // Loaded once, so that a hostile writer cannot change it after the check.
        let mut bytes = [0; h::STATE as usize];
        source.copy(0, &mut bytes);
        let raw = RawHeader::load(bytes.as_slice());
        check_identity(&raw, bytes.as_slice())?;
        check_sizes(&raw, size)?;
        check_sections(&raw)?;
        Ok(Self { raw })
    }

    /// The unchecked numbers of the header.
    #[must_use]
    pub const fn raw(&self) -> &RawHeader {
        &self.raw
    }

    /// Minor version of the writer.
    #[must_use]
    pub const fn minor(&self) -> u16 {
        self.raw.minor
    }

    /// Random identity of the publisher, the same in all of its images.
    #[must_use]
    pub const fn instance(&self) -> [u8; 16] {
        self.raw.instance
    }

    /// Number of this image within its instance, from 0.
    #[must_use]
    pub const fn part(&self) -> u32 {
        self.raw.part
    }

    /// Size of the image in bytes.
    #[must_use]
    pub const fn file_size(&self) -> u32 {
        self.raw.file_size
    }

    /// Offset of descriptor 0.
    #[must_use]
    pub const fn descriptor_offset(&self) -> u32 {
        self.raw.descriptor_offset
    }

    /// Maximum number of descriptors.
    #[must_use]
    pub const fn descriptor_capacity(&self) -> u32 {
        self.raw.descriptor_capacity
    }

    /// Distance between descriptors in bytes.
    #[must_use]
    pub const fn descriptor_size(&self) -> u32 {
        self.raw.descriptor_size as u32
    }

    /// Offset of the heap.
    #[must_use]
    pub const fn heap_offset(&self) -> u32 {
        self.raw.heap_offset
    }

    /// Size of the heap in bytes.
    #[must_use]
    pub const fn heap_size(&self) -> u32 {
        self.raw.heap_size
    }

    /// Offset of lane 0. All metadata lies before it.
    #[must_use]
    pub const fn lanes_offset(&self) -> u32 {
        self.raw.lanes_offset
    }

    /// Distance between lanes in bytes.
    #[must_use]
    pub const fn lane_stride(&self) -> u32 {
        self.raw.lane_stride
    }

    /// Number of lanes.
    #[must_use]
    pub const fn lane_capacity(&self) -> u32 {
        self.raw.lane_capacity
    }

    /// Offset of the first cell from the start of a lane.
    #[must_use]
    pub const fn cells_offset(&self) -> u32 {
        self.raw.cells_offset
    }

    /// Offset of descriptor `index`; `None` at and above the capacity.
    #[must_use]
    pub fn descriptor(&self, index: u32) -> Option<u32> {
        if index >= self.raw.descriptor_capacity {
            return None;
        }
        index.checked_mul(self.descriptor_size())?.checked_add(self.raw.descriptor_offset)
    }

    /// The state now. Loads after this call see what was stored before the state: the first fields
    /// of a live image, the last values of a closed one.
    ///
    /// # Errors
    ///
    /// `bad-state`.
    pub fn state<S: Source + ?Sized>(&self, source: &S) -> Result<ImageState, Refusal> {
        match protocol::load_state(&SourceWord { source, offset: h::STATE }) {
            image_state::BUILDING => Ok(ImageState::Building),
            image_state::LIVE => Ok(ImageState::Live),
            image_state::CLOSED => Ok(ImageState::Closed),
            found => Err(Refusal::BadState { found }),
        }
    }

    /// Number of descriptors published now. Loads after this call see all that they refer to.
    ///
    /// # Errors
    ///
    /// `field-count`.
    pub fn field_count<S: Source + ?Sized>(&self, source: &S) -> Result<u32, Refusal> {
        let found = protocol::load_count(&SourceWord { source, offset: h::FIELD_COUNT });
        let limit = self.raw.descriptor_capacity;
        if found > limit { Err(Refusal::FieldCount { found, limit }) } else { Ok(found) }
    }

    /// Bytes of the heap in use now.
    ///
    /// # Errors
    ///
    /// `heap-used`.
    pub fn heap_used<S: Source + ?Sized>(&self, source: &S) -> Result<u32, Refusal> {
        let (found, limit) = (source.load32(h::HEAP_USED), self.raw.heap_size);
        if found > limit { Err(Refusal::HeapUsed { found, limit }) } else { Ok(found) }
    }

    /// Number of lanes claimed until now; lanes at and above this number are unused.
    ///
    /// # Errors
    ///
    /// `lanes-used`.
    pub fn lanes_used<S: Source + ?Sized>(&self, source: &S) -> Result<u32, Refusal> {
        let word = SourceWord { source, offset: h::LANES_USED };
        let (found, limit) = (protocol::load_lanes_used(&word), self.raw.lane_capacity);
        if found > limit { Err(Refusal::LanesUsed { found, limit }) } else { Ok(found) }
    }

    /// Number of fields that fit into no image.
    pub fn fields_refused<S: Source + ?Sized>(&self, source: &S) -> u32 {
        source.load32(h::FIELDS_REFUSED)
    }

    /// Number of lanes of the program whose values are in no image now.
    pub fn lanes_refused<S: Source + ?Sized>(&self, source: &S) -> u32 {
        source.load32(h::LANES_REFUSED)
    }

    /// Number of images of the instance, as part 0 says it; `None` if it does not, and in other
    /// parts. Names looked up after this call include those of all of these images, unless they
    /// were removed.
    pub fn parts<S: Source + ?Sized>(&self, source: &S) -> Option<u32> {
        let parts = protocol::load_parts(&SourceWord { source, offset: h::PARTS });
        (self.part() == 0 && parts != 0).then_some(parts)
    }

    /// The word that changes when room of retired fields is used again: even, and odd meanwhile.
    /// Descriptors and values loaded after this call are at least as new.
    #[inline]
    pub fn reuses<S: Source + ?Sized>(&self, source: &S) -> u32 {
        protocol::load_reuses(&SourceWord { source, offset: h::REUSES })
    }

    /// Whether room of retired fields was used again since [`Header::reuses`] returned `before`.
    /// If so, descriptors and values loaded in between may belong to different fields.
    #[inline]
    pub fn reused_since<S: Source + ?Sized>(&self, source: &S, before: u32) -> bool {
        protocol::reused_since(&SourceWord { source, offset: h::REUSES }, before)
    }
}

fn check_identity(raw: &RawHeader, bytes: &[u8]) -> Result<(), Refusal> {
    if raw.magic != MAGIC {
        return Err(Refusal::BadMagic { found: raw.magic });
    }
    if raw.major != MAJOR {
        return Err(Refusal::UnsupportedMajor { found: raw.major });
    }
    let expected = RawHeader::checksum_of(bytes);
    if raw.checksum != expected {
        return Err(Refusal::HeaderChecksum { found: raw.checksum, expected });
    }
    if raw.min_minor > MINOR {
        return Err(Refusal::UnsupportedMinor { found: raw.min_minor });
    }
    if raw.required_features != 0 {
        return Err(Refusal::RequiredFeatures { found: raw.required_features });
    }
    Ok(())
}

fn check_sizes(raw: &RawHeader, size: u32) -> Result<(), Refusal> {
    let found = u32::from(raw.header_size);
    if found < h::SIZE || !found.is_multiple_of(64) || found > size {
        return Err(Refusal::HeaderSize { found: raw.header_size, limit: size });
    }
    if raw.file_size > size {
        return Err(Refusal::FileSize { found: raw.file_size, limit: size });
    }
    let found = u32::from(raw.descriptor_size);
    if found < descriptor::SIZE || !found.is_multiple_of(8) {
        return Err(Refusal::DescriptorSize { found: raw.descriptor_size });
    }
    let (found, limit) = (raw.descriptor_capacity, MAX_FIELDS);
    if found > limit {
        return Err(Refusal::Limit { offset: h::DESCRIPTOR_CAPACITY, found, limit });
    }
    let (found, limit) = (raw.lane_capacity, MAX_LANES);
    if found == 0 || found > limit {
        return Err(Refusal::Limit { offset: h::LANE_CAPACITY, found, limit });
    }
    Ok(())
}

fn check_sections(raw: &RawHeader) -> Result<(), Refusal> {
    let aligned = [
        (h::DESCRIPTOR_OFFSET, raw.descriptor_offset, 8),
        (h::HEAP_OFFSET, raw.heap_offset, 8),
        (h::HEAP_SIZE, raw.heap_size, 8),
        (h::LANES_OFFSET, raw.lanes_offset, CACHE_LINE),
        (h::LANE_STRIDE, raw.lane_stride, CACHE_LINE),
        (h::CELLS_OFFSET, raw.cells_offset, 8),
    ];
    for (offset, found, alignment) in aligned {
        if !found.is_multiple_of(alignment) {
            return Err(Refusal::Alignment { offset, found, alignment });
        }
    }
    // No overflow of 64 bits: all factors have at most 32.
    let end =
        |offset: u32, count: u32, size: u32| u64::from(offset) + u64::from(count) * u64::from(size);
    let descriptors_end =
        end(raw.descriptor_offset, raw.descriptor_capacity, u32::from(raw.descriptor_size));
    let ordered = [
        (Section::Descriptors, raw.descriptor_offset, u64::from(raw.header_size)),
        (Section::Heap, raw.heap_offset, descriptors_end),
        (Section::Lanes, raw.lanes_offset, end(raw.heap_offset, raw.heap_size, 1)),
    ];
    for (section, found, limit) in ordered {
        if u64::from(found) < limit {
            return Err(Refusal::SectionOrder { section, found, limit });
        }
    }
    let found = end(raw.lanes_offset, raw.lane_capacity, raw.lane_stride);
    if found > u64::from(raw.file_size) {
        return Err(Refusal::SectionBounds { found, limit: raw.file_size });
    }
    let least = lane::PRESENCE + presence_size(raw.descriptor_capacity);
    let (found, limit) = (raw.cells_offset, raw.lane_stride);
    if found < least || found > limit {
        return Err(Refusal::LaneLayout { found, least, limit });
    }
    Ok(())
}
