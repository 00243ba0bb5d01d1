//! Errors of the operating system, with their context and kind.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::{Error, ErrorKind, FileType};

/// Adds operation and path to an error of `rustix`.
pub(super) fn failed(operation: &'static str, path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| os_error(operation, Some(path), io::Error::from(errno))
}

/// The same for a call that takes a lock.
pub(super) fn lock_failed(operation: &'static str, path: &Path) -> impl Fn(Errno) -> Error {
    by_call(operation, path, ErrorKind::Locked)
}

/// The same for a call that maps memory: with `mlockall`, its limit is an error of that kind.
pub(super) fn map_failed(operation: &'static str, path: &Path) -> impl Fn(Errno) -> Error {
    by_call(operation, path, ErrorKind::OutOfMemory)
}

/// `EAGAIN` has a different meaning for each call.
fn by_call(operation: &'static str, path: &Path, again: ErrorKind) -> impl Fn(Errno) -> Error {
    move |errno| {
        let error = failed(operation, path)(errno);
        if errno == Errno::AGAIN { error.with_kind(again.clone()) } else { error }
    }
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
            (libc::EWOULDBLOCK, ErrorKind::Other),
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

    #[test]
    fn eagain_has_the_kind_of_its_call() {
        let path = Path::new("x.mmst");
        assert_eq!(lock_failed("lock", path)(Errno::WOULDBLOCK).kind(), ErrorKind::Locked);
        assert_eq!(map_failed("map", path)(Errno::AGAIN).kind(), ErrorKind::OutOfMemory);
        assert_eq!(map_failed("map", path)(Errno::ACCESS).kind(), ErrorKind::PermissionDenied);
    }
}
