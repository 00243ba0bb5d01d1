//! Short forms of questions to an observer.

use std::path::{Path, PathBuf};

use mmstats_observe::{
    File, FileState, Observer, OwnedValue, Reading, Sources, Tally, Verdict, totals,
};

/// An observer that has looked at a file, or at a directory, once.
#[must_use]
pub fn look(path: &Path) -> Observer {
    let mut observer = Observer::new(Sources::new().path(path));
    observer.refresh();
    observer
}

/// A field over all lanes and files.
///
/// # Panics
///
/// If no file has the field.
#[must_use]
pub fn total(observer: &Observer, label: &str) -> Reading {
    let found = totals(observer.files()).into_iter().find(|total| total.field.label == label);
    found.unwrap_or_else(|| panic!("no {label} in {:?}", states(observer))).reading
}

/// An unsigned field over all lanes and files, which must be consistent.
///
/// # Panics
///
/// If it is not.
#[must_use]
pub fn unsigned(observer: &Observer, label: &str) -> u128 {
    let reading = total(observer, label);
    match reading {
        Reading { value: Some(OwnedValue::Unsigned(n)), verdict: Verdict::Consistent, .. } => n,
        other => panic!("{label}: {other:?}"),
    }
}

/// One field of one file over its lanes.
///
/// # Panics
///
/// If the file has no such field.
#[must_use]
pub fn value(file: &File, label: &str) -> Reading {
    let field =
        file.find(label).unwrap_or_else(|| panic!("no {label} in {}", file.path().display()));
    file.value(field.index())
}

/// One field of one file in one lane.
///
/// # Panics
///
/// If the file has no such field or lane.
#[must_use]
pub fn in_lane(file: &File, lane: u32, label: &str) -> Reading {
    let field =
        file.find(label).unwrap_or_else(|| panic!("no {label} in {}", file.path().display()));
    file.lane_values(lane).swap_remove(field.index())
}

/// The file at `path`.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn file<'a>(observer: &'a Observer, path: &Path) -> &'a File {
    let found = observer.files().iter().find(|file| file.path() == path);
    found.unwrap_or_else(|| panic!("no {} in {:?}", path.display(), states(observer)))
}

/// Paths and states of all files, for messages and comparisons.
#[must_use]
pub fn states(observer: &Observer) -> Vec<(PathBuf, FileState)> {
    observer.files().iter().map(|file| (file.path().to_owned(), file.state())).collect()
}

/// Whether no lane has a value.
#[must_use]
pub fn is_absent(reading: &Reading) -> bool {
    let Tally { values, .. } = reading.tally;
    reading.verdict == Verdict::Absent && values == 0
}
