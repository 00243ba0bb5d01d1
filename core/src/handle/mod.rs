//! Handles: updates of fields.
//!
//! A handle belongs to one field in one lane. An update is a few loads and stores, without lock,
//! system call, allocation or read-modify-write. Handles and their clones stay on one thread, as a
//! lane has one writer. The exceptions are `SharedGauge` and `SharedActivity` in a lane shared by all
//! threads: adding, begin and end, and setting and clearing a presence bit are read-modify-writes.

mod activity;
mod array;
mod average;
mod counter;
mod events;
mod gauge;
mod group;
mod histogram;
mod rate;
mod refused;
mod running;
mod scalar;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
mod shared;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
mod shared_activity;
mod state;
mod text;
mod timer;
mod words;

pub use activity::{Activity, ActivityRow, Begun, DynActivity};
pub use array::{Array, DynArray};
pub use average::{Average, Window};
pub use counter::{Counter, FloatCounter};
pub use events::{DynEvents, Events};
#[cfg(feature = "raw")] // See `Atom32::place`.
pub use gauge::GaugePlaces;
pub use gauge::{Flag, Gauge};
pub use group::{DynGroup, Group, MemberSpec, Record};
pub use histogram::{Histogram, Sample};
pub use rate::Rate;
pub use running::InProgress;
pub use scalar::ScalarType;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use shared::{SharedGauge, StoringGauge};
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use shared_activity::{DynSharedActivity, SharedActivity, SharedBegun};
pub use state::{DynState, State, StateSet};
pub use text::{Blob, DynBlob, DynText, Text};
pub use timer::{Timer, TimerTotals};
pub use words::Words;

#[cfg(test)]
mod attach_tests;
#[cfg(test)]
mod dynamic_tests;
#[cfg(test)]
mod tests;
