//! One error type: what was tried, on which path, and why it failed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of a backend's functions.
pub type Result<T> = core::result::Result<T, Error>;

/// An operation on a file, a directory or memory that failed.
///
/// The text names the operation and the path, and keeps the system's code:
///
/// ```
/// use mmstats_system::{Error, ErrorKind};
/// let full = std::io::Error::from_raw_os_error(28);
/// let error = Error::from_os("create", Some("x.mmst".as_ref()), full, ErrorKind::NoSpace);
/// assert_eq!(error.kind(), ErrorKind::NoSpace);
/// assert_eq!(
///     error.to_string(),
///     "cannot create x.mmst: no space left on device (os error 28)",
/// );
/// ```
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    path: Option<PathBuf>,
    kind: ErrorKind,
    /// Keeps the code of the operating system.
    os: Option<io::Error>,
}

/// Why an operation failed, the same on every system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such file or directory.
    NotFound,
    /// The system forbids it.
    PermissionDenied,
    /// The name is taken; what has it was left alone.
    AlreadyExists,
    /// The file system, the quota or the memory behind it is full.
    NoSpace,
    /// The file system is mounted read-only.
    ReadOnly,
    /// A name is longer than the file system, or this crate, allows.
    NameTooLong,
    /// Something else than a regular file has the name.
    NotRegular(FileType),
    /// Something else than a directory has the name.
    NotDirectory(FileType),
    /// The file or directory belongs to somebody else.
    WrongOwner {
        /// User id of the owner; on Windows the last number of the security identifier.
        owner: u32,
        /// Effective user id of this process, or the like.
        expected: u32,
    },
    /// Others may write to the directory.
    WrongMode {
        /// The permission bits.
        mode: u32,
    },
    /// Others may write to the directory, on a system without permission bits.
    OthersMayWrite,
    /// Another writer holds the lock on the file.
    Locked,
    /// Somebody has the file open in a way that forbids it (Windows).
    InUse,
    /// The system or the file system cannot do it.
    Unsupported,
    /// More bytes than an image may have, or than the limits of the process allow.
    TooLarge {
        /// In bytes.
        size: u64,
        /// In bytes.
        limit: u64,
    },
    /// There are no bytes.
    Empty,
    /// The file became smaller while it was opened.
    Shrunk,
    /// The name refers to another file by now, or to none.
    Replaced,
    /// The file belongs to the parent process; this process was forked off it.
    Forked,
    /// The limit of open files is reached.
    TooManyFiles,
    /// There is no memory, or no room for another mapping.
    OutOfMemory,
    /// A file name, or a template for one, breaks a rule.
    Name(NameError),
    /// See [`Error::raw_os_error`].
    Other,
}

/// What kind of thing a name refers to, if not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A symbolic link.
    Link,
    /// A directory.
    Directory,
    /// A pipe with a name.
    Pipe,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
    /// Anything else.
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
            Self::Unknown => "something unknown",
        })
    }
}

/// Which rule a file name or a template breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There is no placeholder of this name.
    UnknownPlaceholder {
        /// What stands between the braces.
        name: String,
    },
    /// A brace has no partner; the offset is in bytes.
    UnmatchedBrace {
        /// In bytes from the start of the template.
        offset: usize,
    },
    /// A name must not contain a `/` (nor a `\`).
    Separator,
    /// A name must not contain control characters.
    Control,
    /// A name must not contain this character on this system.
    Character(char),
    /// The name, up to its first dot, is that of a device on this system.
    Device,
    /// A name must not start with a dot.
    LeadingDot,
    /// A name must end in `.mmst`, with something before it.
    Suffix,
    /// The name has more bytes than [`super::name::MAX`].
    TooLong {
        /// In bytes.
        len: usize,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPlaceholder { name } => write!(
                f,
                "unknown placeholder {{{}}}, known are {{CMD}}, {{PID}}, {{TID}} and {{ID}}",
                name.escape_debug()
            ),
            Self::UnmatchedBrace { offset } => {
                write!(f, "the brace at byte {offset} has no partner")
            }
            Self::Separator => f.write_str("a file name must not contain a path separator"),
            Self::Control => f.write_str("a file name must not contain control characters"),
            Self::Character(c) => write!(f, "a file name must not contain {c:?} on this system"),
            Self::Device => f.write_str("the name is that of a device on this system"),
            Self::LeadingDot => f.write_str("a file name must not start with a dot"),
            Self::Suffix => write!(f, "a file name must end in {}", super::name::SUFFIX),
            Self::TooLong { len } => {
                write!(f, "file name of {len} bytes, the limit is {}", super::name::MAX)
            }
        }
    }
}

impl Error {
    /// An error without a code of the operating system. `operation` is a verb.
    #[must_use]
    pub fn new(operation: &'static str, path: &Path, kind: ErrorKind) -> Self {
        Self { operation, path: Some(path.to_owned()), kind, os: None }
    }

    /// An error about no file in particular.
    #[must_use]
    pub const fn pathless(operation: &'static str, kind: ErrorKind) -> Self {
        Self { operation, path: None, kind, os: None }
    }

    /// An error of the operating system, which the backend knows by its code; see
    /// [`ErrorKind::of_io`] for codes that the standard library knows.
    #[must_use]
    pub fn from_os(
        operation: &'static str,
        path: Option<&Path>,
        os: io::Error,
        kind: ErrorKind,
    ) -> Self {
        Self { operation, path: path.map(Path::to_owned), kind, os: Some(os) }
    }

