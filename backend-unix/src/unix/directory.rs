//! Directories: opening, creating and checking them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use mmstats_system::{Environment, USE_DIRECTORY, VARIABLE, docs};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::auxiliary::ignores_environment;
use super::foreign_root::{self, Inside};
use super::os_error::{failed, os_error};
use super::random::random_number;
use super::stat::{file_id, file_info, file_type};
use crate::{Error, ErrorKind, FileId, FileInfo, FileType, Result, name};

#[doc = docs!(Directory)]
#[derive(Debug)]
pub struct Directory {
    /// `None` only at its end: it is not closed if the program closed it, because the number may be
    /// that of another file by now.
    fd: Option<OwnedFd>,
    id: FileId,
    path: PathBuf,
}

impl Directory {
    #[doc = docs!(Directory::open)]
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlags::empty())
    }

    #[doc = docs!(Directory::open_or_create)]
    pub fn open_or_create(path: &Path) -> Result<Self> {
        make(path)?;
        Self::open(path)
    }

    #[doc = docs!(Directory::open_own)]
    pub fn open_own(path: &Path) -> Result<Self> {
        let directory = Self::open_with(path, OFlags::NOFOLLOW)?;
        let stat = rustix::fs::fstat(directory.fd()).map_err(failed(USE_DIRECTORY, path))?;
        let (owner, expected) = (stat.st_uid, rustix::process::geteuid().as_raw());
        if owner != expected {
            return Err(Error::new(USE_DIRECTORY, path, ErrorKind::WrongOwner { owner, expected }));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.intersects(Mode::WGRP | Mode::WOTH) {
            #[allow(clippy::useless_conversion)] // 16 bits wide on some systems
            let mode = u32::from(mode.as_raw_mode());
            return Err(Error::new(USE_DIRECTORY, path, ErrorKind::WrongMode { mode }));
        }
        Ok(directory)
    }

    #[doc = docs!(Directory::create_own)]
    pub fn create_own(path: &Path) -> Result<Self> {
        make(path)?;
        Self::open_own(path)
    }

    fn open_with(path: &Path, flags: OFlags) -> Result<Self> {
        let absolute = std::path::absolute(path)
            .map_err(|error| os_error(USE_DIRECTORY, Some(path), error))?;
        let flags = flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match Inside::new(&absolute) {
            Some(inside) => inside.open(flags),
            None => rustix::fs::open(&absolute, flags, Mode::empty()),
        };
        let fd = opened.map_err(|errno| not_opened(errno, path, foreign_root::stat(&absolute)))?;
        Self::new(fd, absolute)
    }

    fn new(fd: OwnedFd, path: PathBuf) -> Result<Self> {
        let stat = rustix::fs::fstat(&fd).map_err(failed(USE_DIRECTORY, &path))?;
        Ok(Self { fd: Some(fd), id: file_id(&stat), path })
    }

    #[doc = docs!(Directory::open_below)]
    pub fn open_below(&self, name: &OsStr) -> Result<Self> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.fd(), name, flags, Mode::empty()).map_err(|errno| {
            let stat = rustix::fs::statat(self.fd(), name, AtFlags::SYMLINK_NOFOLLOW);
            not_opened(errno, &path, stat)
        })?;
        Self::new(fd, path)
    }

    #[doc = docs!(Directory::info)]
    pub fn info(&self) -> Result<FileInfo> {
        let stat = rustix::fs::fstat(self.fd()).map_err(failed(USE_DIRECTORY, &self.path))?;
        Ok(file_info(&stat, &self.path))
    }

    #[doc = docs!(Directory::list)]
    pub fn list(&self, each: &mut dyn FnMut(&OsStr)) -> Result<()> {
        let failed = failed(USE_DIRECTORY, &self.path);
        for entry in Dir::read_from(self.fd()).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                each(OsStr::from_bytes(name));
            }
        }
        Ok(())
    }

    #[doc = docs!(path)]
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[doc = docs!(Directory::is_memory_backed)]
    pub fn is_memory_backed(&self) -> Result<Option<bool>> {
        file_system(self.fd()).map_err(failed(USE_DIRECTORY, &self.path))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("open until its end").as_fd()
    }

    /// The directory itself, if files can be created in it.
    fn writable(self) -> Result<Self> {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        match rustix::fs::accessat(self.fd(), ".", access, EFFECTIVE) {
            // Not supported by an old system; creating a file reports it then.
            Ok(()) | Err(Errno::NOSYS | Errno::INVAL) => {
                self.try_file();
                Ok(self)
            }
            Err(errno) => Err(failed("write to", self.path())(errno)),
        }
    }

    /// Makes and removes a file, unless the directory is in memory: one that answers from a cache may
    /// not answer then. Whether it succeeds is found out when the file is made that is needed.
    fn try_file(&self) {
        if matches!(self.is_memory_backed(), Ok(Some(true))) {
            return;
        }
        let name = name::temporary("trial.mmst", random_number());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(self.fd(), &name, flags, Mode::RUSR | Mode::WUSR) else {
            return;
        };
        let _ = rustix::io::write(&file, &[0]);
        let _ = rustix::fs::unlinkat(self.fd(), &name, AtFlags::empty());
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        let fd = self.fd().try_clone_to_owned()?;
        // The program may have closed the number and opened another file: its copy is closed here.
        if file_id(&rustix::fs::fstat(&fd)?) != self.id {
            return Err(rustix::io::Errno::BADF.into());
        }
        Ok(Self { fd: Some(fd), id: self.id, path: self.path.clone() })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let is_other =
            |fd: &OwnedFd| !rustix::fs::fstat(fd).is_ok_and(|stat| file_id(&stat) == self.id);
        std::mem::forget(self.fd.take_if(|fd| is_other(fd)));
    }
}

