//! A file on the side of an observer: regular, read-only, judged by its lock.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use mmstats_system::{docs, image_size};

use super::directory::Directory;
use super::handle::{self, METADATA, OpenOptions, READ, Stat, stat};
use super::mapping::ObservedMapping;
use super::os_error::failed;
use super::path::device_type;
use super::security::FileSecurity;
use super::{fault_handler, lock};
use crate::{Error, ErrorKind, FileInfo, FileType, Result};

#[doc = docs!(ObservedFile)]
#[derive(Debug)]
pub struct ObservedFile {
    info: FileInfo,
    mapping: Arc<ObservedMapping>,
    /// `None` after `close_handle`.
    file: Option<File>,
}

#[doc = docs!(open)]
pub fn open(path: &Path) -> Result<ObservedFile> {
    let (file, stat) = open_regular(OPEN, path, &READ)?;
    let len = image_size(OPEN, path, stat.size)?;
    fault_handler::install()?;
    let mapping = ObservedMapping::new(&file, len as usize, path);
    // From here on the system refuses to truncate it.
    if handle::stat(&file).map_err(failed(OPEN, path))?.size < u64::from(len) {
        return Err(Error::new(OPEN, path, ErrorKind::Shrunk));
    }
    let info = file_info(&file, &stat, path);
    Ok(ObservedFile { info, mapping: Arc::new(mapping?), file: Some(file) })
}

#[doc = docs!(open_in)]
pub fn open_in(directory: &Directory, name: &OsStr) -> Result<ObservedFile> {
    // The open directory excludes that its path leads elsewhere.
    open(&directory.path().join(name))
}

#[doc = docs!(read_all)]
pub fn read_all(path: &Path, max: u32) -> Result<(FileInfo, Vec<u8>)> {
    let (file, stat) = open_regular(OPEN, path, &READ)?;
    let size = image_size(READ_BYTES, path, stat.size)?;
    if size > max {
        let kind = ErrorKind::TooLarge { size: stat.size, limit: max.into() };
        return Err(Error::new(READ_BYTES, path, kind));
    }
    let mut bytes = vec![0; size as usize];
    if read(&file, &mut bytes).map_err(failed(READ_BYTES, path))? < bytes.len() {
        return Err(Error::new(READ_BYTES, path, ErrorKind::Shrunk));
    }
    Ok((file_info(&file, &stat, path), bytes))
}

#[doc = docs!(read_start)]
pub fn read_start(path: &Path, start: &mut [u8]) -> Result<usize> {
    let (file, stat) = open_regular(OPEN, path, &READ)?;
    image_size(READ_BYTES, path, stat.size)?;
    read(&file, start).map_err(failed(READ_BYTES, path))
}

/// Reads from the start until the end of the file or of `bytes`; returns the number of bytes.
pub(super) fn read(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < bytes.len() {
        match file.seek_read(&mut bytes[at..], at as u64)? {
            0 => break,
            read => at += read,
        }
    }
    Ok(at)
}

#[doc = docs!(next_data)]
#[must_use]
pub const fn next_data(_file: &File, from: u64) -> Option<u64> {
    Some(from)
}

#[doc = docs!(info)]
pub fn info(path: &Path) -> Result<FileInfo> {
    let (file, stat) = open_regular(LOOK, path, &METADATA)?;
    Ok(file_info(&file, &stat, path))
}

#[doc = docs!(is_locked)]
pub fn is_locked(path: &Path) -> Result<bool> {
    let (file, _) = open_regular(OPEN, path, &READ)?;
    lock::is_held(&file).map_err(failed(PROBE, path))
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
        let probe = |file: &File| lock::is_held(file).map_err(failed(PROBE, path));
        if let Some(file) = &self.file {
            return probe(file);
        }
        match open_regular(OPEN, path, &READ) {
            Ok((file, stat)) if stat.id == self.info.id => probe(&file),
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
        if let Some(file) = &self.file {
            return Ok(stat(file).map_err(failed(LOOK, path))?.size);
        }
        match open_regular(LOOK, path, &METADATA) {
            Ok((_, stat)) if stat.id == self.info.id => Ok(stat.size),
            Err(error)
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotRegular(_)) =>
            {
                Err(error)
            }
            _ => Err(Error::new(LOOK, path, ErrorKind::Replaced)),
        }
    }

    #[doc = docs!(ObservedFile::is_snapshot)]
    #[must_use]
    pub const fn is_snapshot(&self) -> bool {
        false
    }

    #[doc = docs!(ObservedFile::close_handle)]
    pub fn close_handle(&mut self) {
        self.file = None;
    }
}

/// Opens a regular file; follows no link. With [`METADATA`] its bytes are not accessible.
pub(super) fn open_regular(
    operation: &'static str,
    path: &Path,
    options: &OpenOptions<'_>,
) -> Result<(File, Stat)> {
    if let Some(other) = device_type(path).map_err(failed(operation, path))? {
        return Err(Error::new(operation, path, ErrorKind::NotRegular(other)));
    }
    let file = handle::open(path, options).map_err(failed(operation, path))?;
    let stat = stat(&file).map_err(failed(operation, path))?;
    match stat.kind {
        FileType::Regular => Ok((file, stat)),
        other => Err(Error::new(operation, path, ErrorKind::NotRegular(other))),
    }
}

pub(super) fn file_info(file: &File, stat: &Stat, path: &Path) -> FileInfo {
    let owner = FileSecurity::read(file, false).and_then(|security| security.owner());
    FileInfo {
        path: path.to_owned(),
        size: stat.size,
        // Some file systems have no owners.
        owner: owner.ok().map(|owner| owner.last()),
        modified: stat.modified,
        id: stat.id,
    }
}

const OPEN: &str = "open";
const READ_BYTES: &str = "read";
const LOOK: &str = "look at";
const PROBE: &str = "probe the lock of";
