//! The backend of the operating system.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use mmstats_core::View;
use mmstats_observe::Problem;
#[cfg(not(windows))] // one backend for each system
pub(crate) use mmstats_unix::*;
#[cfg(windows)] // the same functions
pub(crate) use mmstats_windows::*;

/// The reason of an error of the system in words, without its number: `permission denied`. The caller names what
/// was tried, and with which file or address.
pub(crate) fn reason(error: &io::Error) -> String {
    match ErrorKind::from_io(error) {
        ErrorKind::Other => {}
        kind => return kind.to_string(),
    }
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    match chars.as_str() {
        // An abbreviation stays.
        rest if rest.starts_with(char::is_uppercase) => text.to_owned(),
        rest => first + rest,
    }
}

/// As [`reason`], of making a file: what is wrong with its directory comes first.
pub(crate) fn reason_to_make(path: &Path, error: &io::Error) -> String {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    let shown = parent.display();
    match std::fs::metadata(parent) {
        Err(error) => format!("its directory {shown}: {}", reason(&error)),
        Ok(metadata) if !metadata.is_dir() => format!("{shown} is no directory"),
        Ok(_) if path.is_dir() => "it is a directory: name a file in it".to_owned(),
        Ok(_) => reason(error),
    }
}

/// Maps a file read-only, to read its bytes.
///
/// # Errors
///
/// A message with the path, not escaped, in the words of problems.
pub(crate) fn open_region(path: &Path) -> std::result::Result<View<Arc<ObservedMapping>>, String> {
    let opened = open(path).map_err(|error| Problem::from_system(path, &error).to_string())?;
    View::new(Arc::clone(opened.mapping())).map_err(|e| format!("{}: {e}", path.display()))
}

/// Opens a regular file of any size for reading, and follows links; returns its size in bytes too.
///
/// # Errors
///
/// A message with the path, not escaped, in the words of problems.
pub(crate) fn open_file(path: &Path) -> std::result::Result<(File, u64), String> {
    let message = |error: &Error| Problem::from_system(path, error).to_string();
    let failed = |error: std::io::Error| {
        let kind = ErrorKind::from_io(&error);
        message(&Error::from_os("open", Some(path), error, kind))
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        // Tells the type. A pipe is not opened, which would wait for a writer.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        info(&target).map_err(|error| message(&error))?;
    }
    let file = File::open(path).map_err(failed)?;
    Ok((file, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_has_words_without_number() {
        let missing = std::fs::File::open("/no/such/file").unwrap_err();
        assert_eq!(reason(&missing), "no such file or directory");
        let refused = io::Error::other("Connection refused (os error 111)");
        assert_eq!(reason(&refused), "connection refused");
        assert_eq!(reason(&io::Error::other("TLS is off")), "TLS is off");
    }

    #[test]
    fn reason_to_make_names_the_directory_that_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let make = |path: &Path| {
            let error = std::fs::File::create_new(path).unwrap_err();
            reason_to_make(path, &error)
        };
        assert!(make(&directory.path().join("a/b")).ends_with("a: no such file or directory"));
        assert!(make(&file.join("x")).ends_with("file is no directory"));
        assert_eq!(make(directory.path()), "it is a directory: name a file in it");
        assert_eq!(make(&file), "the name is already taken");
    }
}