/// Why a directory cannot be opened. The code for "a link, not a directory" differs between systems.
fn not_opened(errno: Errno, path: &Path, stat: rustix::io::Result<Stat>) -> Error {
    let error = failed(USE_DIRECTORY, path)(errno);
    match stat {
        Ok(stat) if file_type(&stat) != FileType::Directory => {
            error.with_kind(ErrorKind::NotDirectory(file_type(&stat)))
        }
        _ => error,
    }
}

/// Whether an open file is in a file system in memory; `None` if the system does not tell.
pub(super) fn is_in_memory(fd: BorrowedFd<'_>) -> Option<bool> {
    file_system(fd).ok().flatten()
}

fn file_system(fd: BorrowedFd<'_>) -> rustix::io::Result<Option<bool>> {
    #[cfg(any(target_os = "linux", target_os = "android"))] // tell the file system
    {
        let stat = rustix::fs::fstatfs(fd)?;
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
        // the type differs between machines
        #[allow(clippy::cast_possible_truncation)] // magic numbers have 32 bits
        let magic = stat.f_type as u32;
        Ok(Some([TMPFS_MAGIC, RAMFS_MAGIC].contains(&magic)))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))] // other systems do not tell
    {
        let _ = fd;
        Ok(None)
    }
}

#[doc = docs!(environment)]
#[must_use]
pub fn environment() -> Environment {
    let user = rustix::process::geteuid().as_raw();
    // The caller of a program with more rights chooses neither its files nor their place.
    if ignores_environment() {
        return Environment { user, ..Environment::default() };
    }
    Environment {
        explicit: std::env::var_os(VARIABLE),
        file_names: std::env::var_os(name::VARIABLE),
        runtime: std::env::var_os("XDG_RUNTIME_DIR"),
        temporary: std::env::var_os("TMPDIR"),
        user,
        ..Environment::default()
    }
}

mmstats_system::directories!(Directory, environment);

/// Creates a directory unless it exists.
fn make(path: &Path) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // An existing directory on a read-only file system.
        Err(_) if rustix::fs::stat(path).is_ok() => Ok(()),
        Err(errno) => Err(failed("create directory", path)(errno)),
    }
}

/// Checks access with the effective ids; Android supports the real ones only.
#[cfg(not(target_os = "android"))]
const EFFECTIVE: AtFlags = AtFlags::EACCESS;
#[cfg(target_os = "android")]
const EFFECTIVE: AtFlags = AtFlags::empty();
#[cfg(any(target_os = "linux", target_os = "android"))] // magic numbers of Linux
const TMPFS_MAGIC: u32 = 0x0102_1994;
#[cfg(any(target_os = "linux", target_os = "android"))] // magic numbers of Linux
const RAMFS_MAGIC: u32 = 0x8584_58f6;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::{AsRawFd, IntoRawFd};

    #[test]
    fn directory_whose_descriptor_is_of_another_file_leaves_it_open() {
        let place = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(place.path()).unwrap();
        let other = File::open("/dev/null").unwrap();
        let _own = directory.fd.replace(other.try_clone().unwrap().into()).unwrap();
        let number = directory.fd().as_raw_fd();
        drop(directory);
        // A closed number would be the next one.
        assert_ne!(other.try_clone().unwrap().into_raw_fd(), number);
    }
}
