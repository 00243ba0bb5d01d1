//! Conversion and classification of paths.

use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::{Component, Path, Prefix};

use crate::FileType;

/// Converts a path for the system: absolute, in the form that is not limited to 260 characters and
/// in which no name has a special meaning, ending in a zero.
///
/// # Errors
///
/// If the path is empty or contains a zero.
pub(super) fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let absolute = std::path::absolute(path)?;
    let text: Vec<u16> = absolute.as_os_str().encode_wide().collect();
    let (start, rest) = match prefix(&absolute) {
        Some(Prefix::Disk(_)) => (r"\\?\", &text[..]),
        // Without the two leading backslashes.
        Some(Prefix::UNC(..)) => (r"\\?\UNC\", text.get(2..).unwrap_or_default()),
        _ => ("", &text[..]),
    };
    let wide: Vec<u16> = start.encode_utf16().chain(rest.iter().copied()).collect();
    if wide.contains(&0) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok([wide, vec![0]].concat())
}

/// Type of the pipe or device that a path refers to; `None` for a path on a file system. Does not
/// open it, which may have effects.
pub(super) fn device_type(path: &Path) -> io::Result<Option<FileType>> {
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
        // Includes `NUL`, which is `\\.\NUL` in full.
        _ => Some(FileType::Device),
    })
}

/// Root of the file system of a path, ending in a zero.
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
    fn wide_path_is_absolute_and_literal() {
        assert_eq!(text(r"C:\a\..\b/c.mmst"), "\\\\?\\C:\\b\\c.mmst\0");
        assert_eq!(text(r"\\server\share\x"), "\\\\?\\UNC\\server\\share\\x\0");
        assert_eq!(text(r"\\?\C:\x"), "\\\\?\\C:\\x\0");
        assert!(text("größe.mmst").ends_with("\\größe.mmst\0"));
        assert!(wide(Path::new("")).is_err());
    }

    #[test]
    fn device_type_is_determined_by_path() {
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
            assert_eq!(device_type(Path::new(path)).unwrap(), want, "{path}");
        }
    }
}
