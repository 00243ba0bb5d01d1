//! Making a file: nobody sees it before it is complete, and nothing is ever replaced.
//!
//! 1. make it under a temporary name, exclusively, following no link, for its owner alone or
//!    as asked;
//! 2. lock it: the lock is what tells that its writer lives;
//! 3. allocate its space, write every byte, map it and touch every page: a full disk is an
//!    error here, and no exception later;
//! 4. the caller fills it in;
//! 5. rename it to its final name, which fails where the name is taken.
//!
//! A creator that is killed on the way leaves a temporary name without a lock, which
//! [`sweep`](crate::sweep) removes.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::windows::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};

use super::directory::Directory;
use super::handle::{self, Ask, LOOK};
use super::mapping::Mapping;
use super::owned::{self, OwnedFile};
use super::{failed, security};
use crate::name;
use crate::{Access, Error, ErrorKind, FileId, Result};

/// A file that nobody sees yet: locked, mapped, all zero.
///
/// Dropped without [`publish`](Self::publish), it is removed. Its memory stays for those
/// who hold the mapping: that is the way to go on in private memory where the final name
/// is taken, for instance.
#[derive(Debug)]
#[must_use = "nobody sees it before `publish`"]
pub struct NewFile {
    mapping: Arc<Mapping>,
    /// Holds the lock. None after `publish`.
    file: Option<Temporary>,
    directory: Directory,
    path: PathBuf,
}

/// A file under its temporary name, which is removed at drop.
#[derive(Debug)]
struct Temporary {
    file: Option<File>,
    mapping: Option<Arc<Mapping>>,
    /// Asked for when the file was made. (Asked after it was renamed, wine has lost the volume.)
    id: FileId,
    path: PathBuf,
}

/// A file that could not be published.
pub type Unpublished = mmstats_system::Unpublished<NewFile>;

/// Makes a file of `size` bytes that will be called `name` in `directory`.
///
/// ```
/// # #[cfg(windows)] {
/// use mmstats_windows::{Access, create, directory::Directory};
/// # let temporary = tempfile::tempdir().unwrap();
/// # let path = temporary.path();
/// let directory = Directory::open(path)?;
/// let file = create(&directory, "web-17.mmst", 4096, Access::Owner)?;
/// assert!(!path.join("web-17.mmst").exists());
/// // ... fill `file.mapping()` in ...
/// let file = file.publish()?;
/// assert!(path.join("web-17.mmst").exists());
/// assert!(mmstats_windows::is_locked(file.path())?);
/// # }
/// # Ok::<(), mmstats_windows::Error>(())
/// ```
///
/// # Errors
///
/// Where the name breaks a rule of [`name::check`], `size` is 0, or the file system is full
/// or cannot lock. Whether the name is taken is only seen by [`NewFile::publish`].
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
        handle::lock_for_writing(file).map_err(&failed)?;
        allocate(file, u64::from(size)).map_err(&failed)?;
        let mapping = Mapping::of_writer(file, size as usize, CREATE, &path)?;
        mapping.populate();
        temporary.mapping = Some(Arc::new(mapping));
    }
    let full = || Error::new(CREATE, &path, ErrorKind::Other);
    let mapping = Arc::clone(temporary.mapping.as_ref().ok_or_else(full)?);
    Ok(NewFile { mapping, file: Some(temporary), directory, path })
}

impl NewFile {
    /// The bytes, to fill in.
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// The path it will have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Chooses another final name in the same directory.
    ///
    /// # Errors
    ///
    /// Where the name breaks a rule of [`name::check`].
    pub fn set_name(&mut self, name: &str) -> Result<()> {
        name::check(name)?;
        self.path = self.directory.path().join(name);
        Ok(())
    }

