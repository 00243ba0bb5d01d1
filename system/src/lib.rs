#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

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
