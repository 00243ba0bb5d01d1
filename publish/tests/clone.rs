//! A child made without the fork handlers.
#![allow(missing_docs, unsafe_code)]
#![cfg(target_os = "linux")] // a bare clone

mod support;

use mmstats::{Counter, Error, Gauge, Options, Publisher, Stats};
use mmstats_observe::{FileState, Observer, OwnedValue, Sources, totals};
use support::file_names;

#[derive(Stats)]
struct Web {
    requests: Counter,
    depth: Gauge<u64>,
}

#[test]
fn child_of_a_bare_clone_leaves_the_files_alone() {
    let place = tempfile::tempdir().unwrap();
    let publisher: Publisher<Web> = Options::new().directory(place.path()).start().unwrap();
    let stats = publisher.lane().unwrap();
    stats.requests.add(3);
    stats.depth.set(7);
    let names = file_names(place.path());
    // A fork of which the C library, and the handlers, know nothing.
    // SAFETY: as `fork`: no stack and no place for ids is given; the child ends below.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if child == 0 {
        let is_forked = matches!(publisher.problem(), Some(Error::Forked));
        drop(stats);
        drop(publisher);
        // SAFETY: ends the child without running anything of the test.
        unsafe { libc::_exit(if is_forked { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    unsafe { libc::waitpid(libc::pid_t::try_from(child).unwrap(), &raw mut status, 0) };
    assert_eq!(status, 0, "the child knows that it is one");
    assert_eq!(file_names(place.path()), names);
    stats.requests.incr();
    let mut observer = Observer::new(Sources::new().path(place.path()));
    observer.refresh();
    assert!(observer.files().iter().all(|file| file.state() == FileState::Live));
    let value = |label: &str| {
        let all = totals(observer.files());
        all.into_iter().find(|total| total.field.label == label).and_then(|t| t.reading.value)
    };
    assert_eq!(value("requests"), Some(OwnedValue::Unsigned(4)));
    assert_eq!(value("depth"), Some(OwnedValue::Unsigned(7)));
}
