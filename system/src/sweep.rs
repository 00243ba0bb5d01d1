//! Sweeping: the files that it removes, over the answers of a backend.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::file::{FileId, FileType};
use crate::name;

/// Options of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepOptions {
    /// Number of dead files to keep: those modified last. Counts files, not instances.
    ///
    /// Files modified in the future, before the clock was set back, are counted apart: as many of
    /// them are kept besides, so that they do not displace newer ones.
    pub keep: usize,
    /// Age from which an abandoned temporary file is removed.
    pub temporary_age: Duration,
    /// Report only, remove nothing.
    pub dry_run: bool,
}

impl Default for SweepOptions {
    /// Keeps 8 dead files, removes abandoned temporary files after a minute.
    fn default() -> Self {
        Self { keep: 8, temporary_age: Duration::from_secs(60), dry_run: false }
    }
}

/// Result of a sweep for one file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Removal {
    /// Dead, and removed.
    Removed,
    /// Dead; a sweep that is not a dry run removes it.
    WouldRemove,
    /// Dead, but one of the newest, which are kept.
    Kept,
    /// Its writer lives.
    Live,
    /// Temporary file whose creator may still be working.
    TooYoung,
    /// Owned by another user.
    NotOurs {
        /// User id of the owner.
        owner: u32,
    },
    /// Not a regular file.
    NotRegular(FileType),
    /// Removed or replaced by another process meanwhile.
    Vanished,
    /// Not readable, or not removable.
    Failed(Error),
}

/// A file that a sweep examined.
#[derive(Debug)]
pub struct Swept {
    /// Path.
    pub path: PathBuf,
    /// Result.
    pub removal: Removal,
}

/// A file as it was judged: only this one is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Identity.
    pub id: FileId,
    /// First bytes, as many as are compared: of an image those before the values that change, with
    /// the instance. Another image in the same file, or in a later one with the same identity,
    /// differs. Empty for a file without an image.
    pub start: Vec<u8>,
}

/// Operations of a backend that a sweep needs.
pub trait Sweeper {
    /// Identity of a file, which distinguishes it from a later one of the same name.
    type Id;

    /// Modification time and identity of a dead file of this user.
    ///
    /// # Errors
    ///
    /// Why the file must stay.
    fn judge(&self, name: &OsStr, path: &Path) -> Result<(SystemTime, Self::Id), Removal>;

    /// Removes the file `id`, if `name` still refers to it and it is still dead.
    fn remove(&self, name: &OsStr, path: &Path, id: Self::Id) -> Removal;

    /// Removes a dead file of this user; a dry run only reports it.
    fn remove_if_dead(&self, name: &OsStr, path: &Path, dry_run: bool) -> Removal {
        match self.judge(name, path) {
            Ok(_) if dry_run => Removal::WouldRemove,
            Ok((_, id)) => self.remove(name, path, id),
            Err(removal) => removal,
        }
    }
}

/// Sweeps the files `names` of a directory: temporary files, and published ones for which
/// `is_candidate` is true. [`SweepOptions`] says which are kept.
pub fn sweep_names<S: Sweeper>(
    sweeper: &S,
    directory: &Path,
    names: impl IntoIterator<Item = OsString>,
    options: &SweepOptions,
    is_candidate: &dyn Fn(&OsStr) -> bool,
) -> Vec<Swept> {
    let (mut swept, mut dead) = (Vec::new(), Vec::new());
    let remove = |name: &OsStr, path: &PathBuf, id| {
        if options.dry_run { Removal::WouldRemove } else { sweeper.remove(name, path, id) }
    };
    for name in names {
        let temporary = name::is_temporary(&name);
        let candidate = temporary || (name::is_published(&name) && is_candidate(&name));
        if !candidate {
            continue;
        }
        let path = directory.join(&name);
        let removal = match sweeper.judge(&name, &path) {
            Err(removal) => removal,
            Ok((modified, _)) if temporary && !is_old(modified, options) => Removal::TooYoung,
            Ok((_, id)) if temporary => remove(&name, &path, id),
            Ok((modified, id)) => {
                dead.push((modified, id, name, path));
                continue;
            }
        };
        swept.push(Swept { path, removal });
    }
    // By name where times are equal, so that concurrent sweepers keep the same files.
    dead.sort_by(|(a, _, a_name, _), (b, _, b_name, _)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
    // Files of the future come first and are counted apart.
    let now = SystemTime::now();
    let future = dead.partition_point(|(modified, ..)| *modified > now);
    for (at, (_, id, name, path)) in dead.into_iter().enumerate() {
        let rank = if at < future { at } else { at - future };
        let removal = if rank < options.keep { Removal::Kept } else { remove(&name, &path, id) };
        swept.push(Swept { path, removal });
    }
    swept
}

/// A time far in the future is old too: the file was begun before the clock was set back.
fn is_old(modified: SystemTime, options: &SweepOptions) -> bool {
    let age = SystemTime::now().duration_since(modified);
    age.unwrap_or_else(|ahead| ahead.duration()) >= options.temporary_age
}

/// Splits a path into directory and file name; `None` where it cannot be that of a file.
#[must_use]
pub fn split_path(path: &Path) -> Option<(PathBuf, &OsStr)> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Some((parent.to_owned(), path.file_name()?))
}