    /// Gives the file its final name; from now on observers see it.
    ///
    /// # Errors
    ///
    /// Where something has the name already ([`ErrorKind::AlreadyExists`]; it is left
    /// alone).
    pub fn publish(mut self) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        let renamed = self.named(handle::rename_without_replacing);
        match renamed.map_err(failed(PUBLISH, &self.path)) {
            Ok(file) => Ok(file),
            Err(error) => Err(Box::new(Unpublished { file: self, error })),
        }
    }

    /// Gives the file the name of `old`, which this process has reopened and whose place it
    /// takes: one of the two has the name, but for the instant that it takes to rename two
    /// files on versions of Windows (before 10.0.16299) that replace no file which is mapped.
    /// `old` is a file without a name afterwards.
    ///
    /// # Errors
    ///
    /// Where the name is not that of `old` any more, or cannot be replaced.
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
        // Only the holder of the lock replaces a file, and this process has it.
        if old.path() != path || !old.has_its_name().map_err(&failed)? {
            return Err(Error::new(PUBLISH, &path, ErrorKind::Replaced));
        }
        // The bytes reach the disk before the name does.
        self.mapping.sync().map_err(&failed)?;
        if let Some(file) = self.file.as_ref().and_then(|temporary| temporary.file.as_ref()) {
            file.sync_all().map_err(&failed)?;
        }
        old.let_go();
        self.named(|temporary, path| {
            // In one step, where the system can.
            if std::fs::rename(temporary, path).is_ok() {
                return Ok(());
            }
            old.take_name()?;
            handle::rename_without_replacing(temporary, path)
        })
        .map_err(&failed)
    }

    /// Renames the file; it is published then.
    fn named(
        &mut self,
        rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> io::Result<OwnedFile> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let temporary = self.file.as_mut().ok_or_else(gone)?;
        rename(&temporary.path, &self.path)?;
        let file = temporary.file.take().ok_or_else(gone)?;
        let mapping = Arc::clone(&self.mapping);
        Ok(owned::published(mapping, file, temporary.id, self.path.clone()))
    }
}

impl Temporary {
    /// Makes the file under a name that nobody has.
    fn make(path: &Path, access: Access, random: &mut dyn FnMut() -> u64) -> io::Result<Self> {
        let descriptor = security::Descriptor::of_file(access)?;
        let rights = GENERIC_READ | GENERIC_WRITE;
        let ask = Ask { access: rights, create: Some(&descriptor), ..LOOK };
        let mut tries = 0;
        loop {
            let path = named(path, random());
            tries += 1;
            match handle::open(&path, &ask) {
                // Somebody has this very name, planted or by chance.
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
            Some(mapping) => drop(owned::take_name(&self.path, self.id, mapping)),
            None => drop(std::fs::remove_file(&self.path)),
        }
    }
}

/// Gives the file `size` bytes and real space for them.
fn allocate(file: &File, size: u64) -> io::Result<()> {
    if handle::stat(file)?.thin {
        handle::expand(file)?;
    }
    reserve(file, size)?;
    let mut at = 0;
    while at < size {
        let left = usize::try_from(size - at).unwrap_or(usize::MAX);
        let chunk = &ZEROS[..ZEROS.len().min(left)];
        match file.seek_write(chunk, at)? {
            0 => return Err(io::Error::from(io::ErrorKind::StorageFull)),
            written => at += written as u64,
        }
    }
    Ok(())
}

/// Asks for room; a file system that cannot set it aside gives it with the bytes.
pub(super) fn reserve(file: &File, size: u64) -> io::Result<()> {
    match handle::reserve(file, size) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        _ => Ok(()),
    }
}

/// A temporary name for a file that had `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    named(path, random())
}

fn named(path: &Path, random: u64) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(name::temporary(&name, random))
}

/// Unpredictable enough that nobody can plant the name before; if somebody does, the next
/// one is tried.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

const CREATE: &str = "create";
const PUBLISH: &str = "publish";
/// How many temporary names are tried.
const TRIES: u32 = 16;
static ZEROS: [u8; 65_536] = [0; 65_536];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn space_is_there_before_anything_is_mapped() {
        let place = tempfile::tempdir().unwrap();
        let file = File::create_new(place.path().join("x")).unwrap();
        allocate(&file, 1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
        assert!(handle::tests::allocated(&file) >= 1 << 20);
    }

    #[test]
    fn taken_temporary_names_are_left_alone() {
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
