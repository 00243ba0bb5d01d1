//! Recordings of real programs: `show --at`, `poll`, `diff`, conversions.

#[path = "../common/mod.rs"]
mod common;
mod convert;
mod diff;
mod poll;
mod recorded;
mod refusals;
mod show;
