//! Files truncated while they are mapped, and other causes of SIGBUS.
#![allow(missing_docs)]
#![allow(unsafe_code)] // raises and handles signals
#![cfg(unix)] // the backend of these systems

use mmstats_unix as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use mmstats_unix::{ErrorKind, fault_handler, open};
use util::{child, child_path, published, say, word};

fn truncate(path: &Path, len: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[test]
fn truncated_file_reads_as_zeros_and_is_damaged() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let opened = open(&path).unwrap();
    assert!(fault_handler::is_installed());
    let last = (1 << 20) - 4;
    assert_eq!(word(opened.mapping(), last).load(Relaxed), 0x0101_0101);
    assert!(!opened.mapping().is_damaged());

    truncate(&path, 1 << 19);
    assert_eq!(word(opened.mapping(), last).load(Relaxed), 0);
    assert!(opened.mapping().is_damaged());
    // Bytes that are still in the file are still read.
    assert_eq!(word(opened.mapping(), 0).load(Relaxed), 0x0101_0101);
    // The fault was on the last page; those before it fault too, and then no more.
    for offset in ((1 << 19)..(1 << 20)).step_by(4) {
        assert_eq!(word(opened.mapping(), offset).load(Relaxed), 0);
    }
    // Another mapping of the same file has its own verdict.
    assert!(!open(&path).unwrap().mapping().is_damaged());
    truncate(&path, 0);
    assert_eq!(word(opened.mapping(), 0).load(Relaxed), 0);
    assert_eq!(open(&path).unwrap_err().kind(), ErrorKind::Empty);
}

#[test]
fn truncation_of_many_files_under_many_readers_reads_as_zeros() {
    let place = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..200).map(|i| place.path().join(format!("{i}.mmst"))).collect();
    std::thread::scope(|scope| {
        for part in paths.chunks(50) {
            scope.spawn(move || {
                let opened: Vec<_> = part
                    .iter()
                    .map(|path| {
                        fs::write(path, vec![1; 20_000]).unwrap();
                        open(path).unwrap()
                    })
                    .collect();
                for (at, opened) in opened.iter().enumerate() {
                    if at % 2 == 0 {
                        truncate(&opened.info().path, 0);
                    }
                    let sum: u64 = (0..5000)
                        .map(|i| u64::from(word(opened.mapping(), i * 4).load(Relaxed)))
                        .sum();
                    assert_eq!(sum, if at % 2 == 0 { 0 } else { 5000 * 0x0101_0101 });
                    assert_eq!(opened.mapping().is_damaged(), at % 2 == 0);
                }
            });
        }
    });
}

#[test]
fn writer_with_fault_handler_survives_truncation() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 16_384);
    fault_handler::install().unwrap();
    truncate(file.path(), 0);
    word(file.mapping(), 8192).store(1, Relaxed);
    assert_eq!(word(file.mapping(), 8192).load(Relaxed), 1);
    assert!(file.mapping().is_damaged());
}

/// Truncates and accesses a mapping that is not of this crate.
fn touch_foreign(path: &Path) {
    fs::write(path, [1; 4096]).unwrap();
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    use std::os::fd::AsRawFd;
    // SAFETY: the system chooses the address.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    assert_ne!(base, libc::MAP_FAILED);
    file.set_len(0).unwrap();
    // SAFETY: deliberately invalid: the page is lost.
    unsafe { base.cast::<u8>().read_volatile() };
}

/// Installs the fault handler and lets it handle a fault.
fn survive_a_fault(path: &Path) {
    let own = path.join("own.mmst");
    fs::write(&own, [1; 4096]).unwrap();
    let opened = open(&own).unwrap();
    truncate(&own, 0);
    assert_eq!(word(opened.mapping(), 0).load(Relaxed), 0);
    assert!(opened.mapping().is_damaged());
}

#[test]
fn child_with_a_foreign_fault() {
    let Some(path) = child_path() else { return };
    survive_a_fault(&path);
    say("now");
    touch_foreign(&path.join("foreign"));
    say("survived");
}

#[test]
fn child_with_a_sent_signal() {
    let Some(path) = child_path() else { return };
    // The handler of the standard library ignores the first sent signal.
    handle(libc::SIG_DFL, 0);
    survive_a_fault(&path);
    say("now");
    // SAFETY: has no precondition.
    unsafe { libc::raise(libc::SIGBUS) };
    say("survived");
}

#[test]
fn foreign_faults_and_signals_end_the_process() {
    for name in ["child_with_a_foreign_fault", "child_with_a_sent_signal"] {
        let place = tempfile::tempdir().unwrap();
        let mut process = child(name, place.path());
        assert_eq!(process.hear(), "now");
        let status = process.child.wait().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGBUS), "{name}: {status}");
    }
}

static CAUGHT: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn short_handler(_: libc::c_int) {
    CAUGHT.fetch_add(1, Relaxed);
}

