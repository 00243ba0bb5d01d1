//! What every backend shares, and none has of its own: its words, its rules, and what it
//! answers on systems that it is not for.
//!
//! Nothing here touches the system. The backends `mmstats-unix` and `mmstats-windows` hand
//! these types and functions on under the same names, so a program that uses one of them has
//! no need of this module; who writes a backend has.

mod error;
pub mod name;
mod search;
pub mod stub;
mod sweep;
mod types;

pub use error::{Error, ErrorKind, FileType, NameError, Result, USE_DIRECTORY};
pub use search::{
    Candidate, Environment, Found, OpenDirectory, Origin, PassedOver, VARIABLE, observe_in,
    publish_in,
};
pub use sweep::{Sweeper, split, sweep_names};
pub use types::{Access, Facts, FileId, FileInfo, Removal, SweepOptions, Swept, Unpublished};
