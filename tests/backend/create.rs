//! Creation: invisible until publication, replaces no file.
#![allow(unsafe_code)] // limits of a child process

mod util;

use std::fs;
#[cfg(unix)] // modes and inodes
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use mmstats_core::Memory;
#[cfg(unix)] // Windows has no pipes in directories
use util::mkfifo;
use util::word;
use util::{
    child, child_path, identity, lasting_names, names, new_file, published, say, symlink,
    wait_for_end,
};

use crate::backend::directory::Directory;
use crate::backend::{Access, ErrorKind, FileType, create, open, reopen};

#[test]
fn publish_makes_the_name_visible() {
    let place = tempfile::tempdir().unwrap();
    let file = new_file(place.path(), "x.mmst", 10_000);
    let before = names(place.path());
    assert_eq!(before.len(), 1);
    assert!(crate::backend::name::is_temporary(before[0].as_ref()), "{before:?}");
    assert_eq!(file.mapping().len(), 10_000);
    word(file.mapping(), 4096).store(42, Relaxed);

    let file = file.publish().unwrap();
    assert_eq!(names(place.path()), ["x.mmst"]);
    assert_eq!(file.path(), place.path().join("x.mmst"));
    let opened = open(file.path()).unwrap();
    assert_eq!(opened.info().size, 10_000);
    assert_eq!(word(opened.mapping(), 4096).load(Relaxed), 42);
    assert!(opened.is_locked().unwrap());
    // Later stores are visible too.
    word(file.mapping(), 9_996).store(43, Relaxed);
    assert_eq!(word(opened.mapping(), 9_996).load(Relaxed), 43);
}

#[test]
fn publish_leaves_all_space_allocated() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 1 << 20);
    let metadata = fs::metadata(file.path()).unwrap();
    assert_eq!(metadata.len(), 1 << 20);
    #[cfg(windows)] // reports only whether there are holes
    {
        use std::os::windows::fs::MetadataExt;
        const SPARSE_OR_COMPRESSED: u32 = 0x200 | 0x800;
        assert_eq!(metadata.file_attributes() & SPARSE_OR_COMPRESSED, 0);
    }
    #[cfg(unix)] // counts blocks
    assert!(metadata.blocks() * 512 >= 1 << 20, "{} blocks", metadata.blocks());
}

/// Resident bytes of a mapping.
#[cfg(target_os = "linux")] // reads /proc
fn resident(mapping: &crate::backend::Mapping) -> usize {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let start = format!("{:x}-", mapping.base().addr());
    let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
    let rss = lines.find(|line| line.starts_with("Rss:")).expect("the mapping is listed");
    rss.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// A page fault at the first store would disturb the program.
#[cfg(target_os = "linux")] // as `resident`
#[test]
fn create_and_reopen_make_all_pages_resident() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 1 << 20);
    assert_eq!(resident(file.mapping()), 1 << 20);
    let path = file.path().to_owned();
    drop(file);
    assert_eq!(resident(reopen(&path).unwrap().mapping()), 1 << 20);
}

#[test]
fn publish_with_taken_name_allows_another_name() {
    let place = tempfile::tempdir().unwrap();
    let first = published(place.path(), "x.mmst", 4096);
    word(first.mapping(), 0).store(1, Relaxed);

    let second = new_file(place.path(), "x.mmst", 8192);
    let mut unpublished = second.publish().unwrap_err();
    assert_eq!(unpublished.error.kind(), ErrorKind::AlreadyExists);
    let text = unpublished.error.to_string();
    assert!(text.starts_with("cannot publish ") && text.contains("x.mmst: the name is"), "{text}");
    assert_eq!(fs::metadata(first.path()).unwrap().len(), 4096);
    assert_eq!(word(open(first.path()).unwrap().mapping(), 0).load(Relaxed), 1);

    unpublished.file.set_name("y.mmst").unwrap();
    let second = unpublished.file.publish().unwrap();
    assert_eq!(names(place.path()), ["x.mmst", "y.mmst"]);
    assert_eq!(fs::metadata(second.path()).unwrap().len(), 8192);
}

