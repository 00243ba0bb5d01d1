//! Header as a plain value, unchecked: FORMAT.md section 3.

use crate::checksum::Fletcher64;
use crate::layout::{header as h, set_bytes, set_word64};
use crate::region::Source;

fn split(word: u32) -> (u16, u16) {
    let [a, b, c, e] = word.to_le_bytes();
    (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, e]))
}

const fn join(low: u16, high: u16) -> u32 {
    low as u32 | (high as u32) << 16
}

fn load64<S: Source + ?Sized>(source: &S, offset: u32) -> u64 {
    u64::from(source.load32(offset)) | u64::from(source.load32(offset.saturating_add(4))) << 32
}

/// The fixed part of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // Named and documented in `layout::header`.
pub struct RawHeader {
    pub magic: [u8; 8],
    pub major: u16,
    pub minor: u16,
    pub min_minor: u16,
    pub header_size: u16,
    pub required_features: u64,
    pub optional_features: u64,
    pub instance: [u8; 16],
    pub part: u32,
    pub file_size: u32,
    pub descriptor_offset: u32,
    pub descriptor_capacity: u32,
    pub descriptor_size: u16,
    pub heap_offset: u32,
    pub heap_size: u32,
    pub lanes_offset: u32,
    pub lane_stride: u32,
    pub lane_capacity: u32,
    pub cells_offset: u32,
    pub checksum: u64,
}

impl RawHeader {
    /// Loads the fixed part from the start of `source`.
    pub fn load<S: Source + ?Sized>(source: &S) -> Self {
        let mut magic = [0; 8];
        source.copy(h::MAGIC, &mut magic);
        let mut instance = [0; 16];
        source.copy(h::INSTANCE, &mut instance);
        let (major, minor) = split(source.load32(h::MAJOR));
        let (min_minor, header_size) = split(source.load32(h::MIN_MINOR));
        Self {
            magic,
            major,
            minor,
            min_minor,
            header_size,
            required_features: load64(source, h::REQUIRED_FEATURES),
            optional_features: load64(source, h::OPTIONAL_FEATURES),
            instance,
            part: source.load32(h::PART),
            file_size: source.load32(h::FILE_SIZE),
            descriptor_offset: source.load32(h::DESCRIPTOR_OFFSET),
            descriptor_capacity: source.load32(h::DESCRIPTOR_CAPACITY),
            descriptor_size: split(source.load32(h::DESCRIPTOR_SIZE)).0,
            heap_offset: source.load32(h::HEAP_OFFSET),
            heap_size: source.load32(h::HEAP_SIZE),
            lanes_offset: source.load32(h::LANES_OFFSET),
            lane_stride: source.load32(h::LANE_STRIDE),
            lane_capacity: source.load32(h::LANE_CAPACITY),
            cells_offset: source.load32(h::CELLS_OFFSET),
            checksum: load64(source, h::CHECKSUM),
        }
    }

    /// The words of the fixed part, in their order, up to the checksum.
    pub(crate) const fn words(&self) -> [u32; h::CHECKSUM as usize / 4] {
        let mut words = [0; h::CHECKSUM as usize / 4];
        set_bytes(&mut words, h::MAGIC, &self.magic);
        words[h::MAJOR as usize / 4] = join(self.major, self.minor);
        words[h::MIN_MINOR as usize / 4] = join(self.min_minor, self.header_size);
        set_word64(&mut words, h::REQUIRED_FEATURES, self.required_features);
        set_word64(&mut words, h::OPTIONAL_FEATURES, self.optional_features);
        set_bytes(&mut words, h::INSTANCE, &self.instance);
        words[h::PART as usize / 4] = self.part;
        words[h::FILE_SIZE as usize / 4] = self.file_size;
        words[h::DESCRIPTOR_OFFSET as usize / 4] = self.descriptor_offset;
        words[h::DESCRIPTOR_CAPACITY as usize / 4] = self.descriptor_capacity;
        words[h::DESCRIPTOR_SIZE as usize / 4] = self.descriptor_size as u32;
        words[h::HEAP_OFFSET as usize / 4] = self.heap_offset;
        words[h::HEAP_SIZE as usize / 4] = self.heap_size;
        words[h::LANES_OFFSET as usize / 4] = self.lanes_offset;
        words[h::LANE_STRIDE as usize / 4] = self.lane_stride;
        words[h::LANE_CAPACITY as usize / 4] = self.lane_capacity;
        words[h::CELLS_OFFSET as usize / 4] = self.cells_offset;
        words
    }

    /// The checksum of the header in `source`, computed from its bytes.
    pub fn checksum_of<S: Source + ?Sized>(source: &S) -> u64 {
        let mut sum = Fletcher64::new();
        sum.range(source, 0, h::CHECKSUM);
        sum.finish()
    }
}
