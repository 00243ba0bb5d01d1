#![doc = include_str!("../README.md")]

#[cfg(not(unix))] // other platforms have no backend
use mmstats_system::stub as system;
#[cfg(unix)] // the backend of these systems
use unix as system;

#[cfg(unix)] // the backend of these systems
mod unix;

mmstats_system::inventory!(system);
