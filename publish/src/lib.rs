#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// What the macros name, for those used in this crate.
#[cfg(feature = "derive")]
extern crate self as mmstats;

mod amount;
mod carry;
mod common;
mod error;
mod family;
mod fields;
mod init;
mod item;
mod kinds;
mod lane;
mod local;
mod names;
mod options;
mod panics;
mod parts;
mod pieces;
#[cfg(all(feature = "process", target_os = "linux"))] // from /proc
mod process;
mod publisher;
mod registry;
mod sampler;
mod schema;
mod segment;
mod series;
mod state;
mod sync;
mod system;
mod timer;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // as above
use mmstats_windows as backend;

pub use backend::Access;
pub use common::CommonKeep;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use common::SharedGauge;
pub use error::Error;
pub use family::FamilyKey;
pub use fields::{Array, Blob, Counter, Field, Flag, Gauge, Group, Info, Text, Value};
pub use init::{Guard, global, init};
pub use kinds::{Average, Events, Histogram, Latency, Rate, StateSet, Timestamp, Window};
pub use lane::{Claim, Keep, Lane};
pub use local::Local;
pub use mmstats_core::{
    Aggregation, Buckets, DataType, Kind, Level, MemberSpec, Record, Sample, ScalarType, State,
    TimerTotals,
};
#[cfg(feature = "derive")]
pub use mmstats_derive::{Record, State, Stats};
pub use options::{OnDrop, Options};
pub use publisher::{Publisher, Registry, Stats};
pub use schema::{FieldOptions, Key, Schema};
pub use series::Family;
pub use timer::{Running, Timed, Timer};

/// For recorders of facades. Not for use by hand.
#[doc(hidden)]
pub mod recorder_support {
    pub use crate::sync::{Guard, Mutex};
}

/// What the derive macros name. Not for use by hand.
#[doc(hidden)]
pub mod derive_support {
    pub use mmstats_core::FieldSpec;

    pub use crate::series::AnyFamily;

    /// `prefix.label`, or the one that is not empty.
    #[must_use]
    pub fn join(prefix: &str, label: &str) -> String {
        match (prefix.is_empty(), label.is_empty()) {
            (true, _) => label.to_owned(),
            (_, true) => prefix.to_owned(),
            _ => format!("{prefix}.{label}"),
        }
    }
}
