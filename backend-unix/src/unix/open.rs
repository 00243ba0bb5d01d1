//! A file from an observer's side: only regular files, read-only, judged alive by its lock.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::mapping::Mapping;
use super::{failed, file_id, file_info, file_size, file_type, guard, lock};
use crate::{Error, ErrorKind, FileInfo, FileType, Result};

/// A file that was opened for looking at.
#[derive(Debug)]
pub struct Opened {
    info: FileInfo,
    mapping: Arc<Mapping>,
    /// None after `close_handle`.
    fd: Option<OwnedFd>,
}

/// Opens a file and maps all of it, read-only.
///
/// Follows no link at the end of the path and never waits, whatever the path names.
/// Installs [`guard`](crate::guard), so that a file which is truncated later is
/// [damaged](Mapping::is_damaged) instead of the end of this process.
///
/// # Errors
///
/// Where it is not a regular file ([`ErrorKind::NotRegular`]), is empty, has 4 GiB or
/// more, became smaller meanwhile, or may not be read.
pub fn open(path: &Path) -> Result<Opened> {
    let (fd, stat) = open_regular(path)?;
    let len = check_size(OPEN, path, file_size(&stat))?;
    guard::install()?;
    let mapping = Mapping::of_observer(fd.as_fd(), len as usize, path)?;
    // Whoever truncates it from now on is met by the guard.
    if file_size(&rustix::fs::fstat(&fd).map_err(failed(OPEN, path))?) < u64::from(len) {
        return Err(Error::new(OPEN, path, ErrorKind::Shrunk));
    }
    Ok(Opened { info: file_info(&stat, path), mapping: Arc::new(mapping), fd: Some(fd) })
}

/// Reads all of a file, of at most `max` bytes, without mapping it: for dumps, and for
/// files that are small or in other formats.
///
/// # Errors
///
/// As [`open`]; a file of more than `max` bytes is [`ErrorKind::TooLarge`].
pub fn read_all(path: &Path, max: u32) -> Result<(FileInfo, Vec<u8>)> {
    let (fd, stat) = open_regular(path)?;
    let size = check_size("read", path, file_size(&stat))?;
    if size > max {
        let kind = ErrorKind::TooLarge { size: size.into(), limit: max.into() };
        return Err(Error::new("read", path, kind));
    }
    let mut bytes = vec![0; size as usize];
    let mut at = 0;
    while at < bytes.len() {
        match rustix::io::pread(&fd, &mut bytes[at..], at as u64) {
            Ok(0) => return Err(Error::new("read", path, ErrorKind::Shrunk)),
            Ok(read) => at += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("read", path)(errno)),
        }
    }
    Ok((file_info(&stat, path), bytes))
}

/// Reads the first bytes of a file, as many as there are and as `start` has room for;
/// returns their number. Without mapping it: to see of what kind it is.
///
/// # Errors
///
/// Where it is not a regular file, is empty, has 4 GiB or more, or may not be read.
pub fn read_start(path: &Path, start: &mut [u8]) -> Result<usize> {
    let (fd, stat) = open_regular(path)?;
    check_size("read", path, file_size(&stat))?;
    let mut at = 0;
    while at < start.len() {
        match rustix::io::pread(&fd, &mut start[at..], at as u64) {
            Ok(0) => break,
            Ok(read) => at += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("read", path)(errno)),
        }
    }
    Ok(at)
}

/// The first place from `from` on where a file may have anything but zeros: what was never
/// written takes no room, and is passed over without reading it. `None` if there is no such
/// place; `from` where the system does not tell. The file's own position may change.
#[must_use]
pub fn next_data(file: &File, from: u64) -> Option<u64> {
    // Systems that know holes.
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "macos"
    ))]
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(from)) {
        Ok(at) => return Some(at.max(from)),
        Err(Errno::NXIO) => return None,
        Err(_) => {}
    }
    let _ = file;
    Some(from)
}

/// Facts about a regular file, without opening it.
///
/// # Errors
///
/// Where it is not a regular file, or its directory may not be searched.
pub fn info(path: &Path) -> Result<FileInfo> {
    let stat =
        rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(failed(LOOK, path))?;
    check_type(LOOK, path, &stat)?;
    Ok(file_info(&stat, path))
}

