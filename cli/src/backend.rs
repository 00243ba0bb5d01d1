//! The backend of the operating system.

#[cfg(not(windows))] // one backend for each system
pub(crate) use mmstats_unix::*;
#[cfg(windows)] // the same functions
pub(crate) use mmstats_windows::*;
