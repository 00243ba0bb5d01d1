//! Error type of the backends: operation, path, kind and code of the operating system.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::file::FileType;
use crate::name_rules::NameError;
use crate::variables;

/// Result of the backends' functions.
pub type Result<T> = core::result::Result<T, Error>;

/// A failed operation on a file, a directory or memory.
///
/// The text has the operation, the path and the code of the operating system:
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
    /// Error with the code of the operating system.
    os: Option<io::Error>,
}

/// Why an operation failed; the same on every system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such file or directory.
    NotFound,
    /// The system denies access.
    PermissionDenied,
    /// Something has the name already; it was left as it is.
    AlreadyExists,
    /// The file system or the quota is full.
    NoSpace,
    /// The file system is mounted read-only.
    ReadOnly,
    /// A name is longer than the file system allows.
    NameTooLong,
    /// The name is not that of a regular file.
    NotRegular(FileType),
    /// The name is not that of a directory.
    NotDirectory(FileType),
    /// Another user owns the file or directory.
    WrongOwner {
        /// User id of the owner; on Windows the last number of the security identifier.
        owner: u32,
        /// Effective user id of this process; on Windows as `owner`.
        expected: u32,
    },
    /// Other users may write to the directory.
    WrongMode {
        /// The permission bits.
        mode: u32,
    },
    /// Other users may write to the directory, by its access list (Windows).
    OthersMayWrite,
    /// Another writer holds the lock on the file.
    Locked,
    /// A program has the file open in a mode that excludes the operation (Windows).
    InUse,
    /// The system or the file system does not support the operation.
    Unsupported,
    /// More bytes than an image or the limits of the process allow.
    TooLarge {
        /// In bytes.
        size: u64,
        /// In bytes.
        limit: u64,
    },
    /// The file has no bytes, or a size of 0 was asked for.
    Empty,
    /// The file was truncated while it was opened.
    Shrunk,
    /// The name refers to another file now, or to none.
    Replaced,
    /// The file belongs to the parent of this forked process.
    Forked,
    /// The program has closed the descriptor that holds the lock, as daemons that close all do.
    DescriptorClosed,
    /// The file system did not answer in time.
    NoAnswer,
    /// The limit of open files.
    TooManyFiles,
    /// No memory, or no address space for a mapping.
    OutOfMemory,
    /// A file name or a template breaks a rule.
    Name(NameError),
    /// Any other reason; see [`Error::raw_os_error`].
    Other,
}

impl ErrorKind {
    /// Kind of an error that the standard library classifies, else [`Other`](Self::Other).
    ///
    /// A call that could not be completed at once has no kind: only the backend knows whether it
    /// waits for a lock, memory or a lease.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::AlreadyExists => Self::AlreadyExists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::OutOfMemory => Self::OutOfMemory,
            io::ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Other,
        }
    }
}

impl Error {
    /// An error without a code of the operating system. `operation` is a verb.
    #[must_use]
    pub fn new(operation: &'static str, path: &Path, kind: ErrorKind) -> Self {
        Self { operation, path: Some(path.to_owned()), kind, os: None }
    }

    /// An error without a path and without a code of the operating system.
    #[must_use]
    pub const fn without_path(operation: &'static str, kind: ErrorKind) -> Self {
        Self { operation, path: None, kind, os: None }
    }

    /// An error of the operating system. [`ErrorKind::from_io`] gives the kind of errors that the
    /// standard library classifies.
    #[must_use]
    pub fn from_os(
        operation: &'static str,
        path: Option<&Path>,
        os: io::Error,
        kind: ErrorKind,
    ) -> Self {
        Self { operation, path: path.map(Path::to_owned), kind, os: Some(os) }
    }

    /// Replaces the kind, where the context is more precise than the code.
    #[must_use]
    pub fn with_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// Reason of the failure.
    #[must_use]
    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Operation that failed, as a verb: "create", "open", ...
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// File or directory of the operation.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Code of the operating system.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.os.as_ref().and_then(io::Error::raw_os_error)
    }
}

/// A file that could not be published.
#[derive(Debug)]
pub struct Unpublished<F> {
    /// The file, for another attempt.
    pub file: F,
    /// Reason.
    pub error: Error,
}

impl<F> fmt::Display for Unpublished<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F: fmt::Debug> std::error::Error for Unpublished<F> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<F> From<Box<Unpublished<F>>> for Error {
    fn from(unpublished: Box<Unpublished<F>>) -> Self {
        unpublished.error
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
            write_escaped(f, &path.to_string_lossy())?;
        }
        f.write_str(": ")?;
        match &self.kind {
            ErrorKind::Other => match &self.os {
                // Its text includes the code.
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
                write!(f, "; remove it, or set {} to a directory of your own", variables::DIRECTORY)
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
            Self::DescriptorClosed => {
                f.write_str("the program has closed the descriptor with its lock")
            }
            Self::NoAnswer => f.write_str("the file system does not answer"),
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
            ErrorKind::NoAnswer => io::ErrorKind::TimedOut,
            ErrorKind::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            ErrorKind::NotRegular(_) | ErrorKind::Empty | ErrorKind::Shrunk => {
                io::ErrorKind::InvalidData
            }
            ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::TooManyFiles | ErrorKind::DescriptorClosed | ErrorKind::Other => {
                io::ErrorKind::Other
            }
        };
        Self::new(kind, error)
    }
}

/// Operation whose errors advise the user to choose another directory.
pub const USE_DIRECTORY: &str = "use directory";

/// Writes a path with control characters escaped, so that no terminal escape passes.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => write!(f, "{c}")?,
            c => write!(f, "{}", c.escape_debug())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_has_operation_path_and_code() {
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
    fn display_escapes_control_characters() {
        let error = Error::new("open", Path::new("a\u{1b}[2Jb"), ErrorKind::Empty);
        assert_eq!(error.to_string(), "cannot open a\\u{1b}[2Jb: it is empty");
    }
}
