//! Creation of a file, invisible to observers until it is complete.
//!
//! 1. Create it under a temporary name, exclusively, following no link, with its access list.
//! 2. Lock it: the lock proves that its writer lives.
//! 3. Allocate its space, write every byte, map it and touch every page, so that a full disk is an
//!    error here, not an exception later.
//! 4. The caller fills it in.
//! 5. Rename it to its final name, which fails if the name is taken.
//!
//! A creator killed in between leaves a temporary name without a lock, which
//! [`sweep`](crate::sweep) removes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmstats_system::docs;
use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};

use super::directory::Directory;
use super::handle::{self, METADATA, OpenOptions};
use super::mapping::Mapping;
use super::os_error::failed;
use super::owned_file::{OwnedFile, remove_name};
use super::space::allocate;
use super::temporary_name::{random, with_number};
use super::{lock, security};
use crate::name;
use crate::{Access, Error, ErrorKind, FileId, Result};

#[doc = docs!(NewFile)]
#[derive(Debug)]
#[must_use = "observers see it only after `publish`"]
pub struct NewFile {
    mapping: Arc<Mapping>,
    /// Holds the lock. `None` after `publish`.
    file: Option<Temporary>,
    directory: Directory,
    path: PathBuf,
}

/// A file under its temporary name, which is removed at drop.
#[derive(Debug)]
struct Temporary {
    file: Option<File>,
    mapping: Option<Arc<Mapping>>,
    /// Determined at creation. (After a rename, wine no longer knows the volume.)
    id: FileId,
    path: PathBuf,
}

#[doc = docs!(Unpublished)]
pub type Unpublished = mmstats_system::Unpublished<NewFile>;

#[doc = docs!(create)]
pub fn create(directory: &Directory, name: &str, size: u32, access: Access) -> Result<NewFile> {
    name::check(name)?;
    let path = directory.path().join(name);
    if size == 0 {
        return Err(Error::new(CREATE, &path, ErrorKind::Empty));
    }
    let failed = |error| failed(CREATE, &path)(error);
    let directory = directory.try_clone().map_err(&failed)?;
    let mut temporary = Temporary::make(&path, access, &mut random).map_err(&failed)?;
    if let Some(file) = &temporary.file {
        lock::take(file).map_err(&failed)?;
        allocate(file, u64::from(size)).map_err(&failed)?;
        let mapping = Mapping::for_writer(file, size as usize, CREATE, &path)?;
        mapping.populate();
        temporary.mapping = Some(Arc::new(mapping));
    }
    let unmapped = || Error::new(CREATE, &path, ErrorKind::Other);
    let mapping = Arc::clone(temporary.mapping.as_ref().ok_or_else(unmapped)?);
    Ok(NewFile { mapping, file: Some(temporary), directory, path })
}

impl NewFile {
    #[doc = docs!(mapping)]
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    #[doc = docs!(NewFile::path)]
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[doc = docs!(NewFile::directory)]
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    #[doc = docs!(NewFile::set_name)]
    pub fn set_name(&mut self, name: &str) -> Result<()> {
        name::check(name)?;
        self.path = self.directory.path().join(name);
        Ok(())
    }

    #[doc = docs!(NewFile::publish)]
    pub fn publish(mut self) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        let renamed = self.rename(handle::rename_without_replacing);
        match renamed.map_err(failed(PUBLISH, &self.path)) {
            Ok(file) => Ok(file),
            Err(error) => Err(Box::new(Unpublished { file: self, error })),
        }
    }

    #[doc = docs!(NewFile::publish_over)]
    pub fn publish_over(
        mut self,
        old: &OwnedFile,
    ) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.replace(old) {
            Ok(file) => Ok(file),
            Err(error) => Err(Box::new(Unpublished { file: self, error })),
        }
    }

    fn replace(&mut self, old: &OwnedFile) -> Result<OwnedFile> {
        let path = self.path.clone();
        let failed = failed(PUBLISH, &path);
        // Only the holder of the lock may replace a file; this process holds it.
        if old.path() != path || !old.has_its_name().map_err(&failed)? {
            return Err(Error::new(PUBLISH, &path, ErrorKind::Replaced));
        }
        // The bytes must reach the disk before the name does.
        self.mapping.sync().map_err(&failed)?;
        if let Some(file) = self.file.as_ref().and_then(|temporary| temporary.file.as_ref()) {
            file.sync_all().map_err(&failed)?;
        }
        old.allow_removal();
        self.rename(|temporary, path| {
            // Atomically, if the system can.
            if std::fs::rename(temporary, path).is_ok() {
                return Ok(());
            }
            old.remove_name()?;
            handle::rename_without_replacing(temporary, path)
        })
        .map_err(&failed)
    }

    /// Publishes the file by `rename`.
    fn rename(
        &mut self,
        rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> io::Result<OwnedFile> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let temporary = self.file.as_mut().ok_or_else(gone)?;
        rename(&temporary.path, &self.path)?;
        let file = temporary.file.take().ok_or_else(gone)?;
        let mapping = Arc::clone(&self.mapping);
        Ok(OwnedFile::new(mapping, file, temporary.id, self.path.clone()))
    }
}

impl Temporary {
    /// Creates the file under an unused temporary name.
    fn make(path: &Path, access: Access, random: &mut dyn FnMut() -> u64) -> io::Result<Self> {
        let descriptor = security::Descriptor::for_file(access)?;
        let rights = GENERIC_READ | GENERIC_WRITE;
        let options = OpenOptions { access: rights, create: Some(&descriptor), ..METADATA };
        let mut tries = 0;
        loop {
            let path = with_number(path, random());
            tries += 1;
            match handle::open(&path, &options) {
                // The name is taken, planted or by chance.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {}
                opened => {
                    let file = opened?;
                    let id = handle::stat(&file)?.id;
                    return Ok(Self { file: Some(file), mapping: None, id, path });
                }
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.file.is_none() {
            return;
        }
        match &self.mapping {
            Some(mapping) => drop(remove_name(&self.path, self.id, mapping)),
            None => drop(std::fs::remove_file(&self.path)),
        }
    }
}

const CREATE: &str = "create";
const PUBLISH: &str = "publish";
/// Maximum number of temporary names to try.
const TRIES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn temporary_make_with_taken_name_tries_another() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        let taken = place.path().join(name::temporary("x.mmst", 7));
        fs::write(&taken, "mine").unwrap();
        let mut numbers = [7, 7, 8].into_iter();
        let temporary =
            Temporary::make(&path, Access::Owner, &mut || numbers.next().unwrap()).unwrap();
        assert_eq!(temporary.path, place.path().join(name::temporary("x.mmst", 8)));
        drop(temporary);
        let error = Temporary::make(&path, Access::Owner, &mut || 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&taken).unwrap(), b"mine");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
