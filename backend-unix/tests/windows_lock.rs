//! The lock of Windows, as a program under wine holds it, counts as a writer's too.
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
use backend::{Removal, SweepOptions, is_locked, open, remove_if_dead, sweep};
use util::{child, child_path, published, say, wait_for_end};

#[test]
fn child_locks_as_wine_does() {
    let Some(path) = child_path() else { return };
    let file = File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: plain numbers, all zero is valid.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK.try_into().unwrap();
    lock.l_whence = libc::SEEK_SET.try_into().unwrap();
    lock.l_start = 1 << 32;
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and the lock a valid value.
    let code = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
    assert_eq!(code, 0);
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
    process.kill();
    assert!(!opened.is_locked().unwrap());
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Removed));
}
