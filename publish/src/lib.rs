#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

// The derive macros name this crate `mmstats`, also within it.
#[cfg(feature = "derive")]
extern crate self as mmstats;

// Layers, from the lowest to the highest. A module names those of lower layers, or of its own
// folder, and there are no cycles.
//   error, lock, strings   no module of this crate
//   claim                  the claim on a lane, which handles keep alive
//   schema                 fields and their options, before there are files
//   handles                the types of fields
//   files                  parts, segments, values of an earlier run
//   thread                 a thread's lanes and handles
//   publisher              the publisher, its options, sampler and panics
//   sync                   locks for programs, which publish their state
mod claim;
mod error;
mod files;
mod handles;
mod lock;
mod publisher;
mod schema;
mod strings;
#[cfg(all(feature = "sync", target_pointer_width = "64", target_has_atomic = "64"))]
// As `SharedGauge`.
pub mod sync;
mod thread;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // the backend of the system
use mmstats_windows as backend;

pub use backend::Access;
pub use error::{Error, ErrorCode};
pub use files::settings::OnDrop;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use handles::SharedGauge;
pub use handles::activity::{Activity, Begun};
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use handles::activity::{SharedActivity, SharedBegun};
pub use handles::any::DynField;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use handles::dynamic::DynSharedActivity;
pub use handles::dynamic::{
    DynActivity, DynArray, DynBlob, DynEvents, DynGauge, DynGroup, DynState, DynText, DynWindow,
};
pub use handles::kinds::{Average, Events, Histogram, Latency, Rate, StateSet, Timestamp, Window};
pub use handles::shared::SharedField;
pub use handles::timer::{Running, Timed, Timer};
pub use handles::{Array, Blob, Counter, Flag, FloatCounter, Gauge, Group, Info, Text};
#[cfg(feature = "raw")] // As `Gauge::places`.
pub use mmstats_core::GaugePlaces;
pub use mmstats_core::read::Scalar;
pub use mmstats_core::{
    ActivityRow, Aggregation, Buckets, DataType, Kind, Level, MemberSpec, Record, Sample,
    ScalarType, State, TimerTotals, Words,
};
#[cfg(feature = "derive")]
pub use mmstats_derive::{Labels, Record, State, Stats};
pub use publisher::global::{Guard, global};
pub use publisher::options::{Options, init};
pub use publisher::{Publisher, Registry};
pub use schema::Schema;
pub use schema::declaration::{Field, SharedHandle};
pub use schema::key::{DynFamilyKey, FamilyByKey, FamilyKey, Key};
pub use schema::labels::{LabelBuffer, LabelValue, Labels};
pub use schema::member::GroupMember;
pub use schema::options::{
    FamilyOf, FieldOptions, HasBuckets, HasCap, HasCapacity, HasCount, HasEntries, HasMembers,
    HasRows, HasRunning, HasShape, HasStates, HasValue, HasWindows, Shape, Value,
};
pub use thread::Lane;
pub use thread::family::{DynFamily, Family, FamilyBy};
pub use thread::stats::Stats;

#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../tests/misuse.md")]
mod misuse {}

/// For recorders of metrics facades. Not for use by hand.
#[doc(hidden)]
pub mod recorder_support {
    pub use mmstats_core::floor_char_boundary;

    pub use crate::lock::{Inside, Locked, Mutex};
    pub use crate::publisher::epoch::{change_epoch, epoch};
    pub use crate::publisher::global::{Watch, is_live, record};
}

/// Names for the derive macros. Not for use by hand.
#[doc(hidden)]
pub mod derive_support {
    pub use mmstats_core::FieldSpec;

    pub use crate::thread::local::Local;
    pub use crate::thread::stats::{LabeledMember, Member};

    /// `prefix.label`, or only the one that is not empty.
    #[must_use]
    pub fn join(prefix: &str, label: &str) -> String {
        match (prefix.is_empty(), label.is_empty()) {
            (true, _) => label.to_owned(),
            (_, true) => prefix.to_owned(),
            _ => format!("{prefix}.{label}"),
        }
    }
}
