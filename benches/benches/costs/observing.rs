//! Cost of observing.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use mmstats::{Lane, Publisher};
use mmstats_benches::{Bench, Row, Target};
use mmstats_observe::{Observer, RawVerdict, Scalar, Sources, Totals};
use tempfile::TempDir;

use crate::programs::{directory, publish, schema};

/// Published files, removed on drop.
struct Files {
    paths: Vec<PathBuf>,
    // Dropped first: it removes its files.
    _publishers: Vec<Publisher<Lane>>,
    directory: TempDir,
}

fn one_file(fields: u32, described: bool) -> Files {
    let directory = directory();
    let publisher = publish(&directory, schema(fields, described));
    Files { paths: publisher.paths(), _publishers: vec![publisher], directory }
}

fn many_files(files: u32) -> Files {
    let _ = crate::backend::process::raise_open_files();
    let directory = directory();
    let schema = schema(50, true);
    let publishers: Vec<Publisher<Lane>> =
        (0..files).map(|_| publish(&directory, schema.clone())).collect();
    let paths = publishers.iter().flat_map(Publisher::paths).collect();
    Files { paths, _publishers: publishers, directory }
}

/// Opens and checks a file, or all files of a directory.
pub(crate) fn look(path: &Path) -> Observer {
    let mut observer = Observer::new(Sources::new().path(path));
    observer.refresh();
    assert!(!observer.files().is_empty(), "{:?}", observer.problems().collect::<Vec<_>>());
    observer
}

/// The sum of all counters in lane 0 of the first file.
#[inline(never)]
pub(crate) fn scan(observer: &Observer) -> u64 {
    let mut sum = 0_u64;
    observer.files()[0].scan(0, |_, verdict| {
        if let RawVerdict::Consistent(Scalar::U64(n)) = verdict {
            sum = sum.wrapping_add(n);
        }
    });
    sum
}

pub(crate) fn rows(bench: &mut Bench) {
    bench.section("looking");
    for (name, fields) in [
        ("scan kept mapped, per field of 1,000", 1_000),
        ("scan kept mapped, per field of 100,000", bench.size(100_000, 1_000)),
        ("scan kept mapped, per field of 1,000,000", bench.size(1_000_000, 1_000)),
    ] {
        bench.row(
            Row::new(name).target(Target::Nanos(1.0)).per(fields),
            || {
                let files = one_file(fields, false);
                (look(&files.paths[0]), files)
            },
            |(observer, _), n| {
                for _ in 0..n {
                    black_box(scan(observer));
                }
            },
        );
    }
    for (name, fields, described) in [
        ("open, validate, read, per field of 1,000", 1_000, false),
        ("open, validate, read, per field of 100,000", bench.size(100_000, 1_000), false),
        ("the same, with unit and help", bench.size(100_000, 1_000), true),
    ] {
        bench.row_between(
            Row::new(name).target(Target::Nanos(25.0)).per(fields),
            || (one_file(fields, described), Vec::new()),
            // Closing is not timed.
            |(_, opened)| opened.clear(),
            |(files, opened), n| {
                for _ in 0..n {
                    let observer = look(&files.paths[0]);
                    black_box(scan(&observer));
                    opened.push(observer);
                }
            },
            |_, ()| true,
        );
    }
    let files = bench.size(1_000, 10);
    bench.row(
        Row::new("1,000 files of 50 fields summed by name, cold").target(Target::Nanos(20e6)),
        || many_files(files),
        |files, n| {
            for _ in 0..n {
                let observer = look(files.directory.path());
                let mut totals = Totals::new();
                totals.update(observer.files(), None);
                black_box(totals.fields());
            }
        },
    );
    bench.row(
        Row::new("the same, kept mapped").target(Target::Nanos(1e6)),
        || {
            let files = many_files(files);
            (look(files.directory.path()), Totals::new(), files)
        },
        |(observer, totals, _), n| {
            for _ in 0..n {
                totals.update(observer.files(), None);
                black_box(totals.fields());
            }
        },
    );
}
