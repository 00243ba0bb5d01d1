//! Creation of a file, invisible to observers until it is complete.
//!
//! 1. Create it under a temporary name, exclusively, following no link.
//! 2. Lock it: the lock proves that its writer lives.
//! 3. Allocate its space, map it and write every page, so that a full disk is an error here, not a
//!    signal later.
//! 4. The caller fills it in.
//! 5. Link it to its final name, which fails if the name is taken, and remove the temporary name.
//!
//! A creator killed in between leaves a temporary name without a lock, which
//! [`sweep`](crate::sweep) removes.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmstats_system::docs;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Resource;

use super::directory::Directory;
use super::fork::Registration;
use super::lock;
use super::mapping::Mapping;
use super::os_error::{failed, lock_failed, os_error};
use super::owned_file::OwnedFile;
use super::random::random_number;
use crate::name;
use crate::{Access, Error, ErrorKind, Result};

#[doc = docs!(NewFile)]
#[derive(Debug)]
#[must_use = "observers see it only after `publish`"]
pub struct NewFile {
    mapping: Arc<Mapping>,
    temporary: Temporary,
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
    check_limit(u64::from(size), &path)?;

    let mut temporary = Temporary::new(directory, &path)?;
    let registration = temporary.make(name, &path, &mut random_number)?;
    let mapping = prepare(registration, size, mode(access), &path)?;
    Ok(NewFile { mapping: Arc::new(mapping), temporary, path })
}

/// Locks, allocates, maps and writes the file.
fn prepare(registration: Registration, size: u32, mode: Mode, path: &Path) -> Result<Mapping> {
    let failed = failed(CREATE, path);
    let fd = registration.lock_fd().map_err(|kind| Error::new(CREATE, path, kind))?;
    lock::take(fd).map_err(lock_failed(CREATE, path))?;
    // After the lock: once they may open the file, other users could lock it first.
    rustix::fs::fchmod(fd, mode).map_err(&failed)?;
    allocate(fd, u64::from(size)).map_err(&failed)?;
    let mapping = Mapping::for_writer(registration, size as usize, CREATE, path)?;
    mapping.populate(CREATE, path)?;
    Ok(mapping)
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
        &self.temporary.directory
    }

    #[doc = docs!(NewFile::set_name)]
    pub fn set_name(&mut self, name: &str) -> Result<()> {
        name::check(name)?;
        self.path = self.temporary.directory.path().join(name);
        Ok(())
    }

    #[doc = docs!(NewFile::publish)]
    pub fn publish(mut self) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.link() {
            Ok(()) => Ok(OwnedFile::new(Arc::clone(&self.mapping), self.path.clone())),
            Err(error) => Err(Box::new(Unpublished { file: self, error })),
        }
    }

    #[doc = docs!(NewFile::publish_over)]
    pub fn publish_over(
        mut self,
        old: &OwnedFile,
    ) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.replace(old) {
            Ok(()) => Ok(OwnedFile::new(Arc::clone(&self.mapping), self.path.clone())),
            Err(error) => Err(Box::new(Unpublished { file: self, error })),
        }
    }

    /// In a forked child: an error, and the parent's temporary file is left alone.
    fn check_process(&mut self) -> Result<()> {
        self.mapping.lock_fd().map(drop).map_err(|kind| {
            if kind == ErrorKind::Forked {
                self.temporary.made = false;
            }
            Error::new(PUBLISH, &self.path, kind)
        })
    }

    fn replace(&mut self, old: &OwnedFile) -> Result<()> {
        self.check_process()?;
        let Self { temporary, path, mapping } = self;
        let failed = failed(PUBLISH, path);
        // Only the holder of the lock may replace a file; this process holds it.
        if old.path() != path || !old.has_its_name().map_err(&failed)? {
            return Err(Error::new(PUBLISH, path, ErrorKind::Replaced));
        }
        // The bytes reach the disk before the name does.
        mapping.sync(true).map_err(&failed)?;
        let (directory, name) = (temporary.directory.fd(), path.file_name().unwrap_or_default());
        rustix::fs::renameat(directory, temporary.name.as_str(), directory, name)
            .map_err(&failed)?;
        temporary.made = false;
        // Without this a crash of the machine could lose the new name.
        let _ = rustix::fs::fsync(directory);
        Ok(())
    }

    fn link(&mut self) -> Result<()> {
        self.check_process()?;
        let Self { temporary, path, .. } = self;
        // `create` and `set_name` have checked the name.
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
        // If this fails, `sweep` removes the temporary name later.
        temporary.remove();
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // In a forked child: leaves the temporary name to the parent.
        let _ = self.check_process();
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
    fn new(directory: &Directory, path: &Path) -> Result<Self> {
        let directory =
            directory.try_clone().map_err(|error| os_error(CREATE, Some(path), error))?;
        Ok(Self { directory, name: String::new(), made: false })
    }

    /// Creates the file under an unused temporary name made from `wanted`.
    fn make(
        &mut self,
        wanted: &str,
        path: &Path,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Registration> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut tries = 0;
        loop {
            self.name = name::temporary(wanted, random());
            let (directory, name, made) = (self.directory.fd(), &self.name, &mut self.made);
            let open = |more| rustix::fs::openat(directory, name, flags | more, OWN);
            let first = || {
                let fd = open(OFlags::CREATE | OFlags::EXCL)?;
                *made = true;
                // The umask may have removed permissions needed to open it again.
                rustix::fs::fchmod(&fd, OWN)?;
                Ok(fd)
            };
            let opened = Registration::open(CREATE, path, first, || open(OFlags::NONBLOCK));
            tries += 1;
            match opened {
                // The name exists, by chance or made by an attacker.
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

/// Sets the size of the file and allocates its space.
fn allocate(fd: BorrowedFd<'_>, size: u64) -> rustix::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        // On tmpfs a signal interrupts the call; under a profiling timer it might never finish.
        for _ in 0..8 {
            match rustix::fs::fallocate(fd, rustix::fs::FallocateFlags::empty(), 0, size) {
                Err(Errno::INTR) => {}
                // Not supported by this file system (ZFS: EINVAL).
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => break,
                result => return result,
            }
        }
    }
    write_zeros(fd, size)
}

/// Allocates space by writing zeros, where fallocate is missing, unsupported or always interrupted.
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

/// Checks the size limit of the process: a larger file would raise SIGXFSZ.
fn check_limit(size: u64, path: &Path) -> Result<()> {
    match rustix::process::getrlimit(Resource::Fsize).current {
        Some(limit) if limit < size => {
            Err(Error::new(CREATE, path, ErrorKind::TooLarge { size, limit }))
        }
        _ => Ok(()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))] // has RENAME_NOREPLACE
fn rename_without_replacing(
    directory: BorrowedFd<'_>,
    old: &str,
    new: &std::ffi::OsStr,
) -> rustix::io::Result<()> {
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    rustix::fs::renameat_with(directory, old, directory, new, flags)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))] // has none
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
        // The owner, and future variants.
        _ => OWN,
    }
}

