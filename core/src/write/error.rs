//! Reason why an image cannot be created or extended.

use core::fmt;

use super::spec::SpecError;
use crate::region::RegionError;

/// Reason why an image cannot be created or extended.
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
        /// Bytes available.
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
    /// The image is live, so readers may be reading it.
    Live,
    /// The room of a field is in use: the field is not retired, or a lane has a value of it.
    NotFree {
        /// Number of the field.
        index: u32,
    },
    /// Fields do not fit into the room of retired ones.
    Room {
        /// Number of the first retired field.
        index: u32,
    },
    /// There is no field with this number.
    NoSuchField {
        /// The number.
        index: u32,
    },
}

impl WriteError {
    /// Whether the image is full: a larger or another one may have room for the field or the lane.
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
            Self::Live => f.write_str("the image is live"),
            Self::NotFree { index } => write!(f, "the room of field {index} is in use"),
            Self::Room { index } => write!(f, "the room of field {index} is too small"),
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