#[test]
fn publish_over_planted_entries_fails() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::write(path("victim"), "precious").unwrap();
    fs::create_dir(path("directory.mmst")).unwrap();
    let mut planted = vec!["directory.mmst"];
    planted.extend(symlink(&path("victim"), &path("link.mmst")).then_some("link.mmst"));
    planted.extend(symlink(&path("nowhere"), &path("dangling.mmst")).then_some("dangling.mmst"));
    #[cfg(unix)] // Windows has no pipes in directories
    {
        mkfifo(&path("pipe.mmst"));
        planted.push("pipe.mmst");
    }
    for name in &planted {
        let before = identity(&path(name));
        let unpublished = new_file(place.path(), name, 4096).publish().unwrap_err();
        assert_eq!(unpublished.error.kind(), ErrorKind::AlreadyExists, "{name}");
        assert_eq!(before, identity(&path(name)), "{name}");
    }
    assert_eq!(fs::read(path("victim")).unwrap(), b"precious");
    assert!(!path("nowhere").exists());
    assert_eq!(names(place.path()).len(), planted.len() + 1);
}

#[test]
fn new_file_dropped_keeps_its_memory_only() {
    let place = tempfile::tempdir().unwrap();
    let file = new_file(place.path(), "x.mmst", 4096);
    let mapping = Arc::clone(file.mapping());
    drop(file);
    assert!(lasting_names(place.path()).is_empty());
    word(&mapping, 0).store(5, Relaxed);
    assert_eq!(word(&mapping, 0).load(Relaxed), 5);
    drop(mapping);
    assert!(names(place.path()).is_empty());
}

#[test]
fn create_with_bad_name_or_size_fails() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::open(place.path()).unwrap();
    for name in ["../x.mmst", "x", ".mmst", "a\nb.mmst", ""] {
        let error = create(&directory, name, 4096, Access::Owner).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Name(_)), "{name}: {error}");
    }
    let error = create(&directory, "x.mmst", 0, Access::Owner).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Empty);
    assert!(names(place.path()).is_empty());
}

#[test]
fn create_with_longest_name_succeeds() {
    let place = tempfile::tempdir().unwrap();
    let name = format!("{}.mmst", "n".repeat(crate::backend::name::MAX - 5));
    let file = published(place.path(), &name, 64);
    assert_eq!(names(place.path()), [name]);
    file.remove().unwrap();
}

#[cfg(unix)] // Windows has access lists: see backend-windows/tests/access.rs
#[test]
fn create_sets_the_mode_of_the_access() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::open(place.path()).unwrap();
    for (access, mode) in
        [(Access::Owner, 0o600), (Access::Group, 0o640), (Access::Everybody, 0o644)]
    {
        let file = create(&directory, &format!("{mode}.mmst"), 64, access).unwrap();
        let file = file.publish().unwrap();
        let found = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode);
    }
}

#[test]
fn create_in_removed_directory_is_not_found() {
    let place = tempfile::tempdir().unwrap();
    let error = Directory::open(&place.path().join("none")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let directory = Directory::open(place.path()).unwrap();
    #[cfg(unix)] // removes open directories
    drop(place);
    #[cfg(windows)] // old versions keep the name as long as the directory is open
    let away = place.path().with_extension("away");
    #[cfg(windows)] // as `away`
    fs::rename(place.path(), &away).unwrap();
    let error = create(&directory, "x.mmst", 64, Access::Owner).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    #[cfg(windows)] // as `away`
    fs::rename(&away, place.path()).unwrap();
}

#[cfg(unix)] // Windows truncates and moves no mapped file
#[test]
fn is_truncated_depends_on_the_size_alone() {
    use crate::backend::Standing;
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("stats");
    fs::create_dir(&directory).unwrap();
    let file = published(&directory, "x.mmst", 4096);
    let moved = place.path().join("moved");
    fs::rename(&directory, &moved).unwrap();
    assert_eq!((file.standing(), file.is_truncated()), (Standing::Unnamed, false));
    fs::File::options().write(true).open(moved.join("x.mmst")).unwrap().set_len(4095).unwrap();
    assert_eq!((file.standing(), file.is_truncated()), (Standing::Truncated, true));
}

#[test]
fn remove_of_replaced_file_fails() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 64);
    let other = place.path().join("other");
    fs::write(&other, "other").unwrap();
    #[cfg(windows)] // a file with a writer cannot be renamed
    {
        const SHARING_VIOLATION: i32 = 32;
        let away = fs::rename(file.path(), place.path().join("away")).unwrap_err();
        assert_eq!(away.raw_os_error(), Some(SHARING_VIOLATION));
        fs::rename(&other, file.path()).unwrap_err();
        file.remove().unwrap();
    }
    fs::rename(&other, file.path()).unwrap();
    assert_eq!(file.remove().unwrap_err().kind(), ErrorKind::Replaced);
    assert_eq!(fs::read(file.path()).unwrap(), b"other");
    fs::remove_file(file.path()).unwrap();
    assert_eq!(file.remove().unwrap_err().kind(), ErrorKind::Replaced);

    let file = published(place.path(), "x.mmst", 64);
    file.flush(false).unwrap();
    file.flush(true).unwrap();
    file.remove().unwrap();
    assert!(lasting_names(place.path()).is_empty());
}

