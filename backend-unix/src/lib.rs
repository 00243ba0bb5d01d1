#![doc = include_str!("../README.md")]

#[cfg(unix)] // elsewhere the crate compiles, and does nothing
mod unix;

#[cfg(not(unix))] // as above
use mmstats_system::stub as system;
#[cfg(unix)] // as above
use unix as system;

pub use mmstats_system::{
    Access, Error, ErrorKind, Facts, FileId, FileInfo, FileType, NameError, Removal, Result,
    SweepOptions, Swept, name,
};

// The inventory that every backend has.
pub use system::{
    Mapping, NewFile, Opened, OwnedFile, Unpublished, create, info, is_locked, next_data, open,
    private, read_all, read_start, remove_if_dead, reopen, sweep,
};

pub mod directory {
    //! The directories where files are published and found.
    pub use mmstats_system::{Candidate, Environment, Origin, PassedOver, VARIABLE};

    pub use crate::system::directory::{
        Directory, Found, environment, is_memory_backed, observe_directories,
        observe_directories_in, publish_directory, publish_directory_in,
    };
}

pub mod fork {
    //! What a forked child needs to know.
    pub use crate::system::fork::{Held, forked, generation, hold};
}

pub mod guard {
    //! Surviving a file that is truncated while it is mapped.
    pub use crate::system::guard::{install, is_installed};
}

pub mod process {
    //! Facts about this process.
    pub use crate::system::process::{
        coarse_time, exists, facts, is_running, open_files, raise_open_files, thread_id,
    };
}
