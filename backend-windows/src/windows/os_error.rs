//! Errors of the operating system, with their context and kind.

use std::io;
use std::path::Path;

use windows_sys::Win32::Foundation as win;

use crate::{Error, ErrorKind};

/// Adds operation and path to an error of the system.
pub(super) fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| os_error(operation, Some(path), error)
}

/// Adds operation and path to an error of the system.
pub(super) fn os_error(operation: &'static str, path: Option<&Path>, os: io::Error) -> Error {
    let kind = code_of(&os).and_then(kind_of).unwrap_or_else(|| ErrorKind::from_io(&os));
    Error::from_os(operation, path, os, kind)
}

/// Code of the system.
pub(super) fn code_of(os: &io::Error) -> Option<u32> {
    os.raw_os_error().map(i32::cast_unsigned)
}

fn kind_of(code: u32) -> Option<ErrorKind> {
    Some(match code {
        win::ERROR_DISK_FULL | win::ERROR_HANDLE_DISK_FULL | win::ERROR_DISK_QUOTA_EXCEEDED => {
            ErrorKind::NoSpace
        }
        win::ERROR_FILE_EXISTS | win::ERROR_ALREADY_EXISTS => ErrorKind::AlreadyExists,
        win::ERROR_LOCK_VIOLATION => ErrorKind::Locked,
        win::ERROR_SHARING_VIOLATION | win::ERROR_USER_MAPPED_FILE => ErrorKind::InUse,
        // Removed; the name disappears when the last handle is closed.
        win::ERROR_DELETE_PENDING => ErrorKind::NotFound,
        win::ERROR_TOO_MANY_OPEN_FILES => ErrorKind::TooManyFiles,
        win::ERROR_FILENAME_EXCED_RANGE => ErrorKind::NameTooLong,
        win::ERROR_WRITE_PROTECT => ErrorKind::ReadOnly,
        win::ERROR_COMMITMENT_LIMIT | win::ERROR_NO_SYSTEM_RESOURCES => ErrorKind::OutOfMemory,
        win::ERROR_CALL_NOT_IMPLEMENTED | win::ERROR_INVALID_FUNCTION => ErrorKind::Unsupported,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_error_has_kind_and_code() {
        for (code, kind) in [
            (win::ERROR_DISK_FULL, ErrorKind::NoSpace),
            (win::ERROR_WRITE_PROTECT, ErrorKind::ReadOnly),
            (win::ERROR_ACCESS_DENIED, ErrorKind::PermissionDenied),
            (win::ERROR_ALREADY_EXISTS, ErrorKind::AlreadyExists),
            (win::ERROR_FILE_NOT_FOUND, ErrorKind::NotFound),
            (win::ERROR_PATH_NOT_FOUND, ErrorKind::NotFound),
            (win::ERROR_LOCK_VIOLATION, ErrorKind::Locked),
            (win::ERROR_SHARING_VIOLATION, ErrorKind::InUse),
            (win::ERROR_USER_MAPPED_FILE, ErrorKind::InUse),
            (win::ERROR_NOT_ENOUGH_MEMORY, ErrorKind::OutOfMemory),
            (win::ERROR_CRC, ErrorKind::Other),
        ] {
            let os = io::Error::from_raw_os_error(code.cast_signed());
            let error = os_error("open", None, os);
            assert_eq!(*error.kind(), kind, "{code}");
            assert_eq!(error.raw_os_error(), Some(code.cast_signed()));
        }
    }
}
