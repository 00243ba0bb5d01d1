//! Tests of the whole: each module is one promise of the project, held
//! against real processes and real files.
//!
//! Every test has a directory of its own, and every process that one starts is ended
//! with it.
#![cfg(target_os = "linux")]

mod clock;
mod containers;
mod daemon;
mod death;
mod exec;
mod failures;
mod fork;
mod full;
mod large;
mod lifetimes;
mod pools;
mod prefork;
mod round_trip;
mod seccomp;
mod stale;
mod stranger;
mod sweep;
mod sys;
mod threads;
mod torn;
mod truncated;
mod wrap;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // as above
use mmstats_windows as backend;
