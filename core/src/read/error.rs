//! Why an image, a field or a value is refused: FORMAT.md section 10.
//!
//! One variant per rule, with the numbers that broke it. The methods `code` return the stable codes
//! of the document, which the fixtures use too.

use core::fmt;

use crate::layout::{
    MAJOR, MAX_CAPACITY, MAX_FIELDS, MAX_LANES, MAX_SLOT, MAX_SLOT_BITS, MINOR, descriptor as d,
    header as h, lane,
};
use crate::types::{DataType, Kind};

/// One of the sections after the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Section {
    /// The descriptor table.
    Descriptors,
    /// The heap.
    Heap,
    /// The lanes.
    Lanes,
}

impl Section {
    /// Name, and offset of the section's own offset in the header.
    const fn row(self) -> (&'static str, u32) {
        match self {
            Self::Descriptors => ("descriptors", h::DESCRIPTOR_OFFSET),
            Self::Heap => ("heap", h::HEAP_OFFSET),
            Self::Lanes => ("lanes", h::LANES_OFFSET),
        }
    }
}

/// Why a whole image is refused: the first broken rule, in the order of FORMAT.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // The fields: `found` in the image, what was `expected`, the `limit`.
pub enum Refusal {
    /// Fewer bytes than a header has.
    TooShort { found: u32 },
    /// The first 8 bytes are not those of an image.
    BadMagic { found: [u8; 8] },
    /// Another major version.
    UnsupportedMajor { found: u16 },
    /// The fixed part of the header is damaged.
    HeaderChecksum { found: u64, expected: u64 },
    /// The image needs a reader of a later minor version.
    UnsupportedMinor { found: u16 },
    /// The image requires features unknown to this reader; their bits.
    RequiredFeatures { found: u64 },
    /// The header's size is below 192, not a multiple of 64, or past the end.
    HeaderSize { found: u16, limit: u32 },
    /// The size of the image is larger than its source.
    FileSize { found: u32, limit: u32 },
    /// The distance between descriptors is below 64 or not a multiple of 8.
    DescriptorSize { found: u16 },
    /// A capacity, at this offset of the header, is above its limit, or there is no lane.
    Limit { offset: u32, found: u32, limit: u32 },
    /// A number at this offset of the header is not a multiple of `alignment`.
    Alignment { offset: u32, found: u32, alignment: u32 },
    /// A section starts before the end (`limit`) of the one before it.
    SectionOrder { section: Section, found: u32, limit: u64 },
    /// The last lane ends (`found`) past the image.
    SectionBounds { found: u64, limit: u32 },
    /// The cells start inside the presence bits (which end at `least`), or past the lane.
    LaneLayout { found: u32, least: u32, limit: u32 },
    /// The image is not complete yet.
    Building,
    /// The state is none of building, live and closed.
    BadState { found: u32 },
    /// More descriptors than the capacity.
    FieldCount { found: u32, limit: u32 },
    /// More of the heap in use than its size.
    HeapUsed { found: u32, limit: u32 },
    /// More lanes in use than the capacity.
    LanesUsed { found: u32, limit: u32 },
}

