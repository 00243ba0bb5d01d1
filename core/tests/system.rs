//! The words and rules that the backends share.
#![cfg(feature = "std")]

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use mmstats_core::system::name::{is_published, is_temporary, temporary};
use mmstats_core::system::{Error, ErrorKind, FileType, NameError};

#[test]
fn an_error_says_what_was_tried_and_why() {
    let path = Path::new("/x/y.mmst");
    let error = Error::new("open", path, ErrorKind::Empty);
    assert_eq!((error.operation(), error.path()), ("open", Some(path)));
    assert_eq!((error.kind(), error.raw_os_error()), (&ErrorKind::Empty, None));
    let error = Error::pathless("map", ErrorKind::OutOfMemory).with_kind(ErrorKind::NoSpace);
    assert_eq!(error.to_string(), "cannot map: no space left on device");
    assert!(std::error::Error::source(&error).is_none());
    let name = Error::pathless("create", ErrorKind::Name(NameError::Separator));
    assert!(std::error::Error::source(&name).is_some());
}

#[test]
fn codes_of_the_system_have_our_names() {
    use io::ErrorKind as Io;
    for (io, ours) in [
        (Io::NotFound, ErrorKind::NotFound),
        (Io::PermissionDenied, ErrorKind::PermissionDenied),
        (Io::AlreadyExists, ErrorKind::AlreadyExists),
        (Io::StorageFull, ErrorKind::NoSpace),
        (Io::QuotaExceeded, ErrorKind::NoSpace),
        (Io::ReadOnlyFilesystem, ErrorKind::ReadOnly),
        (Io::WouldBlock, ErrorKind::Locked),
        (Io::OutOfMemory, ErrorKind::OutOfMemory),
        (Io::Unsupported, ErrorKind::Unsupported),
        (Io::ConnectionReset, ErrorKind::Other),
    ] {
        assert_eq!(ErrorKind::of_io(&io::Error::from(io)), ours, "{io}");
    }
}

/// Each has words of its own.
#[test]
fn every_reason_has_its_own_words() {
    use NameError as N;
    let name = "X".to_owned();
    let names = [
        N::UnknownPlaceholder { name },
        N::UnmatchedBrace { offset: 3 },
        N::Separator,
        N::Control,
        N::Character(':'),
        N::Device,
        N::LeadingDot,
        N::Suffix,
        N::TooLong { len: 300 },
    ];
    let types = [
        FileType::Regular,
        FileType::Link,
        FileType::Directory,
        FileType::Pipe,
        FileType::Socket,
        FileType::Device,
        FileType::Unknown,
    ];
    let mut kinds = vec![
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::AlreadyExists,
        ErrorKind::NoSpace,
        ErrorKind::ReadOnly,
        ErrorKind::NameTooLong,
        ErrorKind::WrongOwner { owner: 1, expected: 2 },
        ErrorKind::WrongMode { mode: 0o777 },
        ErrorKind::OthersMayWrite,
        ErrorKind::Locked,
        ErrorKind::InUse,
        ErrorKind::Unsupported,
        ErrorKind::TooLarge { size: 2, limit: 1 },
        ErrorKind::Empty,
        ErrorKind::Shrunk,
        ErrorKind::Replaced,
        ErrorKind::Forked,
        ErrorKind::TooManyFiles,
        ErrorKind::Other,
    ];
    kinds.extend(names.into_iter().map(ErrorKind::Name));
    kinds.extend(types.iter().map(|found| ErrorKind::NotRegular(*found)));
    kinds.extend(types.iter().map(|found| ErrorKind::NotDirectory(*found)));
    let mut words: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    assert!(words.iter().all(|words| words.len() > 5), "{words:?}");
    words.sort();
    words.dedup();
    assert_eq!(words.len(), kinds.len());
}

#[test]
fn published_files_have_names_that_show() {
    for (name, published) in
        [("a.mmst", true), (".mmst", false), (".a.mmst", false), ("a.mmst.1", false), ("a", false)]
    {
        assert_eq!(is_published(OsStr::new(name)), published, "{name}");
    }
}

/// Only what this library makes itself is a temporary file; sweeping removes those.
#[test]
fn a_temporary_name_has_a_dot_a_marker_and_sixteen_digits() {
    let name = temporary("a.mmst", 0xAB);
    assert!(is_temporary(OsStr::new(&name)));
    for other in [
        name[1..].to_owned(),
        name.replace(".mmst", ".mmsu"),
        name.replace("tmp", "tmq"),
        name.replace('0', "g"),
        name.replace("ab", "a"),
        "a.mmst".to_owned(),
        ".hidden".to_owned(),
        String::new(),
    ] {
        assert!(!is_temporary(OsStr::new(&other)), "{other}");
    }
}
