//! Removal of the files of dead writers.
//!
//! A file is removed only under a shared lock, which excludes a writer, and through the handle by
//! which its identity was checked.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use mmstats_system::{Sweeper, docs, split_path, sweep_names};
use windows_sys::Win32::Foundation::GENERIC_READ;
use windows_sys::Win32::Storage::FileSystem::DELETE;

use super::directory::Directory;
use super::handle::{self, METADATA, OpenOptions, READ};
use super::lock;
use super::observed_file::{open_regular, read};
use super::os_error::failed;
use super::security::{FileSecurity, process_identity};
use crate::{
    Error, ErrorKind, FileId, FileType, Identify, Judged, Removal, Result, Sweep, SweepOptions,
};

#[doc = docs!(sweep)]
pub fn sweep(
    directory: &Directory,
    options: &SweepOptions,
    identify: Option<&Identify<'_>>,
) -> Result<Sweep> {
    let entries = std::fs::read_dir(directory.path()).map_err(failed(SWEEP, directory.path()))?;
    let names = entries.map(|entry| Ok(entry?.file_name()));
    Ok(sweep_names(&PathSweeper, directory.path(), names, options, identify))
}

#[doc = docs!(remove_if_dead)]
pub fn remove_if_dead(path: &Path, dry_run: bool) -> Result<Removal> {
    let no_name = || Error::new(SWEEP, path, ErrorKind::NotRegular(FileType::Directory));
    let (_, name) = split_path(path).ok_or_else(no_name)?;
    Ok(PathSweeper.remove_if_dead(name, path, dry_run))
}

#[doc = docs!(remove_judged)]
#[must_use]
pub fn remove_judged(
    directory: &Directory,
    name: &OsStr,
    judged: &Judged,
    dry_run: bool,
) -> Removal {
    // The open directory excludes that its path leads elsewhere.
    let path = directory.path().join(name);
    match PathSweeper.judge(name, &path) {
        Ok((_, id)) if id != judged.id => Removal::Vanished,
        Ok(_) if dry_run => {
            with_lock(&path, &READ, judged.id, |file| match is_same_image(file, judged, &path) {
                Ok(()) => Removal::WouldRemove,
                Err(removal) => removal,
            })
            .unwrap_or_else(|removal| removal)
        }
        Ok((_, id)) => remove(&path, id, |file| is_same_image(file, judged, &path)),
        Err(removal) => removal,
    }
}

/// Whether the file has the image that was judged; else why the file must stay.
fn is_same_image(file: &File, judged: &Judged, path: &Path) -> core::result::Result<(), Removal> {
    let mut start = vec![0; judged.start.len()];
    match read(file, &mut start) {
        Ok(read) if read == start.len() && start == judged.start => Ok(()),
        Ok(_) => Err(Removal::Vanished),
        Err(error) => Err(removal_from(failed(SWEEP, path)(error))),
    }
}

/// Removes the file `id` by its handle, if `check` agrees.
fn remove(
    path: &Path,
    id: FileId,
    check: impl FnOnce(&File) -> core::result::Result<(), Removal>,
) -> Removal {
    let options = OpenOptions { access: GENERIC_READ | DELETE, ..METADATA };
    with_lock(path, &options, id, |file| {
        if let Err(removal) = check(file) {
            return removal;
        }
        match handle::delete(file) {
            Ok(()) => Removal::Removed,
            Err(error) => removal_from(failed(SWEEP, path)(error)),
        }
    })
    .unwrap_or_else(|removal| match removal {
        // A writer excludes handles that would remove its file.
        Removal::Failed(error)
            if error.kind() == ErrorKind::InUse && crate::is_locked(path).is_ok_and(|it| it) =>
        {
            Removal::Live
        }
        removal => removal,
    })
}

/// Judges and removes files by path.
struct PathSweeper;

impl Sweeper for PathSweeper {
    fn judge(
        &self,
        _name: &OsStr,
        path: &Path,
    ) -> core::result::Result<(SystemTime, FileId), Removal> {
        let (file, stat) = match open_regular(SWEEP, path, &READ) {
            // Its owner may be readable all the same.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                open_regular(SWEEP, path, &METADATA)
            }
            opened => opened,
        }
        .map_err(removal_from)?;
        let failed = |error| Removal::Failed(failed(SWEEP, path)(error));
        let owner = FileSecurity::read(&file, false)
            .and_then(|security| security.owner())
            .map_err(failed)?;
        if !process_identity().map_err(failed)?.includes(&owner) {
            return Err(Removal::NotOurs { owner: owner.last() });
        }
        match lock::is_held(&file) {
            Ok(true) => Err(Removal::Live),
            Ok(false) => Ok((stat.modified, stat.id)),
            Err(error) => Err(failed(error)),
        }
    }

    fn remove(&self, _name: &OsStr, path: &Path, id: FileId) -> Removal {
        remove(path, id, |_| Ok(()))
    }
}

/// Runs `action` under a shared lock on the file `id`, which excludes writers but not observers and
/// other sweepers; else returns why the file must stay.
fn with_lock(
    path: &Path,
    options: &OpenOptions<'_>,
    id: FileId,
    action: impl FnOnce(&File) -> Removal,
) -> core::result::Result<Removal, Removal> {
    let (file, stat) = open_regular(SWEEP, path, options).map_err(removal_from)?;
    if stat.id != id {
        return Err(Removal::Vanished);
    }
    match lock::take_shared(&file) {
        Ok(()) => {
            let removal = action(&file);
            let _ = lock::release(&file);
            Ok(removal)
        }
        Err(error) if lock::is_busy(&error) => Err(Removal::Live),
        Err(error) => Err(Removal::Failed(failed(SWEEP, path)(error))),
    }
}

/// Result of the sweep for a file that gave an error.
fn removal_from(error: Error) -> Removal {
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
    fn with_lock_excludes_writers_only() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        fs::write(&path, "x").unwrap();
        let id = open_regular(SWEEP, &path, &METADATA).unwrap().1.id;
        let removal = with_lock(&path, &READ, id, |_| {
            assert_eq!(crate::reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
            // Other sweepers and observers are not excluded.
            assert!(!crate::is_locked(&path).unwrap());
            Removal::Removed
        });
        assert!(matches!(removal, Ok(Removal::Removed)));
        let other = FileId { index: id.index + 1, ..id };
        let removal = with_lock(&path, &READ, other, |_| unreachable!());
        assert!(matches!(removal, Err(Removal::Vanished)));
    }
}