unsafe extern "C" fn full_handler(
    _: libc::c_int,
    info: *mut libc::siginfo_t,
    _: *mut libc::c_void,
) {
    // SAFETY: the system passes a valid pointer.
    let info = unsafe { &*info };
    assert_eq!(info.si_signo, libc::SIGBUS);
    CAUGHT.fetch_add(10, Relaxed);
}

fn handle(address: usize, flags: libc::c_int) {
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = address;
    action.sa_flags = flags;
    // SAFETY: the handler has the form that the flags say.
    let code = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) };
    assert_eq!(code, 0);
}

fn caught_by(address: usize, flags: libc::c_int) -> usize {
    let Some(path) = child_path() else { return 0 };
    handle(address, flags);
    survive_a_fault(&path);
    assert_eq!(CAUGHT.load(Relaxed), 0, "our own fault was passed on");
    // SAFETY: has no precondition.
    unsafe { libc::raise(libc::SIGBUS) };
    say(&CAUGHT.load(Relaxed).to_string());
    CAUGHT.load(Relaxed)
}

#[test]
fn child_with_a_short_handler() {
    caught_by(short_handler as *const () as usize, 0);
}

#[test]
fn child_with_a_full_handler() {
    caught_by(full_handler as *const () as usize, libc::SA_SIGINFO);
}

#[test]
fn child_that_ignores_the_signal() {
    caught_by(libc::SIG_IGN, 0);
}

#[test]
fn previous_handlers_get_foreign_signals() {
    for (name, caught) in [
        ("child_with_a_short_handler", "1"),
        ("child_with_a_full_handler", "10"),
        ("child_that_ignores_the_signal", "0"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let mut process = child(name, place.path());
        assert_eq!(process.hear(), caught, "{name}");
    }
}

#[test]
fn child_with_a_replaced_handler() {
    let Some(path) = child_path() else { return };
    survive_a_fault(&path);
    assert!(fault_handler::is_installed());
    handle(short_handler as *const () as usize, 0);
    say(&fault_handler::is_installed().to_string());
}

#[test]
fn is_installed_after_replacement_is_false() {
    let place = tempfile::tempdir().unwrap();
    let mut process = child("child_with_a_replaced_handler", place.path());
    assert_eq!(process.hear(), "false");
}

/// As Python's `faulthandler`: restores the handler before it and raises the signal again.
unsafe extern "C" fn handler_that_raises_again(signal: libc::c_int) {
    CAUGHT.fetch_add(100, Relaxed);
    // SAFETY: `BEFORE` was filled by `handle_and_raise_again`.
    unsafe { libc::sigaction(signal, BEFORE.0.get(), std::ptr::null_mut()) };
    // SAFETY: has no precondition.
    unsafe { libc::raise(signal) };
}

struct Before(std::cell::UnsafeCell<libc::sigaction>);
// SAFETY: written before the handler that reads it is installed.
unsafe impl Sync for Before {}
// SAFETY: a structure of integers, for which zeros are valid.
static BEFORE: Before = Before(std::cell::UnsafeCell::new(unsafe { std::mem::zeroed() }));

fn handle_and_raise_again(flags: libc::c_int) {
    // SAFETY: a query; `BEFORE` has room for the action.
    unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), BEFORE.0.get()) };
    handle(handler_that_raises_again as *const () as usize, flags);
}

/// Truncates two files under a later handler, and lives on.
fn survive_under_a_later_handler(flags: libc::c_int) {
    let Some(path) = child_path() else { return };
    let opened: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let path = path.join(name);
            fs::write(&path, vec![1; 1 << 20]).unwrap();
            open(&path).unwrap()
        })
        .into();
    handle_and_raise_again(flags);
    for (at, len) in [(0, 0), (2, 12_288)] {
        truncate(&opened[at].info().path, len);
        assert_eq!(word(opened[at].mapping(), (1 << 20) - 4).load(Relaxed), 0);
        assert!(opened[at].mapping().is_damaged());
    }
    assert_eq!(word(opened[2].mapping(), 8192).load(Relaxed), 0x0101_0101);
    assert_eq!(word(opened[2].mapping(), 12_288).load(Relaxed), 0);
    assert_eq!(word(opened[1].mapping(), 0).load(Relaxed), 0x0101_0101);
    assert!(!opened[1].mapping().is_damaged());
    say(&CAUGHT.load(Relaxed).to_string());
}

#[test]
fn child_under_a_handler_that_raises_again_at_once() {
    survive_under_a_later_handler(libc::SA_NODEFER);
}

#[test]
fn child_under_a_handler_that_raises_again_later() {
    survive_under_a_later_handler(0);
}

#[test]
fn truncation_under_a_later_handler_that_raises_again_reads_as_zeros() {
    for name in [
        "child_under_a_handler_that_raises_again_at_once",
        "child_under_a_handler_that_raises_again_later",
    ] {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(child(name, place.path()).hear(), "100", "{name}");
    }
}

