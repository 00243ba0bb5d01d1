//! Runs the targets on all seeds and finds, without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mmstats_fuzz::TARGETS;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The fixtures: images of format 3, files of format 1, or lines of recordings.
fn fixtures(end: &str) -> Vec<PathBuf> {
    let mut all = files(&here().join("../spec/fixtures"));
    all.extend(files(&here().join("seeds")));
    all.retain(|path| path.extension().is_some_and(|extension| extension == end));
    all
}

/// One input at a time: allocations are counted for all threads.
fn run(target: impl Fn(&[u8]) + std::panic::RefUnwindSafe, name: &str, path: &Path) {
    static ONE: Mutex<()> = Mutex::new(());
    let bytes = fs::read(path).unwrap();
    let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = std::panic::catch_unwind(|| target(&bytes));
    drop(alone);
    assert!(run.is_ok(), "{name} on {}", path.display());
}

fn replay(name: &str, paths: &[PathBuf]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    for path in paths {
        run(target, name, path);
    }
}

/// One test for each target.
macro_rules! replays {
    ($($name:ident $end:literal,)*) => {$(
        #[test]
        fn $name() {
            let name = stringify!($name);
            let seeds = fixtures($end);
            assert!(seeds.len() > 5);
            replay(name, &seeds);
            replay(name, &files(&here().join("corpus").join(name)));
            replay(name, &files(&here().join("artifacts").join(name)));
        }
    )*
        const REPLAYED: &[&str] = &[$(stringify!($name),)*];
    };
}

replays! {
    changing "mmst",
    format1 "mmstats",
    live "mmst",
    mutated "mmst",
    observe "mmst",
    open "mmst",
    recording "jsonl",
    render "mmst",
    write "mmst",
}

#[test]
fn every_tool_shows_every_fixture() {
    for path in fixtures("mmst") {
        run(mmstats_fuzz::render::all, "every tool", &path);
    }
}

#[test]
fn target_list_is_complete() {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let there: BTreeSet<_> = files(&here().join("fuzz_targets")).into_iter().map(stem).collect();
    let listed: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, listed);
    let replayed: BTreeSet<_> = REPLAYED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(replayed, listed);
}
