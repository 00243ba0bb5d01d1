//! The rules that the backends share.
#![allow(missing_docs)]

use std::cell::RefCell;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mmstats_system::name::{is_published, is_temporary, temporary};
use mmstats_system::{
    Error, ErrorKind, FileId, FileType, NameError, Removal, SweepOptions, Sweeper, SweptProgram,
    USE_DIRECTORY, split_path, sweep_names,
};

#[test]
fn error_has_operation_path_kind_and_source() {
    let path = Path::new("/x/y.mmst");
    let error = Error::new("open", path, ErrorKind::Empty);
    assert_eq!((error.operation(), error.path()), ("open", Some(path)));
    assert_eq!((error.kind(), error.raw_os_error()), (&ErrorKind::Empty, None));
    let error = Error::without_path("map", ErrorKind::OutOfMemory).with_kind(ErrorKind::NoSpace);
    assert_eq!(error.to_string(), "cannot map: no space left on device");
    assert!(std::error::Error::source(&error).is_none());
    let name = Error::without_path("create", ErrorKind::Name(NameError::Separator));
    assert!(std::error::Error::source(&name).is_some());
}

#[test]
fn from_io_maps_kinds_of_the_standard_library() {
    use io::ErrorKind as Io;
    for (io, ours) in [
        (Io::NotFound, ErrorKind::NotFound),
        (Io::PermissionDenied, ErrorKind::PermissionDenied),
        (Io::AlreadyExists, ErrorKind::AlreadyExists),
        (Io::StorageFull, ErrorKind::NoSpace),
        (Io::QuotaExceeded, ErrorKind::NoSpace),
        (Io::ReadOnlyFilesystem, ErrorKind::ReadOnly),
        (Io::WouldBlock, ErrorKind::Other),
        (Io::OutOfMemory, ErrorKind::OutOfMemory),
        (Io::Unsupported, ErrorKind::Unsupported),
        (Io::ConnectionReset, ErrorKind::Other),
    ] {
        assert_eq!(ErrorKind::from_io(&io::Error::from(io)), ours, "{io}");
    }
}