    /// The same error with another kind, where the context knows better than the code.
    #[must_use]
    pub fn with_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// Why it failed.
    #[must_use]
    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What was tried, as a verb: "create", "open", ...
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The file or directory, if it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The code of the operating system, if it comes from there.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.os.as_ref().and_then(io::Error::raw_os_error)
    }
}

impl PartialEq<ErrorKind> for &ErrorKind {
    fn eq(&self, other: &ErrorKind) -> bool {
        **self == *other
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation)?;
        if let Some(path) = &self.path {
            f.write_str(" ")?;
            write_plain(f, &path.to_string_lossy())?;
        }
        f.write_str(": ")?;
        match &self.kind {
            ErrorKind::Other => match &self.os {
                // Its text has the code already.
                Some(os) => return write!(f, "{os}"),
                None => f.write_str("failed")?,
            },
            kind => write!(f, "{kind}")?,
        }
        if let Some(code) = self.raw_os_error() {
            write!(f, " (os error {code})")?;
        }
        match &self.kind {
            ErrorKind::WrongOwner { .. }
            | ErrorKind::WrongMode { .. }
            | ErrorKind::OthersMayWrite
                if self.operation == USE_DIRECTORY =>
            {
                write!(
                    f,
                    "; remove it, or set {} to a directory of your own",
                    super::search::VARIABLE
                )
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file or directory"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::AlreadyExists => f.write_str("the name is already taken"),
            Self::NoSpace => f.write_str("no space left on device"),
            Self::ReadOnly => f.write_str("the file system is read-only"),
            Self::NameTooLong => f.write_str("the name is too long"),
            Self::NotRegular(found) => write!(f, "it is {found}, not a regular file"),
            Self::NotDirectory(found) => write!(f, "it is {found}, not a directory"),
            Self::WrongOwner { owner, expected } => {
                write!(f, "it belongs to user {owner}, not to user {expected}")
            }
            Self::WrongMode { mode } => {
                write!(f, "others may write to it (mode {mode:04o}); it should have mode 0700")
            }
            Self::OthersMayWrite => {
                f.write_str("others may write to it; its access list should name its owner alone")
            }
            Self::Locked => f.write_str("another writer holds its lock"),
            Self::InUse => f.write_str("another program has it in use"),
            Self::Unsupported => f.write_str("not supported here"),
            Self::TooLarge { size, limit } => write!(f, "{size} bytes, the limit is {limit}"),
            Self::Empty => f.write_str("it is empty"),
            Self::Shrunk => f.write_str("it became smaller meanwhile"),
            Self::Replaced => f.write_str("the name refers to another file by now, or to none"),
            Self::Forked => f.write_str("it belongs to the parent process"),
            Self::TooManyFiles => f.write_str("too many open files"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Name(error) => write!(f, "{error}"),
            Self::Other => f.write_str("failed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (&self.os, &self.kind) {
            (Some(os), _) => Some(os),
            (None, ErrorKind::Name(name)) => Some(name),
            _ => None,
        }
    }
}

impl std::error::Error for NameError {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound | ErrorKind::Replaced => io::ErrorKind::NotFound,
            ErrorKind::PermissionDenied
            | ErrorKind::WrongOwner { .. }
            | ErrorKind::WrongMode { .. }
            | ErrorKind::OthersMayWrite => io::ErrorKind::PermissionDenied,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::NoSpace => io::ErrorKind::StorageFull,
            ErrorKind::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            ErrorKind::NameTooLong | ErrorKind::Name(_) => io::ErrorKind::InvalidInput,
            ErrorKind::NotDirectory(_) => io::ErrorKind::NotADirectory,
            ErrorKind::Locked | ErrorKind::InUse => io::ErrorKind::ResourceBusy,
            ErrorKind::Unsupported | ErrorKind::Forked => io::ErrorKind::Unsupported,
            ErrorKind::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            ErrorKind::NotRegular(_) | ErrorKind::Empty | ErrorKind::Shrunk => {
                io::ErrorKind::InvalidData
            }
            ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::TooManyFiles | ErrorKind::Other => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The operation on a directory for whose failure there is advice.
pub const USE_DIRECTORY: &str = "use directory";

/// Writes a path, which may hold anything, so that no terminal escape passes.
fn write_plain(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => write!(f, "{c}")?,
            c => write!(f, "{}", c.escape_debug())?,
        }
    }
    Ok(())
}

impl ErrorKind {
    /// Our name for an error that the standard library has a name for, else
    /// [`Other`](Self::Other).
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::AlreadyExists => Self::AlreadyExists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::WouldBlock => Self::Locked,
            io::ErrorKind::OutOfMemory => Self::OutOfMemory,
            io::ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_operation_path_and_code() {
        let path = Path::new("/dev/shm/mmstats-0/x.mmst");
        let full = io::Error::from_raw_os_error(28);
        let error = Error::from_os("create", Some(path), full, ErrorKind::NoSpace);
        let want = "cannot create /dev/shm/mmstats-0/x.mmst: no space left on device (os error 28)";
        assert_eq!(error.to_string(), want);
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert_eq!(error.raw_os_error(), Some(28));
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn text_has_no_escapes() {
        let error = Error::new("open", Path::new("a\u{1b}[2Jb"), ErrorKind::Empty);
        assert_eq!(error.to_string(), "cannot open a\\u{1b}[2Jb: it is empty");
    }
}
