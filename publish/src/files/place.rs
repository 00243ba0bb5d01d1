//! The directory and the name of a publisher's files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mmstats_core::layout::MAGIC;
use mmstats_core::layout::header::STATE;
use mmstats_core::{Source, View};

use super::application;
use super::ledger::{self, EndedInstances, Survey};
use super::settings::Settings;
use crate::backend::directory::{self, Directory};
use crate::backend::{
    Access, ErrorKind, Judged, NewFile, OwnedFile, Removal, SweepOptions, name, open_in, process,
    remove_judged,
};
use crate::error::Error;

/// Longest time of a start for the files of others: sweeping, and taking ended instances in.
const TIDYING: Duration = Duration::from_millis(500);
/// Number of names to try for a file whose own name is taken.
const SPARE_NAMES: u32 = 8;

/// The directory and the name of a publisher's files.
pub(crate) struct Place {
    /// The chosen directory; `None` for the default.
    wanted: Option<PathBuf>,
    /// `None` while it cannot be opened.
    directory: Option<Arc<Directory>>,
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
    /// End of the time of a start for the files of others; `None` until the directory was swept, when it
    /// was opened first.
    tidy_until: Option<Instant>,
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
        let (directory, path, stale, tidy_until) = (None, None, false, None);
        Ok(Self { wanted, directory, path, stale, name, is_fixed, ended, keep, tidy_until })
    }

    /// Name of the first file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of image `number`, and names for it in case that one is taken, which no other image
    /// has: none where the next run looks for the names.
    pub(crate) fn names(&self, number: u32) -> Result<(String, Spare), Error> {
        let name = |number| name::part_name(&self.name, number);
        let spare = if self.is_fixed { 0 } else { SPARE_NAMES };
        // One that is too long is none.
        let others = (0..spare).filter_map(|n| name(u32::MAX - number - (n << 24)).ok());
        // The lock of the first file excludes other runs from the further ones.
        let has_values = self.is_fixed && number == 0;
        Ok((name(number)?, Spare { others: others.collect(), has_values, is_refused: false }))
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
    pub(crate) fn open(&mut self) -> Result<&Arc<Directory>, Error> {
        let open = self.directory.take();
        let directory = match open {
            Some(directory) if !self.stale => directory,
            open => self.open_again().map(Arc::new).or_else(|error| {
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
        if self.tidy_until.is_none() {
            let until = *self.tidy_until.insert(Instant::now() + TIDYING);
            self.ended = sweep(&directory, self.keep, half_until(until));
        }
        Ok(directory)
    }

    /// The tidying that remains after a first file was published in the directory.
    ///
    /// # Errors
    ///
    /// If the directory cannot be opened.
    pub(crate) fn tidying(&mut self) -> Result<Tidying, Error> {
        let directory = Arc::clone(self.open()?);
        let (now, ended) = (Instant::now(), std::mem::take(&mut self.ended));
        // A file that is published late has its own time: no start waits.
        let until = self.tidy_until.filter(|until| *until > now).unwrap_or(now + TIDYING);
        Ok(Tidying { directory, ended, keep: self.keep, until })
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

/// The rest of a start's work on the files of others. It needs no lock of the publisher.
pub(crate) struct Tidying {
    directory: Arc<Directory>,
    ended: EndedInstances,
    keep: Option<usize>,
    until: Instant,
}

impl Tidying {
    /// Takes the instances of applications that have ended into their ledgers, and removes files that
    /// are of no use then. What there is no time for is left to the next start. Returns why instances
    /// of `application`, that of this publisher, cannot be taken in.
    pub(crate) fn finish(self, access: Access, application: Option<&str>) -> Option<Error> {
        let Self { directory, ended, keep, until } = self;
        application::take_in(&directory, access, &ended, half_until(until));
        let blocked = application.and_then(|own| ledger::blocked(directory.path(), own, until));
        ledger::sweep(directory.path(), application, half_until(until));
        if !ended.is_empty() {
            sweep(&directory, keep, until);
        }
        blocked
    }
}

/// Removes files of dead programs until a moment; returns the instances of applications that have
/// ended, whose files are left until the ledger has their values.
fn sweep(directory: &Directory, keep: Option<usize>, until: Instant) -> EndedInstances {
    let Some(keep) = keep else { return EndedInstances::new() };
    let survey = Survey::new(directory, until);
    let time = until.saturating_duration_since(Instant::now());
    let options = SweepOptions { keep, time, ..SweepOptions::default() };
    let identify = |name: &OsStr, id| survey.identify(name, id);
    // A failed sweep does not keep the program from publishing.
    let swept = crate::backend::sweep(directory, &options, Some(&identify));
    survey.into_ended(swept.is_ok_and(|swept| swept.is_complete))
}

/// The moment at which half of the time until `end` is over: a step leaves as much to those after it.
fn half_until(end: Instant) -> Instant {
    let now = Instant::now();
    now + end.saturating_duration_since(now) / 2
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

/// What a new file does whose name another file has.
#[derive(Default)]
pub(crate) struct Spare {
    /// Names that it may take.
    others: Vec<String>,
    /// Whether the other file may have the values of a run that began later and has ended.
    has_values: bool,
    /// Whether the names are only for one whose place a dead member of an application keeps.
    pub(crate) is_refused: bool,
}

/// The file that has the name of a new one.
#[derive(PartialEq, Eq)]
enum Holder {
    Removed,
    /// Dead, and its values are in no ledger.
    Member,
    Other,
}

/// Gives a file its name or, if another file has it, one that is spare. An image that a dead process of
/// this user left under a name is removed: names repeat where the template has neither `{PID}` nor
/// `{ID}`. That of a member of an application stays until a ledger has its values.
pub(crate) fn publish(mut new: NewFile, spare: Spare, access: Access) -> Result<OwnedFile, Error> {
    let mut others = spare.others.into_iter();
    let mut removed = false;
    let mut is_refused = spare.is_refused;
    loop {
        let (mut file, error) = match new.publish() {
            Ok(file) => return Ok(file),
            Err(unpublished) => (unpublished.file, unpublished.error),
        };
        if error.kind() != ErrorKind::AlreadyExists {
            return Err(error.into());
        }
        // Once for each name.
        let untried = !removed && !spare.has_values;
        let holder = if untried { remove_dead_image(&file, access) } else { Holder::Other };
        removed = holder == Holder::Removed;
        is_refused &= holder != Holder::Member;
        if !removed {
            let other = others.next().filter(|_| !is_refused);
            let Some(other) = other else { return Err(error.into()) };
            file.set_name(&other)?;
        }
        new = file;
    }
}

/// Removes the file that has the name of a new one, if it is an image of a dead process of this user whose
/// values need not stay.
fn remove_dead_image(new: &NewFile, access: Access) -> Holder {
    let (directory, name) = (new.directory(), new.path().file_name().unwrap_or_default());
    let mut start = vec![0; STATE as usize];
    let Ok(opened) = open_in(directory, name) else { return Holder::Other };
    let Ok(image) = View::new(Arc::clone(opened.mapping())) else { return Holder::Other };
    image.copy(0, &mut start);
    if opened.info().size < start.len() as u64 || !start.starts_with(&MAGIC) {
        return Holder::Other;
    }
    let judged = Judged { id: opened.info().id, start };
    let is_member = ledger::is_member(&image);
    // Windows removes no file that is mapped.
    drop((image, opened));
    // Only of a dead one there is something to take in.
    if is_member && matches!(remove_judged(directory, name, &judged, true), Removal::WouldRemove) {
        take_in_all(directory, access);
        let survey = Survey::new(directory, Instant::now() + TIDYING);
        if survey.identify(name, judged.id).is_none() {
            return Holder::Member;
        }
    }
    match remove_judged(directory, name, &judged, false) {
        Removal::Removed => Holder::Removed,
        _ => Holder::Other,
    }
}

/// Takes all instances that have ended into the ledgers of their applications.
fn take_in_all(directory: &Directory, access: Access) {
    let until = Instant::now() + TIDYING;
    let survey = Survey::new(directory, half_until(until));
    let identify = |name: &OsStr, id| survey.identify(name, id);
    let options = SweepOptions { dry_run: true, time: TIDYING / 2, ..SweepOptions::default() };
    let swept = crate::backend::sweep(directory, &options, Some(&identify));
    let ended = survey.into_ended(swept.is_ok_and(|swept| swept.is_complete));
    application::take_in(directory, access, &ended, until);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::files::settings::OnDrop;
    use crate::schema::Schema;

    /// Two first runs at the same time: the one that found no file must not remove that of the other.
    #[test]
    fn publish_of_a_run_after_another_one_has_ended_keeps_its_file() {
        let place = tempfile::tempdir().unwrap();
        let settings = Settings {
            directory: Some(place.path().to_owned()),
            file_name: Some("web.mmst".to_owned()),
            persistent: true,
            on_drop: OnDrop::Keep,
            post_mortems: None,
            ..Settings::default()
        };
        let mut slow = Place::new(&settings, "web", [1; 16]).unwrap();
        let (name, spare) = slow.names(0).unwrap();
        let new = slow.create(&name, 4096, Access::Owner).unwrap();
        Files::open(settings, Schema::default()).unwrap().close(false);
        let path = place.path().join(&name);
        let before = std::fs::read(&path).unwrap();
        let error = publish(new, spare, Access::Owner).unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
