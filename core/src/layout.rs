//! Offsets, sizes and limits of an image: FORMAT.md sections 3, 4 and 7.
//!
//! Each structure has its own module of offsets, in the order of the document;
//! a test in the `spec` crate compares them with its tables.

/// Bytes 0 to 7 of every image. The first one is not 1 or 2, and text-mode transfers change them.
pub const MAGIC: [u8; 8] = [0x89, b'M', b'M', b'S', b'\r', b'\n', 0x1A, b'\n'];
/// The major version of the format that this crate reads and writes.
pub const MAJOR: u16 = 3;
/// The minor version of the format that this crate reads and writes.
pub const MINOR: u16 = 0;
/// Alignment of an image in memory, and of its lanes, in bytes.
pub const CACHE_LINE: u32 = 64;
/// Maximum number of descriptors in an image.
pub const MAX_FIELDS: u32 = 1 << 24;
/// Maximum number of lanes in an image.
pub const MAX_LANES: u32 = 1 << 16;
/// Longest label, in bytes.
pub const MAX_LABEL: usize = 255;
/// Longest unit, in bytes.
pub const MAX_UNIT: usize = 63;
/// Longest help text, in bytes.
pub const MAX_HELP: usize = 4096;
/// Longest encoded attributes of one field, in bytes.
pub const MAX_ATTRIBUTES: usize = 4096;
/// Longest detail of one field, in bytes.
pub const MAX_DETAIL: usize = 4096;
/// Longest name of a state, in bytes.
pub const MAX_STATE: usize = 63;
/// Maximum number of states of a state set.
pub const MAX_STATES: usize = 1024;
/// Maximum number of windows of a rate.
pub const MAX_WINDOWS: usize = 8;
/// Longest key of an attribute, in bytes.
pub const MAX_KEY: usize = 63;
/// Largest slot of a latched cell, in bytes.
pub const MAX_SLOT: u32 = 1 << 20;
/// Largest capacity of a text or bytes field, in bytes.
pub const MAX_CAPACITY: u32 = MAX_SLOT - 16;
/// Maximum number of slots of a cell, as a power of 2.
pub const MAX_SLOT_BITS: u8 = 16;
/// Maximum number of elements of a journal.
pub const MAX_ELEMENTS: u32 = 1 << 16;
/// Size of an atomic cell, in bytes.
pub const ATOMIC_CELL: u32 = 8;
/// Distance from the start of a latched cell to its first slot, in bytes.
pub const CELL_HEAD: u32 = 8;
/// Maximum number of rows of a table.
pub const MAX_ROWS: u32 = 64;
/// Number of bits of the time in the word of sections in progress; the number is above them.
pub const RUNNING_BITS: u32 = 52;
/// Mask of the time in the word of sections in progress.
pub const RUNNING_TIME: u64 = (1 << RUNNING_BITS) - 1;
/// Size of an element of a journal, in bytes.
pub const ELEMENT: u32 = 8;
/// Alignment of strings in the heap, in bytes.
pub const STRING_ALIGN: u32 = 4;
/// Size of the length and the flags before the bytes of a text or bytes value, in bytes.
pub const TEXT_HEAD: u32 = 8;

/// A member of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Name in FORMAT.md.
    pub name: &'static str,
    /// Offset from the start of the structure, in bytes.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
}

const fn member(name: &'static str, offset: u32, size: u32) -> Member {
    Member { name, offset, size }
}

/// The header, FORMAT.md section 3.
pub mod header {
    use super::{Member, member};

