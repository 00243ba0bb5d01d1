//! Plain values that every backend gives and takes.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Error, FileType};

/// Who may read a published file. Only its owner may ever write it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// The owner: mode 0600.
    #[default]
    Owner,
    /// The owner and the group: mode 0640. Needs a directory the group may search.
    Group,
    /// Everybody: mode 0644. Needs a directory that everybody may search.
    Everybody,
}

/// A file that could not be published.
#[derive(Debug)]
pub struct Unpublished<F> {
    /// The file, to try another name with.
    pub file: F,
    /// Why.
    pub error: Error,
}

impl<F> From<Box<Unpublished<F>>> for Error {
    fn from(unpublished: Box<Unpublished<F>>) -> Self {
        unpublished.error
    }
}

/// What tells a file from every other one on this machine while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// The device or volume.
    pub device: u64,
    /// The inode or file index.
    pub index: u64,
}

/// Facts about a file, as they were when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// The path it was opened by.
    pub path: PathBuf,
    /// In bytes, more than 0.
    pub size: u64,
    /// The user id of the owner; on Windows the last number of the security identifier.
    pub owner: Option<u32>,
    /// When it was modified last; stores through a mapping need not count.
    pub modified: SystemTime,
    /// Tells it from other files.
    pub id: FileId,
}

/// What the backend's `sweep` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepOptions {
    /// How many dead files to keep: those modified last. In files, not instances.
    ///
    /// Files modified in the future, that is, before the clock was set back, are counted
    /// apart: as many of them are kept besides, so that they do not push out what is newer.
    pub keep: usize,
    /// From which age on an abandoned temporary file is removed.
    pub temporary_age: Duration,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl Default for SweepOptions {
    /// Keeps 8 dead files, removes abandoned temporary files after a minute.
    fn default() -> Self {
        Self { keep: 8, temporary_age: Duration::from_secs(60), dry_run: false }
    }
}

/// What became of a file that might be removed, and why.
#[derive(Debug)]
#[non_exhaustive]
pub enum Removal {
    /// It was dead and is gone.
    Removed,
    /// It is dead and would have been removed.
    WouldRemove,
    /// It is dead, but among the newest, which are kept.
    Kept,
    /// Its writer lives.
    Live,
    /// A temporary file, but so young that its creator may still be at work.
    TooYoung,
    /// It belongs to another user.
    NotOurs {
        /// The user id of the owner.
        owner: u32,
    },
    /// It is not a regular file.
    NotRegular(FileType),
    /// Somebody else removed or replaced it meanwhile.
    Vanished,
    /// It could not be looked at or removed.
    Failed(Error),
}

/// A file that the backend's `sweep` looked at.
#[derive(Debug)]
pub struct Swept {
    /// Its path.
    pub path: PathBuf,
    /// What became of it.
    pub removal: Removal,
}

/// Facts about this process, for the `sys.*` fields; what a system does not know is `None`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Facts {
    /// `sys.pid`: the process id in its own namespace.
    pub pid: u32,
    /// `sys.uid`: the effective user id; on Windows the last number of the security identifier.
    pub uid: Option<u32>,
    /// `sys.gid`: the effective group id.
    pub gid: Option<u32>,
    /// `sys.created`: now.
    pub created: SystemTime,
    /// `sys.boot_id`: identity of this boot of the machine.
    pub boot_id: Option<String>,
    /// `sys.start_time`: start of the process in clock ticks since boot; on Windows in 100 ns
    /// since 1601.
    pub start_time: Option<u64>,
    /// `sys.pid_ns`: inode of the pid namespace.
    pub pid_ns: Option<u64>,
    /// `sys.command`: base name of the program.
    pub command: Option<String>,
    /// `sys.host`: host name.
    pub host: Option<String>,
}

impl Facts {
    /// Of a process of which nothing else is known.
    #[must_use]
    pub const fn new(pid: u32, created: SystemTime) -> Self {
        Self {
            pid,
            uid: None,
            gid: None,
            created,
            boot_id: None,
            start_time: None,
            pid_ns: None,
            command: None,
            host: None,
        }
    }
}
