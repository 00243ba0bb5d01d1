//! Locks of programs under wine: each side sees the writers of the other.
#![allow(missing_docs)]
#![allow(unsafe_code)] // takes a lock that rustix does not offer
#![cfg(unix)] // the backend of these systems

use mmstats_unix as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use backend::directory::Directory;
use backend::{
    ErrorKind, Removal, SweepOptions, SweptProgram, is_locked, open, remove_if_dead, reopen, sweep,
};
use util::{child, child_path, published, say, wait_for_end};

/// Locks the byte like the server of wine; `false` if another process holds it.
fn lock_like_wine(file: &File, kind: i32) -> bool {
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind.try_into().unwrap();
    lock.l_whence = libc::SEEK_SET.try_into().unwrap();
    lock.l_start = 1 << 32;
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and `lock` is what this command reads.
    let code = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
    let error = std::io::Error::last_os_error();
    assert!(code == 0 || error.kind() == std::io::ErrorKind::WouldBlock, "{error}");
    code == 0
}

#[test]
fn child_locks_like_wine() {
    let Some(path) = child_path() else { return };
    let file = File::options().read(true).write(true).open(path).unwrap();
    assert!(lock_like_wine(&file, libc::F_WRLCK));
    say("locked");
    wait_for_end();
}

#[test]
fn lock_of_wine_counts_as_a_writer() {
    let place = tempfile::tempdir().unwrap();
    let path = published(place.path(), "x.mmst", 4096).path().to_owned();
    let opened = open(&path).unwrap();
    assert!(!opened.is_locked().unwrap());
    let mut process = child("child_locks_like_wine", &path);
    assert_eq!(process.hear(), "locked");
    assert!(opened.is_locked().unwrap());
    assert!(is_locked(&path).unwrap());
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Live));
    let options =
        SweepOptions { keep: 0, temporary_age: Duration::ZERO, ..SweepOptions::default() };
    let swept = sweep(
        &Directory::open(place.path()).unwrap(),
        &options,
        Some(&|_, _| Some(SweptProgram::default())),
    )
    .unwrap();
    assert!(matches!(swept.files[0].removal, Removal::Live), "{swept:?}");
    assert_eq!(reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
    process.kill();
    drop(reopen(&path).unwrap());
    assert!(!opened.is_locked().unwrap());
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Removed));
}

#[test]
fn child_tests_like_wine() {
    let Some(path) = child_path() else { return };
    let file = File::open(path).unwrap();
    assert!(lock_like_wine(&file, libc::F_RDLCK));
    say("tests");
    wait_for_end();
}

#[test]
fn test_of_wine_does_not_count_as_a_writer() {
    let place = tempfile::tempdir().unwrap();
    let path = published(place.path(), "x.mmst", 4096).path().to_owned();
    let mut process = child("child_tests_like_wine", &path);
    assert_eq!(process.hear(), "tests");
    assert!(!is_locked(&path).unwrap());
    // A sweeper holds the same kind of lock, so they do not exclude each other.
    assert!(matches!(remove_if_dead(&path, true).unwrap(), Removal::WouldRemove));
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Removed));
}

#[cfg(target_os = "linux")] // has open file description locks
mod ours {
    use super::*;
    use std::sync::Arc;

    /// Whether a tool under wine can lock the byte.
    fn is_free(path: &std::path::Path) -> bool {
        let file = File::open(path).unwrap();
        let free = lock_like_wine(&file, libc::F_RDLCK);
        assert!(!free || lock_like_wine(&file, libc::F_UNLCK));
        free
    }

    #[test]
    fn writer_is_visible_to_wine() {
        let place = tempfile::tempdir().unwrap();
        let file = published(place.path(), "x.mmst", 4096);
        let path = file.path().to_owned();
        // Testing closes the file, which would release a POSIX lock.
        for _ in 0..2 {
            assert!(!is_free(&path));
            assert!(is_locked(&path).unwrap());
        }
        // Handles may hold the mapping; the lock ends with the file.
        let mapping = Arc::clone(file.mapping());
        drop(file);
        assert!(is_free(&path));
        assert!(!is_locked(&path).unwrap());
        drop(mapping);
        let _again = reopen(&path).unwrap();
        assert!(!is_free(&path));
    }

    #[test]
    fn child_publishes_for_wine() {
        let Some(path) = child_path() else { return };
        let _file = published(&path, "x.mmst", 4096);
        say("published");
        wait_for_end();
    }

    #[test]
    fn killed_writer_is_dead_for_wine() {
        let place = tempfile::tempdir().unwrap();
        let mut process = child("ours::child_publishes_for_wine", place.path());
        assert_eq!(process.hear(), "published");
        let path = place.path().join("x.mmst");
        assert!(!is_free(&path));
        process.kill();
        assert!(is_free(&path));
    }

    #[test]
    fn child_forks_for_wine() {
        let Some(path) = child_path() else { return };
        let _file = published(&path, "x.mmst", 4096);
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: the child makes system calls only.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            writer.write_all(&[1]).unwrap();
            // SAFETY: has no precondition.
            unsafe { libc::sleep(60) };
            // SAFETY: has no precondition.
            unsafe { libc::_exit(0) };
        }
        // The handlers of the fork have run in the child.
        reader.read_exact(&mut [0]).unwrap();
        say(&forked.to_string());
        wait_for_end();
    }

    #[test]
    fn forked_child_holds_no_lock_for_wine() {
        let place = tempfile::tempdir().unwrap();
        let mut process = child("ours::child_forks_for_wine", place.path());
        let forked: i32 = process.hear().parse().unwrap();
        let path = place.path().join("x.mmst");
        assert!(!is_free(&path));
        process.kill();
        let free = is_free(&path);
        // SAFETY: the process was started by the child of this test, and sleeps.
        assert_eq!(unsafe { libc::kill(forked, libc::SIGKILL) }, 0);
        assert!(free);
    }
}