    /// The magic number.
    pub const MAGIC: u32 = 0;
    /// u16, major version.
    pub const MAJOR: u32 = 8;
    /// u16, minor version.
    pub const MINOR: u32 = 10;
    /// u16, lowest minor version able to read the image.
    pub const MIN_MINOR: u32 = 12;
    /// u16, size of the header in bytes.
    pub const HEADER_SIZE: u32 = 14;
    /// u64, features that a reader must know.
    pub const REQUIRED_FEATURES: u32 = 16;
    /// u64, features that a reader may ignore.
    pub const OPTIONAL_FEATURES: u32 = 24;
    /// 16 bytes, identity of the publisher.
    pub const INSTANCE: u32 = 32;
    /// u32, number of this image within its instance.
    pub const PART: u32 = 48;
    /// u32, size of the image in bytes.
    pub const FILE_SIZE: u32 = 52;
    /// u32, offset of descriptor 0.
    pub const DESCRIPTOR_OFFSET: u32 = 56;
    /// u32, maximum number of descriptors.
    pub const DESCRIPTOR_CAPACITY: u32 = 60;
    /// u16, distance between descriptors in bytes.
    pub const DESCRIPTOR_SIZE: u32 = 64;
    /// u32, offset of the heap.
    pub const HEAP_OFFSET: u32 = 68;
    /// u32, size of the heap in bytes.
    pub const HEAP_SIZE: u32 = 72;
    /// u32, offset of lane 0.
    pub const LANES_OFFSET: u32 = 76;
    /// u32, distance between lanes in bytes.
    pub const LANE_STRIDE: u32 = 80;
    /// u32, number of lanes.
    pub const LANE_CAPACITY: u32 = 84;
    /// u32, offset of the first cell from the start of a lane.
    pub const CELLS_OFFSET: u32 = 88;
    /// u64, Fletcher-64 of all bytes before it.
    pub const CHECKSUM: u32 = 120;
    /// u32, state of the image; the changing part of the header starts here.
    pub const STATE: u32 = 128;
    /// u32, descriptors published.
    pub const FIELD_COUNT: u32 = 132;
    /// u32, bytes of the heap in use.
    pub const HEAP_USED: u32 = 136;
    /// u32, number of lanes ever claimed.
    pub const LANES_USED: u32 = 140;
    /// u32, number of fields that did not fit.
    pub const FIELDS_REFUSED: u32 = 144;
    /// u32, number of lanes whose values are in no image at present.
    pub const LANES_REFUSED: u32 = 148;
    /// u32, of part 0: number of images of the instance; 0 if the writer does not say.
    pub const PARTS: u32 = 152;
    /// u32, twice the number of times that the room of retired fields was used again; odd while
    /// that is done.
    pub const REUSES: u32 = 156;
    /// Size of the header of this version in bytes.
    pub const SIZE: u32 = 192;

    /// All members in the order of their offsets; the bytes between them are reserved.
    pub const MEMBERS: [Member; 28] = [
        member("magic", MAGIC, 8),
        member("major", MAJOR, 2),
        member("minor", MINOR, 2),
        member("min_minor", MIN_MINOR, 2),
        member("header_size", HEADER_SIZE, 2),
        member("required_features", REQUIRED_FEATURES, 8),
        member("optional_features", OPTIONAL_FEATURES, 8),
        member("instance", INSTANCE, 16),
        member("part", PART, 4),
        member("file_size", FILE_SIZE, 4),
        member("descriptor_offset", DESCRIPTOR_OFFSET, 4),
        member("descriptor_capacity", DESCRIPTOR_CAPACITY, 4),
        member("descriptor_size", DESCRIPTOR_SIZE, 2),
        member("heap_offset", HEAP_OFFSET, 4),
        member("heap_size", HEAP_SIZE, 4),
        member("lanes_offset", LANES_OFFSET, 4),
        member("lane_stride", LANE_STRIDE, 4),
        member("lane_capacity", LANE_CAPACITY, 4),
        member("cells_offset", CELLS_OFFSET, 4),
        member("checksum", CHECKSUM, 8),
        member("state", STATE, 4),
        member("field_count", FIELD_COUNT, 4),
        member("heap_used", HEAP_USED, 4),
        member("lanes_used", LANES_USED, 4),
        member("fields_refused", FIELDS_REFUSED, 4),
        member("lanes_refused", LANES_REFUSED, 4),
        member("parts", PARTS, 4),
        member("reuses", REUSES, 4),
    ];
}

/// A descriptor, FORMAT.md section 4; offsets from its own start.
pub mod descriptor {
    use super::{Member, member};

