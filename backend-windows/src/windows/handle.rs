//! Operations on open files that the standard library lacks: share modes, access lists at creation,
//! properties, renaming without replacing, removal by handle.
#![allow(unsafe_code)] // Calls the system; each block has its proof.

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::time::SystemTime;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Foundation::{GENERIC_READ, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::FSCTL_SET_COMPRESSION;

use super::os_error::code_of;
use super::path::wide;
use super::security::Descriptor;
use super::win32::{check, size, system_time, whole};
use crate::{FileId, FileType};

/// Options for opening a file.
pub(super) struct OpenOptions<'a> {
    /// Rights, as `FILE_GENERIC_READ`.
    pub(super) access: u32,
    /// Rights that other handles may have, as `FILE_SHARE_READ`.
    pub(super) share: u32,
    /// Access list of a file to create, which must not exist.
    pub(super) create: Option<&'a Descriptor>,
    /// Whether links are followed.
    pub(super) follow: bool,
}

/// Excludes no other handle; a handle that excludes writers cannot open a file with a writer.
pub(super) const SHARE_ALL: u32 =
    fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE | fs::FILE_SHARE_DELETE;
/// Excludes handles that would remove or rename the file.
pub(super) const SHARE_NO_DELETE: u32 = fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE;

/// Options for the properties of an existing file or directory.
pub(super) const METADATA: OpenOptions<'static> = OpenOptions {
    access: fs::FILE_READ_ATTRIBUTES | fs::READ_CONTROL,
    share: SHARE_ALL,
    create: None,
    follow: false,
};
/// Options to read an existing file.
pub(super) const READ: OpenOptions<'static> = OpenOptions { access: GENERIC_READ, ..METADATA };

/// Opens a file or a directory. The path must not be that of a device.
pub(super) fn open(path: &Path, options: &OpenOptions<'_>) -> io::Result<File> {
    let wide = wide(path)?;
    let mut attributes = SECURITY_ATTRIBUTES::default();
    let (disposition, flags) = match options.create {
        None => (fs::OPEN_EXISTING, 0),
        Some(descriptor) => {
            attributes.nLength = size::<SECURITY_ATTRIBUTES>();
            attributes.lpSecurityDescriptor = descriptor.as_ptr();
            // Stays in the cache while there is room, so that writing back does not stall the
            // program. Not indexed for search.
            let file = fs::FILE_ATTRIBUTE_TEMPORARY | fs::FILE_ATTRIBUTE_NOT_CONTENT_INDEXED;
            (fs::CREATE_NEW, file)
        }
    };
    let security = if options.create.is_some() { &raw const attributes } else { ptr::null() };
    let links = if options.follow { 0 } else { fs::FILE_FLAG_OPEN_REPARSE_POINT };
    // Directories too, to recognise them; a server must not impersonate this process.
    let flags = flags
        | links
        | fs::FILE_FLAG_BACKUP_SEMANTICS
        | fs::SECURITY_SQOS_PRESENT
        | fs::SECURITY_IDENTIFICATION;
    // SAFETY:
    // - `wide` ends in a zero;
    // - `security` is null, or points to attributes whose descriptor lives as long as `options`.
    let handle = unsafe {
        fs::CreateFileW(
            wide.as_ptr(),
            options.access,
            options.share,
            security,
            disposition,
            flags,
            ptr::null_mut(),
        )
    };
    file_of(handle)
}

