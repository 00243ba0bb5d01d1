//! A file on the side of an observer: regular, read-only, judged by its lock.

use std::ffi::OsStr;
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use mmstats_system::{docs, image_size};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::directory::{Directory, is_in_memory};
use super::foreign_root::{self, Inside};
use super::mapping::{Mapping, ObservedMapping, private};
use super::os_error::failed;
use super::stat::{file_id, file_info, file_size, file_type};
use super::{fault_handler, lock};
use crate::{Error, ErrorKind, FileInfo, FileType, Result};

#[doc = docs!(ObservedFile)]
#[derive(Debug)]
pub struct ObservedFile {
    info: FileInfo,
    mapping: Arc<ObservedMapping>,
    /// `None` after `close_handle`.
    fd: Option<OwnedFd>,
    /// Whether the mapping is a copy.
    snapshot: bool,
}

#[doc = docs!(open)]
pub fn open(path: &Path) -> Result<ObservedFile> {
    map(open_regular(path)?, path)
}

#[doc = docs!(open_in)]
pub fn open_in(directory: &Directory, name: &OsStr) -> Result<ObservedFile> {
    let path = directory.path().join(name);
    map(open_regular_in(directory.fd(), name.as_ref(), &path)?, &path)
}

fn map((fd, stat): (OwnedFd, Stat), path: &Path) -> Result<ObservedFile> {
    let len = image_size(OPEN, path, file_size(&stat))?;
    fault_handler::install()?;
    let snapshot = is_sparse_in_memory(&fd, &stat);
    let mapping = if snapshot {
        ObservedMapping::from_copy(copy_without_holes(&fd, len, path)?)
    } else {
        ObservedMapping::new(fd.as_fd(), len as usize, path)?
    };
    // The handler covers every later truncation.
    if file_size(&rustix::fs::fstat(&fd).map_err(failed(OPEN, path))?) < u64::from(len) {
        return Err(Error::new(OPEN, path, ErrorKind::Shrunk));
    }
    let info = file_info(&stat, path);
    Ok(ObservedFile { info, mapping: Arc::new(mapping), fd: Some(fd), snapshot })
}

/// Whether the file has holes that would be allocated by looking at them.
fn is_sparse_in_memory(fd: &OwnedFd, stat: &Stat) -> bool {
    // Blocks of 512 bytes, whatever the size of those of the file system.
    let allocated = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    allocated < file_size(stat) && is_in_memory(fd.as_fd()) == Some(true)
}

/// A private copy of the first `len` bytes; holes take no memory.
fn copy_without_holes(fd: &OwnedFd, len: u32, path: &Path) -> Result<Mapping> {
    let mapping = private(len)?;
    let (mut at, mut copied) = (0, 0);
    while let Some(data) = next_data_range(fd.as_fd(), at, len.into()) {
        copied += data.end - data.start;
        if copied > MAX_COPY {
            let kind = ErrorKind::TooLarge { size: copied, limit: MAX_COPY };
            return Err(Error::new(OPEN, path, kind));
        }
        mapping.fill(fd.as_fd(), data.start, data.end).map_err(failed(OPEN, path))?;
        at = data.end;
    }
    Ok(mapping)
}

#[doc = docs!(read_all)]
pub fn read_all(path: &Path, max: u32) -> Result<(FileInfo, Vec<u8>)> {
    let (fd, stat) = open_regular(path)?;
    let size = image_size("read", path, file_size(&stat))?;
    if size > max {
        let kind = ErrorKind::TooLarge { size: file_size(&stat), limit: max.into() };
        return Err(Error::new("read", path, kind));
    }
    let mut bytes = vec![0; size as usize];
    if read_at_start(fd.as_fd(), &mut bytes).map_err(failed("read", path))? < bytes.len() {
        return Err(Error::new("read", path, ErrorKind::Shrunk));
    }
    Ok((file_info(&stat, path), bytes))
}

#[doc = docs!(read_start)]
pub fn read_start(path: &Path, start: &mut [u8]) -> Result<usize> {
    let (fd, stat) = open_regular(path)?;
    image_size("read", path, file_size(&stat))?;
    read_at_start(fd.as_fd(), start).map_err(failed("read", path))
}

