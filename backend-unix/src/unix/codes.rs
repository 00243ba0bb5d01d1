//! What the codes of the system mean.

use std::io;
use std::path::Path;

use crate::{Error, ErrorKind, FileType};

/// An error of the system, with its context.
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
        _ => ErrorKind::of_io(os),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kinds() {
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
