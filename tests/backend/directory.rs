//! Directories: choice and trust.

mod util;

use std::fs;
#[cfg(unix)] // modes
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use util::symlink;

use crate::backend::directory::{
    Directory, Environment, Origin, is_memory_backed, observe_directories_in, publish_directory_in,
};
use crate::backend::{ErrorKind, FileType};

#[cfg(unix)] // Windows has access lists: see backend-windows/tests/access.rs
fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)] // Windows has access lists
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn create_own_makes_a_directory_for_its_owner() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("own");
    let directory = Directory::create_own(&path).unwrap();
    assert_eq!(directory.path(), path);
    #[cfg(unix)] // modes
    assert_eq!(mode(&path), 0o700);
    // It exists now.
    Directory::create_own(&path).unwrap();
    Directory::open_own(&path).unwrap();
    let error = Directory::create_own(&place.path().join("no/parent")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[cfg(unix)] // Windows has access lists
#[test]
fn open_own_refuses_directory_that_others_may_write() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("own");
    fs::create_dir(&path).unwrap();
    for (bits, ok) in [
        (0o777, false),
        (0o770, false),
        (0o702, false),
        (0o720, false),
        (0o755, true),
        (0o700, true),
    ] {
        set_mode(&path, bits);
        match Directory::open_own(&path) {
            Ok(_) => assert!(ok, "{bits:o}"),
            Err(error) => {
                assert!(!ok, "{bits:o}: {error}");
                assert_eq!(error.kind(), ErrorKind::WrongMode { mode: bits });
                let text = error.to_string();
                let parts =
                    [path.to_str().unwrap(), &format!("mode {bits:04o}"), "set MMSTATS_PATH"];
                assert!(parts.iter().all(|part| text.contains(part)), "{text}");
            }
        }
    }
    // The mode was not corrected silently.
    set_mode(&path, 0o777);
    Directory::create_own(&path).unwrap_err();
    assert_eq!(mode(&path), 0o777);
}

#[test]
fn create_own_refuses_planted_entries() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    Directory::create_own(&path("target")).unwrap();
    fs::write(path("file"), "").unwrap();
    let mut refused = vec![("file", FileType::Regular)];
    let link = symlink(&path("target"), &path("link"));
    if link && symlink(&path("nowhere"), &path("dangling")) {
        refused.extend([("link", FileType::Link), ("dangling", FileType::Link)]);
    }
    #[cfg(unix)] // Windows has no pipes in directories
    {
        util::mkfifo(&path("pipe"));
        refused.push(("pipe", FileType::Pipe));
    }
    for (name, found) in refused {
        let error = Directory::create_own(&path(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotDirectory(found), "{name}: {error}");
    }
    assert!(!path("nowhere").exists());
    // A directory that the user names may be a link.
    if link {
        Directory::open(&path("link")).unwrap();
    }
    let error = Directory::open(&path("file")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDirectory(FileType::Regular));
}

#[cfg(unix)] // Windows cannot change the owner
#[test]
fn create_own_refuses_directory_of_another_user() {
    if !util::is_root() {
        util::skip("only root can make a directory of another user");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("theirs");
    fs::create_dir(&path).unwrap();
    set_mode(&path, 0o700);
    std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
    let error = Directory::create_own(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongOwner { owner: 12_345, expected: 0 });
    assert!(error.to_string().contains("belongs to user 12345, not to user 0"), "{error}");
}

#[test]
fn publish_directory_creates_explicit_one_and_trusts_it() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("explicit");
    let environment = |path: &Path| Environment {
        explicit: Some(path.into()),
        user: 7,
        ..Environment::default()
    };
    let (found, passed_over) = observe_directories_in(&environment(&path));
    assert!(found.is_empty());
    assert_eq!(passed_over[0].error.kind(), ErrorKind::NotFound);

    let found = publish_directory_in(&environment(&path)).unwrap();
    assert_eq!(found.origin, Origin::Explicit);
    #[cfg(unix)] // modes
    {
        assert_eq!(mode(&path), 0o700);
        set_mode(&path, 0o1777);
    }
    let found = publish_directory_in(&environment(&path)).unwrap();
    assert_eq!(found.directory.path(), path);
    assert!(found.passed_over.is_empty());
    assert_eq!(observe_directories_in(&environment(&path)).0.len(), 1);

    // No other candidate replaces an explicit one.
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let error = publish_directory_in(&environment(&file)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDirectory(FileType::Regular));
}

