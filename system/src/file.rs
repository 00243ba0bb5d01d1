//! Properties of files: type, identity, access.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

/// Who may read a published file. Only the owner may write it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// The owner: mode 0600.
    #[default]
    Owner,
    /// The owner and the group: mode 0640. The group must be able to search the directory.
    Group,
    /// Everybody: mode 0644. Everybody must be able to search the directory.
    Everybody,
}

/// Identity of a file on this machine, unique while the file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// Device or volume.
    pub device: u64,
    /// Inode or file index.
    pub index: u64,
}

/// Properties of a file when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Path that was opened.
    pub path: PathBuf,
    /// Size in bytes, more than 0.
    pub size: u64,
    /// User id of the owner; on Windows the last number of the security identifier.
    pub owner: Option<u32>,
    /// Time of the last modification. Stores through a mapping may not change it.
    pub modified: SystemTime,
    /// Identity.
    pub id: FileId,
}

/// Whether observers find a published file and take it for that of a living writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They do.
    Published,
    /// The file is shorter than it was: bytes are lost.
    Truncated,
    /// The name was removed, or refers to another file; or the directory was moved.
    Unnamed,
    /// The program closed the descriptor that holds the lock: the writer counts as dead.
    Unlocked,
}

/// Type of a file system entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileType {
    /// Regular file.
    Regular,
    /// Symbolic link.
    Link,
    /// Directory.
    Directory,
    /// Named pipe.
    Pipe,
    /// Socket.
    Socket,
    /// Block or character device.
    Device,
    /// Any other type.
    Unknown,
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "a regular file",
            Self::Link => "a symbolic link",
            Self::Directory => "a directory",
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Unknown => "of an unknown type",
        })
    }
}
