//! Making a file: nobody sees it before it is complete, and nothing is ever replaced.
//!
//! 1. make it under a temporary name, exclusively, following no link;
//! 2. lock it: the lock is what tells that its writer lives;
//! 3. allocate its space, map it and write every page: a full disk is an error here, and
//!    no signal later;
//! 4. the caller fills it in;
//! 5. link it to its final name, which fails where the name is taken, and remove the
//!    temporary name.
//!
//! A creator that is killed on the way leaves a temporary name without a lock, which
//! [`sweep`](crate::sweep) removes.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Resource;

use super::codes::os_error;
use super::directory::Directory;
use super::fork::Registration;
use super::mapping::Mapping;
use super::{failed, lock, owned};
use crate::name;
use crate::unix::OwnedFile;
use crate::{Access, Error, ErrorKind, Result};

/// A file that nobody sees yet: locked, mapped, all zero.
///
/// Dropped without [`publish`](Self::publish), it is removed. Its memory stays for those
/// who hold the mapping: that is the way to go on in private memory where the final name
/// is taken, for instance.
#[derive(Debug)]
#[must_use = "nobody sees it before `publish`"]
pub struct NewFile {
    mapping: Arc<Mapping>,
    temporary: Temporary,
    path: PathBuf,
}

/// A file that could not be published.
pub type Unpublished = mmstats_system::Unpublished<NewFile>;

/// Makes a file of `size` bytes that will be called `name` in `directory`.
///
/// ```
/// use mmstats_unix::{Access, create, directory::Directory};
/// # let temporary = tempfile::tempdir().unwrap();
/// # let path = temporary.path();
/// let directory = Directory::open(path)?;
/// let file = create(&directory, "web-17.mmst", 4096, Access::Owner)?;
/// assert!(!path.join("web-17.mmst").exists());
/// // ... fill `file.mapping()` in ...
/// let file = file.publish()?;
/// assert!(path.join("web-17.mmst").exists());
/// assert!(mmstats_unix::is_locked(file.path())?);
/// # Ok::<(), mmstats_unix::Error>(())
/// ```
///
/// # Errors
///
/// Where the name breaks a rule of [`name::check`], `size` is 0, the file system is full
/// or cannot lock, or the size is above the limit of the process (which would otherwise
/// be a signal). Whether the name is taken is only seen by [`NewFile::publish`].
pub fn create(directory: &Directory, name: &str, size: u32, access: Access) -> Result<NewFile> {
    name::check(name)?;
    let path = directory.path().join(name);
    if size == 0 {
        return Err(Error::new(CREATE, &path, ErrorKind::Empty));
    }
    check_limit(u64::from(size), &path)?;

    let mut temporary = Temporary::new(directory, name, &path)?;
    let registration = temporary.make(&path, mode(access), &mut random)?;
    let mapping = prepare(registration, size, &path)?;
    Ok(NewFile { mapping: Arc::new(mapping), temporary, path })
}

