//! Directories: chosen, made and checked.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::codes::os_error;
use super::{failed, file_type};
use crate::{Error, ErrorKind, FileType, Result};
use mmstats_system::{Environment, USE_DIRECTORY as USE, VARIABLE};

/// An open directory.
///
/// What was checked is what is used: files are made relative to the descriptor, not by a
/// path that somebody could lead elsewhere meanwhile.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens any directory; links are followed.
    ///
    /// # Errors
    ///
    /// Where it does not exist, is not a directory or must not be searched.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlags::empty())
    }

    /// Opens any directory, and makes it, but not its parents, with mode 0700 if it is
    /// missing.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where it cannot be made.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        make(path)?;
        Self::open(path)
    }

    /// Opens a directory that belongs to this user alone.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where it is a link, belongs to another user, or its
    /// group or others may write to it: somebody may have made it first, to read or
    /// replace what is put there.
    pub fn open_own(path: &Path) -> Result<Self> {
        let directory = Self::open_with(path, OFlags::NOFOLLOW)?;
        let stat = rustix::fs::fstat(&directory.fd).map_err(failed(USE, path))?;
        let (owner, expected) = (stat.st_uid, rustix::process::geteuid().as_raw());
        if owner != expected {
            return Err(Error::new(USE, path, ErrorKind::WrongOwner { owner, expected }));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.intersects(Mode::WGRP | Mode::WOTH) {
            #[allow(clippy::useless_conversion)] // 16 bits wide on some systems
            let mode = u32::from(mode.as_raw_mode());
            return Err(Error::new(USE, path, ErrorKind::WrongMode { mode }));
        }
        Ok(directory)
    }

    /// Opens a directory that belongs to this user alone, and makes it, but not its
    /// parents, with mode 0700 if it is missing.
    ///
    /// # Errors
    ///
    /// As [`open_own`](Self::open_own), and where it cannot be made.
    pub fn create_own(path: &Path) -> Result<Self> {
        make(path)?;
        Self::open_own(path)
    }

    fn open_with(path: &Path, flags: OFlags) -> Result<Self> {
        let absolute =
            std::path::absolute(path).map_err(|error| os_error(USE, Some(path), error))?;
        let flags = flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&absolute, flags, Mode::empty()).map_err(|errno| {
            let error = failed(USE, path)(errno);
            // Each system has its own code for "not a directory, but a link".
            match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if file_type(&stat) != FileType::Directory => {
                    error.with_kind(ErrorKind::NotDirectory(file_type(&stat)))
                }
                _ => error,
            }
        })?;
        Ok(Self { fd, path: absolute })
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the files in it are in memory, and never wait for a disk.
    ///
    /// `None` where this is not known: on systems other than Linux.
    ///
    /// # Errors
    ///
    /// Where the system does not answer.
    pub fn is_memory_backed(&self) -> Result<Option<bool>> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let stat = rustix::fs::fstatfs(&self.fd).map_err(failed(USE, &self.path))?;
            #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
            // its type differs between machines
            #[allow(clippy::cast_possible_truncation)] // magic numbers have 32 bits
            let magic = stat.f_type as u32;
            Ok(Some([TMPFS_MAGIC, RAMFS_MAGIC].contains(&magic)))
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))] // nobody else tells
        Ok(None)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The directory again, if files can be made in it.
    fn writable(self) -> Result<Self> {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        match rustix::fs::accessat(&self.fd, ".", access, EFFECTIVE) {
            // An old system cannot tell; then creating a file will.
            Ok(()) | Err(Errno::NOSYS | Errno::INVAL) => Ok(self),
            Err(errno) => Err(failed("write to", self.path())(errno)),
        }
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, path: self.path.clone() })
    }
}

/// The environment of this process.
#[must_use]
pub fn environment() -> Environment {
    Environment {
        explicit: std::env::var_os(VARIABLE),
        runtime: std::env::var_os("XDG_RUNTIME_DIR"),
        temporary: std::env::var_os("TMPDIR"),
        user: rustix::process::geteuid().as_raw(),
        ..Environment::default()
    }
}

mmstats_system::directories!(Directory, environment);

fn make(path: &Path) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // An existing directory on a file system that cannot be written says so first.
        Err(_) if rustix::fs::stat(path).is_ok() => Ok(()),
        Err(errno) => Err(failed("create directory", path)(errno)),
    }
}

/// Asks with the effective ids; Android knows the real ones only.
#[cfg(not(target_os = "android"))]
const EFFECTIVE: AtFlags = AtFlags::EACCESS;
#[cfg(target_os = "android")]
const EFFECTIVE: AtFlags = AtFlags::empty();
#[cfg(any(target_os = "linux", target_os = "android"))] // magic numbers of Linux
const TMPFS_MAGIC: u32 = 0x0102_1994;
#[cfg(any(target_os = "linux", target_os = "android"))] // magic numbers of Linux
const RAMFS_MAGIC: u32 = 0x8584_58f6;