    /// u32, offset of a heap string.
    pub const LABEL: u32 = 0;
    /// u32, offset of a heap string or 0.
    pub const UNIT: u32 = 4;
    /// u32, offset of a heap string or 0.
    pub const HELP: u32 = 8;
    /// u32, offset of a heap string or 0.
    pub const ATTRIBUTES: u32 = 12;
    /// u8, data type.
    pub const TYPE: u32 = 16;
    /// u8, kind.
    pub const KIND: u32 = 17;
    /// u8, aggregation rule.
    pub const AGGREGATION: u32 = 18;
    /// u8, storage class.
    pub const STORAGE: u32 = 19;
    /// u32, number of elements, or capacity in bytes.
    pub const COUNT: u32 = 20;
    /// u32, offset of the constant in the image or of the cell in its lane.
    pub const PLACE: u32 = 24;
    /// u32, size of a slot in bytes.
    pub const SLOT_SIZE: u32 = 28;
    /// u32, offset of the value in a slot.
    pub const MEMBER: u32 = 32;
    /// u8, the number of slots as a power of 2.
    pub const SLOT_BITS: u32 = 36;
    /// u8, level.
    pub const LEVEL: u32 = 37;
    /// u16, flags.
    pub const FLAGS: u32 = 38;
    /// u32, parameter of the kind.
    pub const PARAM: u32 = 40;
    /// u32, offset of a heap string or 0; its meaning is given by the kind.
    pub const DETAIL: u32 = 44;
    /// End of the part that the checksum covers.
    pub const COVERED: u32 = 48;
    /// u32, state of the field.
    pub const STATE: u32 = 48;
    /// u64, checksum.
    pub const CHECKSUM: u32 = 56;
    /// Size of a descriptor of this version in bytes.
    pub const SIZE: u32 = 64;

    /// All members in the order of their offsets; the bytes between them are reserved.
    pub const MEMBERS: [Member; 19] = [
        member("label", LABEL, 4),
        member("unit", UNIT, 4),
        member("help", HELP, 4),
        member("attributes", ATTRIBUTES, 4),
        member("type", TYPE, 1),
        member("kind", KIND, 1),
        member("aggregation", AGGREGATION, 1),
        member("storage", STORAGE, 1),
        member("count", COUNT, 4),
        member("place", PLACE, 4),
        member("slot_size", SLOT_SIZE, 4),
        member("member", MEMBER, 4),
        member("slot_bits", SLOT_BITS, 1),
        member("level", LEVEL, 1),
        member("flags", FLAGS, 2),
        member("param", PARAM, 4),
        member("detail", DETAIL, 4),
        member("state", STATE, 4),
        member("checksum", CHECKSUM, 8),
    ];
}

/// A lane, FORMAT.md section 7; offsets from its own start.
pub mod lane {
    /// u32, state of the lane.
    pub const STATE: u32 = 0;
    /// u32, number of claims.
    pub const OWNERS: u32 = 4;
    /// u64, number of samples of the lane's owners that were not recorded.
    pub const SAMPLES_REFUSED: u32 = 8;
    /// u32 words, one bit per descriptor.
    pub const PRESENCE: u32 = 64;
}

/// A table, FORMAT.md section 6; offsets from the start of its cell.
pub mod table {
    /// Two u32 words, a bit for each row: the row is in use.
    pub const USED: u32 = 0;
    /// Two u32 words, a bit for each row: a thread of the program has claimed it.
    pub const CLAIMED: u32 = 8;
    /// u64, number of times that no row was free.
    pub const REFUSED: u32 = 16;
    /// u64, number of the use that began last.
    pub const BEGUN: u32 = 24;
    /// Row 0.
    pub const ROWS: u32 = 32;
    /// Offset of the time of the begin in a slot of a row: u64.
    pub const SINCE: u32 = 0;
    /// Offset of the number in a slot of a row: u64.
    pub const NUMBER: u32 = 8;
    /// Offset of the value in a slot of a row.
    pub const VALUE: u32 = 16;

