//! Removal of the files of dead writers.
//!
//! A file is removed only under a shared lock, which excludes a writer, and only if it is still the
//! file that was judged: it gets a temporary name, is compared, and is removed under that name, so
//! that a file that takes the name in between is not removed in its place.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mmstats_system::{Sweeper, docs, name, split_path, sweep_names};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::lock;
use super::observed_file::read_at_start;
use super::os_error::failed;
use super::random::random_number;
use super::stat::{file_id, file_type, modified};
use crate::{
    Error, ErrorKind, FileId, FileType, Identify, Judged, Removal, Result, Sweep, SweepOptions,
};

#[doc = docs!(sweep)]
pub fn sweep(
    directory: &Directory,
    options: &SweepOptions,
    identify: Option<&Identify<'_>>,
) -> Result<Sweep> {
    let entries = Dir::read_from(directory.fd()).map_err(failed(SWEEP, directory.path()))?;
    let names = entries.map(|entry| Ok(OsString::from_vec(entry?.file_name().to_bytes().to_vec())));
    Ok(sweep_names(&DirectorySweeper(directory), directory.path(), names, options, identify))
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

#[doc = docs!(remove_judged)]
#[must_use]
pub fn remove_judged(
    directory: &Directory,
    name: &OsStr,
    judged: &Judged,
    dry_run: bool,
) -> Removal {
    let (sweeper, path) = (DirectorySweeper(directory), directory.path().join(name));
    match sweeper.judge(name, &path) {
        Ok((_, id)) if id != judged.id => Removal::Vanished,
        Ok(_) => with_lock(directory, name, &path, judged.id, |fd| {
            let mut start = vec![0; judged.start.len()];
            match read_at_start(fd, &mut start) {
                Ok(read) if read == start.len() && start == judged.start => {}
                Ok(_) => return Removal::Vanished,
                Err(errno) => return vanished_or_failed(errno, &path),
            }
            if dry_run { Removal::WouldRemove } else { unlink(directory, name, &path, judged.id) }
        })
        .unwrap_or_else(|removal| removal),
        Err(removal) => removal,
    }
}

/// Private, so that a file is removed only after its owner and lock were judged.
struct DirectorySweeper<'a>(&'a Directory);

impl Sweeper for DirectorySweeper<'_> {
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
        with_lock(self.0, name, path, file_id(&stat), |_| Removal::Kept)
            .map(|_| (modified(&stat), file_id(&stat)))
    }

    fn remove(&self, name: &OsStr, path: &Path, id: FileId) -> Removal {
        with_lock(self.0, name, path, id, |_| unlink(self.0, name, path, id))
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
    action: impl FnOnce(BorrowedFd<'_>) -> Removal,
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
        Ok(()) => Ok(action(fd.as_fd())),
        Err(Errno::WOULDBLOCK) => Err(Removal::Live),
        Err(errno) => Err(failed(errno)),
    }
}

/// Removes the name of the file `id`, and of no other file. The caller holds its lock, which
/// excludes writers, but not a program that renames or replaces files.
fn unlink(directory: &Directory, name: &OsStr, path: &Path, id: FileId) -> Removal {
    let has_id = |name: &OsStr| {
        rustix::fs::statat(directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|stat| file_id(&stat) == id)
    };
    match has_id(name) {
        Ok(true) => {}
        Ok(false) => return Removal::Vanished,
        Err(errno) => return vanished_or_failed(errno, path),
    }
    // A sweep removes it if this process is killed here. The number cannot be guessed.
    let aside = name::temporary(ASIDE, random_number());
    if let Err(errno) = rustix::fs::renameat(directory.fd(), name, directory.fd(), &aside) {
        return vanished_or_failed(errno, path);
    }
    match has_id(aside.as_ref()) {
        Ok(true) => match rustix::fs::unlinkat(directory.fd(), &aside, AtFlags::empty()) {
            Ok(()) => Removal::Removed,
            Err(errno) => {
                let _ = put_back(directory, &aside, name);
                vanished_or_failed(errno, path)
            }
        },
        // Another file took the name between the comparison and the renaming.
        Ok(false) => match put_back(directory, &aside, name) {
            Ok(()) => Removal::Vanished,
            Err(errno) => Removal::Failed(failed(PUT_BACK, &beside(path, &aside))(errno)),
        },
        // Another sweep removed it under its temporary name.
        Err(errno) => vanished_or_failed(errno, path),
    }
}

/// Gives the file `aside` its name back; replaces no file.
fn put_back(directory: &Directory, aside: &str, name: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::linkat(directory.fd(), aside, directory.fd(), name, AtFlags::empty())?;
    rustix::fs::unlinkat(directory.fd(), aside, AtFlags::empty())
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

fn vanished_or_failed(errno: Errno, path: &Path) -> Removal {
    match errno {
        Errno::NOENT => Removal::Vanished,
        errno => Removal::Failed(failed(SWEEP, path)(errno)),
    }
}

const SWEEP: &str = "sweep";
const PUT_BACK: &str = "put back the name of";
/// Name of a file that is being removed, before the temporary part.
const ASIDE: &str = "removed.mmst";

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
        let removal = with_lock(&directory, "x.mmst".as_ref(), &path, id, |_| {
            assert_eq!(crate::reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
            // Other sweepers and observers are not excluded.
            assert!(!crate::is_locked(&path).unwrap());
            Removal::Removed
        });
        assert!(matches!(removal, Ok(Removal::Removed)));
        let other = FileId { index: id.index + 1, ..id };
        let removal = with_lock(&directory, "x.mmst".as_ref(), &path, other, |_| unreachable!());
        assert!(matches!(removal, Err(Removal::Vanished)));
    }

    #[test]
    fn unlink_of_replaced_file_keeps_both() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("x.mmst"), "judged").unwrap();
        let id = file_id(&rustix::fs::stat(path("x.mmst")).unwrap());
        fs::rename(path("x.mmst"), path("y.mmst")).unwrap();
        fs::write(path("x.mmst"), "later").unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let removal = unlink(&directory, "x.mmst".as_ref(), &path("x.mmst"), id);
        assert!(matches!(removal, Removal::Vanished), "{removal:?}");
        assert_eq!(fs::read(path("x.mmst")).unwrap(), b"later");
        let removal = unlink(&directory, "y.mmst".as_ref(), &path("y.mmst"), id);
        assert!(matches!(removal, Removal::Removed), "{removal:?}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn put_back_replaces_no_file() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let directory = Directory::open(place.path()).unwrap();
        fs::write(path("aside"), "old").unwrap();
        put_back(&directory, "aside", "x".as_ref()).unwrap();
        assert_eq!(fs::read(path("x")).unwrap(), b"old");
        fs::write(path("aside"), "other").unwrap();
        assert_eq!(put_back(&directory, "aside", "x".as_ref()), Err(Errno::EXIST));
        assert_eq!(fs::read(path("x")).unwrap(), b"old");
        assert!(path("aside").exists());
    }
}
