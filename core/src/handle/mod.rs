//! Handles: what a program updates.
//!
//! A handle belongs to one field in one lane. An update is a bounded handful of loads
//! and stores: no lock, no system call, no allocation, no read-modify-write. Handles
//! (but for `SharedGauge`, of a lane that is no thread's, whose `add` is the one
//! read-modify-write) are neither `Send` nor `Sync`, because a lane has one writer; a clone writes to the
//! same lane and stays on the same thread.

mod array;
mod average;
mod counter;
mod events;
mod gauge;
mod group;
mod histogram;
mod rate;
mod scalar;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
mod shared;
mod state;
mod text;
mod timer;

pub use array::Array;
pub use average::{Average, Window};
pub use counter::Counter;
pub use events::Events;
pub use gauge::{Flag, Gauge};
pub use group::{Group, MemberSpec, Record};
pub use histogram::{Histogram, Sample};
pub use rate::Rate;
pub use scalar::ScalarType;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use shared::SharedGauge;
pub use state::{State, StateSet};
pub use text::{Blob, Text};
pub use timer::{Timer, TimerTotals};

#[cfg(test)]
mod attach_tests;
#[cfg(test)]
mod tests;