#[test]
fn detached_file_does_not_change() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 10_000);
    let opened = open(file.path()).unwrap();
    word(file.mapping(), 0).store(1, Relaxed);
    word(file.mapping(), 8192).store(1, Relaxed);
    // Another thread stores meanwhile.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let counter = word(file.mapping(), 4096);
                counter.store(counter.load(Relaxed) + 1, Relaxed);
            }
        });
        file.detach().unwrap();
        let last = word(opened.mapping(), 4096).load(Relaxed);
        word(file.mapping(), 0).store(2, Relaxed);
        // A second call loses no stored value.
        file.detach().unwrap();
        let own = [0, 8192].map(|offset| word(file.mapping(), offset).load(Relaxed));
        let published = [0, 4096].map(|offset| word(opened.mapping(), offset).load(Relaxed));
        // Before the assertions, which would leave the thread running.
        done.store(true, Relaxed);
        assert_eq!(own, [2, 1]);
        assert_eq!(published, [1, last]);
    });
    assert!(opened.is_locked().unwrap());
    let path = file.path().to_owned();
    drop(file);
    assert!(!crate::backend::is_locked(&path).unwrap());
}

#[test]
fn reopen_continues_with_stored_values() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 10_001);
    word(file.mapping(), 8192).store(7, Relaxed);
    let path = file.path().to_owned();
    assert_eq!(reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
    drop(file);

    let file = reopen(&path).unwrap();
    assert_eq!(file.mapping().len(), 10_001);
    assert_eq!(word(file.mapping(), 8192).load(Relaxed), 7);
    word(file.mapping(), 8192).store(8, Relaxed);
    let opened = open(&path).unwrap();
    assert!(opened.is_locked().unwrap());
    assert_eq!(word(opened.mapping(), 8192).load(Relaxed), 8);
    assert_eq!(reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
}

#[test]
fn reopen_accepts_own_regular_files_only() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    drop(published(place.path(), "x.mmst", 64));
    fs::create_dir(path("directory.mmst")).unwrap();
    fs::write(path("empty.mmst"), "").unwrap();
    let mut refused = vec![
        ("directory.mmst", ErrorKind::NotRegular(FileType::Directory)),
        ("empty.mmst", ErrorKind::Empty),
        ("none.mmst", ErrorKind::NotFound),
    ];
    if symlink(&path("x.mmst"), &path("link.mmst")) {
        refused.push(("link.mmst", ErrorKind::NotRegular(FileType::Link)));
    }
    #[cfg(unix)] // Windows has no pipes in directories
    {
        mkfifo(&path("pipe.mmst"));
        refused.push(("pipe.mmst", ErrorKind::NotRegular(FileType::Pipe)));
    }
    for (name, kind) in refused {
        assert_eq!(reopen(&path(name)).unwrap_err().kind(), kind, "{name}");
    }
    #[cfg(unix)] // Windows cannot change the owner
    if util::is_root() {
        std::os::unix::fs::chown(path("x.mmst"), Some(12_345), None).unwrap();
        let kind = ErrorKind::WrongOwner { owner: 12_345, expected: 0 };
        assert_eq!(reopen(&path("x.mmst")).unwrap_err().kind(), kind);
    } else {
        util::skip("only root can make a file of another user");
    }
}

