//! Making a file: the tests that all backends share, compiled for this one.
#![allow(missing_docs)]
#![cfg(unix)] // elsewhere there is nothing to test

use mmstats_unix as backend;

#[path = "../../tests/backend/create.rs"]
mod shared;
