//! A full file system is an error at creation, not a signal later.
#![allow(missing_docs)]
#![cfg(target_os = "linux")] // mounts a tmpfs

use mmstats_unix as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::fs;
use std::sync::atomic::Ordering::Relaxed;

use mmstats_unix::directory::Directory;
use mmstats_unix::{Access, ErrorKind, create, reopen};
use util::{Mounted, names, published, word};

#[test]
fn create_on_full_file_system_fails_and_leaves_nothing() {
    let Some(small) = Mounted::new("tmpfs", "size=64k") else { return };
    let directory = Directory::open(small.path()).unwrap();
    assert_eq!(directory.is_memory_backed().unwrap(), Some(true));

    let error = create(&directory, "large.mmst", 128 << 10, Access::Owner).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let want = format!(
        "cannot create {}: no space left on device (os error 28)",
        small.path().join("large.mmst").display()
    );
    assert_eq!(error.to_string(), want);
    assert!(names(small.path()).is_empty());

    // An existing file keeps working when the file system is full.
    let file = published(small.path(), "small.mmst", 32 << 10);
    let error = create(&directory, "more.mmst", 48 << 10, Access::Owner).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let _ = fs::write(small.path().join("rest"), vec![1; 64 << 10]);
    for offset in (0..32 << 10).step_by(4096) {
        word(file.mapping(), offset).store(1, Relaxed);
    }
    assert_eq!(names(small.path()), ["rest", "small.mmst"]);
}

#[test]
fn reopen_fills_holes_or_fails() {
    let Some(small) = Mounted::new("tmpfs", "size=64k") else { return };
    let path = small.path().join("sparse.mmst");
    fs::File::create(&path).unwrap().set_len(128 << 10).unwrap();
    let error = reopen(&path).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (&ErrorKind::NoSpace, Some(libc::ENOSPC)));
    fs::File::options().write(true).open(&path).unwrap().set_len(16 << 10).unwrap();
    let file = reopen(&path).unwrap();
    let _ = fs::write(small.path().join("rest"), vec![1; 64 << 10]);
    for offset in (0..16 << 10).step_by(4096) {
        word(file.mapping(), offset).store(1, Relaxed);
    }
}

#[test]
fn create_without_fallocate_writes_zeros() {
    // A ramfs has no fallocate.
    let Some(memory) = Mounted::new("ramfs", "mode=0700") else { return };
    let file = published(memory.path(), "x.mmst", 100_001);
    assert_eq!(fs::metadata(file.path()).unwrap().len(), 100_001);
    word(file.mapping(), 98_304).store(1, Relaxed);
    assert_eq!(Directory::open(memory.path()).unwrap().is_memory_backed().unwrap(), Some(true));
}

#[test]
fn create_on_read_only_file_system_fails() {
    let Some(memory) = Mounted::new("tmpfs", "ro") else { return };
    let directory = Directory::open(memory.path()).unwrap();
    let error = create(&directory, "x.mmst", 4096, Access::Owner).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
}
