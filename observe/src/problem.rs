//! Problems of files and directories, with a text for people and a code for tools.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::backend::{Error, ErrorKind};
use mmstats_core::format1;
use mmstats_core::layout::MAGIC;
use mmstats_core::read::{FieldError, Refusal, ValueError};

/// Why a file or directory cannot be read.
///
/// Its text names the file, the problem, the broken rule and the offset:
///
/// ```
/// use std::path::Path;
///
/// use mmstats_observe::{Observer, Sources};
///
/// let mut observer = Observer::new(Sources::new().path("no-such-file.mmst"));
/// observer.refresh();
/// let problem = observer.problems().next().unwrap();
/// assert_eq!((problem.path.as_path(), problem.code), (Path::new("no-such-file.mmst"), "not-found"));
/// assert!(problem.named, "the user named the file");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// The broken rule: a code of FORMAT.md section 10, one of format 1, or one of
    /// `not-found`, `permission-denied`, `not-regular`, `not-a-directory`, `too-large`,
    /// `truncated`, `no-such-pid`, `no-such-program`, `no-locks`, `no-answer` (of a file system),
    /// `too-many` (files or directories of others than are looked at),
    /// `copy` (of another file), `ledger` (one that claims sums of a program that lives), `unsettled`
    /// (sums of applications may be wrong) and `io`.
    pub code: &'static str,
    /// Offset in the file, in bytes; `None` if the problem has no place.
    pub offset: Option<u64>,
    /// The problem in words, without path, code and offset.
    pub message: String,
    /// Whether the user named the path itself, not only a directory around it.
    pub named: bool,
    /// Why a process or a program was not found, with the codes `no-such-pid` and `no-such-program`;
    /// else `None`.
    pub not_found: Option<NotFound>,
}

/// Why a process or a program was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotFound {
    /// No process has the id.
    NoProcess,
    /// The process has no published file mapped.
    NothingMapped,
    /// The system does not let this process look at what the other one has mapped.
    Denied,
    /// The file that the process has mapped was removed, or given to another process.
    Nameless,
    /// No program has the name.
    NoProgram,
    /// The system does not tell what the process has mapped.
    Unknown,
}

impl Problem {
    pub(crate) fn new(path: &Path, code: &'static str, message: impl Into<String>) -> Self {
        let (path, message) = (path.to_owned(), message.into());
        Self { path, code, offset: None, message, named: false, not_found: None }
    }

    /// A place whose file system does not answer.
    pub(crate) fn no_answer(path: &Path) -> Self {
        Self::new(path, "no-answer", "the file system does not answer; it is left out")
    }

    pub(crate) fn from_refusal(path: &Path, refusal: &Refusal) -> Self {
        let offset = Some(u64::from(refusal.offset()));
        Self { offset, ..Self::new(path, refusal.code(), refusal.to_string()) }
    }

    pub(crate) fn from_format1(path: &Path, error: &format1::Error) -> Self {
        let offset = u64::try_from(error.offset()).ok();
        Self { offset, ..Self::new(path, error.code(), error.to_string()) }
    }

    /// A file of neither format, or too short to tell; `first` are its first bytes, at most 8.
    pub(crate) fn unknown_format(path: &Path, first: &[u8]) -> Self {
        if MAGIC.starts_with(first) {
            let found = u32::try_from(first.len()).unwrap_or(u32::MAX);
            Self::from_refusal(path, &Refusal::TooShort { found })
        } else {
            let mut found = [0; 8];
            found.iter_mut().zip(first).for_each(|(to, from)| *to = *from);
            Self::from_refusal(path, &Refusal::BadMagic { found })
        }
    }

    /// The problem of a path that the system does not let this process use.
    #[must_use]
    pub fn from_system(path: &Path, error: &Error) -> Self {
        let code = match error.kind() {
            ErrorKind::NotFound | ErrorKind::Replaced => "not-found",
            ErrorKind::PermissionDenied
            | ErrorKind::WrongOwner { .. }
            | ErrorKind::WrongMode { .. } => "permission-denied",
            ErrorKind::NotRegular(_) => "not-regular",
            ErrorKind::NotDirectory(_) => "not-a-directory",
            ErrorKind::TooLarge { .. } => "too-large",
            // A rule of FORMAT.md.
            ErrorKind::Empty => return Self::from_refusal(path, &Refusal::TooShort { found: 0 }),
            ErrorKind::Shrunk => "truncated",
            _ => "io",
        };
        let why = match error.kind() {
            ErrorKind::Other => error.to_string(),
            kind => kind.to_string(),
        };
        Self::new(path, code, format!("cannot {}: {why}", error.operation()))
    }

