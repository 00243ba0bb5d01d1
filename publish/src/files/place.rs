//! The directory and the name of a publisher's files.

use super::ledger::{Ended, Survey};
use super::settings::Settings;
use crate::backend::directory::{self, Directory};
use crate::backend::{ErrorKind, NewFile, OwnedFile, Removal, SweepOptions, name, process};
use crate::error::Error;

/// Ended instances by application.
pub(crate) type EndedInstances = Vec<(String, Vec<Ended>)>;

/// The directory and the name of a publisher's files.
pub(crate) struct Place {
    pub(crate) directory: Directory,
    /// Name of the first file; further files add a number to it.
    pub(crate) name: String,
}

impl Place {
    /// Opens the directory, makes it if there is none, and sweeps it. Also returns instances of
    /// applications that have ended, whose files the sweep has left.
    pub(crate) fn open(
        settings: &Settings,
        command: &str,
        instance: [u8; 16],
    ) -> Result<(Self, EndedInstances), Error> {
        let directory = match &settings.directory {
            Some(path) => Directory::open_or_create(path)?,
            None => directory::publish_directory()?.directory,
        };
        let template =
            settings.file_name.clone().unwrap_or_else(|| directory::environment().template());
        let values = name::Values {
            command,
            pid: std::process::id(),
            tid: process::thread_id().unwrap_or(0),
            id: instance,
        };
        let name = name::fill(&template, &values)?;
        let mut ended = EndedInstances::new();
        if let Some(keep) = settings.post_mortems {
            // A failed sweep does not keep the program from publishing.
            let survey = Survey::new(&directory);
            let sweep = SweepOptions { keep, ..SweepOptions::default() };
            let _ = crate::backend::sweep(&directory, &sweep, &|name| survey.is_candidate(name));
            ended = survey.into_ended();
        }
        Ok((Self { directory, name }, ended))
    }
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
