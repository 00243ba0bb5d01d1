//! Access lists: files and directories are for their owner; other writers are detected.
#![allow(missing_docs)]
#![cfg(windows)] // Unix has modes: see tests/backend

use mmstats_windows as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use backend::directory::Directory;
use backend::{Access, ErrorKind, create, info, open};
use util::names;

/// Grants everybody the right to write to a directory; under wine some time later.
fn share(path: &Path) {
    if util::is_wine() {
        // wine makes access lists from the modes of the Linux file.
        util::on_linux("chmod", &["0777"], path);
    } else {
        let everybody = "*S-1-1-0:(OI)(CI)M";
        let status = Command::new("icacls").arg(path).args(["/grant", everybody]).status();
        assert!(status.unwrap().success());
    }
}

#[test]
fn open_own_refuses_directory_that_others_may_write() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("own");
    Directory::create_own(&path).unwrap();
    Directory::open_own(&path).unwrap();
    share(&path);
    let start = Instant::now();
    let error = loop {
        match Directory::open_own(&path) {
            Err(error) => break error,
            Ok(_) => assert!(start.elapsed() < Duration::from_secs(60), "not detected"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(error.kind(), ErrorKind::OthersMayWrite);
    let text = error.to_string();
    assert!(text.contains("others may write to it") && text.contains("set MMSTATS_PATH"), "{text}");
    // The access list was not corrected silently; an explicit directory is not checked.
    Directory::create_own(&path).unwrap_err();
    Directory::open_or_create(&path).unwrap();
}

#[test]
fn open_own_directory_cannot_be_renamed() {
    const SHARING_VIOLATION: i32 = 32;
    let place = tempfile::tempdir().unwrap();
    let (path, away) = (place.path().join("own"), place.path().join("away"));
    let directory = Directory::create_own(&path).unwrap();
    let error = std::fs::rename(&path, &away).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(SHARING_VIOLATION), "{error}");
    drop(directory);
    std::fs::rename(&path, &away).unwrap();
}

#[test]
fn create_makes_files_of_this_user() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::create_own(&place.path().join("own")).unwrap();
    for (name, access) in [
        ("owner.mmst", Access::Owner),
        ("group.mmst", Access::Group),
        ("everybody.mmst", Access::Everybody),
    ] {
        let file = create(&directory, name, 64, access).unwrap().publish().unwrap();
        assert_eq!(info(file.path()).unwrap().owner, backend::process::facts().uid);
        open(file.path()).unwrap();
    }
    assert_eq!(names(directory.path()).len(), 3);
}

#[test]
fn published_file_is_readable_but_not_removable_by_other_programs() {
    use std::os::windows::fs::OpenOptionsExt;
    let place = tempfile::tempdir().unwrap();
    let file = util::published(place.path(), "x.mmst", 4096);
    // The share mode of the C library, Python and Go.
    let share = 1 | 2;
    let options = std::fs::File::options().read(true).share_mode(share).clone();
    drop(options.open(file.path()).unwrap());
    assert_eq!(std::fs::read(file.path()).unwrap().len(), 4096);
    // Not removable.
    const SHARING_VIOLATION: i32 = 32;
    let error = std::fs::remove_file(file.path()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(SHARING_VIOLATION), "{error}");
    assert!(file.path().exists());
    file.remove().unwrap();
}

#[test]
fn long_paths_in_any_script_work() {
    let place = tempfile::tempdir().unwrap();
    let mut path = place.path().to_owned();
    for _ in 0..6 {
        path.push("ein sehr langer Name – 长名字 ".trim().repeat(2));
        Directory::create_own(&path).unwrap();
    }
    assert!(path.as_os_str().len() > 300);
    let directory = Directory::open_own(&path).unwrap();
    let name = "größe-长.mmst";
    let file = create(&directory, name, 4096, Access::Owner).unwrap().publish().unwrap();
    assert!(open(file.path()).unwrap().is_locked().unwrap());
    assert_eq!(names(&path), [name]);
    let path = file.path().to_owned();
    drop(file);
    drop(backend::reopen(&path).unwrap());
    assert!(matches!(backend::remove_if_dead(&path, false).unwrap(), backend::Removal::Removed));
}