/// Locks, allocates, maps and writes the file.
fn prepare(registration: Registration, size: u32, path: &Path) -> Result<Mapping> {
    let failed = failed(CREATE, path);
    let forked = || Error::new(CREATE, path, ErrorKind::Forked);
    let fd = registration.lock_fd().ok_or_else(forked)?;
    lock::take(fd).map_err(&failed)?;
    allocate(fd, u64::from(size)).map_err(&failed)?;
    let mapping = Mapping::of_writer(registration, size as usize, CREATE, path)?;
    populate(&mapping, path)?;
    Ok(mapping)
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
        self.path = self.temporary.directory.path().join(name);
        Ok(())
    }

    /// Gives the file its final name; from now on observers see it.
    ///
    /// # Errors
    ///
    /// Where something has the name already ([`ErrorKind::AlreadyExists`]; it is left
    /// alone), or this process was forked off the one that made the file.
    pub fn publish(mut self) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.link() {
            Ok(()) => Ok(owned::published(Arc::clone(&self.mapping), self.path.clone())),
            Err(error) => Err(Box::new(Unpublished { file: self, error })),
        }
    }

    /// Gives the file the name of `old`, which this process has reopened and whose place it
    /// takes: at any moment, also after a crash of the machine, one of the two has the name.
    /// `old` is a file without a name afterwards.
    ///
    /// # Errors
    ///
    /// Where the name is not that of `old` any more, cannot be replaced, or this process was
    /// forked off the one that made the file.
    pub fn publish_over(
        mut self,
        old: &OwnedFile,
    ) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.replace(old) {
            Ok(()) => Ok(owned::published(Arc::clone(&self.mapping), self.path.clone())),
            Err(error) => Err(Box::new(Unpublished { file: self, error })),
        }
    }

    fn replace(&mut self, old: &OwnedFile) -> Result<()> {
        if self.mapping.lock_fd().is_none() {
            self.temporary.made = false;
            return Err(Error::new(PUBLISH, &self.path, ErrorKind::Forked));
        }
        let Self { temporary, path, mapping } = self;
        let failed = failed(PUBLISH, path);
        // Only the holder of the lock replaces a file, and this process has it.
        if old.path() != path || !old.has_its_name().map_err(&failed)? {
            return Err(Error::new(PUBLISH, path, ErrorKind::Replaced));
        }
        // The bytes reach the disk before the name does.
        mapping.sync(true).map_err(&failed)?;
        let (directory, name) = (temporary.directory.fd(), path.file_name().unwrap_or_default());
        rustix::fs::renameat(directory, temporary.name.as_str(), directory, name)
            .map_err(&failed)?;
        temporary.made = false;
        // What is not on the disk yet is not lost but by a crash of the machine.
        let _ = rustix::fs::fsync(directory);
        Ok(())
    }

    fn link(&mut self) -> Result<()> {
        if self.mapping.lock_fd().is_none() {
            self.temporary.made = false;
            return Err(Error::new(PUBLISH, &self.path, ErrorKind::Forked));
        }
        let Self { temporary, path, .. } = self;
        // `set_name` and `create` have put a name there.
        let name = path.file_name().unwrap_or_default();
        let (directory, old) = (temporary.directory.fd(), temporary.name.as_str());
        match rustix::fs::linkat(directory, old, directory, name, AtFlags::empty()) {
            Ok(()) => Ok(()),
            // File systems without hard links: FAT, some network ones.
            Err(errno @ (Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::ACCESS)) => {
                rename_without_replacing(directory, old, name).map_err(|other| match other {
                    Errno::EXIST => other,
                    _ => errno,
                })
            }
            Err(errno) => Err(errno),
        }
        .map_err(failed(PUBLISH, path))?;
        // A temporary name that stays hurts nobody: `sweep` removes it one day.
        temporary.remove();
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // The files of the parent process are none of a forked child's business.
        if self.mapping.lock_fd().is_none() {
            self.temporary.made = false;
        }
    }
}

/// A temporary name, removed at drop.
#[derive(Debug)]
struct Temporary {
    directory: Directory,
    name: String,
    made: bool,
}

impl Temporary {
    fn new(directory: &Directory, name: &str, path: &Path) -> Result<Self> {
        let directory =
            directory.try_clone().map_err(|error| os_error(CREATE, Some(path), error))?;
        Ok(Self { directory, name: name.to_owned(), made: false })
    }

    /// Makes the file under a name that nobody has.
    fn make(
        &mut self,
        path: &Path,
        mode: Mode,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Registration> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let wanted = std::mem::take(&mut self.name);
        let mut tries = 0;
        loop {
            self.name = name::temporary(&wanted, random());
            let (directory, name, made) = (self.directory.fd(), &self.name, &mut self.made);
            let open = |more| rustix::fs::openat(directory, name, flags | more, OWN);
            let first = || {
                let fd = open(OFlags::CREATE | OFlags::EXCL)?;
                *made = true;
                // The mode of a new file is what the umask leaves of it.
                rustix::fs::fchmod(&fd, mode)?;
                Ok(fd)
            };
            let opened = Registration::open(CREATE, path, first, || open(OFlags::NONBLOCK));
            tries += 1;
            match opened {
                // Somebody has this very name, planted or by chance.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES => {}
                opened => return opened,
            }
        }
    }