impl Refusal {
    /// Code, and offset of the broken rule in the image.
    const fn row(&self) -> (&'static str, u32) {
        match *self {
            Self::TooShort { found } => ("too-short", found),
            Self::BadMagic { .. } => ("bad-magic", h::MAGIC),
            Self::UnsupportedMajor { .. } => ("unsupported-major", h::MAJOR),
            Self::HeaderChecksum { .. } => ("header-checksum", h::CHECKSUM),
            Self::UnsupportedMinor { .. } => ("unsupported-minor", h::MIN_MINOR),
            Self::RequiredFeatures { .. } => ("required-features", h::REQUIRED_FEATURES),
            Self::HeaderSize { .. } => ("header-size", h::HEADER_SIZE),
            Self::FileSize { .. } => ("file-size", h::FILE_SIZE),
            Self::DescriptorSize { .. } => ("descriptor-size", h::DESCRIPTOR_SIZE),
            Self::Limit { offset, .. } => ("limit", offset),
            Self::Alignment { offset, .. } => ("alignment", offset),
            Self::SectionOrder { section, .. } => ("section-order", section.row().1),
            Self::SectionBounds { .. } => ("section-bounds", h::LANES_OFFSET),
            Self::LaneLayout { .. } => ("lane-layout", h::CELLS_OFFSET),
            Self::Building => ("building", h::STATE),
            Self::BadState { .. } => ("bad-state", h::STATE),
            Self::FieldCount { .. } => ("field-count", h::FIELD_COUNT),
            Self::HeapUsed { .. } => ("heap-used", h::HEAP_USED),
            Self::LanesUsed { .. } => ("lanes-used", h::LANES_USED),
        }
    }

    /// The stable code in FORMAT.md section 10.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().0
    }

    /// Where in the image the rule was broken, in bytes.
    #[must_use]
    pub const fn offset(&self) -> u32 {
        self.row().1
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { found } => {
                write!(f, "{found} bytes are fewer than a header's {}", h::SIZE)
            }
            Self::BadMagic { found } => {
                write!(f, "not an mmstats image: it starts with {found:02x?}")
            }
            Self::UnsupportedMajor { found } => {
                write!(f, "format version {found}.x, this reader knows {MAJOR}.x")
            }
            Self::HeaderChecksum { found, expected } => write!(
                f,
                "the header is damaged: its checksum is {found:#018x}, its bytes give {expected:#018x}"
            ),
            Self::UnsupportedMinor { found } => write!(
                f,
                "needs a reader of version {MAJOR}.{found}, this one knows {MAJOR}.{MINOR}"
            ),
            Self::RequiredFeatures { found } => {
                write!(f, "needs features that this reader does not know: bits {found:#x}")
            }
            Self::HeaderSize { found, limit } => {
                write!(f, "header size {found} is not a multiple of 64 from {} to {limit}", h::SIZE)
            }
            Self::FileSize { found, limit } => {
                write!(f, "the image has {found} bytes, of which {limit} exist")
            }
            Self::DescriptorSize { found } => {
                write!(f, "descriptor size {found} is not a multiple of 8 from {}", d::SIZE)
            }
            Self::Limit { offset, found, limit } => {
                let least = u32::from(offset == h::LANE_CAPACITY);
                write!(f, "capacity {found} at offset {offset} is not in {least} to {limit}")
            }
            Self::Alignment { offset, found, alignment } => {
                write!(f, "{found} at offset {offset} is not a multiple of {alignment}")
            }
            Self::SectionOrder { section, found, limit } => write!(
                f,
                "the {} start at {found}, before the end of the section before at {limit}",
                section.row().0
            ),
            Self::SectionBounds { found, limit } => {
                write!(f, "the lanes end at {found}, past the image's {limit} bytes")
            }
            Self::LaneLayout { found, least, limit } => {
                write!(f, "cells start at {found} in a lane, not in {least} to {limit}")
            }
            Self::Building => f.write_str("the image is not complete yet"),
            Self::BadState { found } => write!(f, "unknown state {found}"),
            Self::FieldCount { found, limit } => {
                write!(f, "{found} fields, but room for {limit}")
            }
            Self::HeapUsed { found, limit } => {
                write!(f, "{found} bytes of the heap in use, of {limit}")
            }
            Self::LanesUsed { found, limit } => write!(f, "{found} lanes in use, of {limit}"),
        }
    }
}

impl core::error::Error for Refusal {}

/// Fault in the attributes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributeFault {
    /// An item without `=`.
    NoEquals,
    /// A key of 0 or more than 63 bytes.
    KeyLength,
    /// A key with a byte that is none of `A-Z a-z 0-9 _ . -`.
    KeyByte,
    /// A repeated key.
    Repeated,
}

