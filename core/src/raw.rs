//! Header and descriptor as plain values, loaded from and stored to an image.
//!
//! Nothing is checked here: that is the reader's task (`read`). Loading and storing
//! are tested on the same bytes.

use crate::checksum::Fletcher64;
use crate::layout::{CELL_HEAD, descriptor as d, header as h};
use crate::properties::Properties;
use crate::region::{Region, Source};
use crate::types::Storage;

fn halves(word: u32) -> (u16, u16) {
    let [a, b, c, e] = word.to_le_bytes();
    (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, e]))
}

const fn join(low: u16, high: u16) -> u32 {
    low as u32 | (high as u32) << 16
}

/// Sets bytes of words that are 0.
const fn set_bytes(words: &mut [u32], offset: u32, bytes: &[u8]) {
    let mut i = 0;
    while i < bytes.len() {
        let at = offset as usize + i;
        words[at / 4] |= (bytes[i] as u32) << (at % 4 * 8);
        i += 1;
    }
}

#[allow(clippy::cast_possible_truncation)] // The halves of a word.
const fn set64(words: &mut [u32], offset: u32, value: u64) {
    words[offset as usize / 4] = value as u32;
    words[offset as usize / 4 + 1] = (value >> 32) as u32;
}

fn store_words<M>(region: &Region<M>, offset: u32, words: &[u32]) {
    (offset..).step_by(4).zip(words).for_each(|(at, word)| region.store32(at, *word));
}

fn load64<S: Source + ?Sized>(source: &S, offset: u32) -> u64 {
    u64::from(source.load32(offset)) | u64::from(source.load32(offset.saturating_add(4))) << 32
}

#[allow(clippy::cast_possible_truncation)] // The halves of a word.
fn store64<M>(region: &Region<M>, offset: u32, value: u64) {
    region.store32(offset, value as u32);
    region.store32(offset + 4, (value >> 32) as u32);
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
        let (major, minor) = halves(source.load32(h::MAJOR));
        let (min_minor, header_size) = halves(source.load32(h::MIN_MINOR));
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
            descriptor_size: halves(source.load32(h::DESCRIPTOR_SIZE)).0,
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
        set64(&mut words, h::REQUIRED_FEATURES, self.required_features);
        set64(&mut words, h::OPTIONAL_FEATURES, self.optional_features);
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

    /// Stores the fixed part and its checksum; `self.checksum` is not used.
    pub(crate) fn store<M>(&self, region: &Region<M>) {
        store_words(region, 0, &self.words());
        store64(region, h::CHECKSUM, Self::checksum_of(region));
    }

    /// The checksum that the header in `source` should have.
    pub fn checksum_of<S: Source + ?Sized>(source: &S) -> u64 {
        let mut sum = Fletcher64::new();
        sum.range(source, 0, h::CHECKSUM);
        sum.finish()
    }
}

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
        Self::of_words(|at: u32| {
            let at = at as usize;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        })
    }

    /// The descriptor whose word at `at` is `u32_at(at)`.
    #[inline(always)]
    pub(crate) fn of_words(u32_at: impl Fn(u32) -> u32) -> Self {
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

    /// Number of slots; 0 where the descriptor says that there are none, or too many.
    #[inline(always)]
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.properties.slots()
    }

    /// Bytes of the cell of a latched field or a journal; no overflow, the result stops at
    /// `u32::MAX`.
    #[inline(always)]
    pub(crate) const fn cell_size(&self) -> u32 {
        let slots = self.slots().saturating_mul(self.slot_size).saturating_add(CELL_HEAD);
        if self.storage == Storage::Journal.code() {
            slots.saturating_add(self.properties.count().saturating_mul(8))
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
        set64(&mut words, d::CHECKSUM, self.checksum);
        words
    }

    /// Stores everything but the checksum at `offset`.
    pub(crate) fn store<M>(&self, region: &Region<M>, offset: u32) {
        let [words @ .., _, _] = self.words();
        store_words(region, offset, &words);
    }

    /// Stores the checksum.
    pub(crate) fn store_checksum<M>(region: &Region<M>, offset: u32, checksum: u64) {
        store64(region, offset + d::CHECKSUM, checksum);
    }
}
