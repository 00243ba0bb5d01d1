//! Finds files, and follows them.

mod bounded;
mod elsewhere;
mod ledgers;
mod namespaces;
mod observer;
mod previous;
mod shares;
mod sources;

pub use observer::{Changes, Observer};
pub use sources::Sources;
