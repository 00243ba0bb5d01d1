//! Directories: opening, creating and checking them.
#![allow(unsafe_code)] // Creates a directory with an access list; the block has its proof.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use mmstats_system::{Environment, USE_DIRECTORY, VARIABLE, docs};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem as fs;

use super::handle::{self, METADATA, OpenOptions, SHARE_ALL, SHARE_NO_DELETE, stat};
use super::os_error::failed;
use super::path::{device_type, wide};
use super::security::{Descriptor, FileSecurity, process_identity};
use super::win32::{check, size};
use crate::{Error, ErrorKind, FileInfo, FileType, Result};

#[doc = docs!(Directory)]
#[derive(Debug)]
pub struct Directory {
    file: File,
    path: PathBuf,
}

impl Directory {
    #[doc = docs!(Directory::open)]
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &OpenOptions { access: LIST, follow: true, ..METADATA })
    }

    #[doc = docs!(Directory::open_or_create)]
    pub fn open_or_create(path: &Path) -> Result<Self> {
        make(path)?;
        Self::open(path)
    }

    #[doc = docs!(Directory::open_own)]
    pub fn open_own(path: &Path) -> Result<Self> {
        let directory = Self::open_with(
            path,
            &OpenOptions { access: LIST, share: SHARE_NO_DELETE, ..METADATA },
        )?;
        let failed = failed(USE_DIRECTORY, path);
        let security = FileSecurity::read(&directory.file, true).map_err(&failed)?;
        let owner = security.owner().map_err(&failed)?;
        let identity = process_identity().map_err(&failed)?;
        if !identity.includes(&owner) {
            let kind =
                ErrorKind::WrongOwner { owner: owner.last(), expected: identity.user.last() };
            return Err(Error::new(USE_DIRECTORY, path, kind));
        }
        if security.others_may_write().map_err(&failed)? {
            return Err(Error::new(USE_DIRECTORY, path, ErrorKind::OthersMayWrite));
        }
        Ok(directory)
    }

    #[doc = docs!(Directory::create_own)]
    pub fn create_own(path: &Path) -> Result<Self> {
        make(path)?;
        Self::open_own(path)
    }

    fn open_with(path: &Path, options: &OpenOptions<'_>) -> Result<Self> {
        let failed = failed(USE_DIRECTORY, path);
        let absolute = std::path::absolute(path).map_err(&failed)?;
        let other = |kind| Error::new(USE_DIRECTORY, path, ErrorKind::NotDirectory(kind));
        if let Some(kind) = device_type(&absolute).map_err(&failed)? {
            return Err(other(kind));
        }
        let file = handle::open(&absolute, options).map_err(|error| {
            // A file does not grant all rights of a directory.
            let found = handle::open(&absolute, &METADATA).and_then(|file| stat(&file));
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

    #[doc = docs!(path)]
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[doc = docs!(Directory::open_below)]
    pub fn open_below(&self, name: &OsStr) -> Result<Self> {
        Self::open_with(&self.path.join(name), &OpenOptions { access: LIST, ..METADATA })
    }

    #[doc = docs!(Directory::info)]
    pub fn info(&self) -> Result<FileInfo> {
        let failed = failed(USE_DIRECTORY, &self.path);
        let found = stat(&self.file).map_err(&failed)?;
        let owner = FileSecurity::read(&self.file, false).and_then(|security| security.owner());
        let owner = owner.ok().map(|owner| owner.last());
        let (path, size) = (self.path.clone(), found.size);
        Ok(FileInfo { path, size, owner, modified: found.modified, id: found.id })
    }

    #[doc = docs!(Directory::list)]
    pub fn list(&self, each: &mut dyn FnMut(&OsStr)) -> Result<()> {
        let failed = failed(USE_DIRECTORY, &self.path);
        for entry in std::fs::read_dir(&self.path).map_err(&failed)? {
            each(&entry.map_err(&failed)?.file_name());
        }
        Ok(())
    }

    #[doc = docs!(Directory::is_memory_backed)]
    pub fn is_memory_backed(&self) -> Result<Option<bool>> {
        handle::is_ram_disk(&self.path).map(Some).map_err(failed(USE_DIRECTORY, &self.path))
    }

    /// The directory itself, if files can be created in it.
    fn writable(self) -> Result<Self> {
        let options =
            OpenOptions { access: fs::FILE_ADD_FILE, share: SHARE_ALL, follow: true, ..METADATA };
        match handle::open(&self.path, &options) {
            Ok(_) => Ok(self),
            Err(error) => Err(failed("write to", self.path())(error)),
        }
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, path: self.path.clone() })
    }
}

#[doc = docs!(environment)]
#[must_use]
pub fn environment() -> Environment {
    Environment {
        explicit: std::env::var_os(VARIABLE),
        file_names: std::env::var_os(crate::name::VARIABLE),
        // The system sets it for every user, services too. The function for it would load the
        // library of the desktop.
        local: std::env::var_os("LOCALAPPDATA"),
        temporary: Some(std::env::temp_dir().into_os_string()),
        ..Environment::default()
    }
}

mmstats_system::directories!(Directory, environment);

/// Creates a directory unless it exists.
fn make(path: &Path) -> Result<()> {
    let failed = failed("create directory", path);
    if device_type(path).map_err(&failed)?.is_some() {
        // Opening it reports that.
        return Ok(());
    }
    let name = wide(path).map_err(&failed)?;
    let descriptor = Descriptor::for_directory().map_err(&failed)?;
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size::<SECURITY_ATTRIBUTES>(),
        lpSecurityDescriptor: descriptor.as_ptr(),
        bInheritHandle: 0,
    };
    // SAFETY: `name` ends in a zero, and the descriptor lives longer than the attributes.
    match check(unsafe { fs::CreateDirectoryW(name.as_ptr(), &raw const attributes) }) {
        Err(error)
            if error.kind() != io::ErrorKind::AlreadyExists
                && handle::open(path, &METADATA).is_err() =>
        {
            Err(failed(error))
        }
        // An existing directory, also one in which nothing may be created.
        _ => Ok(()),
    }
}

/// Rights to list a directory and to determine its owner.
const LIST: u32 = fs::FILE_LIST_DIRECTORY | fs::FILE_READ_ATTRIBUTES | fs::READ_CONTROL;
