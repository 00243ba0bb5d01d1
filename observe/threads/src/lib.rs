#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Layers, from the lowest to the highest: a module uses those above it here.
//   role, system         roles of fields; data of the system
//   published            published data of a program
//   snapshot, locks      published data at one moment; locks and waits
//   finding              one finding
//   report               report about threads
//   join, deadlock       published data joined with the system's; cycles of waiting threads
//   findings             findings of a report
//   document             reports as JSON
//   recorded             reports of recordings
//   watcher              successive looks at programs
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
