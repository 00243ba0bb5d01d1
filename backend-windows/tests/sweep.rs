//! Sweeping: the tests that all backends share, compiled for this one.
#![allow(missing_docs)]
#![cfg(windows)] // elsewhere there is nothing to test

use mmstats_windows as backend;

#[path = "../../tests/backend/sweep.rs"]
mod shared;
