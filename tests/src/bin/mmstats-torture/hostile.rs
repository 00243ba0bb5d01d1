//! Files with the largest claims that a file can make, and the memory that tools take for them.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mmstats::{Aggregation, Array, Blob, Counter, Events, FieldOptions, Gauge, Histogram};
use mmstats_tests::control::{Limit, limit, wait_with_usage};

use crate::forged::{fields, lanes, metadata, noise, shared, zeros};
use crate::plan::Plan;
use crate::table::Table;
use crate::tools::{PATIENCE, disk, judge, tool};

/// Limit of a tool's private memory, in bytes.
const MEMORY: u64 = 1 << 30;

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    for (name, make) in [
        ("zeros", zeros as fn(&Path, u32)),
        ("noise", noise),
        ("all metadata", |at, _| metadata(at, 4_000_000)),
        ("many counters", fields::<Counter>),
        ("many gauges", fields::<Gauge<f64>>),
        ("shared texts", |at, n| shared(at, n.min(480) / 8)),
        ("arrays in many lanes", |at, n| lanes::<Array<u8, 60_000>>(at, n, each(), 0)),
        ("sums of arrays in many lanes", |at, n| {
            lanes::<Array<u64, 60_000>>(at, n, FieldOptions::new(), 0);
        }),
        ("bytes in many lanes", |at, n| lanes::<Blob<1_000_000>>(at, n, each(), 1_000_000)),
        ("events in many lanes", |at, n| {
            lanes::<Events<64>>(at, n, FieldOptions::new().entries(65_535), 65_534);
        }),
        ("histograms in many lanes", |at, n| {
            let wide = FieldOptions::new().error(0.001).range(1.0, 1e18);
            lanes::<Histogram<u64>>(at, n, wide, 0);
        }),
    ] {
        table.row(format!("hostile: {name}"), |row| {
            // On a disk, where a hole stays a hole.
            let directory = disk();
            let path = directory.path().join("hostile.mmst");
            make(&path, plan.pick(64, 1024));
            let (mut most, mut worst) = ((0, ""), Duration::ZERO);
            for arguments in [
                &["ls"][..],
                &["show"],
                &["show", "--lanes", "--json", "-v"],
                &["poll", "*", "-d", "0.01", "-c", "2"],
                &["events", "-n", "5"],
                &["clean", "--dry-run"],
                &["check"],
                &["scan"],
                &["dump"],
            ] {
                let path = path.to_str().expect("UTF-8");
                row.case(|| {
                    let words: Vec<&str> = arguments.iter().copied().chain([path]).collect();
                    let mut command = tool(directory.path(), &words);
                    limit(&mut command, Limit::Memory(MEMORY));
                    let start = Instant::now();
                    // The reader of a dump closes early.
                    let peak = if arguments[0] == "dump" {
                        beginning(&mut command)
                    } else {
                        judge(&mut command, || ()).map(|printed| printed.peak)
                    };
                    let took = start.elapsed();
                    let peak =
                        peak.map_err(|error| format!("{name}, {}: {error}", arguments[0]))?;
                    if peak > most.0 {
                        most = (peak, arguments[0]);
                    }
                    worst = worst.max(took);
                    Ok(())
                });
            }
            row.time(worst);
            row.remark = format!("at most {} MiB with the file, of {}", most.0 >> 20, most.1);
        });
    }
}

fn each<H>() -> FieldOptions<H> {
    FieldOptions::new().aggregation(Aggregation::Each)
}

/// Reads the first megabyte of a tool's output, and closes it.
fn beginning(command: &mut std::process::Command) -> Result<u64, String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a tool");
    let out = child.stdout.take().expect("piped");
    let mut bytes = Vec::new();
    let read = out.take(1 << 20).read_to_end(&mut bytes);
    let ended = wait_with_usage(child, PATIENCE).expect("it is ours");
    match (read, ended.in_time, ended.status.code()) {
        (Ok(_), true, Some(0..=1)) => Ok(ended.peak),
        _ => Err(format!("{ended:?}")),
    }
}