const OWN: Mode = Mode::RUSR.union(Mode::WUSR);
const CREATE: &str = "create";
const PUBLISH: &str = "publish";
/// Maximum number of temporary names to try.
const TRIES: u32 = 16;
static ZEROS: [u8; 65_536] = [0; 65_536];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;

    #[test]
    fn write_zeros_reaches_the_last_byte() {
        let file = tempfile::tempfile().unwrap();
        write_zeros(file.as_fd(), 200_001).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 200_001);
    }

    #[cfg(target_os = "linux")] // has /dev/full
    #[test]
    fn write_zeros_to_full_device_is_an_error() {
        let file = fs::File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(write_zeros(file.as_fd(), 1), Err(Errno::NOSPC));
    }

    #[test]
    fn temporary_make_with_taken_name_tries_another() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let taken = name::temporary("x.mmst", 7);
        fs::write(place.path().join(&taken), "mine").unwrap();
        let mut numbers = [7, 7, 8].into_iter();
        let mut temporary = Temporary::new(&directory, place.path()).unwrap();
        temporary.make("x.mmst", place.path(), &mut || numbers.next().unwrap()).unwrap();
        assert_eq!(temporary.name, name::temporary("x.mmst", 8));
        assert_eq!(fs::read(place.path().join(&taken)).unwrap(), b"mine");

        let mut temporary = Temporary::new(&directory, place.path()).unwrap();
        let error = temporary.make("x.mmst", place.path(), &mut || 7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        drop(temporary);
        assert_eq!(fs::read(place.path().join(&taken)).unwrap(), b"mine");
    }

    #[test]
    fn rename_without_replacing_keeps_existing_file() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("new"), "new").unwrap();
        fs::write(path("old"), "old").unwrap();
        match rename_without_replacing(directory.fd(), "new", "old".as_ref()) {
            Err(Errno::NOSYS | Errno::INVAL) => {
                assert!(std::env::var_os("CI").is_none(), "cannot be run here: no such rename");
                eprintln!("skipped: not supported by this system");
            }
            result => assert_eq!(result, Err(Errno::EXIST)),
        }
        assert_eq!(fs::read(path("old")).unwrap(), b"old");
    }
}
