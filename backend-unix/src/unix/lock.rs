//! The writer's lock: whoever holds it lives.
//!
//! It is a `flock` on the whole file, which belongs to the open file and goes with the last
//! descriptor of it, however the program ends.
//!
//! A program under wine does not see it: what it locks, and asks for, is the byte of Windows,
//! the first that no image has, by a lock of POSIX. So a writer on Linux holds that byte too, by a
//! lock that belongs to the open file as `flock` does. (Those of POSIX are lost whenever the
//! process closes the file somewhere.) Where a file system or a kernel before 3.15 has none, tools
//! under wine take such a program for dead.
#![allow(unsafe_code)] // Takes locks that rustix does not offer; the block has its proof.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::{Errno, Result};
use rustix::process::{Flock, FlockOffsetType, FlockType};

/// The byte that Windows locks.
const BYTE: u64 = 1 << 32;
/// How long observers are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether somebody holds the writer's lock on `fd`.
///
/// Asks for a shared lock, so that observers and sweepers do not disturb each other.
pub(super) fn is_held(fd: BorrowedFd<'_>) -> Result<bool> {
    match whole(fd, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            whole(fd, FlockOperation::Unlock)?;
            Ok(byte_is_held(fd))
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// Takes a shared lock, which keeps writers out until the file is closed;
/// [`Errno::WOULDBLOCK`] where there is one.
pub(super) fn take_shared(fd: BorrowedFd<'_>) -> Result<()> {
    whole(fd, FlockOperation::NonBlockingLockShared)?;
    byte(fd, FlockType::ReadLock)
}

/// Takes the writer's lock. Observers and sweepers hold a shared lock for an instant, and one that
/// is not given a processor meanwhile for longer: that is waited for. Another writer is not, but
/// for the time in which one may be ending.
pub(super) fn take(fd: BorrowedFd<'_>) -> Result<()> {
    let writer = || is_held(fd).unwrap_or(true);
    wait(|| whole(fd, FlockOperation::NonBlockingLockExclusive), writer)?;
    // Not by `is_held`: to ask for a shared lock would give up the one that we have now.
    wait(|| byte(fd, FlockType::WriteLock), || byte_is_held(fd))
}

/// Tries until nobody is in the way; `writer` tells whether it is a writer that is.
fn wait(lock: impl Fn() -> Result<()>, writer: impl Fn() -> bool) -> Result<()> {
    let (start, mut writers) = (Instant::now(), 0);
    loop {
        match lock() {
            Err(Errno::WOULDBLOCK) => {}
            done => return done,
        }
        writers += u32::from(writer());
        if writers >= 20 || start.elapsed() >= PATIENCE {
            return Err(Errno::WOULDBLOCK);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Gives the writer's lock back.
pub(super) fn release(fd: BorrowedFd<'_>) {
    let _ = byte(fd, FlockType::Unlocked);
    let _ = whole(fd, FlockOperation::Unlock);
}

fn whole(fd: BorrowedFd<'_>, operation: FlockOperation) -> Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(fd, operation))
}

/// Locks the byte of Windows, where this can be done; where it cannot, sees to it that no
/// program under wine has it.
fn byte(fd: BorrowedFd<'_>, kind: FlockType) -> Result<()> {
    match (open_file_lock(fd, kind), kind) {
        (Ok(()), _) => Ok(()),
        (Err(Errno::WOULDBLOCK | Errno::ACCESS), _) => Err(Errno::WOULDBLOCK),
        (Err(_), FlockType::Unlocked) => Ok(()),
        (Err(_), _) if byte_is_held(fd) => Err(Errno::WOULDBLOCK),
        (Err(_), _) => Ok(()),
    }
}

/// Whether somebody has the byte of Windows as its writer. Only asks.
fn byte_is_held(fd: BorrowedFd<'_>) -> bool {
    let lock = Flock {
        start: BYTE,
        length: 1,
        pid: None,
        // Which only a writer's lock is in the way of, and not one that asks.
        typ: FlockType::ReadLock,
        offset_type: FlockOffsetType::Set,
    };
    rustix::process::fcntl_getlk(fd, &lock).is_ok_and(|held| held.is_some())
}

/// Locks the byte of Windows for as long as the file is open.
// Linux has such locks. For the processors of 32 bits that the C library's types were checked for.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    any(target_pointer_width = "64", target_arch = "x86", target_arch = "arm"),
    not(target_env = "uclibc")
))]
fn open_file_lock(fd: BorrowedFd<'_>, kind: FlockType) -> Result<()> {
    use std::os::fd::AsRawFd;
    let kind = match kind {
        FlockType::ReadLock => libc::F_RDLCK,
        FlockType::WriteLock => libc::F_WRLCK,
        _ => libc::F_UNLCK,
    };
    // SAFETY: a structure of plain numbers, for which zeros are valid.
    let mut lock: libc::flock64 = unsafe { core::mem::zeroed() };
    // 0 to 2, in fields that are smaller than their constants.
    lock.l_type = kind.try_into().unwrap_or_default();
    lock.l_whence = libc::SEEK_SET.try_into().unwrap_or_default();
    lock.l_start = BYTE.cast_signed();
    lock.l_len = 1;
    // By its number where the C library's function takes a smaller structure.
    #[cfg(target_pointer_width = "64")]
    // SAFETY: the descriptor is open, and `lock` is what this command reads.
    let code = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    #[cfg(not(target_pointer_width = "64"))]
    // SAFETY: as above; the kernel's structure is that of 64 bits.
    let code = unsafe {
        libc::syscall(libc::SYS_fcntl64, fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock)
    };
    if code < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
        return Err(Errno::from_raw_os_error(errno));
    }
    Ok(())
}

/// No such lock.
// As above.
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    any(target_pointer_width = "64", target_arch = "x86", target_arch = "arm"),
    not(target_env = "uclibc")
)))]
const fn open_file_lock(_fd: BorrowedFd<'_>, _kind: FlockType) -> Result<()> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    /// The same file, opened three times.
    fn files() -> [File; 3] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        std::fs::write(&path, "x").unwrap();
        [(); 3].map(|()| File::options().read(true).write(true).open(&path).unwrap())
    }

    /// Far longer than 20 tries take: as one that gets no processor meanwhile.
    #[test]
    fn an_observer_that_takes_its_time_is_waited_for() {
        for byte_too in [false, true] {
            let [observer, writer, other] = files();
            whole(observer.as_fd(), FlockOperation::NonBlockingLockShared).unwrap();
            if byte_too {
                byte(observer.as_fd(), FlockType::ReadLock).unwrap();
            }
            let away = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                drop(observer);
            });
            take(writer.as_fd()).unwrap();
            away.join().unwrap();
            assert!(is_held(other.as_fd()).unwrap());
        }
    }

    #[test]
    fn another_writer_is_not() {
        let [writer, other, _] = files();
        take(writer.as_fd()).unwrap();
        assert_eq!(take(other.as_fd()), Err(Errno::WOULDBLOCK));
        assert!(is_held(other.as_fd()).unwrap());
        release(writer.as_fd());
        take(other.as_fd()).unwrap();
    }

    #[test]
    fn observers_are_not_waited_for_for_ever() {
        let [observer, writer, _] = files();
        take_shared(observer.as_fd()).unwrap();
        assert_eq!(take(writer.as_fd()), Err(Errno::WOULDBLOCK));
    }
}
