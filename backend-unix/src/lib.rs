#![doc = include_str!("../README.md")]

#[cfg(not(unix))] // other platforms have no backend
use mmstats_system::stub as system;
#[cfg(unix)] // as above
use unix as system;

#[cfg(unix)] // as above
mod unix;

mmstats_system::inventory!(system);
