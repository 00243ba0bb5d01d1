//! Windows 10 and later, through `windows-sys`.

mod codes;
mod create;
pub(crate) mod directory;
pub(crate) mod fork;
pub(crate) mod guard;
mod handle;
mod mapping;
mod open;
mod owned;
mod path;
pub(crate) mod process;
mod security;
mod sweep;
mod table;

pub use create::{NewFile, Unpublished, create};
pub use mapping::{Mapping, private};
pub use open::{Opened, info, is_locked, next_data, open, read_all, read_start};
pub use owned::{OwnedFile, reopen};
pub use sweep::{remove_if_dead, sweep};

use std::io;
use std::path::Path;

use crate::Error;

/// Gives an error of the system its context.
fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| codes::os_error(operation, Some(path), error)
}
