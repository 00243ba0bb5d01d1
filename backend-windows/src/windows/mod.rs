//! Windows 10 and later, through `windows-sys`.

pub(crate) mod directory;
pub(crate) mod fault_handler;
mod handle;
mod lock;
mod mapping;
mod mapping_table;
mod new_file;
mod observed_file;
mod os_error;
mod owned_file;
mod path;
pub(crate) mod process;
mod security;
mod space;
mod sweep;
mod temporary_name;
mod win32;

// No process starts with the state of another one, and there are no signals.
pub(crate) use mmstats_system::stub::{fork, thread};

pub use mapping::{Mapping, ObservedMapping, private};
pub use new_file::{NewFile, Unpublished, create};
pub use observed_file::{
    ObservedFile, info, is_locked, next_data, open, open_in, read_all, read_start,
};
pub use owned_file::{OwnedFile, reopen};
pub use sweep::{remove_if_dead, remove_judged, sweep};
