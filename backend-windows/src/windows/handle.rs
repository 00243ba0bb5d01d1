//! Open files, and what the system does with them beyond the standard library: share modes,
//! access lists at creation, locks, and names that are changed or removed by handle.
//!
//! # The lock
//!
//! One byte, number 4,294,967,296 from 0, which no image has: a lock on bytes keeps everybody
//! else from reading them, also a plain `type`, so it must be none that hold anything. A lock
//! belongs to the open file and goes with it, at the latest at the end of the process.
#![allow(unsafe_code)] // Calls the system; each block has its proof.

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant, SystemTime};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Foundation::{GENERIC_READ, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::IO::{DeviceIoControl, OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};
use windows_sys::Win32::System::Ioctl::FSCTL_SET_COMPRESSION;

use super::codes::code_of;
use super::path::wide;
use super::security::Descriptor;
use crate::{FileId, FileType};

/// How a file is opened.
pub(super) struct Ask<'a> {
    /// Rights, as `FILE_GENERIC_READ`.
    pub(super) access: u32,
    /// What others may have it open for, as `FILE_SHARE_READ`.
    pub(super) share: u32,
    /// To make a file that must not exist, who may do what with it.
    pub(super) create: Option<&'a Descriptor>,
    /// Whether links are followed.
    pub(super) follow: bool,
}

/// Readers let everybody in; whoever does not cannot open what has a writer.
pub(super) const SHARE_ALL: u32 =
    fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE | fs::FILE_SHARE_DELETE;
/// Keeps those out who would remove or rename it.
pub(super) const SHARE_NO_DELETE: u32 = fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE;

/// To look at an existing file or directory.
pub(super) const LOOK: Ask<'static> = Ask {
    access: fs::FILE_READ_ATTRIBUTES | fs::READ_CONTROL,
    share: SHARE_ALL,
    create: None,
    follow: false,
};
/// To read an existing file.
pub(super) const READ: Ask<'static> = Ask { access: GENERIC_READ, ..LOOK };

/// Opens a file or a directory. The caller has seen to it that the path is none of a device.
pub(super) fn open(path: &Path, ask: &Ask<'_>) -> io::Result<File> {
    let wide = wide(path)?;
    let mut attributes = SECURITY_ATTRIBUTES::default();
    let (disposition, flags) = match ask.create {
        None => (fs::OPEN_EXISTING, 0),
        Some(descriptor) => {
            attributes.nLength = size::<SECURITY_ATTRIBUTES>();
            attributes.lpSecurityDescriptor = descriptor.as_ptr();
            // Kept in the cache as long as there is room, so that writing back does not stall
            // the program; and nothing for the search index.
            let file = fs::FILE_ATTRIBUTE_TEMPORARY | fs::FILE_ATTRIBUTE_NOT_CONTENT_INDEXED;
            (fs::CREATE_NEW, file)
        }
    };
    let security = if ask.create.is_some() { &raw const attributes } else { ptr::null() };
    let links = if ask.follow { 0 } else { fs::FILE_FLAG_OPEN_REPARSE_POINT };
    // Directories too, to be told apart; and no server learns who asks.
    let flags = flags
        | links
        | fs::FILE_FLAG_BACKUP_SEMANTICS
        | fs::SECURITY_SQOS_PRESENT
        | fs::SECURITY_IDENTIFICATION;
    // SAFETY:
    // - `wide` ends in a zero;
    // - `security` is null, or points to attributes whose descriptor lives as long as `ask`.
    let handle = unsafe {
        fs::CreateFileW(
            wide.as_ptr(),
            ask.access,
            ask.share,
            security,
            disposition,
            flags,
            ptr::null_mut(),
        )
    };
    file_of(handle)
}

/// Opens the file `id` once more; an error if the path leads to another one by now.
pub(super) fn open_again(path: &Path, id: FileId, access: u32, share: u32) -> io::Result<File> {
    let access = access | fs::FILE_READ_ATTRIBUTES;
    let file = open(path, &Ask { access, share, ..LOOK })?;
    if stat(&file)?.id == id { Ok(file) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
}

fn file_of(handle: HANDLE) -> io::Result<File> {
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just opened it, and nobody else has it.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

/// What the system says of an open file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) id: FileId,
    pub(super) kind: FileType,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    /// Whether its bytes have less room on the disk than their number.
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
        modified: time_of(whole(time.dwHighDateTime, time.dwLowDateTime)),
        thin: info.dwFileAttributes
            & (fs::FILE_ATTRIBUTE_SPARSE_FILE | fs::FILE_ATTRIBUTE_COMPRESSED)
            != 0,
    })
}

