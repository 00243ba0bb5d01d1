//! The writer's lock, held for the writer's life.
//!
//! It is on one byte, number 4,294,967,296 from 0, the first beyond every image: a lock on bytes
//! prevents all other programs from reading them, even a plain `type`. The lock belongs to the open
//! file and is released with it, at the latest at the end of the process.
#![allow(unsafe_code)] // Calls the system; each block has its proof.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;

use mmstats_system::wait_for_lock;
use windows_sys::Win32::Foundation::ERROR_LOCK_VIOLATION;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};

use super::os_error::code_of;
use super::win32::check;

/// Whether a writer holds its lock on the file.
///
/// Takes a shared lock for a moment, so that observers and sweepers do not exclude each other.
pub(super) fn is_held(file: &File) -> io::Result<bool> {
    match lock(file, 0) {
        Ok(()) => release(file).map(|()| false),
        Err(error) if is_busy(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Takes a shared lock, which excludes writers until the file is closed.
pub(super) fn take_shared(file: &File) -> io::Result<()> {
    lock(file, 0)
}

/// Takes the writer's lock, by the rule of [`wait_for_lock`].
pub(super) fn take(file: &File) -> io::Result<()> {
    wait_for_lock(|| lock(file, fs::LOCKFILE_EXCLUSIVE_LOCK), is_busy, || is_held(file))
}

/// Whether the error says that another lock is in the way.
pub(super) fn is_busy(error: &io::Error) -> bool {
    code_of(error) == Some(ERROR_LOCK_VIOLATION)
}

fn lock(file: &File, flags: u32) -> io::Result<()> {
    let flags = flags | fs::LOCKFILE_FAIL_IMMEDIATELY;
    let mut place = lock_place();
    // SAFETY: the handle is open, and for synchronous use, so that the call does not use `place`
    // after its return.
    check(unsafe { fs::LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) })
}

/// Releases a lock. Closing the file would release it too, but some time later.
pub(super) fn release(file: &File) -> io::Result<()> {
    let mut place = lock_place();
    // SAFETY: as in `lock`.
    check(unsafe { fs::UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &raw mut place) })
}

/// The byte to lock.
fn lock_place() -> OVERLAPPED {
    let offset = OVERLAPPED_0_0 { Offset: 0, OffsetHigh: 1 };
    OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: offset }, ..OVERLAPPED::default() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};

    use super::super::handle::{METADATA, OpenOptions, READ, open};
    use super::*;

    fn open_for_writing(path: &Path) -> File {
        let access = GENERIC_READ | GENERIC_WRITE;
        open(path, &OpenOptions { access, ..METADATA }).unwrap()
    }

    /// FILES.md section 1 specifies the byte.
    #[test]
    fn take_locks_the_first_byte_beyond_every_image() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "bytes").unwrap();
        let file = open_for_writing(&path);
        take(&file).unwrap();
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
    fn take_does_not_prevent_reading() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "bytes").unwrap();
        let file = open_for_writing(&path);
        take(&file).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        let other = open(&path, &READ).unwrap();
        assert!(is_held(&other).unwrap());
        release(&file).unwrap();
        assert!(!is_held(&other).unwrap());
    }

    /// The observer holds its lock far longer than 20 attempts take.
    #[test]
    fn take_waits_for_observers_only() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let [observer, writer, other] = [(); 3].map(|()| open_for_writing(&path));
        take_shared(&observer).unwrap();
        let unlock = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            release(&observer).unwrap();
        });
        take(&writer).unwrap();
        unlock.join().unwrap();
        assert!(is_busy(&take(&other).unwrap_err()));
    }
}