#[test]
fn child_creates_and_waits() {
    let Some(path) = child_path() else { return };
    let _file = new_file(&path, "x.mmst", 4096);
    say("made");
    wait_for_end();
}

#[test]
fn create_killed_before_publish_leaves_temporary_name_only() {
    let place = tempfile::tempdir().unwrap();
    let mut process = child("child_creates_and_waits", place.path());
    assert_eq!(process.hear(), "made");
    process.kill();
    let left = names(place.path());
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(crate::backend::name::is_temporary(left[0].as_ref()), "{left:?}");
    assert!(!crate::backend::is_locked(&place.path().join(&left[0])).unwrap());
    // The name is free.
    published(place.path(), "x.mmst", 4096);
}

#[cfg(unix)] // Windows has no umask
#[test]
fn child_creates_with_umask_777() {
    let Some(path) = child_path() else { return };
    let directory = Directory::open(&path).unwrap();
    if util::is_root() {
        // Modes do not apply to root. The bare system call changes this thread only.
        #[cfg(target_os = "linux")] // as the system call
        // SAFETY: has no precondition.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setuid, 12_345) }, 0);
    }
    // SAFETY: has no precondition.
    unsafe { libc::umask(0o777) };
    let file = create(&directory, "x.mmst", 64, Access::Group).unwrap().publish().unwrap();
    assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o640);
    say("made");
}

#[cfg(unix)] // Windows has no umask
#[test]
fn create_ignores_the_umask() {
    let place = tempfile::tempdir().unwrap();
    if util::is_root() {
        std::os::unix::fs::chown(place.path(), Some(12_345), None).unwrap();
    }
    let mut process = child("child_creates_with_umask_777", place.path());
    assert_eq!(process.hear(), "made");
}

#[cfg(unix)] // Windows has no limit of the size of files
#[test]
fn child_creates_beyond_its_size_limit() {
    let Some(path) = child_path() else { return };
    let limit = libc::rlimit { rlim_cur: 8192, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit is a valid value.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
    let directory = Directory::open(&path).unwrap();
    let error = create(&directory, "large.mmst", 8193, Access::Owner).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge { size: 8193, limit: 8192 });
    create(&directory, "small.mmst", 8192, Access::Owner).unwrap().publish().unwrap();
    say("alive");
}

#[cfg(unix)] // Windows has no limit of the size of files
#[test]
fn create_beyond_size_limit_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let mut process = child("child_creates_beyond_its_size_limit", place.path());
    assert_eq!(process.hear(), "alive");
    assert_eq!(names(place.path()), ["small.mmst"]);
}

#[test]
fn publish_of_one_name_by_many_threads_succeeds_once() {
    let place = tempfile::tempdir().unwrap();
    let winners: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..50)
                        .filter(|_| {
                            let file = new_file(place.path(), "x.mmst", 4096);
                            file.publish().map(std::mem::forget).is_ok()
                        })
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(winners, 1);
    assert_eq!(names(place.path()), ["x.mmst"]);
}

#[test]
fn publish_over_replaces_the_reopened_file() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::open(place.path()).unwrap();
    let path = place.path().join("a.mmst");
    let new = || create(&directory, "a.mmst", 4096, Access::Owner).unwrap();
    drop(new().publish().unwrap());
    let old = reopen(&path).unwrap();
    let before = crate::backend::info(&path).unwrap().id;
    let published = new().publish_over(&old).unwrap();
    assert_ne!(crate::backend::info(&path).unwrap().id, before);
    assert!(crate::backend::is_locked(&path).unwrap());
    // One name is left, and the old file has none that it could give away.
    assert_eq!(lasting_names(place.path()), ["a.mmst"]);
    let error = new().publish_over(&old).unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::Replaced);
    assert_eq!(lasting_names(place.path()), ["a.mmst"]);
    drop(old);
    assert_eq!(names(place.path()), ["a.mmst"]);
    drop(published);
}
