//! Code that the tests of the whole share with the programs that they start.
//!
//! The tests are in `tests/it`; `mmstats-actor` is the program that publishes, forks,
//! hangs, fills disks and gets killed in them.
#![deny(unsafe_code)]

pub mod actor;
#[cfg(unix)]
pub mod control;
pub mod everything;
pub mod further;
pub mod look;
pub mod payload;
pub mod specimen;
pub mod storage;
#[cfg(unix)]
pub mod system;
#[cfg(unix)]
pub mod word;

/// The examples of the README at the root, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct ReadmeExamples;
