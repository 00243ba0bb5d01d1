//! Helpers that several tests use.
#![allow(dead_code)] // No test uses all of them.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mmstats_observe::{Observer, Sources};

/// Sorted names of the files in `directory`.
pub(crate) fn file_names(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    // Windows keeps mapped files under a temporary name.
    let lingers =
        |name: &std::ffi::OsString| cfg!(windows) && mmstats_system::name::is_temporary(name);
    let names = names.filter(|name| !lingers(name)).map(|name| name.into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Notes that a test cannot run here; a failure if `CI` is set.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be run here: {why}");
    eprintln!("skipped: {why}");
}

/// Waits until `condition` holds; panics after 30 seconds.
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(30), "does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What an observer finds in `directory`, without problems.
pub(crate) fn look(directory: &Path) -> Observer {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let problems: Vec<_> = observer.problems().collect();
    assert!(problems.is_empty(), "{problems:?}");
    observer
}

/// For tests that count the threads of the process: no other one that has this runs meanwhile.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Numbers of threads with these names; `None` where the system does not tell.
pub(crate) fn threads_named<const N: usize>(names: [&str; N]) -> Option<[usize; N]> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        // A thread can end meanwhile.
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    let all = std::fs::read_dir("/proc/self/task").unwrap().filter_map(name).collect::<Vec<_>>();
    Some(names.map(|wanted| all.iter().filter(|name| name.trim() == wanted).count()))
}
