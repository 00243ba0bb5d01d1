//! A process with rights that its caller lacks, one without random bytes, and one that locks memory.
#![allow(missing_docs)]
#![allow(unsafe_code)] // filters of system calls, limits
#![cfg(target_os = "linux")] // seccomp, namespaces

use mmstats_unix as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

#[path = "../../tests/shared/privileges.rs"]
mod privileges;

use std::fs;
use std::os::unix::fs::chown;

use mmstats_unix::directory::{Directory, environment};
use mmstats_unix::{Access, ErrorKind, create, private, process};
use privileges::{CALLER, OWNER, program, refuse, run};
use rustix::fs::{FlockOperation, flock};
use util::{child_path, is_root, skip};

#[test]
fn child_that_prints_its_environment() {
    if child_path().is_none() {
        return;
    }
    let found = environment();
    let name = found.template();
    println!("<{} {:?} {name}>", process::ignores_environment(), found.candidates());
}

#[test]
fn environment_of_a_set_user_id_program_is_ignored() {
    if !is_root() {
        return skip("only root can make a program of another user");
    }
    let place = tempfile::tempdir().unwrap();
    let name = "child_that_prints_its_environment";
    let planted = place.path().to_str().unwrap();
    let trusted = run(&program(place.path(), 0o755), name, place.path());
    assert!(trusted.contains("<false ") && trusted.contains(planted), "{trusted}");
    assert!(trusted.contains("planted.mmst>"), "{trusted}");
    let ignored = run(&program(place.path(), 0o4755), name, place.path());
    if ignored.contains("<false ") {
        return skip("the file system ignores the set-user-id bit");
    }
    assert!(ignored.contains("<true ") && !ignored.contains(planted), "{ignored}");
    assert!(
        ignored.contains(&format!("mmstats-{OWNER}")) && !ignored.contains("planted"),
        "{ignored}"
    );
}

/// Neither `getrandom` nor a device: without `open` there is none.
#[test]
fn random_without_a_source_is_unique() {
    let mut numbers = std::collections::BTreeSet::new();
    for errno in [libc::ENOSYS, libc::EAGAIN, libc::EPERM] {
        let random = std::thread::spawn(move || {
            refuse(&[libc::SYS_getrandom, libc::SYS_openat, libc::SYS_open], errno);
            assert!(fs::File::open("/dev/urandom").is_err());
            [process::random(), process::random()]
        });
        numbers.extend(random.join().unwrap());
    }
    assert_eq!(numbers.len(), 6);
}

#[test]
fn child_that_locks_its_memory() {
    let Some(path) = child_path() else { return };
    let directory = Directory::open(&path).unwrap();
    // The first mapping loads what the later ones need.
    drop(create(&directory, "small.mmst", 4096, Access::Owner).unwrap());
    // The hard limit may be less already, and cannot be raised.
    let limit = libc::rlimit { rlim_cur: 8 << 20, rlim_max: 8 << 20 };
    // SAFETY: the system reads the structure.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    // SAFETY: has no precondition.
    assert_eq!(unsafe { libc::mlockall(libc::MCL_FUTURE) }, 0);
    let error = create(&directory, "large.mmst", 64 << 20, Access::Owner).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::OutOfMemory, "{error}");
    assert_eq!(*private(64 << 20).unwrap_err().kind(), ErrorKind::OutOfMemory);
    println!("<passed>");
}

#[test]
fn create_under_mlockall_with_a_small_limit_is_out_of_memory() {
    if !is_root() {
        return skip("only root can give a program to another user");
    }
    let place = tempfile::tempdir().unwrap();
    let program = program(place.path(), 0o755);
    let directory = place.path().join("files");
    fs::create_dir(&directory).unwrap();
    chown(&directory, Some(CALLER), None).unwrap();
    let text = run(&program, "child_that_locks_its_memory", &directory);
    assert!(text.contains("<passed>"), "{text}");
}

/// A neighbour that tries to lock each new file first.
#[test]
fn child_that_locks_new_files() {
    let Some(path) = child_path() else { return };
    let mut seen = 0;
    while !path.join("end").exists() {
        for entry in fs::read_dir(&path).unwrap().flatten() {
            let Ok(file) = fs::File::open(entry.path()) else { continue };
            seen += usize::from(entry.file_name() != "end");
            if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
                std::mem::forget(file);
            }
        }
    }
    println!("opened {seen} files");
}

#[test]
fn create_for_everybody_is_locked_before_others_may_open_it() {
    if !is_root() {
        return skip("only root can give a program to another user");
    }
    let place = tempfile::tempdir().unwrap();
    let program = program(place.path(), 0o755);
    let path = place.path().join("files");
    fs::create_dir(&path).unwrap();
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| run(&program, "child_that_locks_new_files", &path));
        let directory = Directory::open(&path).unwrap();
        let started = std::time::Instant::now();
        let mut refused = None;
        while started.elapsed().as_secs() < 2 && refused.is_none() {
            // It would be refused after two seconds.
            let file = create(&directory, "x.mmst", 4096, Access::Everybody);
            let published = file.and_then(|file| file.publish()?.remove());
            refused = published.err();
        }
        fs::write(path.join("end"), "").unwrap();
        let told = neighbour.join().unwrap();
        assert!(refused.is_none(), "{refused:?}");
        assert!(told.contains("opened ") && !told.contains("opened 0 files"), "{told}");
    });
}
