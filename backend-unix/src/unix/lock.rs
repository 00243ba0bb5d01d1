//! The writer's lock, held for the writer's life.
//!
//! It is a `flock` on the whole file. The lock belongs to the open file and is released with its
//! last descriptor, however the program ends.
//!
//! Programs under wine do not see `flock`. They lock and test the byte that Windows locks, the
//! first beyond every image, by a POSIX lock. A writer on Linux therefore locks that byte too, by an
//! open file description lock, which belongs to the open file as `flock` does. (A POSIX lock is
//! lost as soon as the process closes any descriptor of the file.) Where the file system or a kernel
//! before 3.15 has none, tools under wine judge such a writer dead.
#![allow(unsafe_code)] // Locks that rustix does not offer; each block has its proof.

use std::os::fd::BorrowedFd;

use mmstats_system::wait_for_lock;
use rustix::fs::FlockOperation;
use rustix::io::{Errno, Result};
use rustix::process::{Flock, FlockOffsetType, FlockType};

/// Offset of the byte that Windows locks.
const BYTE: u64 = 1 << 32;

/// Whether a writer holds its lock on the file.
///
/// Takes a shared lock for a moment, so that observers and sweepers do not exclude each other.
pub(super) fn is_held(fd: BorrowedFd<'_>) -> Result<bool> {
    match whole(fd, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            // This lock keeps writers of Linux out, so only a program under wine can hold the byte.
            let is_held = byte_is_held(fd);
            whole(fd, FlockOperation::Unlock)?;
            Ok(is_held)
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// Takes a shared lock, which excludes writers until the file is closed;
/// [`Errno::WOULDBLOCK`] if there is a writer.
pub(super) fn take_shared(fd: BorrowedFd<'_>) -> Result<()> {
    whole(fd, FlockOperation::NonBlockingLockShared)?;
    byte(fd, FlockType::ReadLock)
}

/// Takes the writer's lock, by the rule of [`wait_for_lock`].
pub(super) fn take(fd: BorrowedFd<'_>) -> Result<()> {
    let is_busy = |&errno: &Errno| errno == Errno::WOULDBLOCK;
    let has_writer = || Ok(is_held(fd).unwrap_or(true));
    wait_for_lock(|| whole(fd, FlockOperation::NonBlockingLockExclusive), is_busy, has_writer)?;
    // Not by `is_held`: its shared lock would replace the exclusive one.
    wait_for_lock(|| byte(fd, FlockType::WriteLock), is_busy, || Ok(byte_is_held(fd)))
}

/// Releases the writer's lock.
pub(super) fn release(fd: BorrowedFd<'_>) {
    let _ = byte(fd, FlockType::Unlocked);
    let _ = whole(fd, FlockOperation::Unlock);
}

fn whole(fd: BorrowedFd<'_>, operation: FlockOperation) -> Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(fd, operation))
}

/// Locks or unlocks the byte of Windows. Without support for the lock, only checks that no program
/// under wine holds it.
fn byte(fd: BorrowedFd<'_>, kind: FlockType) -> Result<()> {
    match (open_file_lock(fd, Purpose::Set, kind), kind) {
        (Ok(_), _) => Ok(()),
        (Err(Errno::WOULDBLOCK | Errno::ACCESS), _) => Err(Errno::WOULDBLOCK),
        (Err(_), FlockType::Unlocked) => Ok(()),
        (Err(_), _) if byte_is_held(fd) => Err(Errno::WOULDBLOCK),
        (Err(_), _) => Ok(()),
    }
}

/// Whether a writer holds the byte of Windows. Takes no lock.
fn byte_is_held(fd: BorrowedFd<'_>) -> bool {
    // Conflicts with a writer's lock only, not with a shared one.
    let kind = FlockType::ReadLock;
    open_file_lock(fd, Purpose::Test, kind).unwrap_or_else(|_| {
        let (start, offset_type) = (BYTE, FlockOffsetType::Set);
        let lock = Flock { start, length: 1, pid: None, typ: kind, offset_type };
        // With debug assertions, rustix panics if the owner has no process id: a lock of an open file,
        // which these systems lack, or one of another computer.
        rustix::process::fcntl_getlk(fd, &lock).is_ok_and(|held| held.is_some())
    })
}

/// Purpose of a call about a lock.
#[derive(Clone, Copy)]
enum Purpose {
    /// Take or release the lock.
    Set,
    /// Find out whether it could be taken.
    Test,
}

/// Locks the byte of Windows as long as the file is open, or tests whether another lock forbids that.
/// True if one does.
// Linux has such locks; the 32-bit processors are those for which the C types were checked.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    any(target_pointer_width = "64", target_arch = "x86", target_arch = "arm"),
    not(target_env = "uclibc")
))]
fn open_file_lock(fd: BorrowedFd<'_>, purpose: Purpose, kind: FlockType) -> Result<bool> {
    use std::os::fd::AsRawFd;
    let kind = match kind {
        FlockType::ReadLock => libc::F_RDLCK,
        FlockType::WriteLock => libc::F_WRLCK,
        _ => libc::F_UNLCK,
    };
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut lock: libc::flock64 = unsafe { core::mem::zeroed() };
    // The values 0 to 2; the fields are smaller than the type of the constants.
    lock.l_type = kind.try_into().unwrap_or_default();
    lock.l_whence = libc::SEEK_SET.try_into().unwrap_or_default();
    lock.l_start = BYTE.cast_signed();
    lock.l_len = 1;
    let command = match purpose {
        Purpose::Set => libc::F_OFD_SETLK,
        Purpose::Test => libc::F_OFD_GETLK,
    };
    // The C function takes a 32-bit structure on 32-bit processors, so the call is made by number.
    #[cfg(target_pointer_width = "64")]
    // SAFETY: the descriptor is open, and `lock` is what both commands read and write.
    let code = unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut lock) };
    #[cfg(not(target_pointer_width = "64"))]
    // SAFETY: the descriptor is open, and the kernel reads and writes the 64-bit structure here.
    let code = unsafe { libc::syscall(libc::SYS_fcntl64, fd.as_raw_fd(), command, &raw mut lock) };
    if code < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
        return Err(Errno::from_raw_os_error(errno));
    }
    Ok(matches!(purpose, Purpose::Test) && i32::from(lock.l_type) != libc::F_UNLCK)
}

