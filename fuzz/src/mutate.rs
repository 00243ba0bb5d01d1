//! Edits of images that know the layout, and correct checksums.

use mmstats_core::checksum::Fletcher64;
use mmstats_core::layout::{self, descriptor as d, header as h};
use mmstats_core::{RawDescriptor, RawHeader, Storage};

/// Splits an input into the image, by the size in its header, and the bytes behind it.
#[must_use]
pub fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let size = data.get(h::FILE_SIZE as usize..).and_then(|rest| rest.first_chunk::<4>());
    let size = size.map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
    let size = if data.starts_with(&layout::MAGIC) { size } else { data.len() };
    data.split_at(size.clamp(data.len().min(256), data.len()))
}

/// Corrects all checksums, so that the later checks are reached.
pub fn seal(bytes: &mut [u8]) {
    if bytes.len() < h::SIZE as usize {
        return;
    }
    let sum = RawHeader::checksum_of(&*bytes);
    put64(bytes, h::CHECKSUM as usize, sum);
    let header = RawHeader::load(&*bytes);
    let count = u32_at(bytes, h::FIELD_COUNT as usize).min(header.descriptor_capacity);
    for index in 0..u64::from(count) {
        let at = u64::from(header.descriptor_offset) + index * u64::from(header.descriptor_size);
        let Ok(at) = usize::try_from(at) else { return };
        if header.descriptor_size < 64 || at % 8 != 0 || at + 64 > bytes.len() {
            return;
        }
        if let Some(sum) = descriptor_sum(bytes, at) {
            put64(bytes, at + d::CHECKSUM as usize, sum);
        }
    }
}

