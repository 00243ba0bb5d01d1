//! Errors of the operating system, with their context and kind.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::{Error, ErrorKind, FileType};

/// Adds operation and path to an error of `rustix`.
pub(super) fn failed(operation: &'static str, path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| os_error(operation, Some(path), io::Error::from(errno))
}

/// Adds operation and path to an error of the system.
pub(super) fn os_error(operation: &'static str, path: Option<&Path>, os: io::Error) -> Error {
    let kind = kind_of(&os);
    Error::from_os(operation, path, os, kind)
}

fn kind_of(os: &io::Error) -> ErrorKind {
    match os.raw_os_error() {
        Some(libc::EDQUOT | libc::ENOSPC) => ErrorKind::NoSpace,
        Some(libc::EMFILE | libc::ENFILE) => ErrorKind::TooManyFiles,
        Some(libc::ELOOP) => ErrorKind::NotRegular(FileType::Link),
        Some(libc::EOPNOTSUPP | libc::ENOSYS) => ErrorKind::Unsupported,
        Some(libc::ENAMETOOLONG) => ErrorKind::NameTooLong,
        _ => ErrorKind::from_io(os),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_error_has_kind_and_code() {
        for (code, kind) in [
            (libc::EDQUOT, ErrorKind::NoSpace),
            (libc::EROFS, ErrorKind::ReadOnly),
            (libc::EACCES, ErrorKind::PermissionDenied),
            (libc::EPERM, ErrorKind::PermissionDenied),
            (libc::EEXIST, ErrorKind::AlreadyExists),
            (libc::EWOULDBLOCK, ErrorKind::Locked),
            (libc::EMFILE, ErrorKind::TooManyFiles),
            (libc::ENAMETOOLONG, ErrorKind::NameTooLong),
            (libc::ENOMEM, ErrorKind::OutOfMemory),
            (libc::EIO, ErrorKind::Other),
        ] {
            let error = os_error("open", None, io::Error::from_raw_os_error(code));
            assert_eq!(*error.kind(), kind, "{code}");
            assert_eq!(error.raw_os_error(), Some(code));
        }
    }
}
