//! The directory and the name of a publisher's files.

use std::ffi::OsStr;

use mmstats_core::layout::MAGIC;

use super::settings::Settings;
use crate::backend::directory::{self, Directory};
use crate::backend::{ErrorKind, NewFile, OwnedFile, Removal, SweepOptions, name, process};
use crate::error::Error;

/// The directory and the name of a publisher's files.
pub(crate) struct Place {
    pub(crate) directory: Directory,
    /// Name of the first file; further files add a number to it.
    pub(crate) name: String,
}

impl Place {
    /// Opens the directory, makes it if there is none, and sweeps it.
    pub(crate) fn open(
        settings: &Settings,
        command: &str,
        instance: [u8; 16],
    ) -> Result<Self, Error> {
        let directory = match &settings.directory {
            Some(path) => Directory::open_or_create(path)?,
            None => directory::publish_directory()?.directory,
        };
        let template = settings.file_name.clone().unwrap_or_else(name::template);
        let values = name::Values {
            command,
            pid: std::process::id(),
            tid: process::thread_id().unwrap_or(0),
            id: instance,
        };
        let name = name::fill(&template, &values)?;
        if let Some(keep) = settings.post_mortems {
            // A failed sweep does not keep the program from publishing.
            let sweep = SweepOptions { keep, ..SweepOptions::default() };
            let _ = crate::backend::sweep(&directory, &sweep, &|name| is_image(&directory, name));
        }
        Ok(Self { directory, name })
    }
}

/// Whether a file begins as images do: a sweep removes no other file, whatever its name.
fn is_image(directory: &Directory, name: &OsStr) -> bool {
    let mut start = [0; MAGIC.len()];
    let read = crate::backend::read_start(&directory.path().join(name), &mut start);
    read.is_ok_and(|read| read == start.len()) && start == MAGIC
}

/// Gives a file its name. A file of that name is removed first if a dead process of this user left
/// it: names repeat where the template has neither `{PID}` nor `{ID}`.
pub(crate) fn publish(new: NewFile) -> Result<OwnedFile, Error> {
    new.publish().or_else(|unpublished| {
        let taken = unpublished.error.kind() == ErrorKind::AlreadyExists;
        let path = unpublished.file.path().to_path_buf();
        if taken && let Removal::Removed = crate::backend::remove_if_dead(&path, false)? {
            return Ok(unpublished.file.publish().map_err(|again| again.error)?);
        }
        Err(unpublished.error.into())
    })
}
