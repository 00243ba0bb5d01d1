//! Linux, Android, macOS and the BSDs, through `rustix`.

mod auxiliary;
mod backoff;
pub(crate) mod directory;
pub(crate) mod fault_handler;
mod foreign_root;
pub(crate) mod fork;
mod fork_gate;
mod lock;
mod mapping;
mod mapping_table;
mod new_file;
mod observed_file;
mod os_error;
mod owned_file;
pub(crate) mod process;
mod process_table;
mod random;
mod stat;
mod sweep;
pub(crate) mod thread;

pub use mapping::{Mapping, ObservedMapping, private};
pub use new_file::{NewFile, Unpublished, create};
pub use observed_file::{
    ObservedFile, info, is_locked, next_data, open, open_in, read_all, read_start,
};
pub use owned_file::{OwnedFile, reopen};
pub use sweep::{remove_if_dead, remove_judged, sweep};
