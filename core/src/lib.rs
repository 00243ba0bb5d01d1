#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod checksum;
pub mod format1;
mod handle;
pub mod layout;
pub mod protocol;
pub mod raw;
pub mod read;
mod region;
mod types;
mod write;

pub use handle::{
    Array, Blob, Counter, Flag, Gauge, Group, MemberSpec, Record, ScalarType, Text, Timer,
    TimerTotals,
};
#[cfg(target_pointer_width = "64")]
pub use region::Atom64;
pub use region::{
    Atom32, Kept, Latch, Memory, Region, RegionError, Source, StaticBytes, StaticMemory, Word,
};
pub use types::{Aggregation, DataType, Kind, Level, Storage};
pub use write::{
    AttachError, Constant, FieldId, FieldSpec, Geometry, Lane, Presence, Recent, Schema, SpecError,
    WriteError, Writer,
};
