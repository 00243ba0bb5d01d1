//! Tests of the whole: each module is one promise of the project, held
//! against real processes and real files.
//!
//! Every test has a directory of its own, and every process that one starts is ended
//! with it.
//!
//! They are for Linux, and those below that need nothing of it run on Windows too. What the others
//! say there, tests beside the code do: of the directory, sweeping, truncated files, names that are
//! planted and rights those of the backend and of observing; forks, daemons, `exec`, namespaces,
//! signals, seccomp and full file systems in a mount are nothing that Windows has; a clock that is
//! set and ten thousand files go by ways of Linux.
#![cfg(any(target_os = "linux", windows))]

#[cfg(target_os = "linux")] // as above
mod clock;
#[cfg(target_os = "linux")] // as above
mod containers;
#[cfg(target_os = "linux")] // as above
mod daemon;
mod death;
#[cfg(target_os = "linux")] // as above
mod exec;
mod failures;
#[cfg(target_os = "linux")] // as above
mod fork;
#[cfg(target_os = "linux")] // as above
mod full;
#[cfg(target_os = "linux")] // as above
mod large;
mod lifetimes;
mod pools;
#[cfg(target_os = "linux")] // as above
mod prefork;
mod round_trip;
#[cfg(target_os = "linux")] // as above
mod seccomp;
#[cfg(target_os = "linux")] // as above
mod stale;
#[cfg(target_os = "linux")] // as above
mod stranger;
#[cfg(target_os = "linux")] // as above
mod sweep;
#[cfg(target_os = "linux")] // as above
mod sys;
mod threads;
mod torn;
#[cfg(target_os = "linux")] // as above
mod truncated;
mod wrap;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // as above
use mmstats_windows as backend;
