//! Errors, with their place.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Why a recording cannot be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// Offset of the block in the file, in bytes, and number of the line in its segment, from 1; `None` if the
    /// problem has no place.
    pub place: Option<(u64, u64)>,
    /// The problem in words; may hold text of the file, escaped.
    pub message: String,
}

impl Error {
    pub(crate) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), place: None, message: message.into() }
    }

    pub(crate) fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        if let Some(parent) = parent.filter(|_| error.kind() == io::ErrorKind::NotFound)
            && !parent.is_dir()
        {
            return Self::new(
                path,
                format!("cannot {doing}: there is no directory {}", parent.display()),
            );
        }
        // Words, without the number of the system.
        let text = error.to_string();
        let text = text.split(" (os error ").next().unwrap_or_default();
        let (first, rest) = text.split_at_checked(1).unwrap_or((text, ""));
        Self::new(path, format!("cannot {doing}: {}{rest}", first.to_lowercase()))
    }
}

/// Opens a file. The open of a pipe would wait for its writer.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    let wrong = |error: io::Error| Error::io(path, "open it", &error);
    if !std::fs::metadata(path).map_err(wrong)?.is_file() {
        return Err(Error::new(path, "it is no recording: it is no regular file"));
    }
    File::open(path).map_err(wrong)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = mmstats_json::escape::bytes(self.path.as_os_str().as_encoded_bytes());
        write!(f, "{path}: {}", self.message)?;
        match self.place {
            Some((offset, line)) => {
                write!(f, " (line {line} of the segment, block at byte {offset})")
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
