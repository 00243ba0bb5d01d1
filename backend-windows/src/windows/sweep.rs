//! Removing what dead writers left behind.
//!
//! A file is removed through the handle by which it was judged, while a shared lock on it is
//! held, which no writer grants.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use mmstats_system::{Sweeper, split, sweep_names};
use windows_sys::Win32::Foundation::{ERROR_LOCK_VIOLATION, GENERIC_READ};
use windows_sys::Win32::Storage::FileSystem::DELETE;

use super::codes::code_of;
use super::directory::Directory;
use super::handle::{self, Ask, LOOK, READ, lock_shared};
use super::open::{open_as, regular};
use super::{failed, security};
use crate::{Error, ErrorKind, FileId, FileType, Removal, Result, SweepOptions, Swept};

/// Removes dead files of this user from a directory, and temporary files that were never
/// finished.
///
/// Looks at files named `*.mmst` for which `is_candidate` is true, and at temporary files.
/// Of the dead ones those modified last are kept, as many as asked for: see
/// [`SweepOptions::keep`]. Answers for every file it looked at what became of it.
///
/// ```
/// # #[cfg(windows)] {
/// use mmstats_windows::{SweepOptions, directory::Directory, sweep};
/// # let temporary = tempfile::tempdir().unwrap();
/// # let path = temporary.path();
/// # std::fs::write(path.join("old.mmst"), "x").unwrap();
/// let directory = Directory::open(path)?;
/// let options = SweepOptions { keep: 0, ..SweepOptions::default() };
/// let swept = sweep(&directory, &options, &|_name| true)?;
/// assert_eq!(swept.len(), 1);
/// assert!(!path.join("old.mmst").exists());
/// # }
/// # Ok::<(), mmstats_windows::Error>(())
/// ```
///
/// # Errors
///
/// Where the directory cannot be read. That a file cannot be removed, because somebody looks
/// at it for instance, is a [`Removal::Failed`].
pub fn sweep(
    directory: &Directory,
    options: &SweepOptions,
    is_candidate: &dyn Fn(&OsStr) -> bool,
) -> Result<Vec<Swept>> {
    let names = std::fs::read_dir(directory.path())
        .and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<OsString>>>()
        })
        .map_err(failed(SWEEP, directory.path()))?;
    Ok(sweep_names(&Files, directory.path(), names, options, is_candidate))
}

/// Removes a file if its writer is dead and it belongs to this user, whatever its name.
///
/// # Errors
///
/// Where it can be no file.
pub fn remove_if_dead(path: &Path, dry_run: bool) -> Result<Removal> {
    let no_name = || Error::new(SWEEP, path, ErrorKind::NotRegular(FileType::Directory));
    split(path).ok_or_else(no_name)?;
    Ok(match judge(path) {
        Ok(_) if dry_run => Removal::WouldRemove,
        Ok((_, id)) => remove(path, id),
        Err(removal) => removal,
    })
}

/// Judges and removes by path.
struct Files;

impl Sweeper for Files {
    type Id = FileId;

    fn judge(
        &self,
        _name: &OsStr,
        path: &Path,
    ) -> core::result::Result<(SystemTime, FileId), Removal> {
        judge(path)
    }

    fn remove(&self, _name: &OsStr, path: &Path, id: FileId) -> Removal {
        remove(path, id)
    }
}

/// When a dead file was modified and which it is; or why it must stay.
fn judge(path: &Path) -> core::result::Result<(SystemTime, FileId), Removal> {
    let (file, stat) = match open_as(SWEEP, path, &READ) {
        // Whose it is may be seen all the same.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => regular(SWEEP, path),
        opened => opened,
    }
    .map_err(why)?;
    let failed = |error| Removal::Failed(failed(SWEEP, path)(error));
    let owner = security::of(&file, false).and_then(|found| found.owner()).map_err(failed)?;
    if !security::myself().map_err(failed)?.is(&owner) {
        return Err(Removal::NotOurs { owner: owner.last() });
    }
    match handle::lock_is_held(&file) {
        Ok(true) => Err(Removal::Live),
        Ok(false) => Ok((stat.modified, stat.id)),
        Err(error) => Err(failed(error)),
    }
}

/// Removes the dead file `id`, if `path` still leads to it and it is still dead.
fn remove(path: &Path, id: FileId) -> Removal {
    // Nobody becomes its writer meanwhile.
    let ask = Ask { access: GENERIC_READ | DELETE, ..LOOK };
    with_lock(path, &ask, id, |file| match handle::delete(file) {
        Ok(()) => Removal::Removed,
        Err(error) => why(failed(SWEEP, path)(error)),
    })
    .unwrap_or_else(|removal| match removal {
        // A writer keeps those out who would remove its file.
        Removal::Failed(error)
            if error.kind() == ErrorKind::InUse && crate::is_locked(path).is_ok_and(|it| it) =>
        {
            Removal::Live
        }
        removal => removal,
    })
}

/// Runs `action` while no writer can lock the file `id`; or says why the file must stay.
///
/// The lock is shared: observers and other sweepers are not disturbed.
fn with_lock(
    path: &Path,
    ask: &Ask<'_>,
    id: FileId,
    action: impl FnOnce(&File) -> Removal,
) -> core::result::Result<Removal, Removal> {
    let (file, stat) = open_as(SWEEP, path, ask).map_err(why)?;
    if stat.id != id {
        return Err(Removal::Vanished);
    }
    match lock_shared(&file) {
        Ok(()) => {
            let removal = action(&file);
            // The system would give it back when it finds the time.
            let _ = handle::unlock(&file);
            Ok(removal)
        }
        Err(error) if code_of(&error) == Some(ERROR_LOCK_VIOLATION) => Err(Removal::Live),
        Err(error) => Err(Removal::Failed(failed(SWEEP, path)(error))),
    }
}

fn why(error: Error) -> Removal {
    match error.kind() {
        ErrorKind::NotFound => Removal::Vanished,
        ErrorKind::NotRegular(kind) => Removal::NotRegular(*kind),
        _ => Removal::Failed(error),
    }
}

const SWEEP: &str = "sweep";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn nobody_becomes_the_writer_of_a_file_while_it_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        fs::write(&path, "x").unwrap();
        let id = regular(SWEEP, &path).unwrap().1.id;
        let removal = with_lock(&path, &READ, id, |_| {
            assert_eq!(crate::reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
            // Other sweepers and observers may look.
            assert!(!crate::is_locked(&path).unwrap());
            Removal::Removed
        });
        assert!(matches!(removal, Ok(Removal::Removed)));
        let other = FileId { index: id.index + 1, ..id };
        let removal = with_lock(&path, &READ, other, |_| unreachable!());
        assert!(matches!(removal, Err(Removal::Vanished)));
    }
}
