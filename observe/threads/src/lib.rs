#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Layers, from the lowest to the highest: a module names those above it here.
//   role, system         what fields mean, what the system knows
//   published            what a program publishes
//   snapshot, locks      the same at one moment; locks and waits
//   finding              something unusual
//   report               what threads do
//   join, deadlock       both joined; who waits for whom
//   findings             what is unusual
//   document             a report as JSON
//   recorded             a report of a recording
//   watcher              looks, one after the other
mod deadlock;
mod document;
mod finding;
mod findings;
mod join;
mod locks;
mod published;
mod recorded;
mod report;
mod role;
mod snapshot;
mod system;
mod watcher;

pub use document::ReportDocument;
pub use finding::{Finding, Holder, Step, Waiter};
pub use locks::{Lock, Wait};
pub use published::Activity;
pub use report::{InProgress, Publishes, Report, Thread};
pub use snapshot::Snapshot;
pub use system::{Process, State, SystemThread};
pub use watcher::Watcher;
