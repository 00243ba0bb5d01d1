//! Files to observe, and ways to do it.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use mmstats::{Lane, Publisher};
use mmstats_observe::{Observer, RawVerdict, Scalar, Sources, Totals};
use tempfile::TempDir;

use super::programs::{directory, publish, schema};

/// Published files, removed on drop.
pub struct Files {
    pub paths: Vec<PathBuf>,
    // Dropped first: it removes its files.
    _publishers: Vec<Publisher<Lane>>,
    pub directory: TempDir,
}

#[must_use]
pub fn one_file(fields: u32, described: bool) -> Files {
    let directory = directory();
    let publisher = publish(&directory, schema(fields, described));
    Files { paths: publisher.paths(), _publishers: vec![publisher], directory }
}

#[must_use]
pub fn many_files(files: u32) -> Files {
    let _ = crate::work::backend::process::raise_open_files();
    let directory = directory();
    let schema = schema(50, true);
    let publishers: Vec<Publisher<Lane>> =
        (0..files).map(|_| publish(&directory, schema.clone())).collect();
    let paths = publishers.iter().flat_map(Publisher::paths).collect();
    Files { paths, _publishers: publishers, directory }
}

/// Opens and checks a file, or all files of a directory.
#[must_use]
pub fn look(path: &Path) -> Observer {
    let mut observer = Observer::new(Sources::new().path(path));
    observer.refresh();
    assert!(!observer.files().is_empty(), "{:?}", observer.problems().collect::<Vec<_>>());
    observer
}

/// The sum of all counters in lane 0 of the first file.
#[inline(never)]
#[must_use]
pub fn scan(observer: &Observer) -> u64 {
    let mut sum = 0_u64;
    observer.files()[0].scan(0, |_, verdict| {
        if let RawVerdict::Consistent(Scalar::U64(n)) = verdict {
            sum = sum.wrapping_add(n);
        }
    });
    sum
}

/// The sum of all fields of the same name, over the files of a directory that are opened anew.
#[inline(never)]
pub fn sum_cold(directory: &Path) {
    let observer = look(directory);
    let mut totals = Totals::new();
    totals.update(observer.files(), None);
    black_box(totals.fields());
}

/// [`sum_cold`] over files that are open.
#[inline(never)]
pub fn sum_kept(observer: &Observer, totals: &mut Totals) {
    totals.update(observer.files(), None);
    black_box(totals.fields());
}