impl fmt::Display for AttributeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEquals => "an item without `=`",
            Self::KeyLength => "a key that is not 1 to 63 bytes long",
            Self::KeyByte => "a key with a byte outside A-Z a-z 0-9 _ . -",
            Self::Repeated => "a repeated key",
        })
    }
}

impl core::error::Error for AttributeFault {}

/// Why one field is damaged; the other fields of the image are still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // The fields: `offset` in the image, what was `found`, the `limit`.
pub enum FieldError {
    /// The state is neither live nor retired.
    State { offset: u32, found: u32 },
    /// A string (referred to at `offset`) is misaligned or outside `least..limit`.
    StringPlace { offset: u32, found: u32, least: u32, limit: u32 },
    /// A string's length is 0 or above the limit (of its use, or the rest of the heap).
    StringLength { offset: u32, found: u32, limit: u32 },
    /// The descriptor, a string of it or its constant is damaged.
    Checksum { offset: u32, found: u64, expected: u64 },
    /// A string is not UTF-8 from `offset` on.
    Utf8 { offset: u32 },
    /// The attributes are malformed at `offset`.
    Attributes { offset: u32, fault: AttributeFault },
    /// A count that the type does not allow.
    Count { offset: u32, found: u32, limit: u32 },
    /// Type, storage and flags that exclude each other.
    TypeStorage { offset: u32, ty: u8, storage: u8, flags: u16 },
    /// A type that the kind does not allow.
    KindType { offset: u32, kind: Kind, ty: DataType },
    /// A parameter or detail that the kind does not allow.
    KindParam { offset: u32, kind: Kind, param: u32 },
    /// A number of slots or size of a slot that the storage does not allow.
    Slots { offset: u32, slot_bits: u8, slot_size: u32 },
    /// The value (of `size` bytes) is misaligned in its slot, before `least`, or ends past it.
    Member { offset: u32, found: u32, size: u32, least: u32, limit: u32 },
    /// The cell or constant (of `size` bytes) is misaligned or outside `least..limit`.
    CellPlace { offset: u32, found: u32, size: u64, least: u32, limit: u32 },
    /// The cell starts before the end (`limit`) of the cell before it.
    CellOverlap { offset: u32, found: u32, limit: u32 },
}

impl FieldError {
    /// Code, and offset of the broken rule in the image.
    const fn row(&self) -> (&'static str, u32) {
        match *self {
            Self::State { offset, .. } => ("field-state", offset),
            Self::StringPlace { offset, .. } => ("string-place", offset),
            Self::StringLength { offset, .. } => ("string-length", offset),
            Self::Checksum { offset, .. } => ("field-checksum", offset),
            Self::Utf8 { offset } => ("utf8", offset),
            Self::Attributes { offset, .. } => ("attributes", offset),
            Self::Count { offset, .. } => ("count", offset),
            Self::TypeStorage { offset, .. } => ("type-storage", offset),
            Self::KindType { offset, .. } => ("kind-type", offset),
            Self::KindParam { offset, .. } => ("kind-param", offset),
            Self::Slots { offset, .. } => ("slots", offset),
            Self::Member { offset, .. } => ("member", offset),
            Self::CellPlace { offset, .. } => ("cell-place", offset),
            Self::CellOverlap { offset, .. } => ("cell-overlap", offset),
        }
    }

