//! A forked child writes no file of its parent and keeps no lock.
#![allow(missing_docs)]
#![allow(unsafe_code)] // forks
#![cfg(unix)] // the backend of these systems

use mmstats_unix as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard};

use mmstats_unix::{ErrorKind, Standing, fork, is_locked, open};
use rustix::fs::{FlockOperation, flock};
use util::{child, child_path, names, new_file, published, say, wait_for_end, word};

/// Serialises the tests: a fork in one would inherit the pipes of another.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A forked child that runs `action`; its result, 0 to 100, is the exit code.
struct Forked(libc::pid_t);

impl Forked {
    fn new(action: impl FnOnce() -> u8) -> Self {
        // SAFETY: the child runs `action` and ends; it takes no lock that another thread of this
        // process may hold, except that of the allocator, which the C library resets.
        match unsafe { libc::fork() } {
            -1 => panic!("{}", std::io::Error::last_os_error()),
            0 => {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
                // SAFETY: ends the child, without the exit handlers of the test harness.
                unsafe { libc::_exit(i32::from(result.unwrap_or(101))) }
            }
            pid => Self(pid),
        }
    }

    fn result(self) -> i32 {
        let mut status = 0;
        // SAFETY: `status` has room for an int.
        assert_eq!(unsafe { libc::waitpid(self.0, &raw mut status, 0) }, self.0);
        assert!(libc::WIFEXITED(status), "status {status:x}");
        libc::WEXITSTATUS(status)
    }
}

#[test]
fn forked_child_writes_a_private_copy() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 20_000);
    let opened = open(file.path()).unwrap();
    word(file.mapping(), 0).store(5, Relaxed);
    word(file.mapping(), 16_384).store(6, Relaxed);
    let before = fork::generation();

    let (mut hold, mut go) = pipe();
    let (mut heard, mut say) = pipe();
    let child = Forked::new(|| {
        // The handle keeps working, at the same address. The first store to a page copies it; until
        // then the page shows the values of the parent.
        let counter = word(file.mapping(), 0);
        counter.store(5, Relaxed);
        say.write_all(&[1]).unwrap();
        for _ in 0..1000 {
            counter.store(counter.load(Relaxed) + 1, Relaxed);
        }
        word(file.mapping(), 16_384).store(60, Relaxed);
        let _ = hold.read(&mut [0]);
        let right = counter.load(Relaxed) == 1005
            && word(file.mapping(), 16_384).load(Relaxed) == 60
            && fork::forked()
            && fork::generation() == before + 1;
        u8::from(right)
    });
    // Both write concurrently, without an effect on each other.
    heard.read_exact(&mut [0]).unwrap();
    for _ in 0..7 {
        let counter = word(file.mapping(), 0);
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }
    go.write_all(&[1]).unwrap();
    assert_eq!(child.result(), 1);
    assert_eq!(word(opened.mapping(), 0).load(Relaxed), 12);
    assert_eq!(word(opened.mapping(), 16_384).load(Relaxed), 6);
    assert_eq!(fork::generation(), before);
    assert!(opened.is_locked().unwrap());
}

#[test]
fn forked_child_dropping_files_changes_nothing() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let mut file = Some(published(place.path(), "x.mmst", 4096));
    let mut half_built = Some(new_file(place.path(), "y.mmst", 4096));
    let mut other = Some(new_file(place.path(), "z.mmst", 4096));
    let before = names(place.path());
    let path = place.path().join("x.mmst");
    let inode = fs::metadata(&path).unwrap().ino();

    let child = Forked::new(|| {
        // Taken in the child, so that the parent keeps its own.
        let file = file.take().unwrap();
        let forked = |kind: &ErrorKind| *kind == ErrorKind::Forked;
        let refused = file.remove().is_err_and(|error| forked(error.kind()))
            && file.flush(true).is_err_and(|error| forked(error.kind()))
            && other
                .take()
                .unwrap()
                .publish()
                .is_err_and(|unpublished| forked(unpublished.error.kind()));
        drop(file);
        drop(half_built.take());
        u8::from(refused)
    });
    assert_eq!(child.result(), 1);
    assert_eq!(names(place.path()), before);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert!(is_locked(&path).unwrap());
}

