//! Cost of observing.

use std::hint::black_box;

use mmstats_benches::work::reading::{look, many_files, one_file, scan, sum_cold, sum_kept};
use mmstats_benches::{Bench, Row, Target};
use mmstats_observe::Totals;

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
                sum_cold(files.directory.path());
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
                sum_kept(observer, totals);
            }
        },
    );
}
