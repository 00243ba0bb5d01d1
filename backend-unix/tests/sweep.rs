//! Sweeping: the shared tests, compiled for this backend.
#![allow(missing_docs)]
#![cfg(unix)] // the backend of these systems

use mmstats_unix as backend;

#[path = "../../tests/backend/sweep.rs"]
mod shared;
