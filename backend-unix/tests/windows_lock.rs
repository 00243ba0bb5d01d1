//! The lock of Windows, as a program under wine holds it, counts as a writer's too; and a writer
//! here holds what such a program asks for.
#![allow(missing_docs)]
#![allow(unsafe_code)] // takes a lock that rustix does not offer
#![cfg(unix)] // elsewhere there is nothing to test

use mmstats_unix as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Duration;

use backend::directory::Directory;
use backend::{ErrorKind, Removal, SweepOptions, is_locked, open, remove_if_dead, reopen, sweep};
use util::{child, child_path, published, say, wait_for_end};

/// Locks the byte as the server of wine does for a program; false where somebody has it.
fn lock_as_wine_does(file: &File, kind: i32) -> bool {
    // SAFETY: plain numbers, all zero is valid.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind.try_into().unwrap();
    lock.l_whence = libc::SEEK_SET.try_into().unwrap();
    lock.l_start = 1 << 32;
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and the lock a valid value.
    let code = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
    let error = std::io::Error::last_os_error();
    assert!(code == 0 || error.kind() == std::io::ErrorKind::WouldBlock, "{error}");
    code == 0
}

#[test]
fn child_locks_as_wine_does() {
    let Some(path) = child_path() else { return };
    let file = File::options().read(true).write(true).open(path).unwrap();
    assert!(lock_as_wine_does(&file, libc::F_WRLCK));
    say("locked");
    wait_for_end();
}

#[test]
fn a_lock_of_wine_is_a_lock() {
    let place = tempfile::tempdir().unwrap();
    let path = published(place.path(), "x.mmst", 4096).path().to_owned();
    let opened = open(&path).unwrap();
    assert!(!opened.is_locked().unwrap());
    let mut process = child("child_locks_as_wine_does", &path);
    assert_eq!(process.hear(), "locked");
    assert!(opened.is_locked().unwrap());
    assert!(is_locked(&path).unwrap());
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Live));
    let options = SweepOptions { keep: 0, temporary_age: Duration::ZERO, dry_run: false };
    let swept = sweep(&Directory::open(place.path()).unwrap(), &options, &|_| true).unwrap();
    assert!(matches!(swept[0].removal, Removal::Live), "{swept:?}");
    assert_eq!(reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
    process.kill();
    drop(reopen(&path).unwrap());
    assert!(!opened.is_locked().unwrap());
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Removed));
}

#[test]
fn child_asks_as_wine_does() {
    let Some(path) = child_path() else { return };
    let file = File::open(path).unwrap();
    assert!(lock_as_wine_does(&file, libc::F_RDLCK));
    say("asks");
    wait_for_end();
}

#[test]
fn who_only_asks_is_no_writer() {
    let place = tempfile::tempdir().unwrap();
    let path = published(place.path(), "x.mmst", 4096).path().to_owned();
    let mut process = child("child_asks_as_wine_does", &path);
    assert_eq!(process.hear(), "asks");
    assert!(!is_locked(&path).unwrap());
    // A sweeper asks in the same way, and they are not in each other's way.
    assert!(matches!(remove_if_dead(&path, true).unwrap(), Removal::WouldRemove));
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Removed));
}

#[cfg(target_os = "linux")] // which has locks of this kind that belong to an open file
mod ours {
    use super::*;
    use std::sync::Arc;

    /// What a tool under wine finds.
    fn is_free(path: &std::path::Path) -> bool {
        let file = File::open(path).unwrap();
        let free = lock_as_wine_does(&file, libc::F_RDLCK);
        assert!(!free || lock_as_wine_does(&file, libc::F_UNLCK));
        free
    }

    #[test]
    fn a_writer_here_is_one_for_wine() {
        let place = tempfile::tempdir().unwrap();
        let file = published(place.path(), "x.mmst", 4096);
        let path = file.path().to_owned();
        // Asking closes the file, which would cost a lock of POSIX.
        for _ in 0..2 {
            assert!(!is_free(&path));
            assert!(is_locked(&path).unwrap());
        }
        // Handles may keep the memory; the lock goes with the file.
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
    fn a_killed_writer_is_dead_for_wine() {
        let place = tempfile::tempdir().unwrap();
        let mut process = child("ours::child_publishes_for_wine", place.path());
        assert_eq!(process.hear(), "published");
        let path = place.path().join("x.mmst");
        assert!(!is_free(&path));
        process.kill();
        assert!(is_free(&path));
    }

    #[test]
    fn child_forks_and_ends() {
        let Some(path) = child_path() else { return };
        let _file = published(&path, "x.mmst", 4096);
        // SAFETY: the child does nothing but system calls.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            // SAFETY: has no precondition.
            unsafe { libc::sleep(60) };
            // SAFETY: has no precondition.
            unsafe { libc::_exit(0) };
        }
        say(&forked.to_string());
        wait_for_end();
    }

    #[test]
    fn a_forked_child_keeps_nothing_locked_for_wine() {
        let place = tempfile::tempdir().unwrap();
        let mut process = child("ours::child_forks_and_ends", place.path());
        let forked: i32 = process.hear().parse().unwrap();
        let path = place.path().join("x.mmst");
        assert!(!is_free(&path));
        process.kill();
        let free = is_free(&path);
        // SAFETY: ends a process that the child of this test has started, and that sleeps.
        assert_eq!(unsafe { libc::kill(forked, libc::SIGKILL) }, 0);
        assert!(free);
    }
}
