//! Finds files, and follows them.

mod observer;
mod sources;

pub use observer::{Changes, Observer};
pub use sources::Sources;