    pub(crate) fn truncated(path: &Path, size: Option<u64>) -> Self {
        let message = "the file became smaller while it was observed";
        Self { offset: size, ..Self::new(path, "truncated", message) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(f, &self.path.to_string_lossy())?;
        f.write_str(": ")?;
        escaped(f, &self.message)?;
        write!(f, " ({}", self.code)?;
        match self.offset {
            Some(offset) => write!(f, " at byte {offset})"),
            None => f.write_str(")"),
        }
    }
}

impl std::error::Error for Problem {}

/// Writes text with escaped control characters, so that none reaches a terminal.
fn escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => write!(f, "{c}")?,
            c => write!(f, "{}", c.escape_debug())?,
        }
    }
    Ok(())
}

/// The rule that one field or one value breaks; the others of the file are still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Damage {
    /// A code of FORMAT.md section 10; or `too-large`: values listed in one read exceed the
    /// memory limit.
    pub code: &'static str,
    /// Offset in the file, in bytes.
    pub offset: u32,
}

/// Codes of damage that come from recordings; their number is bounded.
static CODES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
const MAX_CODES: usize = 200;
const MAX_CODE: usize = 64;

impl Damage {
    /// Damage that was written down before. Beyond 200 different codes, or with more than 64 bytes, the code is
    /// `unknown`.
    #[must_use]
    pub fn new(code: &str, offset: u32) -> Self {
        let mut codes = CODES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = codes.iter().find(|known| **known == code).copied();
        let code = match known {
            Some(known) => known,
            None if codes.len() < MAX_CODES && code.len() <= MAX_CODE => {
                let new: &'static str = code.to_owned().leak();
                codes.push(new);
                new
            }
            None => "unknown",
        };
        Self { code, offset }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.code, self.offset)
    }
}

impl From<FieldError> for Damage {
    fn from(error: FieldError) -> Self {
        Self { code: error.code(), offset: error.offset() }
    }
}

impl From<ValueError> for Damage {
    fn from(error: ValueError) -> Self {
        Self { code: error.code(), offset: error.offset() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_text_has_escaped_path_code_and_offset() {
        let refusal = Refusal::UnsupportedMajor { found: 9 };
        let problem = Problem::from_refusal(Path::new("a\u{1b}[2J.mmst"), &refusal);
        let text = problem.to_string();
        assert_eq!(
            text,
            "a\\u{1b}[2J.mmst: format version 9.x, this reader knows 3.x (unsupported-major at byte 8)"
        );
        assert_eq!(Problem::new(Path::new("d"), "io", "no").to_string(), "d: no (io)");
    }

    #[test]
    fn problem_from_system_error_has_code() {
        use crate::backend::FileType;
        let path = Path::new("x");
        for (kind, code) in [
            (ErrorKind::NotFound, "not-found"),
            (ErrorKind::Replaced, "not-found"),
            (ErrorKind::PermissionDenied, "permission-denied"),
            (ErrorKind::WrongOwner { owner: 1, expected: 2 }, "permission-denied"),
            (ErrorKind::WrongMode { mode: 0o777 }, "permission-denied"),
            (ErrorKind::NotRegular(FileType::Pipe), "not-regular"),
            (ErrorKind::NotDirectory(FileType::Regular), "not-a-directory"),
            (ErrorKind::TooLarge { size: 2, limit: 1 }, "too-large"),
            (ErrorKind::Empty, "too-short"),
            (ErrorKind::Shrunk, "truncated"),
            (ErrorKind::TooManyFiles, "io"),
        ] {
            let problem = Problem::from_system(path, &Error::new("open", path, kind));
            assert_eq!(problem.code, code);
            assert_eq!(problem.message.starts_with("cannot open: "), code != "too-short");
        }
    }

    #[test]
    fn problem_of_unknown_format_has_code() {
        let path = Path::new("x");
        assert_eq!(Problem::unknown_format(path, b"").code, "too-short");
        assert_eq!(Problem::unknown_format(path, b"\x89MM").code, "too-short");
        assert_eq!(Problem::unknown_format(path, b"hello world").code, "bad-magic");
        assert_eq!(Problem::unknown_format(path, b"hi").code, "bad-magic");
    }
}
