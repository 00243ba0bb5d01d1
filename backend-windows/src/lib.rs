#![doc = include_str!("../README.md")]

#[cfg(not(windows))] // other platforms have no backend
use mmstats_system::stub as system;
#[cfg(windows)] // as above
use windows as system;

#[cfg(windows)] // as above
mod windows;

mmstats_system::inventory!(system);