/// What a reparse point is: its driver decides what is behind it, so none is followed.
fn reparse(handle: HANDLE) -> FileType {
    let mut tag = fs::FILE_ATTRIBUTE_TAG_INFO::default();
    // SAFETY: the handle is open, and `tag` has the form and the size that the class wants.
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

/// Whether somebody holds the writer's lock.
///
/// Asks for a shared lock, so that observers and sweepers do not disturb each other.
pub(super) fn lock_is_held(file: &File) -> io::Result<bool> {
    match lock(file, 0) {
        Ok(()) => unlock(file).map(|()| false),
        Err(error) if code_of(&error) == Some(win::ERROR_LOCK_VIOLATION) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Takes a shared lock, which keeps writers out until the file is closed.
pub(super) fn lock_shared(file: &File) -> io::Result<()> {
    lock(file, 0)
}

/// Takes the writer's lock. Observers and sweepers hold a shared lock for an instant, and one that
/// is not given a processor meanwhile for longer: that is waited for. Another writer is not, but
/// for the time in which one may be ending.
pub(super) fn lock_for_writing(file: &File) -> io::Result<()> {
    let (start, mut writers) = (Instant::now(), 0);
    loop {
        let error = match lock(file, fs::LOCKFILE_EXCLUSIVE_LOCK) {
            Err(error) if code_of(&error) == Some(win::ERROR_LOCK_VIOLATION) => error,
            result => return result,
        };
        writers += u32::from(lock_is_held(file)?);
        if writers >= 20 || start.elapsed() >= PATIENCE {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How long observers are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

fn lock(file: &File, flags: u32) -> io::Result<()> {
    let flags = flags | fs::LOCKFILE_FAIL_IMMEDIATELY;
    let mut place = lock_place();
    // SAFETY: the handle is open, and for synchronous use, so that `place` is not needed any
    // more when the call returns.
    check(unsafe { fs::LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) })
}

/// Gives a lock back.
pub(super) fn unlock(file: &File) -> io::Result<()> {
    let mut place = lock_place();
    // SAFETY: as in `lock`.
    check(unsafe { fs::UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &raw mut place) })
}

/// The byte that is locked: the first that no image has.
fn lock_place() -> OVERLAPPED {
    let offset = OVERLAPPED_0_0 { Offset: 0, OffsetHigh: 1 };
    OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: offset }, ..OVERLAPPED::default() }
}

/// Gives a file another name, if nothing has it.
pub(super) fn rename_without_replacing(old: &Path, new: &Path) -> io::Result<()> {
    let (old, new) = (wide(old)?, wide(new)?);
    // SAFETY: both end in a zero.
    check(unsafe { fs::MoveFileExW(old.as_ptr(), new.as_ptr(), 0) })
}

/// Removes the file `id`, if `path` still leads to it.
///
/// # Errors
///
/// Where it does not, or the file is mapped, in old versions of Windows.
pub(super) fn delete_it(path: &Path, id: FileId) -> io::Result<()> {
    delete(&open_again(path, id, fs::DELETE, SHARE_ALL)?)
}

/// Removes the name of an open file, which stays for those who have it open.
///
/// # Errors
///
/// Where it was not opened with the right `DELETE`, or is mapped, in old versions of Windows.
pub(super) fn delete(file: &File) -> io::Result<()> {
    let flags = fs::FILE_DISPOSITION_FLAG_DELETE | fs::FILE_DISPOSITION_FLAG_POSIX_SEMANTICS;
    let now = fs::FILE_DISPOSITION_INFO_EX { Flags: flags };
    match set(file, fs::FileDispositionInfoEx, &now) {
        // Not known to this system or file system: the name goes when the last handle does.
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

/// Sets `size` bytes of the disk aside; what the file says of its size stays.
pub(super) fn reserve(file: &File, size: u64) -> io::Result<()> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    set(file, fs::FileAllocationInfo, &fs::FILE_ALLOCATION_INFO { AllocationSize: size })
}

/// Sees to it that bytes have the room that they need, also where the directory says that its
/// files are compressed.
pub(super) fn expand(file: &File) -> io::Result<()> {
    let (none, mut returned) = (0_u16, 0);
    // SAFETY: the handle is open and for synchronous use; the input is a u16, as this code
    // wants, and there is no output.
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

/// Whether the file system of a path is in memory, as far as the system tells.
pub(super) fn is_ram_disk(path: &Path) -> io::Result<bool> {
    /// `DRIVE_RAMDISK`.
    const RAM_DISK: u32 = 6;
    let root = super::path::root(path)?;
    // SAFETY: `root` ends in a zero.
    Ok(unsafe { fs::GetDriveTypeW(root.as_ptr()) } == RAM_DISK)
}

/// Sets what `class` says. `T` must be the structure of the class.
fn set<T>(file: &File, class: fs::FILE_INFO_BY_HANDLE_CLASS, value: &T) -> io::Result<()> {
    // SAFETY: the handle is open; `value` has the form that each caller's class wants, and its
    // size is told.
    check(unsafe {
        fs::SetFileInformationByHandle(
            file.as_raw_handle(),
            class,
            ptr::from_ref(value).cast(),
            size::<T>(),
        )
    })
}

/// What a function said that answers 0 where it failed.
pub(super) fn check(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The size of a structure, as the system wants to be told it, in bytes.
pub(super) const fn size<T>() -> u32 {
    const { assert!(size_of::<T>() < 1 << 16) };
    #[allow(clippy::cast_possible_truncation)] // just checked
    let size = size_of::<T>() as u32;
    size
}

/// A number in two halves.
pub(super) const fn whole(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// A time of the system: 100 nanoseconds each since 1601.
pub(super) fn time_of(ticks: u64) -> SystemTime {
    let since = |ticks: u64| {
        Duration::from_secs(ticks / 10_000_000) + Duration::from_nanos(ticks % 10_000_000 * 100)
    };
    let time = match ticks.checked_sub(EPOCH) {
        Some(after) => SystemTime::UNIX_EPOCH.checked_add(since(after)),
        None => SystemTime::UNIX_EPOCH.checked_sub(since(EPOCH - ticks)),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// From 1601 to 1970, in 100 nanoseconds.
pub(super) const EPOCH: u64 = 116_444_736_000_000_000;
/// `IO_REPARSE_TAG_SYMLINK`, `_MOUNT_POINT` and `_AF_UNIX`.
const TAG_SYMLINK: u32 = 0xA000_000C;
const TAG_MOUNT_POINT: u32 = 0xA000_0003;
const TAG_UNIX_SOCKET: u32 = 0x8000_0023;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_standard_library() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let found = stat(&open(&path, &LOOK).unwrap()).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!((found.kind, found.size), (FileType::Regular, 1));
        assert_eq!(found.modified, metadata.modified().unwrap());
        assert_eq!(time_of(EPOCH), SystemTime::UNIX_EPOCH);
        assert_eq!(time_of(EPOCH - 10_000_000), SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    }

    /// How much of the disk a file has, in bytes.
    pub(in super::super) fn allocated(file: &File) -> i64 {
        let mut found = fs::FILE_STANDARD_INFO::default();
        // SAFETY: the handle is open, and `found` has the form and the size that the class wants.
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

    /// FORMAT.md section 10: who does not know this crate finds the lock at this byte.
    #[test]
    fn the_lock_is_on_the_first_byte_that_no_image_has() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "bytes").unwrap();
        let access = GENERIC_READ | win::GENERIC_WRITE;
        let file = open(&path, &Ask { access, ..LOOK }).unwrap();
        lock_for_writing(&file).unwrap();
        let other = open(&path, &READ).unwrap();
        for (byte, free) in
            [(0, true), ((1 << 32) - 1, true), (1 << 32, false), ((1_u64 << 32) + 1, true)]
        {
            let mut place = OVERLAPPED::default();
            place.Anonymous.Anonymous.Offset = u32::try_from(byte & 0xFFFF_FFFF).unwrap();
            place.Anonymous.Anonymous.OffsetHigh = u32::try_from(byte >> 32).unwrap();
            // SAFETY: as in `lock`.
            let locked = check(unsafe {
                let flags = fs::LOCKFILE_FAIL_IMMEDIATELY;
                fs::LockFileEx(other.as_raw_handle(), flags, 0, 1, 0, &raw mut place)
            });
            assert_eq!(locked.is_ok(), free, "{byte}");
        }
    }

    #[test]
    fn a_lock_keeps_nobody_from_reading() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "bytes").unwrap();
        let access = GENERIC_READ | win::GENERIC_WRITE;
        let file = open(&path, &Ask { access, ..LOOK }).unwrap();
        lock_for_writing(&file).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        let other = open(&path, &READ).unwrap();
        assert!(lock_is_held(&other).unwrap());
        unlock(&file).unwrap();
        assert!(!lock_is_held(&other).unwrap());
    }

    /// Far longer than 20 tries take: as one that gets no processor meanwhile.
    #[test]
    fn an_observer_that_takes_its_time_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let access = GENERIC_READ | win::GENERIC_WRITE;
        let open = || open(&path, &Ask { access, ..LOOK }).unwrap();
        let (observer, writer, other) = (open(), open(), open());
        lock_shared(&observer).unwrap();
        let away = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            unlock(&observer).unwrap();
        });
        lock_for_writing(&writer).unwrap();
        away.join().unwrap();
        // Another writer is not.
        let error = lock_for_writing(&other).unwrap_err();
        assert_eq!(code_of(&error), Some(win::ERROR_LOCK_VIOLATION));
    }
}
