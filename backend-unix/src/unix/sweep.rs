//! Removing what dead writers left behind.
//!
//! A file is removed only while a shared lock on it is held, which no writer grants, and
//! only if its name still refers to the file that was judged.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::SystemTime;

use mmstats_system::{Sweeper, split, sweep_names};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::{failed, file_id, file_type, lock, modified};
use crate::{Error, ErrorKind, FileId, FileType, Removal, Result, SweepOptions, Swept};

/// Removes dead files of this user from a directory, and temporary files that were never
/// finished.
///
/// Looks at files named `*.mmst` for which `is_candidate` is true, and at temporary files.
/// Of the dead ones those modified last are kept, as many as asked for: see
/// [`SweepOptions::keep`]. Answers for every file it looked at what became of it.
///
/// ```
/// use mmstats_unix::{SweepOptions, directory::Directory, sweep};
/// # let temporary = tempfile::tempdir().unwrap();
/// # let path = temporary.path();
/// # std::fs::write(path.join("old.mmst"), "x").unwrap();
/// let directory = Directory::open(path)?;
/// let options = SweepOptions { keep: 0, ..SweepOptions::default() };
/// let swept = sweep(&directory, &options, &|_name| true)?;
/// assert_eq!(swept.len(), 1);
/// assert!(!path.join("old.mmst").exists());
/// # Ok::<(), mmstats_unix::Error>(())
/// ```
///
/// # Errors
///
/// Where the directory cannot be read. That a file cannot be removed is a
/// [`Removal::Failed`].
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
    Ok(sweep_names(&In(directory), directory.path(), names, options, is_candidate))
}

/// Judges and removes in a directory.
struct In<'a>(&'a Directory);

impl Sweeper for In<'_> {
    type Id = FileId;

    fn judge(
        &self,
        name: &OsStr,
        path: &Path,
    ) -> core::result::Result<(SystemTime, FileId), Removal> {
        judge(self.0, name, path)
    }

    fn remove(&self, name: &OsStr, path: &Path, id: FileId) -> Removal {
        remove(self.0, name, path, id)
    }
}

/// Removes a file if its writer is dead and it belongs to this user, whatever its name.
///
/// # Errors
///
/// Where its directory cannot be opened.
pub fn remove_if_dead(path: &Path, dry_run: bool) -> Result<Removal> {
    let no_name = || Error::new(SWEEP, path, ErrorKind::NotRegular(FileType::Directory));
    let (parent, name) = split(path).ok_or_else(no_name)?;
    let directory = match Directory::open(&parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Removal::Vanished),
        other => other?,
    };
    Ok(match judge(&directory, name, path) {
        Ok(_) if dry_run => Removal::WouldRemove,
        Ok((_, id)) => remove(&directory, name, path, id),
        Err(removal) => removal,
    })
}

/// When a dead file was modified and which it is; or why it must stay.
fn judge(
    directory: &Directory,
    name: &OsStr,
    path: &Path,
) -> core::result::Result<(SystemTime, FileId), Removal> {
    let stat = rustix::fs::statat(directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| vanished_or_failed(errno, path))?;
    // Before it is opened: opening a device may have effects.
    match file_type(&stat) {
        FileType::Regular => {}
        other => return Err(Removal::NotRegular(other)),
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Removal::NotOurs { owner: stat.st_uid });
    }
    with_lock(directory, name, path, file_id(&stat), || Removal::Kept)
        .map(|_| (modified(&stat), file_id(&stat)))
}

/// Removes the dead file `id`, if `name` still refers to it and it is still dead.
fn remove(directory: &Directory, name: &OsStr, path: &Path, id: FileId) -> Removal {
    with_lock(directory, name, path, id, || {
        // Nobody becomes its writer now. Between this question and the removal only
        // somebody who knows nothing of locks can put another file there.
        match rustix::fs::statat(directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if file_id(&stat) == id => {}
            Ok(_) => return Removal::Vanished,
            Err(errno) => return vanished_or_failed(errno, path),
        }
        match rustix::fs::unlinkat(directory.fd(), name, AtFlags::empty()) {
            Ok(()) => Removal::Removed,
            Err(errno) => vanished_or_failed(errno, path),
        }
    })
    .unwrap_or_else(|removal| removal)
}

/// Runs `action` while no writer can lock the file `id`; or says why the file must stay.
///
/// The lock is shared: observers and other sweepers are not disturbed.
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
    fn nobody_becomes_the_writer_of_a_file_while_it_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        fs::write(&path, "x").unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let id = file_id(&rustix::fs::stat(&path).unwrap());
        let removal = with_lock(&directory, "x.mmst".as_ref(), &path, id, || {
            assert_eq!(crate::reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
            // Other sweepers and observers may look.
            assert!(!crate::is_locked(&path).unwrap());
            Removal::Removed
        });
        assert!(matches!(removal, Ok(Removal::Removed)));
        let other = FileId { index: id.index + 1, ..id };
        let removal = with_lock(&directory, "x.mmst".as_ref(), &path, other, || unreachable!());
        assert!(matches!(removal, Err(Removal::Vanished)));
    }
}
