#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Layers, from the lowest to the highest: a module names those above it here.
//   published, system   what a program publishes, what the system knows
//   snapshot            what a program publishes, to be joined later
//   locks, finding      who waits for whom; something unusual
//   report              both, joined
//   findings            what is unusual
//   watcher             looks, one after the other
mod finding;
mod findings;
mod locks;
mod published;
mod report;
mod snapshot;
mod system;
mod watcher;

pub use finding::{Finding, Step};
pub use locks::{Lock, Wait};
pub use published::Activity;
pub use report::{Publishes, Report, Thread};
pub use snapshot::Snapshot;
pub use system::{Process, State, SystemThread};
pub use watcher::Watcher;
