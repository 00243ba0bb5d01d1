//! Files that go away while somebody looks, and every other exception.
#![allow(missing_docs)]
#![allow(unsafe_code)] // raises exceptions
#![cfg(windows)] // what Unix does has its own tests

use mmstats_windows as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use backend::{ErrorKind, guard, open};
use mmstats_core::Memory;
use util::{child, child_path, published, say, word};
use windows_sys::Win32::Foundation::{EXCEPTION_ACCESS_VIOLATION, EXCEPTION_IN_PAGE_ERROR};
use windows_sys::Win32::System::Diagnostics::Debug::RaiseException;

/// What the system does where a page at `address` cannot be read or written.
fn fault(code: i32, write: bool, address: usize) {
    let numbers = [usize::from(write), address, 0xC000_0185];
    // SAFETY: three numbers are there, as is said.
    unsafe { RaiseException(code.cast_unsigned(), 0, 3, numbers.as_ptr()) };
}

#[test]
fn file_that_goes_away_reads_as_zeros_and_is_damaged() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let opened = open(&path).unwrap();
    assert!(guard::is_installed());
    let last = (1 << 20) - 4;
    assert_eq!(word(opened.mapping(), last).load(Relaxed), 0x0101_0101);
    assert!(!opened.mapping().is_damaged());

    let address = opened.mapping().base().addr().get();
    fault(EXCEPTION_IN_PAGE_ERROR, false, address + last);
    assert!(opened.mapping().is_damaged());
    assert_eq!(word(opened.mapping(), last).load(Relaxed), 0);
    assert_eq!(word(opened.mapping(), 0).load(Relaxed), 0);
    // A thread that came between the two steps goes on.
    fault(EXCEPTION_ACCESS_VIOLATION, false, address);
    // Another mapping of the same file has its own verdict.
    let again = open(&path).unwrap();
    assert!(!again.mapping().is_damaged());
    assert_eq!(word(again.mapping(), 0).load(Relaxed), 0x0101_0101);
}

#[test]
fn guarded_writer_survives_too() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 16_384);
    guard::install().unwrap();
    fault(EXCEPTION_IN_PAGE_ERROR, true, file.mapping().base().addr().get() + 8192);
    word(file.mapping(), 8192).store(1, Relaxed);
    assert_eq!(word(file.mapping(), 8192).load(Relaxed), 1);
    assert!(file.mapping().is_damaged());
}

#[test]
fn many_files_go_away_under_many_readers() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, [1; 20_000]).unwrap();
    for _ in 0..50 {
        let opened = open(&path).unwrap();
        let address = opened.mapping().base().addr().get();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Reads what is there, zeros, or nothing for an instant.
                    while word(opened.mapping(), 16_384).load(Relaxed) != 0 {}
                    assert!(opened.mapping().is_damaged());
                });
            }
            fault(EXCEPTION_IN_PAGE_ERROR, false, address);
        });
    }
}

/// Nobody makes a mapped file smaller on Windows; but under wine its Linux side may.
#[test]
fn truncated_file_reads_as_zeros_and_is_damaged() {
    if !util::is_wine() {
        eprintln!("skipped: Windows refuses to truncate a mapped file");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let opened = open(&path).unwrap();
    util::on_linux("truncate", &["-s", "0"], &path);
    let start = Instant::now();
    while opened.size_now().unwrap() > 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "nobody truncated {path:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(word(opened.mapping(), (1 << 20) - 4).load(Relaxed), 0);
    assert!(opened.mapping().is_damaged());
    assert_eq!(open(&path).unwrap_err().kind(), ErrorKind::Empty);
}

/// With the guard in place.
fn guarded(path: &Path) {
    let own = path.join("own.mmst");
    fs::write(&own, [1; 4096]).unwrap();
    drop(open(&own).unwrap());
    assert!(guard::is_installed());
    say("now");
}

#[test]
fn child_with_a_foreign_fault() {
    let Some(path) = child_path() else { return };
    guarded(&path);
    fault(EXCEPTION_IN_PAGE_ERROR, false, 0x1_0000);
    say("survived");
}

#[test]
fn child_that_writes_what_it_may_not() {
    let Some(path) = child_path() else { return };
    guarded(&path);
    let opened = open(&path.join("own.mmst")).unwrap();
    // SAFETY: not safe at all, that is the point: the page is read-only.
    unsafe { opened.mapping().base().write_volatile(2) };
    say("survived");
}

#[test]
fn other_faults_end_the_process_as_ever() {
    for (name, code) in [
        ("child_with_a_foreign_fault", EXCEPTION_IN_PAGE_ERROR),
        ("child_that_writes_what_it_may_not", EXCEPTION_ACCESS_VIOLATION),
    ] {
        let place = tempfile::tempdir().unwrap();
        let mut process = child(name, place.path());
        assert_eq!(process.hear(), "now");
        let status = process.child.wait().unwrap();
        // wine gives the code of its debugger.
        let expected = if util::is_wine() { status.code() } else { Some(code) };
        assert_eq!(status.code(), expected, "{name}");
        assert!(!status.success(), "{name}");
        assert!(!process.rest().contains("survived"), "{name}");
    }
}