#[test]
fn forked_child_can_publish_anew() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let first = published(place.path(), "x.mmst", 4096);
    word(first.mapping(), 0).store(1, Relaxed);
    let (mut hold, mut go) = pipe();
    let (mut heard, mut say) = pipe();
    let child = Forked::new(|| {
        let second = published(place.path(), "y.mmst", 4096);
        word(second.mapping(), 0).store(2, Relaxed);
        say.write_all(&[1]).unwrap();
        let _ = hold.read(&mut [0]);
        second.remove().unwrap();
        1
    });
    heard.read_exact(&mut [0]).unwrap();
    let second = open(&place.path().join("y.mmst")).unwrap();
    assert!(second.is_locked().unwrap());
    assert_eq!(word(second.mapping(), 0).load(Relaxed), 2);
    assert_eq!(word(first.mapping(), 0).load(Relaxed), 1);
    go.write_all(&[1]).unwrap();
    assert_eq!(child.result(), 1);
    assert!(!second.is_locked().unwrap());
    assert_eq!(names(place.path()), ["x.mmst"]);
}

#[test]
fn forked_grandchild_has_a_copy_of_the_copy() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 4096);
    let child = Forked::new(|| {
        word(file.mapping(), 0).store(1, Relaxed);
        let grandchild = Forked::new(|| {
            let seen = word(file.mapping(), 0).load(Relaxed) == 1 && fork::generation() >= 2;
            word(file.mapping(), 0).store(2, Relaxed);
            u8::from(seen)
        });
        u8::from(grandchild.result() == 1 && word(file.mapping(), 0).load(Relaxed) == 1)
    });
    assert_eq!(child.result(), 1);
    assert_eq!(word(file.mapping(), 0).load(Relaxed), 0);
}

#[test]
fn forked_child_with_mapping_of_dropped_file_writes_a_copy() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 4096);
    let opened = open(file.path()).unwrap();
    let mapping = std::sync::Arc::clone(file.mapping());
    drop(file);
    let child = Forked::new(|| {
        word(&mapping, 0).store(9, Relaxed);
        1
    });
    assert_eq!(child.result(), 1);
    assert_eq!(word(opened.mapping(), 0).load(Relaxed), 0);
}

#[test]
fn forked_child_of_detached_writer_keeps_stored_values() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "x.mmst", 4096);
    file.detach().unwrap();
    word(file.mapping(), 0).store(7, Relaxed);
    let child = Forked::new(|| {
        let seen = word(file.mapping(), 0).load(Relaxed);
        word(file.mapping(), 0).store(8, Relaxed);
        u8::from(seen == 7 && file.detach().is_ok())
    });
    assert_eq!(child.result(), 1);
    assert_eq!(word(file.mapping(), 0).load(Relaxed), 7);
}

#[test]
fn forked_child_closes_no_descriptor_twice() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("other");
    fs::write(&path, "text").unwrap();
    let file = published(place.path(), "x.mmst", 4096);
    let child = Forked::new(|| {
        // One of these reuses the number of a descriptor that the handler closed.
        let mut others: Vec<_> = (0..8).map(|_| fs::File::open(&path).unwrap()).collect();
        drop(file);
        let readable = |file: &mut fs::File| file.read(&mut [0; 4]).is_ok_and(|read| read == 4);
        u8::from(others.iter_mut().all(readable))
    });
    assert_eq!(child.result(), 1);
}

#[test]
fn lock_ends_with_the_parent_while_forked_child_lives() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let mut process = child("child_forks_and_waits", place.path());
    let grandchild = KilledAtEnd(process.hear().parse().unwrap());
    let opened = open(&place.path().join("x.mmst")).unwrap();
    assert!(opened.is_locked().unwrap());
    process.kill();
    // SAFETY: signal 0 has no effect.
    assert_eq!(unsafe { libc::kill(grandchild.0, 0) }, 0, "the grandchild has ended");
    assert!(!opened.is_locked().unwrap());
}

struct KilledAtEnd(libc::pid_t);

impl Drop for KilledAtEnd {
    fn drop(&mut self) {
        // SAFETY: the process belongs to this test, and waits for its end.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

#[test]
fn child_forks_and_waits() {
    let Some(path) = child_path() else { return };
    let _file = published(&path, "x.mmst", 4096);
    let (mut hold, mut go) = pipe();
    // SAFETY: the child makes system calls only.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        go.write_all(&[1]).unwrap();
        loop {
            // SAFETY: has no precondition.
            unsafe { libc::pause() };
        }
    }
    hold.read_exact(&mut [0]).unwrap();
    say(&pid.to_string());
    wait_for_end();
}

/// Forks at any moment of creation and removal.
#[cfg(target_os = "linux")] // reads /proc
#[test]
fn forked_child_inherits_no_descriptor() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&done);
        for thread in 0..2 {
            let (place, done) = (&place, &done);
            scope.spawn(move || {
                let mut at = 0;
                while !done.load(Relaxed) {
                    let file = published(place.path(), &format!("{thread}-{at}.mmst"), 64);
                    file.remove().unwrap();
                    at += 1;
                }
            });
        }
        let results: Vec<_> = (0..300)
            .map(|_| {
                let marker = place.path().to_owned();
                Forked::new(|| {
                    let count = fs::read_dir("/proc/self/fd")
                        .unwrap()
                        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
                        .filter(|target| target.starts_with(&marker) && *target != marker)
                        .count();
                    u8::try_from(count).unwrap_or(100)
                })
                .result()
            })
            .collect();
        let leaks = results.iter().filter(|&&count| count != 0).count();
        assert_eq!(leaks, 0, "of {} children: {results:?}", results.len());
    });
}

