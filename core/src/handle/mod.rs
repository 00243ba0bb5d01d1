//! Handles: what a program updates.
//!
//! A handle belongs to one field in one lane. An update is a bounded handful of loads
//! and stores: no lock, no system call, no allocation, no read-modify-write. Handles
//! are neither `Send` nor `Sync`, because a lane has one writer; a clone writes to the
//! same lane and stays on the same thread.

mod array;
mod counter;
mod gauge;
mod group;
mod scalar;
mod text;
mod timer;

pub use array::Array;
pub use counter::Counter;
pub use gauge::{Flag, Gauge};
pub use group::{Group, MemberSpec, Record};
pub use scalar::ScalarType;
pub use text::{Blob, Text};
pub use timer::{Timer, TimerTotals};

#[cfg(test)]
mod tests;
