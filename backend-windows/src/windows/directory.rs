//! Directories: chosen, made and checked.
#![allow(unsafe_code)] // Makes a directory with an access list; the block has its proof.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use mmstats_system::{Environment, USE_DIRECTORY as USE, VARIABLE};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem as fs;

use super::handle::{self, Ask, LOOK, SHARE_ALL, SHARE_NO_DELETE, check, size, stat};
use super::path::{no_device, wide};
use super::{failed, security};
use crate::{Error, ErrorKind, FileType, Result};

/// An open directory.
///
/// One of the user's own is kept from being renamed or removed as long as it is open, and
/// with it all directories above: what was checked is what is used.
#[derive(Debug)]
pub struct Directory {
    file: File,
    path: PathBuf,
}

impl Directory {
    /// Opens any directory; links are followed.
    ///
    /// # Errors
    ///
    /// Where it does not exist, is not a directory or must not be searched.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Ask { access: LIST, follow: true, ..LOOK })
    }

    /// Opens any directory, and makes it, but not its parents, for this user alone if it is
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
    /// As [`open`](Self::open), and where it is a link or another reparse point, belongs to
    /// another user, or another user may write to it: somebody may have made it first, to
    /// read or replace what is put there.
    pub fn open_own(path: &Path) -> Result<Self> {
        let directory =
            Self::open_with(path, &Ask { access: LIST, share: SHARE_NO_DELETE, ..LOOK })?;
        let failed = failed(USE, path);
        let found = security::of(&directory.file, true).map_err(&failed)?;
        let (owner, myself) = (found.owner().map_err(&failed)?, security::myself());
        let myself = myself.map_err(&failed)?;
        if !myself.is(&owner) {
            let kind = ErrorKind::WrongOwner { owner: owner.last(), expected: myself.user.last() };
            return Err(Error::new(USE, path, kind));
        }
        if found.others_may_write().map_err(&failed)? {
            return Err(Error::new(USE, path, ErrorKind::OthersMayWrite));
        }
        Ok(directory)
    }

    /// Opens a directory that belongs to this user alone, and makes it, but not its
    /// parents, if it is missing.
    ///
    /// # Errors
    ///
    /// As [`open_own`](Self::open_own), and where it cannot be made.
    pub fn create_own(path: &Path) -> Result<Self> {
        make(path)?;
        Self::open_own(path)
    }

    fn open_with(path: &Path, ask: &Ask<'_>) -> Result<Self> {
        let failed = failed(USE, path);
        let absolute = std::path::absolute(path).map_err(&failed)?;
        let other = |kind| Error::new(USE, path, ErrorKind::NotDirectory(kind));
        if let Some(kind) = no_device(&absolute).map_err(&failed)? {
            return Err(other(kind));
        }
        let file = handle::open(&absolute, ask).map_err(|error| {
            // What is no directory does not give all rights of one.
            let found = handle::open(&absolute, &LOOK).and_then(|file| stat(&file));
            match found {
                Ok(found) if found.kind != FileType::Directory => {
                    failed(error).with_kind(ErrorKind::NotDirectory(found.kind))
                }
                _ => failed(error),
            }
        })?;
        match stat(&file).map_err(&failed)?.kind {
            FileType::Directory => Ok(Self { file, path: absolute }),
            kind => Err(other(kind)),
        }
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the files in it are in memory, and never wait for a disk.
    ///
    /// On Windows they are on a disk, unless the system knows of a RAM disk; new files are
    /// marked as temporary, so that they are written back late.
    ///
    /// # Errors
    ///
    /// Where the system does not answer.
    pub fn is_memory_backed(&self) -> Result<Option<bool>> {
        handle::is_ram_disk(&self.path).map(Some).map_err(failed(USE, &self.path))
    }

    /// The directory again, if files can be made in it.
    fn writable(self) -> Result<Self> {
        let ask = Ask { access: fs::FILE_ADD_FILE, share: SHARE_ALL, follow: true, ..LOOK };
        match handle::open(&self.path, &ask) {
            Ok(_) => Ok(self),
            Err(error) => Err(failed("write to", self.path())(error)),
        }
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, path: self.path.clone() })
    }
}

/// The environment of this process.
#[must_use]
pub fn environment() -> Environment {
    Environment {
        explicit: std::env::var_os(VARIABLE),
        // As the system sets it for every user, services too. The function that answers the
        // same would load the library of the desktop into the program.
        local: std::env::var_os("LOCALAPPDATA"),
        temporary: Some(std::env::temp_dir().into_os_string()),
        ..Environment::default()
    }
}

mmstats_system::directories!(Directory, environment);

fn make(path: &Path) -> Result<()> {
    let failed = failed("create directory", path);
    if no_device(path).map_err(&failed)?.is_some() {
        // It says so when it is opened.
        return Ok(());
    }
    let name = wide(path).map_err(&failed)?;
    let descriptor = security::Descriptor::of_directory().map_err(&failed)?;
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size::<SECURITY_ATTRIBUTES>(),
        lpSecurityDescriptor: descriptor.as_ptr(),
        bInheritHandle: 0,
    };
    // SAFETY: `name` ends in a zero, and the descriptor lives longer than the attributes.
    match check(unsafe { fs::CreateDirectoryW(name.as_ptr(), &raw const attributes) }) {
        Err(error)
            if error.kind() != io::ErrorKind::AlreadyExists
                && handle::open(path, &LOOK).is_err() =>
        {
            Err(failed(error))
        }
        // An existing directory where nothing may be made says so first.
        _ => Ok(()),
    }
}

/// What is needed to see what is in a directory, and whose it is.
const LIST: u32 = fs::FILE_LIST_DIRECTORY | fs::FILE_READ_ATTRIBUTES | fs::READ_CONTROL;
