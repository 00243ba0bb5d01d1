//! The members of applications that have files in a directory.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::{HashMap, HashSet};
use mmstats_core::protocol::Site;
use mmstats_core::read::{Header, ImageState};
use mmstats_core::{Source, View};

use super::super::values::fields;
use super::instance::{Constants, Instance};
use crate::backend::ledger::{LedgerName, MEMBER};
use crate::backend::{Error, ErrorKind, name, process};

/// Longest time of a look at all files of a directory: other users may have put many there.
const LOOK_TIME: Duration = Duration::from_millis(100);

/// The applications that have members in a directory.
pub(super) struct Members {
    /// Applications, and instances that others may be named after; whether a writer of one lives.
    applications: HashMap<String, bool>,
    /// Names of files that may not be read.
    unreadable: Vec<String>,
    /// Whether all files could be looked at.
    is_complete: bool,
}

impl Members {
    /// Looks at all files of a directory but those of the instance `except`, until the moment `until`.
    pub(super) fn look(directory: &Path, except: Option<Instance>, until: Instant) -> Self {
        let (applications, unreadable) = (HashMap::new(), Vec::new());
        let mut members = Self { applications, unreadable, is_complete: true };
        let until = until.min(Instant::now() + LOOK_TIME);
        for name in published(directory) {
            let Some(name) = name.ok().filter(|_| Instant::now() <= until) else {
                members.is_complete = false;
                break;
            };
            if LedgerName::parse(&name).is_some() {
                continue;
            }
            match members.add(&directory.join(&name), except) {
                Ok(()) => {}
                Err(error) if *error.kind() == ErrorKind::PermissionDenied => {
                    members.unreadable.push(name.to_string_lossy().into_owned());
                }
                Err(_) => members.is_complete = false,
            }
        }
        members
    }

    fn add(&mut self, path: &Path, except: Option<Instance>) -> Result<(), Error> {
        let Some(header) = header(path)?.filter(|found| Some(found.instance()) != except) else {
            return Ok(());
        };
        let lives = crate::backend::is_locked(path).unwrap_or(true);
        let mut add = |application| *self.applications.entry(application).or_default() |= lives;
        add(hex(header.instance()));
        let Some(opened) = if_file(crate::backend::open(path))? else { return Ok(()) };
        let region = View::new(Arc::clone(opened.mapping())).ok();
        if let Some(member) = region.and_then(|region| Member::read(&region)) {
            add(member.application);
        }
        Ok(())
    }

    /// Whether a file belongs to the application, because it says so or has the instance that the
    /// application is named after; only files of writers that live count if `live`. What could not
    /// be looked at counts.
    pub(super) fn has(&self, application: &str, live: bool) -> bool {
        let of_member = self.applications.get(application);
        // The names of files have the instance unless the program chose others.
        let may_be = |name: &String| is_instance(application) && name.contains(application);
        !self.is_complete
            || of_member.is_some_and(|lives| *lives || !live)
            || self.unreadable.iter().any(may_be)
    }
}

/// Description of an instance of an application in an image.
pub(super) struct Member {
    pub(super) application: String,
    pub(super) header: Header,
    pub(super) pid_ns: Option<u64>,
    /// Process id, start and boot of a process that has not closed the image.
    pub(super) process: Option<(u32, u64, String)>,
}

impl Member {
    /// `None` for all other images.
    pub(super) fn read(region: &impl Source) -> Option<Self> {
        let (header, fields) = fields(region).ok()?;
        let state = header.state(region).ok().filter(|state| *state != ImageState::Building)?;
        let constants = Constants { region, fields: &fields };
        let application = constants.text(MEMBER)?;
        let process = || {
            let pid = u32::try_from(constants.number("sys.pid")?).ok()?;
            Some((pid, constants.number("sys.start_time")?, constants.text("sys.boot_id")?))
        };
        Some(Self {
            application,
            header,
            pid_ns: constants.number("sys.pid_ns"),
            process: (state == ImageState::Live).then(process).flatten(),
        })
    }
}

/// Whether an image is one of a member of an application.
pub(crate) fn is_member(region: &impl Source) -> bool {
    Member::read(region).is_some()
}

/// The name of the application of the forked children of an instance.
pub(crate) fn hex(instance: Instance) -> String {
    format!("{:032x}", u128::from_be_bytes(instance))
}

/// Whether an application is named after an instance.
pub(super) fn is_instance(application: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    application.len() == 32 && application.bytes().all(is_digit)
}

/// The names of published files, or why they cannot be read: none in a directory that has gone.
pub(super) fn published(directory: &Path) -> impl Iterator<Item = io::Result<OsString>> {
    let (entries, error) = match std::fs::read_dir(directory) {
        Ok(entries) => (Some(entries), None),
        Err(error) => (None, Some(error).filter(|error| error.kind() != io::ErrorKind::NotFound)),
    };
    let names = entries.into_iter().flatten().map(|entry| Ok(entry?.file_name()));
    let names = error.map(Err).into_iter().chain(names);
    names.filter(|found| found.as_ref().map_or(true, |found| name::is_published(found)))
}

