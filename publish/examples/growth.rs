//! From zero to many fields while the program runs: time, files, bytes, memory.
//!
//! `cargo run --release --example growth -- 1000000`

use std::path::Path;
use std::time::Instant;

use mmstats::{Counter, FieldOptions, Lane, Options, Publisher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let publisher: Publisher<Lane> = Options::new().start()?;
    let lane = publisher.lane()?;
    let before = resident_kib();

    let start = Instant::now();
    let add = |n: u32| {
        let options = FieldOptions::new()
            .unit("bytes")
            .help("Bytes sent.")
            .attribute("peer", format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255));
        publisher.add::<Counter>("net.sent", options)
    };
    let keys = (0..count).map(add).collect::<Result<Vec<_>, _>>()?;
    let added = start.elapsed();
    let known = resident_kib();

    let start = Instant::now();
    let handles = keys.iter().map(|&key| lane.attach(key)).collect::<Result<Vec<_>, _>>()?;
    let attached = start.elapsed();
    for (handle, n) in handles.iter().zip(1..) {
        handle.add(n);
    }

    let per_field = |total: u64| total as f64 / f64::from(count.max(1));
    let sizes: Vec<u64> = publisher.paths().iter().map(|path| size(path)).collect();
    let files: u64 = sizes.iter().sum();
    println!("{count} fields in {} files, the largest of {} KiB", sizes.len(), largest(&sizes));
    println!("added in {added:.2?}: {:.0} ns a field", per_field(nanos(added)));
    println!("attached in {attached:.2?}: {:.0} ns a field", per_field(nanos(attached)));
    println!("files: {} KiB, {:.0} B a field with {LANES} lanes", files >> 10, per_field(files));
    // Resident memory includes the pages of the files, all of which were written.
    let own = (known.saturating_sub(before) << 10).saturating_sub(files);
    println!("memory besides: {} KiB, {:.0} B a field", own >> 10, per_field(own));
    Ok(())
}

/// The default of [`Options`].
const LANES: u32 = 8;

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn largest(sizes: &[u64]) -> u64 {
    sizes.iter().max().map_or(0, |size| size >> 10)
}

/// Resident memory of this process; 0 without /proc.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