/// The checksum of a descriptor: FORMAT.md section 8. None if a part that it covers is missing.
fn descriptor_sum(bytes: &[u8], at: usize) -> Option<u64> {
    let raw = RawDescriptor::from_bytes(bytes.get(at..)?.first_chunk()?);
    let mut sum = Fletcher64::new();
    let mut add = |from: u32, size: u32| {
        let end = from.checked_add(size)?;
        (end as usize <= bytes.len() && from.is_multiple_of(4))
            .then(|| sum.range(bytes, from, size))
    };
    add(u32::try_from(at).ok()?, d::COVERED)?;
    for string in [raw.label, raw.unit, raw.help, raw.attributes, raw.detail] {
        if string != 0 {
            let length = bytes.get(string as usize..)?.first_chunk::<2>()?;
            let length = u32::from(u16::from_le_bytes(*length));
            add(string, (2 + length).next_multiple_of(4))?;
        }
    }
    if Storage::from_code(raw.storage) == Some(Storage::Constant)
        && let Some(ty) = raw.properties.ty()
    {
        let size = if ty.is_scalar() {
            ty.size().checked_mul(raw.properties.count())?
        } else {
            let length = bytes.get(raw.place as usize..)?.first_chunk::<4>()?;
            u32::from_le_bytes(*length).min(raw.properties.count()).checked_add(8)?
        };
        add(raw.place, size.checked_next_multiple_of(8)?)?;
    }
    Some(sum.finish())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

fn put64(bytes: &mut [u8], at: usize, n: u64) {
    if let Some(to) = bytes.get_mut(at..at + 8) {
        to.copy_from_slice(&n.to_le_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, n: u64, size: usize) {
    if let Some(to) = bytes.get_mut(at..at.saturating_add(size)) {
        to.copy_from_slice(&n.to_le_bytes()[..size]);
    }
}

/// A simple random number generator.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts with a seed.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 8).unwrap_or(0) % limit.max(1)
    }
}

/// Numbers of the header, with their sizes.
const HEADER: [(u32, usize); 25] = [
    (h::MAJOR, 2),
    (h::MINOR, 2),
    (h::MIN_MINOR, 2),
    (h::HEADER_SIZE, 2),
    (h::REQUIRED_FEATURES, 8),
    (h::OPTIONAL_FEATURES, 8),
    (h::PART, 4),
    (h::FILE_SIZE, 4),
    (h::DESCRIPTOR_OFFSET, 4),
    (h::DESCRIPTOR_CAPACITY, 4),
    (h::DESCRIPTOR_SIZE, 2),
    (h::HEAP_OFFSET, 4),
    (h::HEAP_SIZE, 4),
    (h::LANES_OFFSET, 4),
    (h::LANE_STRIDE, 4),
    (h::LANE_CAPACITY, 4),
    (h::CELLS_OFFSET, 4),
    (h::STATE, 4),
    (h::FIELD_COUNT, 4),
    (h::HEAP_USED, 4),
    (h::LANES_USED, 4),
    (h::FIELDS_REFUSED, 4),
    (h::LANES_REFUSED, 4),
    (h::PARTS, 4),
    (h::REUSES, 4),
];

/// Numbers of a descriptor, with their sizes.
const DESCRIPTOR: [(u32, usize); 18] = [
    (d::LABEL, 4),
    (d::UNIT, 4),
    (d::HELP, 4),
    (d::ATTRIBUTES, 4),
    (d::TYPE, 1),
    (d::KIND, 1),
    (d::AGGREGATION, 1),
    (d::STORAGE, 1),
    (d::COUNT, 4),
    (d::PLACE, 4),
    (d::SLOT_SIZE, 4),
    (d::MEMBER, 4),
    (d::SLOT_BITS, 1),
    (d::LEVEL, 1),
    (d::FLAGS, 2),
    (d::PARAM, 4),
    (d::DETAIL, 4),
    (d::STATE, 4),
];

/// A few edits after which an image is still valid, or is refused by a late check.
///
/// `plain` is the fuzzer's own edit: it takes the bytes and the number in use, and returns the new
/// number, as this function does.
pub fn edit(
    data: &mut [u8],
    size: usize,
    seed: u32,
    plain: impl Fn(&mut [u8], usize) -> usize,
) -> usize {
    let mut dice = Dice::new(seed);
    let is_image = data[..size].starts_with(&layout::MAGIC) && size >= h::SIZE as usize;
    if !is_image || dice.below(3) == 0 {
        return plain(data, size);
    }
    for _ in 0..=dice.below(4) {
        edit_once(&mut data[..size], &mut dice);
    }
    size
}

fn edit_once(bytes: &mut [u8], dice: &mut Dice) {
    let header = RawHeader::load(&*bytes);
    let value = interesting(bytes, &header, dice);
    let fields = u32_at(bytes, h::FIELD_COUNT as usize).clamp(1, 64) as usize;
    let step = usize::from(header.descriptor_size).clamp(64, 256);
    let descriptor = (header.descriptor_offset as usize)
        .saturating_add(step * dice.below(fields))
        .min(bytes.len().saturating_sub(64));
    match dice.below(12) {
        0 => {
            let (at, size) = HEADER[dice.below(HEADER.len())];
            put(bytes, at as usize, value, size);
        }
        1..=4 => {
            let (at, size) = DESCRIPTOR[dice.below(DESCRIPTOR.len())];
            put(bytes, descriptor + at as usize, value, size);
        }
        // A valid code.
        5 => {
            let at = d::TYPE as usize + dice.below(4);
            put(bytes, descriptor + at, dice.below(15) as u64, 1);
        }
        // Part of another descriptor, or all of it.
        6 => {
            let other = (header.descriptor_offset as usize)
                .saturating_add(step * dice.below(fields))
                .min(bytes.len() - 64);
            let (from, to) = (dice.below(16) * 4, 64);
            bytes.copy_within(other + from..other + to, descriptor + from);
        }
        // One more field: zeros, or a copy of the last one.
        7 => {
            let count = u32_at(bytes, h::FIELD_COUNT as usize);
            put(bytes, h::FIELD_COUNT as usize, u64::from(count.wrapping_add(1)), 4);
            let last = (header.descriptor_offset as usize)
                .saturating_add(step.saturating_mul(count as usize));
            if dice.below(2) == 0 && last.saturating_add(64) <= bytes.len() {
                bytes.copy_within(descriptor..descriptor + 64, last);
            }
        }
        // A word of a string, or of a constant.
        8 => in_section(bytes, header.heap_offset, value, dice),
        // A word of a lane.
        9 | 10 => in_section(bytes, header.lanes_offset, value, dice),
        _ => {
            let at = dice.below(bytes.len() / 4) * 4;
            put(bytes, at, value, 4);
        }
    }
}

fn in_section(bytes: &mut [u8], start: u32, value: u64, dice: &mut Dice) {
    let room = bytes.len().saturating_sub(start as usize);
    let at = (start as usize).saturating_add(dice.below(room.div_ceil(4)) * 4);
    let size = [1, 2, 4, 8][dice.below(4)];
    put(bytes, at, value, size);
}

/// Numbers at limits of the format.
fn interesting(bytes: &[u8], header: &RawHeader, dice: &mut Dice) -> u64 {
    let value = match dice.below(5) {
        0 => dice.below(20) as u64,
        1 => 1_u64 << dice.below(64),
        2 => {
            let places = [
                header.file_size,
                header.descriptor_offset,
                header.heap_offset,
                header.heap_offset.wrapping_add(u32_at(bytes, h::HEAP_USED as usize)),
                header.heap_size,
                header.lanes_offset,
                header.lane_stride,
                header.cells_offset,
                header.descriptor_capacity,
                header.lane_capacity,
            ];
            u64::from(places[dice.below(places.len())])
        }
        3 => {
            let limits = [
                u64::from(u32::MAX),
                u64::from(layout::MAX_FIELDS),
                u64::from(layout::MAX_LANES),
                u64::from(layout::MAX_SLOT),
                u64::from(layout::MAX_CAPACITY),
                u64::from(layout::MAX_ELEMENTS),
                255,
                63,
                4096,
                u64::MAX,
                f64::NAN.to_bits(),
                f64::INFINITY.to_bits(),
            ];
            limits[dice.below(limits.len())]
        }
        _ => dice.next(),
    };
    match dice.below(8) {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => value.wrapping_add(8),
        3 => value.wrapping_sub(8),
        4 => value.wrapping_neg(),
        _ => value,
    }
}
