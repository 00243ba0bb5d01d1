//! Removal of the files of dead writers.
//!
//! A file is removed only under a shared lock, which excludes a writer, and only if its name still
//! refers to the file that was judged.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::SystemTime;

use mmstats_system::{Sweeper, docs, split_path, sweep_names};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::lock;
use super::os_error::failed;
use super::stat::{file_id, file_type, modified};
use crate::{Error, ErrorKind, FileId, FileType, Removal, Result, SweepOptions, Swept};

#[doc = docs!(sweep)]
pub fn sweep(
    directory: &Directory,
    options: &SweepOptions,
    is_candidate: &dyn Fn(&OsStr) -> bool,
) -> Result<Vec<Swept>> {
    let entries = Dir::read_from(directory.fd()).map_err(failed(SWEEP, directory.path()))?;
    let names = entries
        .map(|entry| Ok(OsString::from_vec(entry?.file_name().to_bytes().to_vec())))
        .collect::<rustix::io::Result<Vec<_>>>()
        .map_err(failed(SWEEP, directory.path()))?;
    Ok(sweep_names(&DirectorySweeper(directory), directory.path(), names, options, is_candidate))
}

#[doc = docs!(remove_if_dead)]
pub fn remove_if_dead(path: &Path, dry_run: bool) -> Result<Removal> {
    let no_name = || Error::new(SWEEP, path, ErrorKind::NotRegular(FileType::Directory));
    let (parent, name) = split_path(path).ok_or_else(no_name)?;
    let directory = match Directory::open(&parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Removal::Vanished),
        other => other?,
    };
    Ok(DirectorySweeper(&directory).remove_if_dead(name, path, dry_run))
}

/// Private, so that a file is removed only after its owner and lock were judged.
struct DirectorySweeper<'a>(&'a Directory);

impl Sweeper for DirectorySweeper<'_> {
    type Id = FileId;

    fn judge(
        &self,
        name: &OsStr,
        path: &Path,
    ) -> core::result::Result<(SystemTime, FileId), Removal> {
        let stat = rustix::fs::statat(self.0.fd(), name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| vanished_or_failed(errno, path))?;
        // Before opening: opening a device may have effects.
        match file_type(&stat) {
            FileType::Regular => {}
            other => return Err(Removal::NotRegular(other)),
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(Removal::NotOurs { owner: stat.st_uid });
        }
        with_lock(self.0, name, path, file_id(&stat), || Removal::Kept)
            .map(|_| (modified(&stat), file_id(&stat)))
    }

    fn remove(&self, name: &OsStr, path: &Path, id: FileId) -> Removal {
        with_lock(self.0, name, path, id, || {
            // The lock excludes writers. Only a program that ignores locks can replace the file
            // between this check and the removal.
            match rustix::fs::statat(self.0.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if file_id(&stat) == id => {}
                Ok(_) => return Removal::Vanished,
                Err(errno) => return vanished_or_failed(errno, path),
            }
            match rustix::fs::unlinkat(self.0.fd(), name, AtFlags::empty()) {
                Ok(()) => Removal::Removed,
                Err(errno) => vanished_or_failed(errno, path),
            }
        })
        .unwrap_or_else(|removal| removal)
    }
}

/// Runs `action` under a shared lock on the file `id`, which excludes writers but not observers and
/// other sweepers; else returns why the file must stay.
fn with_lock(
    directory: &Directory,
    name: &OsStr,
    path: &Path,
    id: FileId,
    action: impl FnOnce() -> Removal,
) -> core::result::Result<Removal, Removal> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let failed = |errno| vanished_or_failed(errno, path);
    let fd = rustix::fs::openat(directory.fd(), name, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    if file_id(&stat) != id {
        return Err(Removal::Vanished);
    }
    match lock::take_shared(fd.as_fd()) {
        // Closing the descriptor releases it.
        Ok(()) => Ok(action()),
        Err(Errno::WOULDBLOCK) => Err(Removal::Live),
        Err(errno) => Err(failed(errno)),
    }
}

fn vanished_or_failed(errno: Errno, path: &Path) -> Removal {
    match errno {
        Errno::NOENT => Removal::Vanished,
        errno => Removal::Failed(failed(SWEEP, path)(errno)),
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
        let directory = Directory::open(place.path()).unwrap();
        let id = file_id(&rustix::fs::stat(&path).unwrap());
        let removal = with_lock(&directory, "x.mmst".as_ref(), &path, id, || {
            assert_eq!(crate::reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
            // Other sweepers and observers are not excluded.
            assert!(!crate::is_locked(&path).unwrap());
            Removal::Removed
        });
        assert!(matches!(removal, Ok(Removal::Removed)));
        let other = FileId { index: id.index + 1, ..id };
        let removal = with_lock(&directory, "x.mmst".as_ref(), &path, other, || unreachable!());
        assert!(matches!(removal, Err(Removal::Vanished)));
    }
}