    fn remove(&mut self) {
        if std::mem::take(&mut self.made) {
            let _ = rustix::fs::unlinkat(self.directory.fd(), &self.name, AtFlags::empty());
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Writes every page; what would have been a SIGBUS later is an error now.
pub(super) fn populate(mapping: &Mapping, path: &Path) -> Result<()> {
    mapping.populate().map_err(|errno| {
        let error = failed(CREATE, path)(errno);
        if errno == Errno::FAULT { error.with_kind(ErrorKind::NoSpace) } else { error }
    })
}

/// Gives the file `size` bytes and real space for them.
fn allocate(fd: BorrowedFd<'_>, size: u64) -> rustix::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        // A signal interrupts it, and on tmpfs it starts anew then: a profiling timer
        // could keep it from ever ending.
        for _ in 0..8 {
            match rustix::fs::fallocate(fd, rustix::fs::FallocateFlags::empty(), 0, size) {
                Err(Errno::INTR) => {}
                // Not known to this file system (ZFS says EINVAL).
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => break,
                result => return result,
            }
        }
    }
    write_zeros(fd, size)
}

/// Where space cannot be asked for, it comes with the bytes.
fn write_zeros(fd: BorrowedFd<'_>, size: u64) -> rustix::io::Result<()> {
    let mut at = 0;
    while at < size {
        let left = usize::try_from(size - at).unwrap_or(usize::MAX);
        let chunk = &ZEROS[..ZEROS.len().min(left)];
        match rustix::io::pwrite(fd, chunk, at) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(written) => at += written as u64,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A file above the limit of the process would be a SIGXFSZ.
fn check_limit(size: u64, path: &Path) -> Result<()> {
    match rustix::process::getrlimit(Resource::Fsize).current {
        Some(limit) if limit < size => {
            Err(Error::new(CREATE, path, ErrorKind::TooLarge { size, limit }))
        }
        _ => Ok(()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))] // who can rename without replacing
fn rename_without_replacing(
    directory: BorrowedFd<'_>,
    old: &str,
    new: &std::ffi::OsStr,
) -> rustix::io::Result<()> {
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    rustix::fs::renameat_with(directory, old, directory, new, flags)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))] // as above
fn rename_without_replacing(
    _: BorrowedFd<'_>,
    _: &str,
    _: &std::ffi::OsStr,
) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

const fn mode(access: Access) -> Mode {
    match access {
        Access::Group => OWN.union(Mode::RGRP),
        Access::Everybody => OWN.union(Mode::RGRP).union(Mode::ROTH),
        // The owner, and kinds of access that this crate does not know.
        _ => OWN,
    }
}

/// Unpredictable enough that nobody can plant the name before; if somebody does, the next
/// one is tried.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

const OWN: Mode = Mode::RUSR.union(Mode::WUSR);
const CREATE: &str = "create";
const PUBLISH: &str = "publish";
/// How many temporary names are tried.
const TRIES: u32 = 16;
static ZEROS: [u8; 65_536] = [0; 65_536];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;

    #[test]
    fn zeros_are_written_to_the_last_byte() {
        let file = tempfile::tempfile().unwrap();
        write_zeros(file.as_fd(), 200_001).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 200_001);
    }

    #[cfg(target_os = "linux")] // has /dev/full
    #[test]
    fn zeros_on_a_full_device_are_an_error() {
        let file = fs::File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(write_zeros(file.as_fd(), 1), Err(Errno::NOSPC));
    }

    #[test]
    fn taken_temporary_names_are_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let taken = name::temporary("x.mmst", 7);
        fs::write(place.path().join(&taken), "mine").unwrap();
        let mut numbers = [7, 7, 8].into_iter();
        let mut temporary = Temporary::new(&directory, "x.mmst", place.path()).unwrap();
        temporary.make(place.path(), OWN, &mut || numbers.next().unwrap()).unwrap();
        assert_eq!(temporary.name, name::temporary("x.mmst", 8));
        assert_eq!(fs::read(place.path().join(&taken)).unwrap(), b"mine");

        let mut temporary = Temporary::new(&directory, "x.mmst", place.path()).unwrap();
        let error = temporary.make(place.path(), OWN, &mut || 7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        drop(temporary);
        assert_eq!(fs::read(place.path().join(&taken)).unwrap(), b"mine");
    }

    #[test]
    fn renaming_replaces_nothing() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("new"), "new").unwrap();
        fs::write(path("old"), "old").unwrap();
        match rename_without_replacing(directory.fd(), "new", "old".as_ref()) {
            Err(Errno::NOSYS | Errno::INVAL) => eprintln!("skipped: not known to this system"),
            result => assert_eq!(result, Err(Errno::EXIST)),
        }
        assert_eq!(fs::read(path("old")).unwrap(), b"old");
    }
}
