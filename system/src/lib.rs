#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod directory;
mod docs;
mod error;
mod file;
mod in_time;
mod inventory;
pub mod ledger;
mod lock;
pub mod name;
mod name_rules;
mod post_mortems;
mod process;
mod size;
pub mod stub;
mod sweep;
mod variables;

pub use directory::{
    Candidate, Environment, OpenDirectory, Origin, PassedOver, PublishDirectory, observe_in,
    publish_at, publish_in,
};
pub use error::{Error, ErrorKind, Result, USE_DIRECTORY, Unpublished};
pub use file::{Access, FileId, FileInfo, FileType, Standing};
pub use in_time::in_time;
pub use lock::wait_for_lock;
pub use name_rules::NameError;
pub use post_mortems::{DeadProgram, kept_programs};
pub use process::{Facts, MappedFiles, ProcessState, ProcessStatus};
pub use size::image_size;
pub use sweep::{
    Identify, Judged, Removal, Sweep, SweepOptions, Sweeper, Swept, SweptProgram, split_path,
    sweep_names,
};
pub use variables::DIRECTORY as VARIABLE;