/// Systems without such locks.
// The condition above, negated.
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    any(target_pointer_width = "64", target_arch = "x86", target_arch = "arm"),
    not(target_env = "uclibc")
)))]
const fn open_file_lock(_fd: BorrowedFd<'_>, _purpose: Purpose, _kind: FlockType) -> Result<bool> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::time::Duration;

    /// One file, opened three times.
    fn files() -> [File; 3] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "x").unwrap();
        [(); 3].map(|()| File::options().read(true).write(true).open(&path).unwrap())
    }

    /// The observer holds its lock far longer than 20 attempts take.
    #[test]
    fn take_waits_for_a_slow_observer() {
        for byte_too in [false, true] {
            let [observer, writer, other] = files();
            whole(observer.as_fd(), FlockOperation::NonBlockingLockShared).unwrap();
            if byte_too {
                byte(observer.as_fd(), FlockType::ReadLock).unwrap();
            }
            let release = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                drop(observer);
            });
            take(writer.as_fd()).unwrap();
            release.join().unwrap();
            assert!(is_held(other.as_fd()).unwrap());
        }
    }

    #[test]
    fn take_with_another_writer_fails() {
        let [writer, other, _] = files();
        take(writer.as_fd()).unwrap();
        assert_eq!(take(other.as_fd()), Err(Errno::WOULDBLOCK));
        assert!(is_held(other.as_fd()).unwrap());
        release(writer.as_fd());
        take(other.as_fd()).unwrap();
    }

    /// Linux gives -1 as the owner of a lock of an open file.
    #[test]
    fn byte_is_held_of_another_open_file_is_true() {
        let [writer, observer, _] = files();
        assert!(!byte_is_held(observer.as_fd()));
        byte(writer.as_fd(), FlockType::ReadLock).unwrap();
        assert!(!byte_is_held(observer.as_fd()));
        if open_file_lock(writer.as_fd(), Purpose::Set, FlockType::WriteLock).is_ok() {
            assert!(byte_is_held(observer.as_fd()));
            assert!(is_held(observer.as_fd()).unwrap());
        }
    }

    #[test]
    fn take_with_endless_observer_fails() {
        let [observer, writer, _] = files();
        take_shared(observer.as_fd()).unwrap();
        assert_eq!(take(writer.as_fd()), Err(Errno::WOULDBLOCK));
    }
}
