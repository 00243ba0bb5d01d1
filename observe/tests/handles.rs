//! Number of files that are kept open, besides being mapped.
#![cfg(target_os = "linux")] // where a process can see what it has open

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use mmstats_core::{Counter, FieldSpec};
use mmstats_observe::{Observer, Sources, totals};
use support::{id, simple, unsigned};

/// Number of files of a directory that this process has open.
fn open_in(directory: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let paths = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    paths.filter(|path| path.starts_with(directory)).count()
}

/// A file without a writer.
fn left(directory: &Path, name: &str) -> PathBuf {
    let mut published = simple(directory, name, &[FieldSpec::counter("hits")]);
    Counter::attach(&published.lane(), id(0)).unwrap().add(1);
    published.path.clone()
}

#[test]
fn keep_handles_limits_open_files() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    // Never kept open: a file of format 1, and one of neither format.
    std::fs::write(directory.join("0.mmstats"), b"\x01\x04\0hits\x01\0B\xFF\x07\0\0").unwrap();
    std::fs::write(directory.join("1.mmst"), "hello world").unwrap();
    let first = left(&directory, "a.mmst");
    ["b.mmst", "c.mmst", "d.mmst"].iter().for_each(|name| drop(left(&directory, name)));
    let mut observer = Observer::new(Sources::new().path(&directory));
    observer.keep_handles(2);
    for round in 0..3 {
        observer.refresh();
        assert_eq!(open_in(&directory), 2, "round {round}");
        assert_eq!(totals(observer.files())[1].reading.value, unsigned(4), "all are read");
    }
    left(&directory, "e.mmst");
    assert_eq!((observer.refresh().added, open_in(&directory)), (1, 2), "one that is new");
    std::fs::remove_file(first).unwrap();
    let changes = observer.refresh();
    assert_eq!((changes.vanished.len(), open_in(&directory)), (1, 2), "it can still be read");
    drop(changes);
    assert_eq!(open_in(&directory), 1);
    left(&directory, "f.mmst");
    assert_eq!((observer.refresh().added, open_in(&directory)), (1, 2), "in its place");
    drop(observer);
    assert_eq!(open_in(&directory), 0);
}

#[test]
fn open_files_default_to_half_of_limit() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    (0..30).for_each(|i| drop(left(&directory, &format!("{i}.mmst"))));
    // In a child: the limit is of a whole process.
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 40 && exec \"$0\" --exact child --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env("MMSTATS_TEST_DIRECTORY", &directory)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("20 of 30 open"), "{output:?}");
}

/// No test: the child process of `open_files_default_to_half_of_limit`.
#[test]
fn child() {
    let Some(directory) = std::env::var_os("MMSTATS_TEST_DIRECTORY") else { return };
    let directory = Path::new(&directory);
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    println!("{} of {} open", open_in(directory), observer.files().len());
}
