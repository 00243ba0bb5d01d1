//! A file system that does not answer: one in user space whose program is stopped.
#![allow(missing_docs)]
#![allow(unsafe_code)] // mounts it
#![cfg(target_os = "linux")] // FUSE

use mmstats_unix as backend;

#[path = "../../tests/backend/util.rs"]
mod util;

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use mmstats_unix::ErrorKind;
use mmstats_unix::directory::{Environment, publish_directory_at, publish_directory_in};

/// Mounted until its drop, which ends all that waits for it.
struct Silent(tempfile::TempDir, Option<File>);

impl Silent {
    fn new() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40700,user_id=0,group_id=0", device.as_raw_fd());
        let [kind, options] = ["fuse", &options].map(|text| CString::new(text).unwrap());
        let target = CString::new(place.path().as_os_str().as_bytes()).unwrap();
        // SAFETY: four texts that end in zeros, and flags.
        let code = unsafe {
            libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast())
        };
        (code == 0).then_some(Self(place, Some(device)))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        drop(self.1.take());
        let target = CString::new(self.0.path().as_os_str().as_bytes()).unwrap();
        // SAFETY: a text that ends in a zero.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn publish_directory_on_a_silent_file_system_gives_up() {
    let Some(silent) = Silent::new() else { return util::skip("cannot mount a FUSE file system") };
    let start = Instant::now();
    let place = silent.path();
    // At the same time: each waits.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let error = publish_directory_at(&place.join("mmstats")).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::NoAnswer, "{error}");
            assert!(error.to_string().ends_with("the file system does not answer"), "{error}");
        });
        // The next choice is used; with one in memory there is no wait at all.
        let other = tempfile::tempdir().unwrap();
        let environment = Environment {
            runtime: Some(place.into()),
            temporary: Some(other.path().into()),
            user: 3_000_000_000 + std::process::id(),
            ..Environment::default()
        };
        let explicit = Environment { explicit: Some(place.into()), ..environment.clone() };
        scope.spawn(move || {
            let error = publish_directory_in(&explicit).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::NoAnswer, "{error}");
        });
        let chosen = publish_directory_in(&environment).unwrap();
        assert!(chosen.passed_over.is_empty());
        let _ = std::fs::remove_dir(chosen.directory.path());
    });
    assert!(start.elapsed() < Duration::from_secs(18), "{:?}", start.elapsed());
}
