//! Choosing a directory: the shared tests, compiled for this backend.
#![allow(missing_docs)]
#![cfg(windows)] // the backend of these systems

use mmstats_windows as backend;

#[path = "../../tests/backend/directory.rs"]
mod shared;
