//! Paths: absolute, of any length, and never that of a device.

use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::{Component, Path, Prefix};

use crate::FileType;

/// A path as the system takes it: absolute, and in the form that is not limited to 260
/// characters and in which no name has a special meaning.
///
/// # Errors
///
/// Where the path is empty or has a zero in it.
pub(super) fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let absolute = std::path::absolute(path)?;
    let text: Vec<u16> = absolute.as_os_str().encode_wide().collect();
    let (start, rest) = match prefix(&absolute) {
        Some(Prefix::Disk(_)) => (r"\\?\", &text[..]),
        // Two backslashes lead to the server.
        Some(Prefix::UNC(..)) => (r"\\?\UNC\", text.get(2..).unwrap_or_default()),
        _ => ("", &text[..]),
    };
    let wide: Vec<u16> = start.encode_utf16().chain(rest.iter().copied()).collect();
    if wide.contains(&0) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok([wide, vec![0]].concat())
}

/// Checks that a path leads to a file system, before anything is opened: opening a device or
/// a pipe may have effects. Answers what else it leads to.
pub(super) fn no_device(path: &Path) -> io::Result<Option<FileType>> {
    let absolute = std::path::absolute(path)?;
    let is = |text: &std::ffi::OsStr, what: &str| text.eq_ignore_ascii_case(what);
    Ok(match prefix(&absolute) {
        Some(Prefix::Disk(_) | Prefix::VerbatimDisk(_)) => None,
        Some(Prefix::UNC(_, share) | Prefix::VerbatimUNC(_, share)) => {
            (is(share, "pipe") || is(share, "mailslot")).then_some(FileType::Pipe)
        }
        // A volume without a letter.
        Some(Prefix::Verbatim(name))
            if name.to_string_lossy().to_ascii_lowercase().starts_with("volume{") =>
        {
            None
        }
        Some(Prefix::DeviceNS(name) | Prefix::Verbatim(name)) if is(name, "pipe") => {
            Some(FileType::Pipe)
        }
        // `NUL`, for instance, is `\\.\NUL` in full.
        _ => Some(FileType::Device),
    })
}

/// The root of the file system that a path is on.
pub(super) fn root(path: &Path) -> io::Result<Vec<u16>> {
    let absolute = std::path::absolute(path)?;
    let root: std::path::PathBuf = absolute.components().take(2).collect();
    Ok(root.as_os_str().encode_wide().chain([0]).collect())
}

fn prefix(absolute: &Path) -> Option<Prefix<'_>> {
    match absolute.components().next() {
        Some(Component::Prefix(prefix)) => Some(prefix.kind()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        String::from_utf16(&wide(Path::new(path)).unwrap()).unwrap()
    }

    #[test]
    fn paths_are_taken_word_for_word() {
        assert_eq!(text(r"C:\a\..\b/c.mmst"), "\\\\?\\C:\\b\\c.mmst\0");
        assert_eq!(text(r"\\server\share\x"), "\\\\?\\UNC\\server\\share\\x\0");
        assert_eq!(text(r"\\?\C:\x"), "\\\\?\\C:\\x\0");
        assert!(text("größe.mmst").ends_with("\\größe.mmst\0"));
        assert!(wide(Path::new("")).is_err());
    }

    #[test]
    fn devices_are_told_by_their_paths() {
        for (path, want) in [
            (r"C:\x", None),
            ("x", None),
            (r"\\?\C:\x", None),
            (r"\\server\share\x", None),
            (r"\\?\Volume{12345678-1234-1234-1234-123456789012}\x", None),
            ("NUL", Some(FileType::Device)),
            (r"\\.\COM1", Some(FileType::Device)),
            (r"\\.\PhysicalDrive0", Some(FileType::Device)),
            (r"\\?\GLOBALROOT\Device\Null", Some(FileType::Device)),
            (r"\\.\pipe\x", Some(FileType::Pipe)),
            (r"\\server\pipe\x", Some(FileType::Pipe)),
        ] {
            assert_eq!(no_device(Path::new(path)).unwrap(), want, "{path}");
        }
    }
}