/// The instances of this user that have files in a directory; `None` if a file could not be looked at.
pub(super) fn instances(directory: &Path, until: Instant) -> Option<HashSet<Instance>> {
    let until = until.min(Instant::now() + LOOK_TIME);
    let owner = process::uid();
    let mut found = HashSet::new();
    for name in published(directory) {
        let path = directory.join(name.ok()?);
        let Some(info) = if_file(crate::backend::info(&path)).ok()? else { continue };
        if info.owner.is_some() && info.owner != owner {
            continue;
        }
        found.extend(header(&path).ok()?.map(|header| header.instance()));
        if Instant::now() > until {
            return None;
        }
    }
    Some(found)
}

/// Whether a file of an instance has a writer that lives, or may have one, or is a member's and none of
/// `parts`, which were read: its writer lived then. Also if that is not known at the moment `until`.
pub(super) fn has_further_part(
    directory: &Path,
    instance: &Instance,
    parts: &[u32],
    until: Instant,
) -> bool {
    let is_further = |path: &Path| match header(path) {
        Ok(Some(header)) if header.instance() == *instance => {
            let is_read = parts.contains(&header.part());
            crate::backend::is_locked(path).unwrap_or(true) || (!is_read && is_member_file(path))
        }
        Ok(_) => false,
        // A file of another user.
        Err(error) => *error.kind() != ErrorKind::PermissionDenied,
    };
    published(directory).any(|name| {
        Instant::now() > until || name.map_or(true, |name| is_further(&directory.join(name)))
    })
}

/// Whether a file is an image of a member of an application, and not damaged.
fn is_member_file(path: &Path) -> bool {
    let region = crate::backend::open(path).map(|opened| View::new(Arc::clone(opened.mapping())));
    matches!(region, Ok(Ok(region)) if is_member(&region))
}

/// The header of a file, without mapping it; `None` if it is gone or no image.
fn header(path: &Path) -> Result<Option<Header>, Error> {
    let mut start = Start([0; mmstats_core::layout::header::SIZE as usize]);
    let read = if_file(crate::backend::read_start(path, &mut start.0))?;
    Ok(read.filter(|read| *read == start.0.len()).and_then(|_| Header::read(&start).ok()))
}

/// The first bytes of an image, which is as long as its header says.
struct Start([u8; mmstats_core::layout::header::SIZE as usize]);

impl Source for Start {
    fn size(&self) -> u32 {
        u32::MAX
    }

    fn load32(&self, offset: u32) -> u32 {
        self.0.as_slice().load32(offset)
    }

    fn load64(&self, offset: u32) -> Option<u64> {
        self.0.as_slice().load64(offset)
    }

    fn fence(&self, site: Site) {
        self.0.as_slice().fence(site);
    }
}

/// `None` for a name without a regular file, and for an empty file.
fn if_file<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    let is_none = |kind: &ErrorKind| {
        matches!(kind, ErrorKind::NotFound | ErrorKind::NotRegular(_) | ErrorKind::Empty)
    };
    match result {
        Err(error) if is_none(error.kind()) => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::files::settings::{OnDrop, Settings};
    use crate::schema::Schema;

    #[test]
    fn members_with_files_are_seen_until_the_files_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let start = |on_drop| {
            let settings = Settings {
                directory: Some(place.path().to_owned()),
                application: Some("shop".to_owned()),
                on_drop,
                watched: false,
                ..Settings::default()
            };
            Files::open(settings, Schema::default()).unwrap()
        };
        let until = Instant::now() + Duration::from_secs(60);
        let look = |except| Members::look(place.path(), except, until);
        let has_file =
            |files: &Files| instances(place.path(), until).unwrap().contains(&files.instance);
        let files = start(OnDrop::Keep);
        assert!(look(None).has("shop", true) && look(None).has(&hex(files.instance), true));
        assert!(!look(Some(files.instance)).has("shop", false));
        let has_further = |files: &Files, parts: &[u32]| {
            has_further_part(place.path(), &files.instance, parts, until)
        };
        assert!(has_file(&files) && has_further(&files, &[0]));
        files.close(false);
        assert!(!look(None).has("shop", true) && look(None).has("shop", false));
        assert!(has_file(&files) && !has_further(&files, &[0]) && has_further(&files, &[1]));
        let files = start(OnDrop::Remove);
        files.close(false);
        assert!(!has_file(&files));
    }

    /// As in a process that has no descriptors left.
    #[test]
    fn members_of_a_directory_that_cannot_be_read_may_live() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let until = Instant::now() + LOOK_TIME;
        assert!(Members::look(file.path(), None, until).has("shop", true));
        assert_eq!(instances(file.path(), until), None);
        assert!(has_further_part(file.path(), &[1; 16], &[], until));
        let gone = file.path().join("x");
        drop(file);
        assert!(!Members::look(&gone, None, until).has("shop", true));
    }
}
