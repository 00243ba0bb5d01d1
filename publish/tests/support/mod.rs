//! Helpers that several tests use.
#![allow(dead_code)] // No test uses all of them.

use std::path::Path;
use std::time::{Duration, Instant};

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

/// Waits until `condition` holds; panics after 30 seconds.
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(30), "does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}
