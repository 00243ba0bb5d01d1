//! The directory and the name of a publisher's files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmstats_core::layout::MAGIC;
use mmstats_core::layout::header::STATE;
use mmstats_core::{Source, View};

use super::ledger::{EndedInstances, Survey};
use super::settings::Settings;
use crate::backend::directory::{self, Directory};
use crate::backend::{
    Access, ErrorKind, Judged, NewFile, OwnedFile, Removal, SweepOptions, name, open_in, process,
    remove_judged,
};
use crate::error::Error;

/// The directory and the name of a publisher's files.
pub(crate) struct Place {
    /// The chosen directory; `None` for the default.
    wanted: Option<PathBuf>,
    /// `None` while it cannot be opened.
    directory: Option<Directory>,
    /// Path of the directory, when it was opened first.
    path: Option<PathBuf>,
    /// Whether the path may lead to another directory by now.
    stale: bool,
    /// Name of the first file; further files add a number to it.
    name: String,
    /// Whether the next run of the program looks for a file of that name.
    is_fixed: bool,
    /// Instances of applications that had ended when the directory was opened first, whose files the
    /// sweep has left.
    ended: EndedInstances,
    /// Dead programs of each command to keep; `None` for no sweep.
    keep: Option<usize>,
    /// Whether the directory was swept when it was opened first.
    swept: bool,
}

impl Place {
    /// The place that the settings name; nothing is opened yet.
    pub(crate) fn new(
        settings: &Settings,
        command: &str,
        instance: [u8; 16],
    ) -> Result<Self, Error> {
        let template =
            settings.file_name.clone().unwrap_or_else(|| directory::environment().template());
        let values = name::Values {
            command,
            pid: std::process::id(),
            tid: process::thread_id().unwrap_or(0),
            id: instance,
        };
        let name = name::fill(&template, &values)?;
        let (wanted, keep) = (settings.directory.clone(), settings.post_mortems);
        let ended = EndedInstances::new();
        let is_fixed = settings.persistent;
        let (directory, path, stale, swept) = (None, None, false, false);
        Ok(Self { wanted, directory, path, stale, name, is_fixed, ended, keep, swept })
    }

    /// Name of the first file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether files must have their own names.
    pub(crate) const fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// The instances of applications that had ended; once.
    pub(crate) fn take_ended(&mut self) -> EndedInstances {
        std::mem::take(&mut self.ended)
    }

    /// Path of the directory, if it was opened.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The path may lead to another directory: the next file is not made in the open one.
    pub(crate) const fn set_stale(&mut self) {
        self.stale = true;
    }

    /// The next file is made in a directory that is opened anew: the program closed the descriptor.
    pub(crate) fn forget_directory(&mut self) {
        self.directory = None;
    }

    /// The directory; it is made if there is none. The first time, it is swept.
    pub(crate) fn open(&mut self) -> Result<&Directory, Error> {
        let open = self.directory.take();
        let directory = match open {
            Some(directory) if !self.stale => directory,
            open => self.open_again().or_else(|error| {
                // A program that dropped its privileges may not search the way to the directory any
                // more, but may use it.
                let refused = |error: &Error| {
                    matches!(error, Error::System(e) if *e.kind() == ErrorKind::PermissionDenied)
                };
                open.filter(|_| refused(&error)).ok_or(error)
            })?,
        };
        self.stale = false;
        Ok(self.directory.insert(directory))
    }

    fn open_again(&mut self) -> Result<Directory, Error> {
        let directory = match &self.wanted {
            Some(path) => directory::publish_directory_at(path)?,
            None => directory::publish_directory()?.directory,
        };
        let path = self.path.get_or_insert_with(|| directory.path().to_path_buf());
        if directory.path() != path {
            // The files of one publisher are in one directory, or observers would miss some.
            let kind = ErrorKind::PermissionDenied;
            return Err(crate::backend::Error::new("use directory", path, kind).into());
        }
        if !std::mem::replace(&mut self.swept, true) {
            self.ended = self.sweep(&directory);
        }
        Ok(directory)
    }

    /// Removes files of dead programs; returns the instances of applications that have ended, whose
    /// files are left until the ledger has their values.
    fn sweep(&self, directory: &Directory) -> EndedInstances {
        let Some(keep) = self.keep else { return EndedInstances::new() };
        let survey = Survey::new(directory);
        let options = SweepOptions { keep, ..SweepOptions::default() };
        let identify = |name: &OsStr, id| survey.identify(name, id);
        // A failed sweep does not keep the program from publishing.
        let swept = crate::backend::sweep(directory, &options, Some(&identify));
        survey.into_ended(swept.is_ok_and(|swept| swept.is_complete))
    }

    /// Sweeps again, after ledgers have taken in instances that had ended.
    pub(crate) fn sweep_taken_in(&mut self) {
        if let Some(directory) = &self.directory {
            self.sweep(directory);
        }
    }

    /// Creates a file of `size` bytes.
    pub(crate) fn create(
        &mut self,
        name: &str,
        size: u32,
        access: Access,
    ) -> Result<NewFile, Error> {
        let create = |directory: &Directory| crate::backend::create(directory, name, size, access);
        match create(self.open()?) {
            // The directory may have been removed, moved or closed since it was opened.
            Err(error) if !is_final(error.kind()) => {
                self.forget_directory();
                Ok(create(self.open()?)?)
            }
            created => Ok(created?),
        }
    }
}

/// Whether a file cannot be created in another directory of the same path either.
const fn is_final(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NoSpace
            | ErrorKind::PermissionDenied
            | ErrorKind::AlreadyExists
            | ErrorKind::ReadOnly
            | ErrorKind::TooLarge { .. }
            | ErrorKind::TooManyFiles
            | ErrorKind::OutOfMemory
            | ErrorKind::Name(_)
    )
}

/// Gives a file its name. An image of that name is removed first if a dead process of this user left
/// it: names repeat where the template has neither `{PID}` nor `{ID}`.
pub(crate) fn publish(new: NewFile) -> Result<OwnedFile, Error> {
    new.publish().or_else(|unpublished| {
        let taken = unpublished.error.kind() == ErrorKind::AlreadyExists;
        if taken && remove_dead_image(&unpublished.file) {
            return Ok(unpublished.file.publish().map_err(|again| again.error)?);
        }
        Err(unpublished.error.into())
    })
}

/// Removes the file that has the name of a new one, if it is an image of a dead process of this user.
fn remove_dead_image(new: &NewFile) -> bool {
    let (directory, name) = (new.directory(), new.path().file_name().unwrap_or_default());
    let mut start = vec![0; STATE as usize];
    let Ok(opened) = open_in(directory, name) else { return false };
    let Ok(image) = View::new(Arc::clone(opened.mapping())) else { return false };
    image.copy(0, &mut start);
    if opened.info().size < start.len() as u64 || !start.starts_with(&MAGIC) {
        return false;
    }
    let judged = Judged { id: opened.info().id, start };
    // Windows removes no file that is mapped.
    drop((image, opened));
    matches!(remove_judged(directory, name, &judged, false), Removal::Removed)
}
