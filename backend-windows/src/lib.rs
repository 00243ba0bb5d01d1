#![doc = include_str!("../README.md")]

#[cfg(not(windows))] // other platforms have no backend
use mmstats_system::stub as system;
#[cfg(windows)] // the backend of this system
use windows as system;

#[cfg(windows)] // the backend of this system
mod windows;

mmstats_system::inventory!(system);