#[test]
fn child_with_a_later_handler_and_a_foreign_fault() {
    let Some(path) = child_path() else { return };
    handle(libc::SIG_DFL, 0);
    survive_a_fault(&path);
    handle_and_raise_again(libc::SA_NODEFER);
    say("now");
    touch_foreign(&path.join("foreign"));
    say("survived");
}

#[test]
fn child_with_a_later_handler_and_a_sent_signal() {
    let Some(path) = child_path() else { return };
    handle(libc::SIG_DFL, 0);
    survive_a_fault(&path);
    handle_and_raise_again(libc::SA_NODEFER);
    say("now");
    util::wait_for_end();
    say("survived");
}

#[test]
fn foreign_faults_and_signals_under_a_later_handler_end_the_process() {
    let place = tempfile::tempdir().unwrap();
    let mut process = child("child_with_a_later_handler_and_a_foreign_fault", place.path());
    assert_eq!(process.hear(), "now");
    assert_eq!(process.child.wait().unwrap().signal(), Some(libc::SIGBUS));
    let mut process = child("child_with_a_later_handler_and_a_sent_signal", place.path());
    assert_eq!(process.hear(), "now");
    let pid = libc::pid_t::try_from(process.child.id()).unwrap();
    // SAFETY: the process belongs to this test.
    unsafe { libc::kill(pid, libc::SIGBUS) };
    assert_eq!(process.child.wait().unwrap().signal(), Some(libc::SIGBUS));
}

/// The handler that ours found at its second installation calls ours.
unsafe extern "C" fn handler_that_calls_ours(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    CAUGHT.fetch_add(1000, Relaxed);
    // SAFETY: `BEFORE` was filled by the child.
    let before = unsafe { (*BEFORE.0.get()).sa_sigaction };
    type Full = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    // SAFETY: the handler of the backend, which has this form.
    let before = unsafe { std::mem::transmute::<usize, Full>(before) };
    // SAFETY: called as the system would.
    unsafe { before(signal, info, context) };
}

#[test]
fn child_with_handlers_that_call_each_other() {
    let Some(path) = child_path() else { return };
    handle(full_handler as *const () as usize, libc::SA_SIGINFO);
    survive_a_fault(&path);
    // SAFETY: a query; `BEFORE` has room for the action.
    unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), BEFORE.0.get()) };
    let address = handler_that_calls_ours as *const () as usize;
    handle(address, libc::SA_SIGINFO | libc::SA_NODEFER);
    assert!(!fault_handler::is_installed());
    fault_handler::install().unwrap();
    assert!(fault_handler::is_installed());
    survive_a_fault(&path);
    assert_eq!(CAUGHT.load(Relaxed), 0, "our own fault was passed on");
    for _ in 0..3 {
        // SAFETY: has no precondition.
        unsafe { libc::raise(libc::SIGBUS) };
    }
    say(&CAUGHT.load(Relaxed).to_string());
}

#[test]
fn install_in_front_of_a_later_handler_passes_on_to_all() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(child("child_with_handlers_that_call_each_other", place.path()).hear(), "3030");
}

/// The signal that it raises arrives when it has returned.
#[test]
fn child_with_a_later_handler_without_nodefer() {
    let Some(path) = child_path() else { return };
    handle(libc::SIG_DFL, 0);
    survive_a_fault(&path);
    handle_and_raise_again(0);
    fault_handler::install().unwrap();
    assert!(!fault_handler::is_installed());
    survive_a_fault(&path);
    assert_eq!(CAUGHT.load(Relaxed), 100);
    handle_and_raise_again(0);
    fault_handler::install().unwrap();
    // SAFETY: has no precondition; ends an endless loop.
    unsafe { libc::alarm(20) };
    say("now");
    // SAFETY: has no precondition.
    unsafe { libc::raise(libc::SIGBUS) };
    say("survived");
}

#[test]
fn foreign_signal_under_a_later_handler_without_nodefer_ends_the_process() {
    let place = tempfile::tempdir().unwrap();
    let mut process = child("child_with_a_later_handler_without_nodefer", place.path());
    assert_eq!(process.hear(), "now");
    assert_eq!(process.child.wait().unwrap().signal(), Some(libc::SIGBUS));
    assert_eq!(process.rest(), "");
}

#[test]
fn child_that_took_the_handler_away() {
    let Some(path) = child_path() else { return };
    for (taken, count) in [libc::SIG_DFL, libc::SIG_IGN].into_iter().zip(1..) {
        survive_a_fault(&path);
        handle(taken, 0);
        assert!(!fault_handler::is_installed());
        fault_handler::install().unwrap();
        assert!(fault_handler::is_installed(), "installation {count}");
    }
    survive_a_fault(&path);
    say("survived");
}

#[test]
fn install_after_default_action_survives_a_fault_again() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(child("child_that_took_the_handler_away", place.path()).hear(), "survived");
}
