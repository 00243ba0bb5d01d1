//! A published file, from its writer's side.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};

use super::create::{beside, reserve};
use super::handle::{self, Ask, LOOK, SHARE_NO_DELETE, open_again};
use super::mapping::Mapping;
use super::open::{check_size, open_as};
use super::{failed, security};
use crate::{Error, ErrorKind, FileId, Result, name};

/// A published file: locked for writing as long as this value lives.
///
/// Dropping it releases the lock, which tells observers that the writer is gone; the file
/// stays. The bytes stay mapped as long as somebody holds [`mapping`](Self::mapping).
#[derive(Debug)]
pub struct OwnedFile {
    mapping: Arc<Mapping>,
    /// Holds the lock, and lets everybody in.
    file: File,
    /// Keeps those out who would remove or rename the file. Not more than that: whoever may
    /// remove a file himself shuts those out who do not expect it, as most readers do not.
    keep: Mutex<Option<File>>,
    id: FileId,
    path: PathBuf,
}

/// The end of [`NewFile::publish`](crate::NewFile::publish), and of [`reopen`].
pub(super) fn published(mapping: Arc<Mapping>, file: File, id: FileId, path: PathBuf) -> OwnedFile {
    // Where somebody has it open in a way that forbids this, it is not kept from him.
    let keep = open_again(&path, id, GENERIC_READ, SHARE_NO_DELETE).ok();
    OwnedFile { mapping, file, keep: Mutex::new(keep), id, path }
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
    let path = &std::path::absolute(path).map_err(failed(REOPEN, path))?;
    let failed = failed(REOPEN, path);
    // What it is, before rights are asked for that a directory, say, would not give.
    drop(open_as(REOPEN, path, &LOOK)?);
    let access = GENERIC_READ | GENERIC_WRITE;
    let (file, stat) = open_as(REOPEN, path, &Ask { access, ..LOOK })?;
    before_lock();
    handle::lock_for_writing(&file).map_err(&failed)?;
    // Only now: nobody who respects the lock changes it any more.
    let owner = security::of(&file, false).and_then(|found| found.owner()).map_err(&failed)?;
    let myself = security::myself().map_err(&failed)?;
    if !myself.is(&owner) {
        let kind = ErrorKind::WrongOwner { owner: owner.last(), expected: myself.user.last() };
        return Err(Error::new(REOPEN, path, kind));
    }
    let size = handle::stat(&file).map_err(&failed)?.size;
    let len = check_size(REOPEN, path, size)?;
    if !has_name(path, stat.id).map_err(&failed)? {
        return Err(Error::new(REOPEN, path, ErrorKind::Replaced));
    }
    if stat.thin {
        fill(&file, size).map_err(&failed)?;
    }
    let mapping = Mapping::of_writer(&file, len as usize, REOPEN, path)?;
    mapping.populate();
    Ok(published(Arc::new(mapping), file, stat.id, path.clone()))
}

/// Gives a file that has less room than bytes, as a copy may, all of its room.
fn fill(file: &File, size: u64) -> io::Result<()> {
    reserve(file, size)?;
    let mut chunk = vec![0; 65_536];
    let mut at = 0;
    while at < size {
        let read = match file.seek_read(&mut chunk, at)? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            read => read,
        };
        let mut written = 0;
        while written < read {
            written += file.seek_write(&chunk[written..read], at + written as u64)?;
        }
        at += read as u64;
    }
    Ok(())
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

    /// Sees to it that the bytes survive a crash of the machine; a crash of the program loses
    /// nothing anyway.
    ///
    /// With `wait` it returns when they are stored, which takes as long as the disk takes.
    ///
    /// # Errors
    ///
    /// Where they cannot be stored.
    pub fn flush(&self, wait: bool) -> Result<()> {
        const FLUSH: &str = "flush";
        self.mapping.sync().map_err(failed(FLUSH, &self.path))?;
        if wait {
            self.file.sync_all().map_err(failed(FLUSH, &self.path))?;
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

    /// Whether the path is still the file's name.
    pub(super) fn has_its_name(&self) -> io::Result<bool> {
        has_name(&self.path, self.id)
    }

    /// Lets those in who would remove or rename the file.
    pub(super) fn let_go(&self) {
        self.keep.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Takes the file's name away, and removes it as soon as it is not mapped any more.
    pub(super) fn take_name(&self) -> io::Result<()> {
        self.let_go();
        take_name(&self.path, self.id, &self.mapping)
    }

    /// Removes the file's name, if it is still its name. The lock and the bytes stay until
    /// they are dropped.
    ///
    /// Where Windows does not remove files that are mapped, it gets a temporary name first,
    /// and is removed when it is not mapped any more, at the latest by
    /// [`sweep`](crate::sweep).
    ///
    /// # Errors
    ///
    /// Where the name refers to another file or to none ([`ErrorKind::Replaced`]), or where it
    /// cannot be removed.
    pub fn remove(&self) -> Result<()> {
        const REMOVE: &str = "remove";
        let failed = failed(REMOVE, &self.path);
        if !self.has_its_name().map_err(&failed)? {
            return Err(Error::new(REMOVE, &self.path, ErrorKind::Replaced));
        }
        self.take_name().map_err(failed)
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        // The system would give it back when it finds the time.
        let _ = handle::unlock(&self.file);
    }
}

/// Removes the name of a file that this process has open, mapped or not.
pub(super) fn take_name(path: &Path, id: FileId, mapping: &Mapping) -> io::Result<()> {
    if handle::delete_it(path, id).is_ok() {
        return Ok(());
    }
    // It is mapped. A name that says what has become of it is as good as none.
    let mut hidden = path.to_owned();
    if !path.file_name().is_some_and(name::is_temporary) {
        hidden = beside(path);
        handle::rename_without_replacing(path, &hidden)?;
    }
    mapping.doom(hidden, id);
    Ok(())
}

/// Whether `path` names the file `id`.
fn has_name(path: &Path, id: FileId) -> io::Result<bool> {
    match handle::open(path, &LOOK).and_then(|file| handle::stat(&file)) {
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

    /// What was stored cannot be seen without a power cut; that it is asked for can.
    #[test]
    fn only_a_flush_that_waits_needs_the_disk() {
        let place = tempfile::tempdir().unwrap();
        let directory = crate::directory::Directory::open(place.path()).unwrap();
        let new = crate::create(&directory, "x.mmst", 4096, crate::Access::Owner).unwrap();
        let mut file = new.publish().unwrap();
        file.flush(true).unwrap();
        // Only who may write may ask for it.
        file.file = handle::open(&file.path, &handle::READ).unwrap();
        file.flush(false).unwrap();
        assert_eq!(*file.flush(true).unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    /// A sweeper may remove the name after it was opened; whoever published there then
    /// would never be seen.
    #[test]
    fn file_that_is_swept_while_it_is_opened_is_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        fs::write(&path, "x").unwrap();
        let away = place.path().join("away");
        // A name that is taken away, since one that is removed stays while the file is open,
        // in old versions of Windows.
        let error = reopen_after(&path, || fs::rename(&path, &away).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Replaced);
        fs::write(&path, "x").unwrap();
        reopen_after(&path, || ()).unwrap();
    }
}
