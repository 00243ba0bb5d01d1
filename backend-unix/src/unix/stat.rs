//! Properties of a file, from `stat`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

use crate::{FileId, FileInfo, FileType};

pub(super) fn file_type(stat: &Stat) -> FileType {
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

#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // lossless; the types differ between systems
pub(super) fn file_id(stat: &Stat) -> FileId {
    FileId { device: stat.st_dev as u64, index: stat.st_ino as u64 }
}

pub(super) fn file_size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

pub(super) fn modified(stat: &Stat) -> SystemTime {
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

pub(super) fn file_info(stat: &Stat, path: &Path) -> FileInfo {
    FileInfo {
        path: path.to_owned(),
        size: file_size(stat),
        owner: Some(stat.st_uid),
        modified: modified(stat),
        id: file_id(stat),
    }
}