    /// Size of a row of `slots` slots of `slot_size` bytes; saturates.
    #[must_use]
    pub const fn row_size(slots: u32, slot_size: u32) -> u32 {
        slots.saturating_mul(slot_size).saturating_add(super::CELL_HEAD)
    }
}

/// State of an image (`header::STATE`).
pub mod image_state {
    /// Not complete yet.
    pub const BUILDING: u32 = 1;
    /// In use, or its writer died.
    pub const LIVE: u32 = 2;
    /// Ended cleanly.
    pub const CLOSED: u32 = 3;
}

/// State of a field (`descriptor::STATE`).
pub mod field_state {
    /// In use.
    pub const LIVE: u32 = 1;
    /// Retired.
    pub const RETIRED: u32 = 2;
}

/// State of a lane (`lane::STATE`).
pub mod lane_state {
    /// Never claimed.
    pub const UNUSED: u32 = 0;
    /// A writer owns it.
    pub const OWNED: u32 = 1;
    /// Handed back.
    pub const FREE: u32 = 2;
}

/// Bits of `descriptor::FLAGS`.
pub mod flags {
    /// The value may be missing: see its presence bit.
    pub const OPTIONAL: u16 = 1;
    /// An array of scalars.
    pub const ARRAY: u16 = 2;
    /// A member of a group.
    pub const MEMBER: u16 = 4;
}

/// Flag before a text or bytes value: cut to fit.
pub const CUT: u32 = 1;

/// `n` rounded up to a multiple of `to`, a power of two; `None` past 32 bits.
#[must_use]
pub const fn round_up(n: u32, to: u32) -> Option<u32> {
    match n.checked_add(to - 1) {
        Some(sum) => Some(sum & !(to - 1)),
        None => None,
    }
}

/// Size of a heap string of `len` bytes, with its length and padding; 0 if it is empty.
#[must_use]
pub const fn string_size(len: usize) -> usize {
    if len == 0 { 0 } else { (2 + len).next_multiple_of(4) }
}

/// The low and the high word of a u64.
#[allow(clippy::cast_possible_truncation)] // The halves.
pub(crate) const fn halves(n: u64) -> [u32; 2] {
    [n as u32, (n >> 32) as u32]
}

/// Sets a u64 at `offset` in words of an image.
pub(crate) const fn set_word64(words: &mut [u32], offset: u32, value: u64) {
    let [low, high] = halves(value);
    words[offset as usize / 4] = low;
    words[offset as usize / 4 + 1] = high;
}

/// Sets bytes from `offset` on in words of an image that are 0.
pub(crate) const fn set_bytes(words: &mut [u32], offset: u32, bytes: &[u8]) {
    let mut i = 0;
    while i < bytes.len() {
        let at = offset as usize + i;
        words[at / 4] |= (bytes[i] as u32) << (at % 4 * 8);
        i += 1;
    }
}

/// Whether a key of attributes may have this byte.
#[inline]
pub(crate) const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Whether `digits` are a window of a rate: 1 to 6 digits, not all 0.
pub(crate) fn is_window(digits: &[u8]) -> bool {
    (1..=6).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().any(|digit| *digit != b'0')
}

/// Size of the presence bits of `capacity` descriptors, in bytes: whole words of 8 bytes.
#[must_use]
pub const fn presence_size(capacity: u32) -> u32 {
    capacity.div_ceil(64) * 8
}

// The sizes follow from the last field of each structure.
const _: () = assert!(header::CHECKSUM + 8 == header::STATE);
const _: () = assert!(header::REUSES + 4 <= header::SIZE);
const _: () = assert!(header::SIZE.is_multiple_of(CACHE_LINE));
const _: () = assert!(descriptor::CHECKSUM + 8 == descriptor::SIZE);
const _: () = assert!(descriptor::DETAIL + 4 == descriptor::COVERED);
const _: () = assert!(lane::PRESENCE == CACHE_LINE);
const _: () = assert!(table::CLAIMED - table::USED == MAX_ROWS / 8);