    /// The stable code in FORMAT.md section 10.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().0
    }

    /// Where in the image the rule was broken, in bytes.
    #[must_use]
    pub const fn offset(&self) -> u32 {
        self.row().1
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::State { found, .. } => write!(f, "unknown field state {found}"),
            Self::StringPlace { found, least, limit, .. } => write!(
                f,
                "a string at {found} is not at a multiple of 4 in the used heap, {least} to {limit}"
            ),
            Self::StringLength { found, limit, .. } => {
                write!(f, "a string of {found} bytes, not 1 to {limit}")
            }
            Self::Checksum { found, expected, .. } => write!(
                f,
                "the field is damaged: its checksum is {found:#018x}, its bytes give {expected:#018x}"
            ),
            Self::Utf8 { .. } => f.write_str("a string is not UTF-8"),
            Self::Attributes { fault, .. } => write!(f, "the attributes have {fault}"),
            Self::Count { found, limit, .. } => write!(f, "count {found} is not in 1 to {limit}"),
            Self::TypeStorage { ty, storage, flags, .. } => {
                write!(f, "type {ty}, storage {storage} and flags {flags:#x} exclude each other")
            }
            Self::KindType { kind, ty, .. } => {
                write!(
                    f,
                    "a {kind} does not allow type {ty} with this count, storage and ARRAY flag"
                )
            }
            Self::KindParam { kind, param, .. } => {
                write!(f, "a {kind} cannot have this parameter ({param:#x}) and detail")
            }
            Self::Slots { slot_bits, slot_size, .. } => write!(
                f,
                "2^{slot_bits} slots of {slot_size} bytes: the storage needs none, or up to \
                 2^{MAX_SLOT_BITS} of a multiple of 8 up to {MAX_SLOT}"
            ),
            Self::Member { found, size, least, limit, .. } => write!(
                f,
                "the value of {size} bytes at {found} in its slot is misaligned or not in {least} to {limit}"
            ),
            Self::CellPlace { found, size, least, limit, .. } => write!(
                f,
                "the value of {size} bytes at {found} is misaligned or not in {least} to {limit}"
            ),
            Self::CellOverlap { found, limit, .. } => {
                write!(
                    f,
                    "the cell at {found} starts before {limit}, the end of the cell before it"
                )
            }
        }
    }
}

impl core::error::Error for FieldError {}

/// Why one value is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // The fields: `offset` in the image, what was `found`, the `limit`.
pub enum ValueError {
    /// The lane's state is unknown.
    LaneState { offset: u32, found: u32 },
    /// A bool that is not 0 or 1, a small integer outside its type, or no state of the names.
    Range { offset: u32, found: u32, ty: DataType },
    /// A text or bytes value longer than its capacity.
    Length { offset: u32, found: u32, limit: u32 },
    /// A text that is not UTF-8 from `offset` on.
    Utf8 { offset: u32 },
    /// The elements of a journal do not add up to the total.
    Total { offset: u32, found: u64, expected: u64 },
}

impl ValueError {
    /// Code, and offset of the broken rule in the image.
    const fn row(&self) -> (&'static str, u32) {
        match *self {
            Self::LaneState { offset, .. } => ("lane-state", offset),
            Self::Range { offset, .. } => ("value-range", offset),
            Self::Length { offset, .. } => ("value-length", offset),
            Self::Utf8 { offset } => ("value-utf8", offset),
            Self::Total { offset, .. } => ("value-total", offset),
        }
    }

    /// The stable code in FORMAT.md section 10.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().0
    }

    /// Where in the image the rule was broken, in bytes.
    #[must_use]
    pub const fn offset(&self) -> u32 {
        self.row().1
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LaneState { found, .. } => write!(f, "unknown lane state {found}"),
            Self::Range { found, ty, .. } => write!(f, "{found:#x} is no {ty}"),
            Self::Length { found, limit, .. } => {
                write!(f, "{found} bytes in a value of at most {limit}")
            }
            Self::Utf8 { .. } => f.write_str("the text is not UTF-8"),
            Self::Total { found, expected, .. } => {
                write!(f, "the elements add up to {found}, not to {expected}")
            }
        }
    }
}

impl core::error::Error for ValueError {}

// The limits in the messages above are those of FORMAT.md section 9.
const _: () = assert!(MAX_FIELDS == 16_777_216 && MAX_LANES == 65_536);
const _: () = assert!(MAX_CAPACITY == 1_048_560 && lane::PRESENCE == 64);
