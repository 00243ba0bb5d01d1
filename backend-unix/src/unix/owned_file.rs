//! A published file on the side of its writer.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmstats_core::Memory;
use mmstats_system::{docs, image_size};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use super::fork::Registration;
use super::lock;
use super::mapping::Mapping;
use super::observed_file::{check_path, check_type};
use super::os_error::{failed, lock_failed, os_error};
use super::stat::{file_id, file_size};
use crate::{Error, ErrorKind, FileId, Result, Standing};

#[doc = docs!(OwnedFile)]
#[derive(Debug)]
pub struct OwnedFile {
    mapping: Arc<Mapping>,
    path: PathBuf,
    /// The root directory from which the path leads to the file.
    root: Option<FileId>,
}

#[doc = docs!(reopen)]
pub fn reopen(path: &Path) -> Result<OwnedFile> {
    reopen_after(path, || ())
}

/// Calls `before_lock` between opening and locking.
fn reopen_after(path: &Path, before_lock: impl FnOnce()) -> Result<OwnedFile> {
    let path = &std::path::absolute(path).map_err(|error| os_error(REOPEN, Some(path), error))?;
    let failed = failed(REOPEN, path);
    check_path(REOPEN, path)?;
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = || rustix::fs::open(path, flags, Mode::empty());
    let registration = Registration::open(REOPEN, path, open, open)?;
    let fd = registration.lock_fd().map_err(|kind| Error::new(REOPEN, path, kind))?;
    before_lock();
    lock::take(fd).map_err(lock_failed(REOPEN, path))?;
    // After locking, because no other holder of the lock changes the file any more.
    let stat = rustix::fs::fstat(fd).map_err(&failed)?;
    check_type(REOPEN, path, &stat)?;
    let (owner, expected) = (stat.st_uid, rustix::process::geteuid().as_raw());
    if owner != expected {
        return Err(Error::new(REOPEN, path, ErrorKind::WrongOwner { owner, expected }));
    }
    let len = image_size(REOPEN, path, file_size(&stat))?;
    if !has_name(path, registration.file_id()).map_err(&failed)? {
        return Err(Error::new(REOPEN, path, ErrorKind::Replaced));
    }
    // A copied file may have holes. If the call is interrupted or not supported, writing the pages
    // reports a full disk.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    if let Err(errno @ (Errno::NOSPC | Errno::DQUOT)) =
        rustix::fs::fallocate(fd, rustix::fs::FallocateFlags::empty(), 0, u64::from(len))
    {
        return Err(failed(errno));
    }
    let mapping = Mapping::for_writer(registration, len as usize, REOPEN, path)?;
    mapping.populate(REOPEN, path)?;
    Ok(OwnedFile::new(Arc::new(mapping), path.clone()))
}

impl OwnedFile {
    /// A file that was published or reopened.
    pub(super) fn new(mapping: Arc<Mapping>, path: PathBuf) -> Self {
        Self { mapping, path, root: root() }
    }

    #[doc = docs!(mapping)]
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    #[doc = docs!(path)]
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[doc = docs!(OwnedFile::flush)]
    pub fn flush(&self, wait: bool) -> Result<()> {
        const FLUSH: &str = "flush";
        let failed = failed(FLUSH, &self.path);
        let fd = self.lock_fd(FLUSH)?;
        self.mapping.sync(wait).map_err(&failed)?;
        if wait {
            rustix::fs::fsync(fd).map_err(&failed)?;
        }
        Ok(())
    }

    #[doc = docs!(OwnedFile::detach)]
    pub fn detach(&self) -> Result<()> {
        self.mapping.detach().map_err(failed("detach", &self.path))
    }

    #[doc = docs!(OwnedFile::standing)]
    #[must_use]
    pub fn standing(&self) -> Standing {
        let stat = match self.mapping.lock_fd() {
            Ok(fd) => rustix::fs::fstat(fd).ok(),
            Err(ErrorKind::Forked) => return Standing::Published,
            Err(_) => None,
        };
        let Some(stat) = stat else { return Standing::Unlocked };
        if self.is_longer_than(&stat) {
            return Standing::Truncated;
        }
        let looked_up = self.root == root() && self.has_its_name() == Ok(false);
        if stat.st_nlink == 0 || looked_up { Standing::Unnamed } else { Standing::Published }
    }

    #[doc = docs!(OwnedFile::is_truncated)]
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        let stat = self.mapping.lock_fd().map(rustix::fs::fstat);
        matches!(stat, Ok(Ok(stat)) if self.is_longer_than(&stat))
    }

    /// Whether the mapping has bytes that the file no longer has.
    fn is_longer_than(&self, stat: &Stat) -> bool {
        file_size(stat) < self.mapping.len() as u64
    }

    #[doc = docs!(OwnedFile::touch)]
    pub fn touch(&self) -> Result<()> {
        const TOUCH: &str = "set time of";
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // Both times: then the right to write is enough, for a program that changed its user.
        let now = Timestamps { last_access: now, last_modification: now };
        rustix::fs::futimens(self.lock_fd(TOUCH)?, &now).map_err(failed(TOUCH, &self.path))
    }

    /// Descriptor with the lock.
    fn lock_fd(&self, operation: &'static str) -> Result<BorrowedFd<'_>> {
        self.mapping.lock_fd().map_err(|kind| Error::new(operation, &self.path, kind))
    }

    /// Whether the path still refers to the file.
    pub(super) fn has_its_name(&self) -> rustix::io::Result<bool> {
        has_name(&self.path, self.mapping.file_id())
    }

    #[doc = docs!(OwnedFile::remove)]
    pub fn remove(&self) -> Result<()> {
        const REMOVE: &str = "remove";
        match self.lock_fd(REMOVE) {
            Err(error) if error.kind() == ErrorKind::Forked => return Err(error),
            // The name is still ours without the descriptor.
            _ => {}
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
        // The descriptor stays open as long as the bytes are mapped; the lock must end now.
        if let Ok(fd) = self.mapping.lock_fd() {
            lock::release(fd);
        }
    }
}

/// Whether `path` refers to the file `id`.
fn has_name(path: &Path, id: Option<FileId>) -> rustix::io::Result<bool> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(file_id(&stat)) == id),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Identity of the root directory of this process.
fn root() -> Option<FileId> {
    rustix::fs::stat("/").ok().map(|stat| file_id(&stat))
}

const REOPEN: &str = "reopen";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A file without a name would be invisible to observers.
    #[test]
    fn reopen_of_file_swept_meanwhile_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        fs::write(&path, "x").unwrap();
        let error = reopen_after(&path, || fs::remove_file(&path).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Replaced);
        fs::write(&path, "x").unwrap();
        reopen_after(&path, || ()).unwrap();
    }
}
