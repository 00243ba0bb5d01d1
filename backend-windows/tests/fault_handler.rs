//! Files lost while they are mapped, and other exceptions.
#![allow(missing_docs)]
#![allow(unsafe_code)] // raises exceptions
#![cfg(windows)] // the backend of this system

use mmstats_windows as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use backend::{ErrorKind, fault_handler, open};
use mmstats_core::{Memory, ReadMemory};
use util::{child, child_path, published, say, word};
use windows_sys::Win32::Foundation::{EXCEPTION_ACCESS_VIOLATION, EXCEPTION_IN_PAGE_ERROR};
use windows_sys::Win32::System::Diagnostics::Debug::RaiseException;

/// Raises the exception for a page at `address` that cannot be read or written.
fn fault(code: i32, write: bool, address: usize) {
    let numbers = [usize::from(write), address, 0xC000_0185];
    // SAFETY: `numbers` has three elements.
    unsafe { RaiseException(code.cast_unsigned(), 0, 3, numbers.as_ptr()) };
}

#[test]
fn lost_file_reads_as_zeros_and_is_damaged() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let opened = open(&path).unwrap();
    assert!(fault_handler::is_installed());
    let last = (1 << 20) - 4;
    assert_eq!(word(opened.mapping(), last).load(Relaxed), 0x0101_0101);
    assert!(!opened.mapping().is_damaged());

    let address = opened.mapping().base().addr().get();
    fault(EXCEPTION_IN_PAGE_ERROR, false, address + last);
    assert!(opened.mapping().is_damaged());
    assert_eq!(word(opened.mapping(), last).load(Relaxed), 0);
    assert_eq!(word(opened.mapping(), 0).load(Relaxed), 0);
    // An access between unmapping and mapping is retried.
    fault(EXCEPTION_ACCESS_VIOLATION, false, address);
    // Another mapping of the same file is judged separately.
    let again = open(&path).unwrap();
    assert!(!again.mapping().is_damaged());
    assert_eq!(word(again.mapping(), 0).load(Relaxed), 0x0101_0101);
}

#[test]
fn writer_with_fault_handler_survives_truncation() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 16_384);
    fault_handler::install().unwrap();
    fault(EXCEPTION_IN_PAGE_ERROR, true, file.mapping().base().addr().get() + 8192);
    word(file.mapping(), 8192).store(1, Relaxed);
    assert_eq!(word(file.mapping(), 8192).load(Relaxed), 1);
    assert!(file.mapping().is_damaged());
}

#[test]
fn loss_of_a_file_under_many_readers_reads_as_zeros() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, [1; 20_000]).unwrap();
    for _ in 0..50 {
        let opened = open(&path).unwrap();
        let address = opened.mapping().base().addr().get();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Reads bytes or zeros, or faults for an instant.
                    while word(opened.mapping(), 16_384).load(Relaxed) != 0 {}
                    assert!(opened.mapping().is_damaged());
                });
            }
            fault(EXCEPTION_IN_PAGE_ERROR, false, address);
        });
    }
}

/// Windows refuses to truncate a mapped file; under wine a Linux program can.
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
        assert!(start.elapsed() < Duration::from_secs(60), "not truncated: {path:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(word(opened.mapping(), (1 << 20) - 4).load(Relaxed), 0);
    assert!(opened.mapping().is_damaged());
    assert_eq!(open(&path).unwrap_err().kind(), ErrorKind::Empty);
}

/// Installs the fault handler.
fn survive_a_fault(path: &Path) {
    let own = path.join("own.mmst");
    fs::write(&own, [1; 4096]).unwrap();
    drop(open(&own).unwrap());
    assert!(fault_handler::is_installed());
    say("now");
}

#[test]
fn child_with_a_foreign_fault() {
    let Some(path) = child_path() else { return };
    survive_a_fault(&path);
    fault(EXCEPTION_IN_PAGE_ERROR, false, 0x1_0000);
    say("survived");
}

#[test]
fn child_that_writes_a_read_only_mapping() {
    let Some(path) = child_path() else { return };
    survive_a_fault(&path);
    let opened = open(&path.join("own.mmst")).unwrap();
    // SAFETY: deliberately invalid: the page is read-only.
    unsafe { opened.mapping().base().write_volatile(2) };
    say("survived");
}

#[test]
fn other_faults_end_the_process() {
    for (name, code) in [
        ("child_with_a_foreign_fault", EXCEPTION_IN_PAGE_ERROR),
        ("child_that_writes_a_read_only_mapping", EXCEPTION_ACCESS_VIOLATION),
    ] {
        let place = tempfile::tempdir().unwrap();
        let mut process = child(name, place.path());
        assert_eq!(process.hear(), "now");
        let status = process.child.wait().unwrap();
        // wine returns the code of its debugger.
        let expected = if util::is_wine() { status.code() } else { Some(code) };
        assert_eq!(status.code(), expected, "{name}");
        assert!(!status.success(), "{name}");
        assert!(!process.rest().contains("survived"), "{name}");
    }
}