/// Reads from the start until the end of the file or of `bytes`; returns the number of bytes.
pub(super) fn read_at_start(fd: BorrowedFd<'_>, bytes: &mut [u8]) -> rustix::io::Result<usize> {
    let mut at = 0;
    while at < bytes.len() {
        match rustix::io::pread(fd, &mut bytes[at..], at as u64) {
            Ok(0) => break,
            Ok(read) => at += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(at)
}

#[doc = docs!(next_data)]
#[must_use]
pub fn next_data(file: &File, from: u64) -> Option<u64> {
    data_start(file.as_fd(), from)
}

/// First offset, `from` or above, that is not in a hole; `None` if there is none. It is `from` where the
/// system does not report holes. The end of the data is not looked for, which may take as long as the data.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "macos"))] // report holes
fn data_start(fd: BorrowedFd<'_>, from: u64) -> Option<u64> {
    use rustix::fs::{SeekFrom, seek};
    match seek(fd, SeekFrom::Data(from)) {
        Ok(start) => Some(start.max(from)),
        Err(Errno::NXIO) => None,
        Err(_) => Some(from),
    }
}

/// First range of bytes in `from..limit` that is not a hole; `None` if there is none. It is
/// `from..limit` where the system does not report holes.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "macos"))] // report holes
fn next_data_range(fd: BorrowedFd<'_>, from: u64, limit: u64) -> Option<Range<u64>> {
    use rustix::fs::{SeekFrom, seek};
    let start = data_start(fd, from)?;
    let end = seek(fd, SeekFrom::Hole(start)).unwrap_or(limit);
    // A file that changes meanwhile may have its hole at the start; a range is never empty.
    let end = end.max(start.saturating_add(1)).min(limit);
    (start < end).then_some(start..end)
}

/// First offset, `from` or above, that is not in a hole: `from`.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "macos"
)))] // do not
const fn data_start(_: BorrowedFd<'_>, from: u64) -> Option<u64> {
    Some(from)
}

/// First range of bytes in `from..limit` that is not a hole: `from..limit`; `None` if that is empty.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "macos"
)))] // do not
fn next_data_range(_: BorrowedFd<'_>, from: u64, limit: u64) -> Option<Range<u64>> {
    (from < limit).then_some(from..limit)
}

#[doc = docs!(info)]
pub fn info(path: &Path) -> Result<FileInfo> {
    let stat = foreign_root::stat(path).map_err(failed(LOOK, path))?;
    check_type(LOOK, path, &stat)?;
    Ok(file_info(&stat, path))
}

#[doc = docs!(is_locked)]
pub fn is_locked(path: &Path) -> Result<bool> {
    let (fd, _) = open_regular(path)?;
    lock::is_held(fd.as_fd()).map_err(failed(PROBE, path))
}

impl ObservedFile {
    #[doc = docs!(ObservedFile::info)]
    #[must_use]
    pub const fn info(&self) -> &FileInfo {
        &self.info
    }

    #[doc = docs!(mapping)]
    #[must_use]
    pub const fn mapping(&self) -> &Arc<ObservedMapping> {
        &self.mapping
    }

    #[doc = docs!(ObservedFile::is_locked)]
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

    #[doc = docs!(ObservedFile::size_now)]
    pub fn size_now(&self) -> Result<u64> {
        let path = &self.info.path;
        let stat = match &self.fd {
            Some(fd) => rustix::fs::fstat(fd),
            None => foreign_root::stat(path),
        };
        match stat {
            Ok(stat) if file_id(&stat) == self.info.id => Ok(file_size(&stat)),
            Ok(_) | Err(Errno::NOENT) => Err(Error::new(LOOK, path, ErrorKind::Replaced)),
            Err(errno) => Err(failed(LOOK, path)(errno)),
        }
    }

    #[doc = docs!(ObservedFile::is_snapshot)]
    #[must_use]
    pub const fn is_snapshot(&self) -> bool {
        self.snapshot
    }

    #[doc = docs!(ObservedFile::close_handle)]
    pub fn close_handle(&mut self) {
        self.fd = None;
    }
}

/// Opens a regular file for reading; follows no link.
pub(super) fn open_regular(path: &Path) -> Result<(OwnedFd, Stat)> {
    let Some(inside) = Inside::new(path) else { return open_regular_in(CWD, path, path) };
    let is_regular = |stat: &Stat| file_type(stat) == FileType::Regular;
    match inside.open_regular(is_regular).map_err(failed(OPEN, path))? {
        (stat, Some(file)) => Ok((file, stat)),
        (stat, None) => Err(Error::new(OPEN, path, ErrorKind::NotRegular(file_type(&stat)))),
    }
}

/// The same for the file `name` in an open directory; `path` is for errors.
fn open_regular_in(directory: BorrowedFd<'_>, name: &Path, path: &Path) -> Result<(OwnedFd, Stat)> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed(OPEN, path))?;
    check_type(OPEN, path, &stat)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd =
        rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(failed(OPEN, path))?;
    let stat = rustix::fs::fstat(&fd).map_err(failed(OPEN, path))?;
    check_type(OPEN, path, &stat)?;
    Ok((fd, stat))
}

/// Checks that `path` is that of a regular file, without opening it: opening a device may have
/// effects.
pub(super) fn check_path(operation: &'static str, path: &Path) -> Result<()> {
    let stat = foreign_root::stat(path).map_err(failed(operation, path))?;
    check_type(operation, path, &stat)
}

/// Checks that a file is regular.
pub(super) fn check_type(operation: &'static str, path: &Path, stat: &Stat) -> Result<()> {
    match file_type(stat) {
        FileType::Regular => Ok(()),
        other => Err(Error::new(operation, path, ErrorKind::NotRegular(other))),
    }
}

/// Maximum size of a copy, in bytes: a file with holes in memory has been copied, or is hostile.
const MAX_COPY: u64 = 64 << 20;
const OPEN: &str = "open";
const LOOK: &str = "look at";
const PROBE: &str = "probe the lock of";