/// Stops the threads of a test at its end, also at a panic.
#[cfg(target_os = "linux")] // reads /proc
struct SetAtEnd<'a>(&'a std::sync::atomic::AtomicBool);

#[cfg(target_os = "linux")] // reads /proc
impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn drop_after_close_of_all_descriptors_closes_no_other() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let child = Forked::new(|| {
        let file = published(place.path(), "x.mmst", 4096);
        // As daemons do.
        for fd in 3..256 {
            // SAFETY: violates ownership of the descriptors, but nothing uses them afterwards.
            unsafe { libc::close(fd) };
        }
        let others: Vec<_> = (0..8).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        drop(file);
        let open = |file: &fs::File| {
            // SAFETY: a query.
            unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) >= 0 }
        };
        u8::from(others.iter().all(open))
    });
    assert_eq!(child.result(), 1);
}

/// The numbers of the closed descriptors are those of other files then.
#[test]
fn closed_descriptors_are_noticed_and_not_used() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("other");
    fs::write(&path, [9; 4096]).unwrap();
    let child = Forked::new(|| {
        let file = published(place.path(), "x.mmst", 4096);
        word(file.mapping(), 0).store(5, Relaxed);
        assert_eq!(file.standing(), Standing::Published);
        for fd in 3..256 {
            // SAFETY: violates ownership of the descriptors, but nothing uses them afterwards.
            unsafe { libc::close(fd) };
        }
        let others: Vec<_> = (0..8).map(|_| fs::File::open(&path).unwrap()).collect();
        for other in &others {
            flock(other, FlockOperation::LockShared).unwrap();
        }
        assert_eq!((file.standing(), file.is_truncated()), (Standing::Unlocked, false));
        assert_eq!(*file.flush(true).unwrap_err().kind(), ErrorKind::DescriptorClosed);
        // A child gets a copy of the values, not of the file that has the number.
        let grandchild = Forked::new(|| {
            let value = word(file.mapping(), 0).load(Relaxed);
            word(file.mapping(), 0).store(6, Relaxed);
            u8::from(value == 5 && others.iter().all(|other| other.metadata().is_ok()))
        });
        assert_eq!(grandchild.result(), 1);
        assert_eq!(word(file.mapping(), 0).load(Relaxed), 5);
        file.detach().unwrap();
        assert_eq!(word(file.mapping(), 0).load(Relaxed), 5);
        drop(file);
        // The locks of the others were not released.
        let writer = fs::File::options().write(true).open(&path).unwrap();
        u8::from(flock(&writer, FlockOperation::NonBlockingLockExclusive).is_err())
    });
    assert_eq!(child.result(), 1);
}

/// A child of which the C library does not know.
#[cfg(target_os = "linux")] // calls the kernel by number
#[test]
fn child_of_a_bare_clone_dropping_files_changes_nothing() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let mut file = Some(published(place.path(), "x.mmst", 4096));
    let mut half_built = Some(new_file(place.path(), "y.mmst", 4096));
    let before = names(place.path());
    // SAFETY: without flags it is a fork; the child drops two values and ends.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if pid == 0 {
        let file = file.take().unwrap();
        let kind = file.remove().map_err(|error| error.kind().clone());
        // The child of a program that ends its publisher.
        let detached = file.detach();
        word(file.mapping(), 0).store(9, Relaxed);
        drop(file);
        drop(half_built.take());
        let right = kind == Err(ErrorKind::Forked) && detached.is_ok();
        // SAFETY: ends the child, without the exit handlers of the test harness.
        unsafe { libc::_exit(i32::from(right)) };
    }
    assert_eq!(Forked(libc::pid_t::try_from(pid).unwrap()).result(), 1);
    assert_eq!(names(place.path()), before);
    let file = file.unwrap();
    assert!(is_locked(file.path()).unwrap());
    assert_eq!(word(file.mapping(), 0).load(Relaxed), 0);
    drop(half_built.unwrap().publish().unwrap());
}

fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    std::io::pipe().unwrap()
}
