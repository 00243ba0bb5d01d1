//! Tests of the whole: each module holds one promise of the project against real processes and real
//! files.
//!
//! Every test has a directory of its own, and the processes that it starts end with it.
//!
//! Modules without a condition run on Windows too. The others use what only Linux has: forks, daemons,
//! `exec`, namespaces, signals, seccomp, mounts, a clock that is set. For directories, sweeping,
//! truncated files, planted names and rights on Windows there are tests of the backend and of observe.
#![cfg(any(target_os = "linux", windows))]

#[cfg(target_os = "linux")] // see above
mod clock;
#[cfg(target_os = "linux")]
mod containers;
#[cfg(target_os = "linux")]
mod daemon;
mod death;
#[cfg(target_os = "linux")]
mod exec;
mod failures;
#[cfg(target_os = "linux")]
mod fork;
#[cfg(target_os = "linux")]
mod full;
#[cfg(target_os = "linux")]
mod large;
mod lifetimes;
mod pools;
#[cfg(target_os = "linux")]
mod prefork;
mod round_trip;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod stale;
#[cfg(target_os = "linux")]
mod stranger;
#[cfg(target_os = "linux")]
mod sweep;
#[cfg(target_os = "linux")]
mod sys;
mod threads;
mod torn;
#[cfg(target_os = "linux")]
mod truncated;
mod wrap;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // the same
use mmstats_windows as backend;
