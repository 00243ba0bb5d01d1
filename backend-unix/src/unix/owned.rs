//! A published file, from its writer's side.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use mmstats_core::Memory;

use super::codes::os_error;
use super::create::populate;
use super::fork::Registration;
use super::mapping::Mapping;
use super::open::regular;
use super::{failed, file_id, file_size, lock};
use crate::{Error, ErrorKind, Result};

/// A published file: locked for writing as long as this value lives.
///
/// Dropping it releases the lock, which tells observers that the writer is gone; the file
/// stays. The bytes stay mapped as long as somebody holds [`mapping`](Self::mapping).
///
/// In a forked child it refers to nothing any more, see [`fork`](crate::fork): dropping it
/// changes nothing, the other methods answer [`ErrorKind::Forked`].
#[derive(Debug)]
pub struct OwnedFile {
    mapping: Arc<Mapping>,
    path: PathBuf,
}

/// The end of [`NewFile::publish`](crate::NewFile::publish).
pub(super) const fn published(mapping: Arc<Mapping>, path: PathBuf) -> OwnedFile {
    OwnedFile { mapping, path }
}

/// Opens a file that an earlier run of this program left behind, to go on writing it.
///
/// # Errors
///
/// Where it is not a regular file, belongs to another user, is larger than an image may
/// be, is empty, or has a writer ([`ErrorKind::Locked`]).
pub fn reopen(path: &Path) -> Result<OwnedFile> {
    reopen_after(path, || ())
}

/// The same with something done between opening and locking.
fn reopen_after(path: &Path, before_lock: impl FnOnce()) -> Result<OwnedFile> {
    let path = &std::path::absolute(path).map_err(|error| os_error(REOPEN, Some(path), error))?;
    let failed = failed(REOPEN, path);
    regular(REOPEN, path)?;
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = || rustix::fs::open(path, flags, Mode::empty());
    let registration = Registration::open(REOPEN, path, open, open)?;
    let forked = || Error::new(REOPEN, path, ErrorKind::Forked);
    let fd = registration.lock_fd().ok_or_else(forked)?;
    before_lock();
    lock::take(fd).map_err(&failed)?;
    // Only now: nobody who respects the lock changes it any more.
    let stat = rustix::fs::fstat(fd).map_err(&failed)?;
    super::open::check_type(REOPEN, path, &stat)?;
    let (owner, expected) = (stat.st_uid, rustix::process::geteuid().as_raw());
    if owner != expected {
        return Err(Error::new(REOPEN, path, ErrorKind::WrongOwner { owner, expected }));
    }
    let len = super::open::check_size(REOPEN, path, file_size(&stat))?;
    if !has_name(path, registration.file_id()).map_err(&failed)? {
        return Err(Error::new(REOPEN, path, ErrorKind::Replaced));
    }
    // A copy of a file may have holes. Where this is interrupted, or not known to the file
    // system, writing the pages will tell.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    if let Err(errno @ (Errno::NOSPC | Errno::DQUOT)) =
        rustix::fs::fallocate(fd, rustix::fs::FallocateFlags::empty(), 0, u64::from(len))
    {
        return Err(failed(errno));
    }
    let mapping = Mapping::of_writer(registration, len as usize, REOPEN, path)?;
    populate(&mapping, path)?;
    Ok(OwnedFile { mapping: Arc::new(mapping), path: path.clone() })
}

impl OwnedFile {
    /// The bytes.
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sees to it that the bytes survive a crash of the machine. For a file in memory this
    /// means nothing; a crash of the program loses nothing anyway.
    ///
    /// With `wait` it returns when they are stored, which takes as long as the disk takes.
    ///
    /// # Errors
    ///
    /// Where they cannot be stored, or in a forked child.
    pub fn flush(&self, wait: bool) -> Result<()> {
        const FLUSH: &str = "flush";
        let failed = failed(FLUSH, &self.path);
        let forked = || Error::new(FLUSH, &self.path, ErrorKind::Forked);
        let fd = self.mapping.lock_fd().ok_or_else(forked)?;
        self.mapping.sync(wait).map_err(&failed)?;
        if wait {
            rustix::fs::fsync(fd).map_err(&failed)?;
        }
        Ok(())
    }

    /// Cuts the mapping off from the file: who still has it goes on in a private copy at the
    /// same address, and the file does not change any more.
    ///
    /// # Errors
    ///
    /// Where there is no memory for the copy; then the mapping stays as it is.
    pub fn detach(&self) -> Result<()> {
        self.mapping.detach().map_err(failed("detach", &self.path))
    }

    /// Whether the file is as long as it was made: nobody has truncated it. In a forked child,
    /// which has a copy, it does not matter.
    #[must_use]
    pub fn has_its_size(&self) -> bool {
        let Some(fd) = self.mapping.lock_fd() else { return true };
        let size = rustix::fs::fstat(fd).map(|stat| file_size(&stat));
        size.is_ok_and(|size| size >= self.mapping.len() as u64)
    }

    /// Whether the path is still the file's name.
    pub(super) fn has_its_name(&self) -> rustix::io::Result<bool> {
        has_name(&self.path, self.mapping.file_id())
    }

    /// Removes the file's name, if it is still its name. The lock and the bytes stay until
    /// they are dropped.
    ///
    /// # Errors
    ///
    /// Where the name refers to another file or to none ([`ErrorKind::Replaced`]), where it
    /// cannot be removed, or in a forked child.
    pub fn remove(&self) -> Result<()> {
        const REMOVE: &str = "remove";
        if self.mapping.lock_fd().is_none() {
            return Err(Error::new(REMOVE, &self.path, ErrorKind::Forked));
        }
        let failed = failed(REMOVE, &self.path);
        if !has_name(&self.path, self.mapping.file_id()).map_err(&failed)? {
            return Err(Error::new(REMOVE, &self.path, ErrorKind::Replaced));
        }
        rustix::fs::unlink(&self.path).map_err(failed)
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        // The descriptor stays open as long as the bytes are mapped; the lock must not.
        if let Some(fd) = self.mapping.lock_fd() {
            lock::release(fd);
        }
    }
}

/// Whether `path` names the file `id`.
fn has_name(path: &Path, id: Option<crate::FileId>) -> rustix::io::Result<bool> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(file_id(&stat)) == id),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

const REOPEN: &str = "reopen";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A sweeper may remove the name after it was opened; whoever published there then
    /// would never be seen.
    #[test]
    fn file_that_is_swept_while_it_is_opened_is_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        fs::write(&path, "x").unwrap();
        let error = reopen_after(&path, || fs::remove_file(&path).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Replaced);
        fs::write(&path, "x").unwrap();
        reopen_after(&path, || ()).unwrap();
    }
}
