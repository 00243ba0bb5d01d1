#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod amount;
mod carry;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
mod common;
mod error;
mod family;
mod fields;
mod item;
mod kinds;
mod lane;
mod local;
mod names;
mod options;
mod parts;
mod pieces;
mod publisher;
mod registry;
mod sampler;
mod schema;
mod segment;
mod series;
mod state;
mod system;
mod timer;

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use common::{CommonKeep, SharedGauge};
pub use error::Error;
pub use family::FamilyKey;
pub use fields::{Array, Blob, Counter, Field, Flag, Gauge, Group, Info, Text, Value};
pub use kinds::{Average, Events, Histogram, Latency, Rate, StateSet, Timestamp, Window};
pub use lane::{Claim, Keep, Lane};
pub use local::Local;
pub use mmstats_core::{
    Aggregation, Buckets, DataType, Kind, Level, MemberSpec, Record, Sample, ScalarType, State,
    TimerTotals,
};
#[cfg(feature = "derive")]
pub use mmstats_derive::{Record, State, Stats};
pub use mmstats_unix::Access;
pub use options::{OnDrop, Options};
pub use publisher::{Publisher, Registry, Stats};
pub use schema::{FieldOptions, Key, Schema};
pub use series::Family;
pub use timer::{Running, Timed, Timer};

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
