//! The locks of `mmstats::sync`: as those of `std` inside, and seen by an observer from another process.
#![allow(missing_docs, unsafe_code)]
#![cfg(all(feature = "sync", target_pointer_width = "64", target_has_atomic = "64"))]

mod child;
mod deadlock;
mod epochs;
mod observed;
mod semantics;
mod stuck;
