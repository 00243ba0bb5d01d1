//! The work that is measured: programs that publish, loops that update, ways to observe. The table of
//! costs and the comparison with peers share it.
#![allow(missing_docs)] // Not published; items are named after what they hold or repeat.

#[cfg(not(windows))] // the backend of the system
pub use mmstats_unix as backend;
#[cfg(windows)] // the same
pub use mmstats_windows as backend;

pub mod facade;
pub mod loops;
pub mod programs;
pub mod reading;
