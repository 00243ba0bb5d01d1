#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))] // The tests print.
extern crate std;

mod buckets;
pub mod checksum;
mod descriptor;
pub mod format1;
mod handle;
mod header;
pub mod layout;
pub mod merge;
mod properties;
pub mod protocol;
pub mod read;
mod region;
mod types;
mod utf8;
mod write;

pub use buckets::Buckets;
pub use descriptor::RawDescriptor;
#[cfg(feature = "raw")] // See `Atom32::place`.
pub use handle::GaugePlaces;
pub use handle::{
    Activity, ActivityRow, Array, Average, Begun, Blob, Counter, DynActivity, DynArray, DynBlob,
    DynEvents, DynGroup, DynState, DynText, Events, Flag, FloatCounter, Gauge, Group, Histogram,
    InProgress, MemberSpec, Rate, Record, Sample, ScalarType, State, StateSet, Text, Timer,
    TimerTotals, Window, Words,
};
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use handle::{DynSharedActivity, SharedActivity, SharedBegun, SharedGauge, StoringGauge};
pub use header::RawHeader;
pub use properties::Properties;
#[cfg(target_pointer_width = "64")]
pub use region::Atom64;
pub use region::{
    Atom32, Guarded, Journal, Latch, Memory, NoMemory, ReadMemory, Region, RegionError, Source,
    StaticBytes, StaticMemory, Still, Table, View, Word,
};
pub use types::{Aggregation, DataType, Kind, Level, Storage};
pub use utf8::floor_char_boundary;
#[cfg(feature = "alloc")]
pub use write::Mirror;
pub use write::{
    AttachError, Constant, FieldId, FieldSpec, Geometry, Lane, Presence, RecentTexts, Schema,
    SpecError, Template, Tenants, WriteError, Writer,
};