/// Whether the writer of a file lives, that is, holds the lock on it.
///
/// # Errors
///
/// Where it is not a regular file, may not be read, or the file system has no locks.
pub fn is_locked(path: &Path) -> Result<bool> {
    let (fd, _) = open_regular(path)?;
    lock::is_held(fd.as_fd()).map_err(failed(PROBE, path))
}

impl Opened {
    /// Facts about the file, as they were when it was opened.
    #[must_use]
    pub const fn info(&self) -> &FileInfo {
        &self.info
    }

    /// The bytes.
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Whether the writer lives, that is, holds the lock on the file.
    ///
    /// The lock belongs to the open file, not to a process: the answer is right for files
    /// of this very process too.
    ///
    /// # Errors
    ///
    /// Where the file system has no locks; and after [`close_handle`](Self::close_handle)
    /// where the path no longer leads to the file ([`ErrorKind::Replaced`]).
    pub fn is_locked(&self) -> Result<bool> {
        let path = &self.info.path;
        let probe = |fd: &OwnedFd| lock::is_held(fd.as_fd()).map_err(failed(PROBE, path));
        if let Some(fd) = &self.fd {
            return probe(fd);
        }
        match open_regular(path) {
            Ok((fd, stat)) if file_id(&stat) == self.info.id => probe(&fd),
            Err(error)
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotRegular(_)) =>
            {
                Err(error)
            }
            _ => Err(Error::new(PROBE, path, ErrorKind::Replaced)),
        }
    }

    /// How many bytes the file has now.
    ///
    /// Where a file was cut in the middle of a page, the rest of that page reads as zero
    /// without a fault, so [`Mapping::is_damaged`] does not tell; this does.
    ///
    /// # Errors
    ///
    /// After [`close_handle`](Self::close_handle), where the path no longer leads to the
    /// file ([`ErrorKind::Replaced`]).
    pub fn size_now(&self) -> Result<u64> {
        let path = &self.info.path;
        let stat = match &self.fd {
            Some(fd) => rustix::fs::fstat(fd),
            None => rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW),
        };
        match stat {
            Ok(stat) if file_id(&stat) == self.info.id => Ok(file_size(&stat)),
            Ok(_) | Err(Errno::NOENT) => Err(Error::new(LOOK, path, ErrorKind::Replaced)),
            Err(errno) => Err(failed(LOOK, path)(errno)),
        }
    }

    /// Closes the file and keeps the mapping: for an observer of more files than a process
    /// may have open. [`is_locked`](Self::is_locked) opens it again each time.
    ///
    /// See also [`process::raise_open_files`](crate::process::raise_open_files).
    pub fn close_handle(&mut self) {
        self.fd = None;
    }
}

/// Opens a regular file for reading, following no link.
pub(super) fn open_regular(path: &Path) -> Result<(OwnedFd, Stat)> {
    regular(OPEN, path)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed(OPEN, path))?;
    let stat = rustix::fs::fstat(&fd).map_err(failed(OPEN, path))?;
    check_type(OPEN, path, &stat)?;
    Ok((fd, stat))
}

/// Checks what `path` names, before it is opened: opening a device may have effects.
pub(super) fn regular(operation: &'static str, path: &Path) -> Result<()> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed(operation, path))?;
    check_type(operation, path, &stat)
}

pub(super) fn check_type(operation: &'static str, path: &Path, stat: &Stat) -> Result<()> {
    match file_type(stat) {
        FileType::Regular => Ok(()),
        other => Err(Error::new(operation, path, ErrorKind::NotRegular(other))),
    }
}

pub(super) fn check_size(operation: &'static str, path: &Path, size: u64) -> Result<u32> {
    match u32::try_from(size) {
        Ok(0) => Err(Error::new(operation, path, ErrorKind::Empty)),
        Ok(size) => Ok(size),
        Err(_) => {
            let kind = ErrorKind::TooLarge { size, limit: u32::MAX.into() };
            Err(Error::new(operation, path, kind))
        }
    }
}

const OPEN: &str = "open";
const LOOK: &str = "look at";
const PROBE: &str = "probe the lock of";
