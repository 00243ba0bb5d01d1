//! A directory of real files, for the targets that need them.

use std::fs;
use std::path::PathBuf;

use mmstats_core::layout::{self, header as h};

use crate::changing::Change;
use crate::mutate;

thread_local!(static DIRECTORY: tempfile::TempDir = make());

/// `fuzz/run` sets the directory for temporary files, and removes it: a fuzzer ends without cleaning up.
fn make() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("mmstats-fuzz-").tempdir().unwrap()
}

/// The directory of this thread.
///
/// # Panics
///
/// If it cannot be created.
#[must_use]
pub fn directory() -> PathBuf {
    DIRECTORY.with(|directory| directory.path().to_owned())
}

/// Writes a file into the directory.
///
/// # Panics
///
/// If the file cannot be written.
#[must_use]
pub fn put(name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Removes all files of the directory.
pub fn clear() {
    for entry in fs::read_dir(directory()).into_iter().flatten().flatten() {
        let _ = fs::remove_file(entry.path());
    }
}

/// Three images of one input: the image; a changed copy, as another part of the same program; and
/// the changed copy as another program. All checksums are correct.
#[must_use]
pub fn images(data: &[u8]) -> Vec<Vec<u8>> {
    let (image, schedule) = mutate::split(data);
    let mut first = image.to_vec();
    mutate::seal(&mut first);
    if !first.starts_with(&layout::MAGIC) || first.len() < h::SIZE as usize {
        return vec![first];
    }
    let mut second = first.clone();
    for change in Change::all(schedule, second.len()) {
        let size = second.len();
        let size = change.make(&mut second, size);
        second.truncate(size.max(h::SIZE as usize));
    }
    let mut third = second.clone();
    for (image, part, instance) in [(&mut second, 1, 0), (&mut third, 0, 1)] {
        image[h::PART as usize] ^= part;
        image[h::INSTANCE as usize] ^= instance;
        mutate::seal(image);
    }
    vec![first, second, third]
}