/// Removes a directory outside the temporary one.
struct Remove<'a>(&'a Path);
impl Drop for Remove<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0);
    }
}

#[test]
fn publish_directory_takes_second_candidate_if_first_is_unusable() {
    let place = tempfile::tempdir().unwrap();
    let runtime = place.path().join("runtime");
    fs::create_dir(&runtime).unwrap();
    let environment = Environment {
        explicit: None,
        file_names: None,
        runtime: Some(runtime.clone().into()),
        temporary: Some(place.path().into()),
        // The first candidate on Windows.
        local: Some(place.path().join("local").into()),
        // An unused user id, different in each concurrent test run.
        user: 3_000_000_000 + std::process::id(),
    };
    let candidates = environment.candidates();
    let first = &candidates[0];
    let _remove = Remove(&first.path);

    // No program has published: nothing to observe, and no error.
    let (found, passed_over) = observe_directories_in(&environment);
    assert!(found.is_empty() && passed_over.is_empty());

    // The first candidate becomes unusable.
    #[cfg(unix)] // modes
    {
        fs::create_dir(&first.path).unwrap();
        set_mode(&first.path, 0o777);
    }
    #[cfg(windows)] // no modes
    {
        fs::create_dir(place.path().join("local")).unwrap();
        fs::write(&first.path, "").unwrap();
    }
    let found = publish_directory_in(&environment).unwrap();
    assert_eq!(found.directory.path(), candidates[1].path);
    assert_eq!(found.origin, candidates[1].origin);
    assert_eq!(found.passed_over.len(), 1);
    assert_eq!(found.passed_over[0].candidate, *first);
    #[cfg(unix)] // modes
    let why = ErrorKind::WrongMode { mode: 0o777 };
    #[cfg(windows)] // no modes
    let why = ErrorKind::NotDirectory(FileType::Regular);
    assert_eq!(found.passed_over[0].error.kind(), why);

    // An observer gets the same one, and the other as passed over.
    let (found, passed_over) = observe_directories_in(&environment);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path(), candidates[1].path);
    assert_eq!(passed_over.len(), 1);

    #[cfg(unix)] // modes
    set_mode(&first.path, 0o700);
    #[cfg(windows)] // no modes
    fs::remove_file(&first.path).unwrap();
    assert_eq!(publish_directory_in(&environment).unwrap().directory.path(), first.path);
    assert_eq!(observe_directories_in(&environment).0.len(), 2);
}

#[test]
fn publish_directory_error_is_that_of_the_best_candidate() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let environment = Environment {
        explicit: None,
        file_names: None,
        runtime: None,
        temporary: Some(file.into()),
        user: 3_500_000_000 + std::process::id(),
        ..Environment::default()
    };
    let candidates = environment.candidates();
    let _remove = Remove(&candidates[0].path);
    if candidates.len() > 1 {
        fs::write(&candidates[0].path, "spoilt").unwrap();
    }
    let error = publish_directory_in(&environment).unwrap_err();
    assert_eq!(error.path(), Some(candidates[0].path.as_path()), "{error}");
    let _ = fs::remove_file(&candidates[0].path);
}

#[test]
fn is_memory_backed_distinguishes_memory_from_disk() {
    // Windows has disks only, but for RAM disks.
    if cfg!(windows) {
        assert_eq!(is_memory_backed(&std::env::temp_dir()).unwrap(), Some(false));
        return;
    }
    // Other systems do not tell.
    if !cfg!(target_os = "linux") {
        assert_eq!(is_memory_backed(Path::new("/tmp")).unwrap(), None);
        return;
    }
    assert_eq!(is_memory_backed(Path::new("/proc")).unwrap(), Some(false));
    if Path::new("/dev/shm").exists() {
        assert_eq!(is_memory_backed(Path::new("/dev/shm")).unwrap(), Some(true));
    }
    assert_eq!(is_memory_backed(Path::new("/no/such")).unwrap_err().kind(), ErrorKind::NotFound);
}