#[test]
fn display_differs_between_all_kinds() {
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
fn is_published_needs_suffix_and_no_leading_dot() {
    for (name, published) in
        [("a.mmst", true), (".mmst", false), (".a.mmst", false), ("a.mmst.1", false), ("a", false)]
    {
        assert_eq!(is_published(OsStr::new(name)), published, "{name}");
    }
}

/// A sweep removes temporary files, so no other file may count as one.
#[test]
fn is_temporary_needs_dot_marker_and_sixteen_digits() {
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

/// Only where the user can act on it.
#[test]
fn error_of_untrusted_directory_has_advice() {
    let path = Path::new("/x");
    let advice = "; remove it, or set MMSTATS_PATH to a directory of your own";
    for kind in [
        ErrorKind::WrongOwner { owner: 1, expected: 2 },
        ErrorKind::WrongMode { mode: 0o777 },
        ErrorKind::OthersMayWrite,
    ] {
        let text = |operation| Error::new(operation, path, kind.clone()).to_string();
        assert!(text(USE_DIRECTORY).ends_with(advice), "{}", text(USE_DIRECTORY));
        assert!(!text("open").contains("remove"), "{}", text("open"));
    }
    assert!(!Error::new(USE_DIRECTORY, path, ErrorKind::NotFound).to_string().contains("remove"));
}

/// Dead files, named by seconds from now; other names are those of live files.
struct Dead(RefCell<Vec<String>>);

impl Sweeper for Dead {
    fn judge(&self, name: &OsStr, path: &Path) -> Result<(SystemTime, FileId), Removal> {
        let name = name.to_str().unwrap();
        assert_eq!(path, Path::new("/x").join(name));
        let seconds = name.trim_start_matches('.').split('.').next().unwrap();
        let seconds = seconds.parse::<i64>().map_err(|_| Removal::Live)?;
        let apart = Duration::from_secs(seconds.unsigned_abs());
        let now = SystemTime::now();
        let modified = if seconds < 0 { now - apart } else { now + apart };
        Ok((modified, FileId { device: 0, index: seconds.cast_unsigned() }))
    }

    fn remove(&self, name: &OsStr, path: &Path, id: FileId) -> Removal {
        assert_eq!(self.judge(name, path).unwrap().1, id);
        self.0.borrow_mut().push(name.to_str().unwrap().to_owned());
        Removal::Removed
    }
}

/// Sweeps these names; returns those removed, sorted.
fn swept(names: &[&str], options: &SweepOptions) -> Vec<String> {
    let dead = Dead(RefCell::default());
    let names = names.iter().map(|name| Ok(OsString::from(name)));
    let identify = |name: &OsStr, _: FileId| (name != "-9.mmst").then(SweptProgram::default);
    let swept = sweep_names(&dead, Path::new("/x"), names, options, Some(&identify));
    assert!(swept.is_complete);
    let removed = swept.files.iter().filter(|swept| matches!(swept.removal, Removal::Removed));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (mut reported, mut removed) =
        (removed.map(|swept| name(&swept.path)).collect::<Vec<_>>(), dead.0.into_inner());
    reported.sort();
    removed.sort();
    assert_eq!(reported, removed, "reported and removed files differ");
    removed
}

#[test]
fn sweep_names_keeps_newest_and_counts_future_apart() {
    let names = [
        "-5.mmst",
        "900.mmst",
        "-1.mmst",
        "alive.mmst",
        "800.mmst",
        "700.mmst",
        "-3.mmst",
        "-9.mmst",
        "-4.txt",
    ];
    let keeping = |keep| swept(&names, &SweepOptions { keep, ..SweepOptions::default() });
    let all = ["-1.mmst", "-3.mmst", "-5.mmst", "700.mmst", "800.mmst", "900.mmst"];
    assert_eq!(keeping(0), all);
    assert_eq!(keeping(1), ["-3.mmst", "-5.mmst", "700.mmst", "800.mmst"]);
    assert_eq!(keeping(2), ["-5.mmst", "700.mmst"]);
    assert_eq!(keeping(3), [""; 0]);
    let dry = SweepOptions { keep: 0, dry_run: true, ..SweepOptions::default() };
    assert_eq!(swept(&names, &dry), [""; 0]);
}

/// Young ones stay; old ones, and those of the future, are removed and never kept.
#[test]
fn sweep_names_removes_old_temporary_files() {
    let name = |seconds: i64| temporary(&format!("{seconds}.mmst"), 7);
    let names = [-3600, -61, -5, 5, 61, 3600].map(name);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let gone = swept(&names, &SweepOptions { keep: 9, ..SweepOptions::default() });
    let mut old = [names[0], names[1], names[4], names[5]];
    old.sort_unstable();
    assert_eq!(gone, old);
}

/// Dead files named `COMMAND-INSTANCE[.PART].mmst`, of which one cannot be removed.
struct Programs {
    held: &'static str,
    removed: RefCell<Vec<String>>,
}

impl Sweeper for Programs {
    fn judge(&self, _name: &OsStr, _path: &Path) -> Result<(SystemTime, FileId), Removal> {
        Ok((SystemTime::UNIX_EPOCH, FileId { device: 0, index: 0 }))
    }

    fn remove(&self, name: &OsStr, path: &Path, _id: FileId) -> Removal {
        if name == self.held {
            return Removal::Failed(Error::new("sweep", path, ErrorKind::PermissionDenied));
        }
        self.removed.borrow_mut().push(name.to_str().unwrap().to_owned());
        Removal::Removed
    }
}

/// The program that a name says; part 0 says that there are `parts`.
fn program(name: &OsStr, parts: u32) -> Option<SweptProgram> {
    let text = name.to_str()?.strip_suffix(".mmst")?;
    let (first, part) = text.split_once('.').unwrap_or((text, "0"));
    let (command, instance) = first.split_once('-')?;
    Some(SweptProgram {
        instance: Some([instance.parse().ok()?; 16]),
        command: Some(command.to_owned()),
        parts: (part == "0").then_some(parts),
    })
}

const NONE: SweepOptions = SweepOptions {
    keep: 0,
    temporary_age: Duration::from_secs(60),
    dry_run: false,
    time: Duration::MAX,
};

#[test]
fn sweep_names_up_to_unreadable_name_removes_whole_programs_only() {
    let programs = Programs { held: "", removed: RefCell::default() };
    let names = ["web-1.mmst", "web-2.mmst", "web-1.1.mmst"].map(|name| Ok(OsString::from(name)));
    let later = [Err(io::ErrorKind::Other.into()), Ok(OsString::from("web-2.1.mmst"))];
    let names = names.into_iter().chain(later);
    let identify = |name: &OsStr, _: FileId| program(name, 2);
    let swept = sweep_names(&programs, Path::new("/x"), names, &NONE, Some(&identify));
    assert!(!swept.is_complete);
    assert_eq!(swept.files.len(), 3, "{swept:?}");
    assert_eq!(programs.removed.into_inner(), ["web-1.1.mmst", "web-1.mmst"]);
}

#[test]
fn sweep_names_of_program_with_held_part_keeps_part_0() {
    let programs = Programs { held: "web-1.2.mmst", removed: RefCell::default() };
    let names = ["web-1.mmst", "web-1.1.mmst", "web-1.2.mmst", "web-1.3.mmst", "web-2.mmst"];
    let names = names.map(|name| Ok(OsString::from(name))).into_iter();
    let identify =
        |name: &OsStr, _: FileId| program(name, if name == "web-2.mmst" { 1 } else { 4 });
    let swept = sweep_names(&programs, Path::new("/x"), names, &NONE, Some(&identify));
    let kept = swept.files.iter().filter(|file| matches!(file.removal, Removal::Kept));
    let kept: Vec<_> = kept.map(|file| file.path.file_name().unwrap()).collect();
    assert_eq!(kept, ["web-1.1.mmst", "web-1.mmst"]);
    assert_eq!(programs.removed.into_inner(), ["web-1.3.mmst", "web-2.mmst"]);
}

/// Each sweep looks at 15 files, beginning elsewhere.
#[test]
fn sweep_names_without_time_reaches_all_files() {
    let identify = |name: &OsStr, _: FileId| {
        let parts = (name == "-100.mmst").then_some(1);
        parts.map(|_| SweptProgram { instance: Some([1; 16]), command: None, parts })
    };
    let options = SweepOptions { time: Duration::ZERO, ..NONE };
    for _ in 0..100_000 {
        let dead = Dead(RefCell::default());
        let names = (0..200).map(|at| Ok(format!("alive-{at}.mmst").into()));
        let names = names.chain([Ok("-100.mmst".into())]);
        let swept = sweep_names(&dead, Path::new("/x"), names, &options, Some(&identify));
        assert!(!swept.is_complete);
        assert_eq!(swept.files.len(), 15);
        if !dead.0.into_inner().is_empty() {
            return;
        }
    }
    panic!("never reached");
}

#[test]
fn split_path_gives_directory_and_name() {
    for (path, directory, name) in [
        ("/x/y.mmst", "/x", "y.mmst"),
        ("x/y", "x", "y"),
        ("y.mmst", ".", "y.mmst"),
        ("/y", "/", "y"),
    ] {
        let expected = (PathBuf::from(directory), OsStr::new(name));
        assert_eq!(split_path(Path::new(path)), Some(expected), "{path}");
    }
    assert_eq!((split_path(Path::new("/")), split_path(Path::new("x/.."))), (None, None));
}
