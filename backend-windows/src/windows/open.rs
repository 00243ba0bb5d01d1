//! A file from an observer's side: only regular files, read-only, judged alive by its lock.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::handle::{self, Ask, LOOK, READ, Stat, lock_is_held, stat};
use super::mapping::Mapping;
use super::path::no_device;
use super::{failed, guard, security};
use crate::{Error, ErrorKind, FileInfo, FileType, Result};

/// A file that was opened for looking at.
#[derive(Debug)]
pub struct Opened {
    info: FileInfo,
    mapping: Arc<Mapping>,
    /// None after `close_handle`.
    file: Option<File>,
}

/// Opens a file and maps all of it, read-only.
///
/// Follows no link or other reparse point at the end of the path and never waits, whatever
/// the path names. Lets everybody else in, also those who would write or remove the file.
/// Installs [`guard`](crate::guard), so that a file which goes away later is
/// [damaged](Mapping::is_damaged) instead of the end of this process.
///
/// # Errors
///
/// Where it is not a regular file ([`ErrorKind::NotRegular`]), is empty, has 4 GiB or
/// more, became smaller meanwhile, or may not be read.
pub fn open(path: &Path) -> Result<Opened> {
    let (file, stat) = open_regular(path, &READ)?;
    let len = check_size(OPEN, path, stat.size)?;
    guard::install()?;
    let mapping = Mapping::of_observer(&file, len as usize, path);
    // From here on the system keeps it from getting smaller.
    if handle::stat(&file).map_err(failed(OPEN, path))?.size < u64::from(len) {
        return Err(Error::new(OPEN, path, ErrorKind::Shrunk));
    }
    let info = file_info(&file, &stat, path);
    Ok(Opened { info, mapping: Arc::new(mapping?), file: Some(file) })
}

/// Reads all of a file, of at most `max` bytes, without mapping it: for dumps, and for
/// files that are small or in other formats.
///
/// # Errors
///
/// As [`open`]; a file of more than `max` bytes is [`ErrorKind::TooLarge`].
pub fn read_all(path: &Path, max: u32) -> Result<(FileInfo, Vec<u8>)> {
    let (file, stat) = open_regular(path, &READ)?;
    let size = check_size(READING, path, stat.size)?;
    if size > max {
        let kind = ErrorKind::TooLarge { size: size.into(), limit: max.into() };
        return Err(Error::new(READING, path, kind));
    }
    let mut bytes = vec![0; size as usize];
    if read(&file, &mut bytes).map_err(failed(READING, path))? < bytes.len() {
        return Err(Error::new(READING, path, ErrorKind::Shrunk));
    }
    Ok((file_info(&file, &stat, path), bytes))
}

/// Reads the first bytes of a file, as many as there are and as `start` has room for;
/// returns their number. Without mapping it: to see of what kind it is.
///
/// # Errors
///
/// Where it is not a regular file, is empty, has 4 GiB or more, or may not be read.
pub fn read_start(path: &Path, start: &mut [u8]) -> Result<usize> {
    let (file, stat) = open_regular(path, &READ)?;
    check_size(READING, path, stat.size)?;
    read(&file, start).map_err(failed(READING, path))
}

/// Reads from the start, until there is no more or no more room.
fn read(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < bytes.len() {
        match file.seek_read(&mut bytes[at..], at as u64)? {
            0 => break,
            read => at += read,
        }
    }
    Ok(at)
}

/// The first place from `from` on where a file may have anything but zeros. Here it is `from`:
/// holes are read as all else is.
#[must_use]
pub const fn next_data(_file: &File, from: u64) -> Option<u64> {
    Some(from)
}

/// Facts about a regular file, without opening its bytes.
///
/// # Errors
///
/// Where it is not a regular file, or may not be looked at.
pub fn info(path: &Path) -> Result<FileInfo> {
    let (file, stat) = regular(LOOKING, path)?;
    Ok(file_info(&file, &stat, path))
}

/// Whether the writer of a file lives, that is, holds the lock on it.
///
/// # Errors
///
/// Where it is not a regular file, may not be read, or the file system has no locks.
pub fn is_locked(path: &Path) -> Result<bool> {
    let (file, _) = open_regular(path, &READ)?;
    lock_is_held(&file).map_err(failed(PROBE, path))
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
        let probe = |file: &File| lock_is_held(file).map_err(failed(PROBE, path));
        if let Some(file) = &self.file {
            return probe(file);
        }
        match open_regular(path, &READ) {
            Ok((file, stat)) if stat.id == self.info.id => probe(&file),
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
    /// # Errors
    ///
    /// After [`close_handle`](Self::close_handle), where the path no longer leads to the
    /// file ([`ErrorKind::Replaced`]).
    pub fn size_now(&self) -> Result<u64> {
        let path = &self.info.path;
        if let Some(file) = &self.file {
            return Ok(stat(file).map_err(failed(LOOKING, path))?.size);
        }
        match regular(LOOKING, path) {
            Ok((_, stat)) if stat.id == self.info.id => Ok(stat.size),
            Err(error)
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotRegular(_)) =>
            {
                Err(error)
            }
            _ => Err(Error::new(LOOKING, path, ErrorKind::Replaced)),
        }
    }

    /// Closes the file and keeps the mapping: for an observer of more files than a process
    /// may have open. [`is_locked`](Self::is_locked) opens it again each time.
    pub fn close_handle(&mut self) {
        self.file = None;
    }
}

/// Opens a regular file, following no link.
pub(super) fn open_regular(path: &Path, ask: &Ask<'_>) -> Result<(File, Stat)> {
    open_as(OPEN, path, ask)
}

/// Looks at what `path` names, and whether it is a regular file, without opening its bytes.
pub(super) fn regular(operation: &'static str, path: &Path) -> Result<(File, Stat)> {
    open_as(operation, path, &LOOK)
}

pub(super) fn open_as(operation: &'static str, path: &Path, ask: &Ask<'_>) -> Result<(File, Stat)> {
    if let Some(other) = no_device(path).map_err(failed(operation, path))? {
        return Err(Error::new(operation, path, ErrorKind::NotRegular(other)));
    }
    let file = handle::open(path, ask).map_err(failed(operation, path))?;
    let stat = stat(&file).map_err(failed(operation, path))?;
    match stat.kind {
        FileType::Regular => Ok((file, stat)),
        other => Err(Error::new(operation, path, ErrorKind::NotRegular(other))),
    }
}

pub(super) fn file_info(file: &File, stat: &Stat, path: &Path) -> FileInfo {
    let owner = security::of(file, false).and_then(|found| found.owner());
    FileInfo {
        path: path.to_owned(),
        size: stat.size,
        // Some file systems have no owners.
        owner: owner.ok().map(|owner| owner.last()),
        modified: stat.modified,
        id: stat.id,
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
const READING: &str = "read";
const LOOKING: &str = "look at";
const PROBE: &str = "probe the lock of";
