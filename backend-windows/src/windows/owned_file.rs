//! A published file on the side of its writer.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mmstats_system::{docs, image_size};
use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};

use super::handle::{self, METADATA, OpenOptions, SHARE_NO_DELETE, open_again};
use super::lock;
use super::mapping::Mapping;
use super::observed_file::open_regular;
use super::os_error::failed;
use super::security::{FileSecurity, process_identity};
use super::space::fill;
use super::temporary_name::beside;
use crate::{Error, ErrorKind, FileId, Result, Standing, name};

#[doc = docs!(OwnedFile)]
#[derive(Debug)]
pub struct OwnedFile {
    mapping: Arc<Mapping>,
    /// Holds the lock, and excludes no other handle.
    file: File,
    /// Excludes handles that would remove or rename the file. It has no right to remove it itself:
    /// that would exclude readers that do not share deletion, as most do not.
    keep: Mutex<Option<File>>,
    id: FileId,
    path: PathBuf,
}

#[doc = docs!(reopen)]
pub fn reopen(path: &Path) -> Result<OwnedFile> {
    reopen_after(path, || ())
}

/// Calls `before_lock` between opening and locking.
fn reopen_after(path: &Path, before_lock: impl FnOnce()) -> Result<OwnedFile> {
    let path = &std::path::absolute(path).map_err(failed(REOPEN, path))?;
    let failed = failed(REOPEN, path);
    // Its type first, because a directory, say, would not grant the rights below.
    drop(open_regular(REOPEN, path, &METADATA)?);
    let access = GENERIC_READ | GENERIC_WRITE;
    let (file, stat) = open_regular(REOPEN, path, &OpenOptions { access, ..METADATA })?;
    before_lock();
    lock::take(&file).map_err(&failed)?;
    // After locking, because no other holder of the lock changes the file any more.
    let owner =
        FileSecurity::read(&file, false).and_then(|security| security.owner()).map_err(&failed)?;
    let identity = process_identity().map_err(&failed)?;
    if !identity.includes(&owner) {
        let kind = ErrorKind::WrongOwner { owner: owner.last(), expected: identity.user.last() };
        return Err(Error::new(REOPEN, path, kind));
    }
    let size = handle::stat(&file).map_err(&failed)?.size;
    let len = image_size(REOPEN, path, size)?;
    if !has_name(path, stat.id).map_err(&failed)? {
        return Err(Error::new(REOPEN, path, ErrorKind::Replaced));
    }
    if stat.thin {
        fill(&file, size).map_err(&failed)?;
    }
    let mapping = Mapping::for_writer(&file, len as usize, REOPEN, path)?;
    mapping.populate();
    Ok(OwnedFile::new(Arc::new(mapping), file, stat.id, path.clone()))
}

impl OwnedFile {
    /// A file that was published or reopened.
    pub(super) fn new(mapping: Arc<Mapping>, file: File, id: FileId, path: PathBuf) -> Self {
        // Fails if another handle can remove the file already; that is accepted.
        let keep = open_again(&path, id, GENERIC_READ, SHARE_NO_DELETE).ok();
        Self { mapping, file, keep: Mutex::new(keep), id, path }
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
        self.mapping.sync().map_err(failed(FLUSH, &self.path))?;
        if wait {
            self.file.sync_all().map_err(failed(FLUSH, &self.path))?;
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
        match self.has_its_name() {
            Ok(false) => Standing::Unnamed,
            _ => Standing::Published,
        }
    }

    #[doc = docs!(OwnedFile::is_truncated)]
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        // Windows refuses to truncate a mapped file.
        false
    }

    #[doc = docs!(OwnedFile::touch)]
    pub fn touch(&self) -> Result<()> {
        let now = SystemTime::now();
        self.file.set_modified(now).map_err(failed("set time of", &self.path))
    }

    /// Whether the path still refers to the file.
    pub(super) fn has_its_name(&self) -> io::Result<bool> {
        has_name(&self.path, self.id)
    }

    /// Allows other handles to remove or rename the file.
    pub(super) fn allow_removal(&self) {
        self.keep.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Removes the file's name, and the file as soon as it is no longer mapped.
    pub(super) fn remove_name(&self) -> io::Result<()> {
        self.allow_removal();
        remove_name(&self.path, self.id, &self.mapping)
    }

    #[doc = docs!(OwnedFile::remove)]
    pub fn remove(&self) -> Result<()> {
        const REMOVE: &str = "remove";
        let failed = failed(REMOVE, &self.path);
        if !self.has_its_name().map_err(&failed)? {
            return Err(Error::new(REMOVE, &self.path, ErrorKind::Replaced));
        }
        self.remove_name().map_err(failed)
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        let _ = lock::release(&self.file);
    }
}

/// Removes the name of a file that this process has open and may have mapped.
pub(super) fn remove_name(path: &Path, id: FileId, mapping: &Mapping) -> io::Result<()> {
    if handle::delete_by_id(path, id).is_ok() {
        return Ok(());
    }
    // It is mapped. A temporary name is as good as none.
    let mut hidden = path.to_owned();
    if !path.file_name().is_some_and(name::is_temporary) {
        hidden = beside(path);
        handle::rename_without_replacing(path, &hidden)?;
    }
    mapping.remove_at_drop(hidden, id);
    Ok(())
}

/// Whether `path` refers to the file `id`.
fn has_name(path: &Path, id: FileId) -> io::Result<bool> {
    match handle::open(path, &METADATA).and_then(|file| handle::stat(&file)) {
        Ok(stat) => Ok(stat.id == id),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

const REOPEN: &str = "reopen";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A flush is invisible without a power cut; its need of the right to write is visible.
    #[test]
    fn flush_needs_the_right_to_write_only_with_wait() {
        let place = tempfile::tempdir().unwrap();
        let directory = crate::directory::Directory::open(place.path()).unwrap();
        let new = crate::create(&directory, "x.mmst", 4096, crate::Access::Owner).unwrap();
        let mut file = new.publish().unwrap();
        file.flush(true).unwrap();
        file.file = handle::open(&file.path, &handle::READ).unwrap();
        file.flush(false).unwrap();
        assert_eq!(*file.flush(true).unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    /// A file without a name would be invisible to observers.
    #[test]
    fn reopen_of_file_renamed_meanwhile_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        fs::write(&path, "x").unwrap();
        let away = place.path().join("away");
        // Renamed, because in old versions of Windows a removed name stays while the file is open.
        let error = reopen_after(&path, || fs::rename(&path, &away).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Replaced);
        fs::write(&path, "x").unwrap();
        reopen_after(&path, || ()).unwrap();
    }
}
