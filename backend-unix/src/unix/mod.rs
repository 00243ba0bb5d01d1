//! Linux, Android, macOS and the BSDs, through `rustix`.

mod codes;
mod create;
pub(crate) mod directory;
pub(crate) mod fork;
mod gate;
pub(crate) mod guard;
mod mapping;
mod open;
mod owned;
pub(crate) mod process;
mod sweep;
mod table;

pub use create::{NewFile, Unpublished, create};
pub use mapping::{Mapping, private};
pub use open::{Opened, info, is_locked, open, read_all, read_start};
pub use owned::{OwnedFile, reopen};
pub use sweep::{remove_if_dead, sweep};

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::{Error, FileId, FileInfo, FileType};
use rustix::fs::{FlockOperation, Stat};
use rustix::io::Errno;
use rustix::process::{Flock, FlockOffsetType, FlockType};

/// Gives an error of `rustix` its context.
fn failed(operation: &'static str, path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| codes::os_error(operation, Some(path), io::Error::from(errno))
}

fn file_type(stat: &Stat) -> FileType {
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::RegularFile => FileType::Regular,
        rustix::fs::FileType::Symlink => FileType::Link,
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Fifo => FileType::Pipe,
        rustix::fs::FileType::Socket => FileType::Socket,
        rustix::fs::FileType::BlockDevice | rustix::fs::FileType::CharacterDevice => {
            FileType::Device
        }
        rustix::fs::FileType::Unknown => FileType::Unknown,
    }
}

// The types of these fields differ between systems; no value is lost on any of them.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // see above
fn file_id(stat: &Stat) -> FileId {
    FileId { device: stat.st_dev as u64, index: stat.st_ino as u64 }
}

fn file_size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn modified(stat: &Stat) -> SystemTime {
    #[allow(clippy::unnecessary_cast)] // 32 bits wide on some systems
    let seconds = stat.st_mtime as i64;
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    start
        .and_then(|time| time.checked_add(Duration::from_nanos(u64::from(nanoseconds))))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn file_info(stat: &Stat, path: &Path) -> FileInfo {
    FileInfo {
        path: path.to_owned(),
        size: file_size(stat),
        owner: Some(stat.st_uid),
        modified: modified(stat),
        id: file_id(stat),
    }
}

/// Whether somebody holds the writer's lock on `fd`.
///
/// Asks for a shared lock, so that observers and sweepers do not disturb each other.
fn lock_is_held(fd: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    match lock(fd, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            rustix::fs::flock(fd, FlockOperation::Unlock)?;
            Ok(windows_lock_is_held(fd))
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// Whether a program under wine holds the lock of Windows: on the first byte that no image
/// has. Only asks; a lock of this kind would be lost whenever the file is closed.
fn windows_lock_is_held(fd: BorrowedFd<'_>) -> bool {
    let lock = Flock {
        start: 1 << 32,
        length: 1,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    rustix::process::fcntl_getlk(fd, &lock).is_ok_and(|held| held.is_some())
}

fn lock(fd: BorrowedFd<'_>, operation: FlockOperation) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(fd, operation))
}

/// Takes the writer's lock. An observer or a sweeper may hold a shared lock for an
/// instant, which is waited for; another writer is not.
fn lock_for_writing(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut tries = 0;
    loop {
        match lock(fd, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if tries < 20 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}