/// Opens the file `id` again; an error if the path refers to another one now.
pub(super) fn open_again(path: &Path, id: FileId, access: u32, share: u32) -> io::Result<File> {
    let access = access | fs::FILE_READ_ATTRIBUTES;
    let file = open(path, &OpenOptions { access, share, ..METADATA })?;
    if stat(&file)?.id == id { Ok(file) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
}

fn file_of(handle: HANDLE) -> io::Result<File> {
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just opened the handle, and nothing else owns it.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

/// Properties of an open file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) id: FileId,
    pub(super) kind: FileType,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    /// Whether the file takes less space on the disk than its size: sparse or compressed.
    pub(super) thin: bool,
}

pub(super) fn stat(file: &File) -> io::Result<Stat> {
    let handle = file.as_raw_handle();
    // SAFETY: the handle is open.
    let kind = match unsafe { fs::GetFileType(handle) } {
        fs::FILE_TYPE_DISK => None,
        fs::FILE_TYPE_PIPE => Some(FileType::Pipe),
        fs::FILE_TYPE_CHAR => Some(FileType::Device),
        _ => Some(FileType::Unknown),
    };
    let mut info = fs::BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and `info` has room for the answer.
    check(unsafe { fs::GetFileInformationByHandle(handle, &raw mut info) })?;
    let kind = match kind {
        Some(kind) => kind,
        None if info.dwFileAttributes & fs::FILE_ATTRIBUTE_REPARSE_POINT != 0 => reparse(handle),
        None if info.dwFileAttributes & fs::FILE_ATTRIBUTE_DIRECTORY != 0 => FileType::Directory,
        None => FileType::Regular,
    };
    let time = info.ftLastWriteTime;
    Ok(Stat {
        id: FileId {
            device: info.dwVolumeSerialNumber.into(),
            index: whole(info.nFileIndexHigh, info.nFileIndexLow),
        },
        kind,
        size: whole(info.nFileSizeHigh, info.nFileSizeLow),
        modified: system_time(whole(time.dwHighDateTime, time.dwLowDateTime)),
        thin: info.dwFileAttributes
            & (fs::FILE_ATTRIBUTE_SPARSE_FILE | fs::FILE_ATTRIBUTE_COMPRESSED)
            != 0,
    })
}

/// Type of a reparse point. None is followed, because its driver decides where it leads.
fn reparse(handle: HANDLE) -> FileType {
    let mut tag = fs::FILE_ATTRIBUTE_TAG_INFO::default();
    // SAFETY: the handle is open; `tag` is the structure of the class, with its size.
    let known = check(unsafe {
        fs::GetFileInformationByHandleEx(
            handle,
            fs::FileAttributeTagInfo,
            (&raw mut tag).cast(),
            size::<fs::FILE_ATTRIBUTE_TAG_INFO>(),
        )
    });
    match tag.ReparseTag {
        _ if known.is_err() => FileType::Unknown,
        TAG_SYMLINK | TAG_MOUNT_POINT => FileType::Link,
        TAG_UNIX_SOCKET => FileType::Socket,
        _ => FileType::Unknown,
    }
}

/// Renames a file, if the new name is free.
pub(super) fn rename_without_replacing(old: &Path, new: &Path) -> io::Result<()> {
    let (old, new) = (wide(old)?, wide(new)?);
    // SAFETY: both end in a zero.
    check(unsafe { fs::MoveFileExW(old.as_ptr(), new.as_ptr(), 0) })
}

/// Removes the file `id`, if `path` still refers to it.
///
/// # Errors
///
/// If it does not, or, in old versions of Windows, if the file is mapped.
pub(super) fn delete_by_id(path: &Path, id: FileId) -> io::Result<()> {
    delete(&open_again(path, id, fs::DELETE, SHARE_ALL)?)
}

/// Removes the name of an open file, which stays valid for its open handles.
///
/// # Errors
///
/// If it was not opened with the right `DELETE`, or, in old versions of Windows, if it is mapped.
pub(super) fn delete(file: &File) -> io::Result<()> {
    let flags = fs::FILE_DISPOSITION_FLAG_DELETE | fs::FILE_DISPOSITION_FLAG_POSIX_SEMANTICS;
    let now = fs::FILE_DISPOSITION_INFO_EX { Flags: flags };
    match set(file, fs::FileDispositionInfoEx, &now) {
        // Not supported by the system or file system: the name goes with the last handle.
        Err(error)
            if matches!(
                code_of(&error),
                Some(
                    win::ERROR_INVALID_PARAMETER
                        | win::ERROR_INVALID_FUNCTION
                        | win::ERROR_NOT_SUPPORTED
                        | win::ERROR_CALL_NOT_IMPLEMENTED
                )
            ) =>
        {
            let later = fs::FILE_DISPOSITION_INFO { DeleteFile: true };
            set(file, fs::FileDispositionInfo, &later)
        }
        result => result,
    }
}

/// Reserves `size` bytes on the disk. The size of the file stays.
pub(super) fn reserve(file: &File, size: u64) -> io::Result<()> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    set(file, fs::FileAllocationInfo, &fs::FILE_ALLOCATION_INFO { AllocationSize: size })
}

/// Switches compression off, which a directory may set for its files.
pub(super) fn expand(file: &File) -> io::Result<()> {
    let (none, mut returned) = (0_u16, 0);
    // SAFETY: the handle is open and for synchronous use; the input is a u16, as this control code
    // requires, and there is no output.
    check(unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            FSCTL_SET_COMPRESSION,
            (&raw const none).cast(),
            size::<u16>(),
            ptr::null_mut(),
            0,
            &raw mut returned,
            ptr::null_mut(),
        )
    })
}

/// Whether the path is on a RAM disk that the system knows.
pub(super) fn is_ram_disk(path: &Path) -> io::Result<bool> {
    /// `DRIVE_RAMDISK`.
    const RAM_DISK: u32 = 6;
    let root = super::path::root(path)?;
    // SAFETY: `root` ends in a zero.
    Ok(unsafe { fs::GetDriveTypeW(root.as_ptr()) } == RAM_DISK)
}

/// Sets the properties of `class`. `T` must be its structure.
fn set<T>(file: &File, class: fs::FILE_INFO_BY_HANDLE_CLASS, value: &T) -> io::Result<()> {
    // SAFETY: the handle is open; each caller passes the structure of its class, and its size.
    check(unsafe {
        fs::SetFileInformationByHandle(
            file.as_raw_handle(),
            class,
            ptr::from_ref(value).cast(),
            size::<T>(),
        )
    })
}

/// `IO_REPARSE_TAG_SYMLINK`, `_MOUNT_POINT` and `_AF_UNIX`.
const TAG_SYMLINK: u32 = 0xA000_000C;
const TAG_MOUNT_POINT: u32 = 0xA000_0003;
const TAG_UNIX_SOCKET: u32 = 0x8000_0023;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn stat_agrees_with_the_standard_library() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let found = stat(&open(&path, &METADATA).unwrap()).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!((found.kind, found.size), (FileType::Regular, 1));
        assert_eq!(found.modified, metadata.modified().unwrap());
    }

    /// Space of a file on the disk, in bytes.
    pub(in super::super) fn allocated(file: &File) -> i64 {
        let mut found = fs::FILE_STANDARD_INFO::default();
        // SAFETY: the handle is open; `found` is the structure of the class, with its size.
        check(unsafe {
            fs::GetFileInformationByHandleEx(
                file.as_raw_handle(),
                fs::FileStandardInfo,
                (&raw mut found).cast(),
                size::<fs::FILE_STANDARD_INFO>(),
            )
        })
        .unwrap();
        found.AllocationSize
    }
}
