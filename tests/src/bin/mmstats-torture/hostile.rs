//! Files with the largest claims that a file can make, and the memory that tools take for them.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use mmstats::{Aggregation, Array, Blob, Counter, Events, FieldOptions, Gauge, Histogram, Lane};
use mmstats::{OnDrop, Options, Publisher, Schema};
use mmstats_core::checksum::Fletcher64;
use mmstats_core::layout::{header as h, lane, lane_state};
use mmstats_tests::control::{Limit, limit, wait_with_usage};

use crate::plan::Plan;
use crate::table::Table;
use crate::tools::{PATIENCE, disk, judge, tool};
use mmstats_tests::actor::random;

/// Limit of a tool's private memory, in bytes.
const MEMORY: u64 = 1 << 30;
/// Limit with the pages of mapped files, in bytes.
const GIB_4: u64 = 1 << 32;

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    for (name, make) in [
        ("zeros", zeros as fn(&Path, u32)),
        ("noise", noise),
        ("all metadata", metadata),
        ("many counters", fields::<Counter>),
        ("many gauges", fields::<Gauge<f64>>),
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

fn create(path: &Path, size: u64) -> File {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
    let file = file.expect("a file");
    file.set_len(size).expect("a sparse file");
    file
}

fn zeros(path: &Path, lanes: u32) {
    // In the full size as large as an image may be.
    create(path, (GIB_4 >> 10) * u64::from(lanes) - 4096);
}

fn noise(path: &Path, lanes: u32) {
    let file = create(path, u64::from(lanes) << 10);
    for at in (0..u64::from(lanes) << 10).step_by(4096) {
        let block: Vec<u8> = (0..512).flat_map(|_| random().to_le_bytes()).collect();
        file.write_all_at(&block, at).expect("a file");
    }
    file.write_all_at(&mmstats_core::layout::MAGIC, 0).expect("a file");
}

/// A good image with one field, ended.
fn image<H: mmstats::Field>(path: &Path, options: FieldOptions<H>, count: u32) -> Vec<u8> {
    let place = path.parent().expect("a directory").join("made");
    std::fs::create_dir(&place).expect("a directory");
    let mut schema = Schema::new();
    schema.add::<H>("value", options.clone());
    for n in 1..count {
        schema.add::<H>(format!("field.{n}"), FieldOptions::new());
    }
    let settings = Options::new().directory(&place).lanes(1).on_drop(OnDrop::Keep);
    let publisher: Publisher<Lane> = settings.schema(schema).start().expect("a publisher");
    let lane = publisher.lane().expect("a lane");
    let made: PathBuf = publisher.paths().swap_remove(0);
    // As it is while the lane is owned.
    let bytes = std::fs::read(&made).expect("a file");
    drop((lane, publisher));
    std::fs::remove_dir_all(&place).expect("it is ours");
    bytes
}

fn get(bytes: &[u8], at: u32) -> u32 {
    let at = at as usize;
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn put(bytes: &mut [u8], at: u32, n: u32) {
    bytes[at as usize..at as usize + 4].copy_from_slice(&n.to_le_bytes());
}

fn seal(bytes: &mut [u8]) {
    let mut sum = Fletcher64::new();
    sum.range(&bytes[..h::CHECKSUM as usize], 0, h::CHECKSUM);
    let at = h::CHECKSUM as usize;
    bytes[at..at + 8].copy_from_slice(&sum.finish().to_le_bytes());
}

/// As much metadata as a reader accepts, all of it invalid.
fn metadata(path: &Path, _: u32) {
    let mut bytes = image::<Counter>(path, FieldOptions::new(), 1);
    let (count, size) = (4_000_000_u32, 256_u32 << 20);
    let stride = get(&bytes, h::LANE_STRIDE).next_multiple_of(64);
    let presence = (lane::PRESENCE + count.div_ceil(32) * 4).next_multiple_of(64);
    for (at, n) in [
        (h::DESCRIPTOR_CAPACITY, count),
        (h::FIELD_COUNT, count),
        (h::HEAP_OFFSET, h::SIZE + count * 64),
        (h::HEAP_SIZE, size - h::SIZE - count * 64),
        (h::LANES_OFFSET, size),
        (h::CELLS_OFFSET, presence),
        (h::LANE_STRIDE, presence + stride),
        (h::FILE_SIZE, size + presence + stride),
    ] {
        put(&mut bytes, at, n);
    }
    seal(&mut bytes);
    let file = create(path, u64::from(size + presence + stride));
    file.write_all_at(&bytes[..h::SIZE as usize], 0).expect("a file");
}

/// Good fields in a large number.
fn fields<H: mmstats::Field>(path: &Path, lanes: u32) {
    let bytes = image::<H>(path, FieldOptions::new(), lanes * 1000);
    std::fs::write(path, bytes).expect("a file");
}

/// One field in so many lanes, or as many as a file can have; each has a value. All but the
/// first bytes of each lane is a hole. The length of a text or a blob, or the number of events,
/// is `claim`.
fn lanes<H: mmstats::Field>(path: &Path, lanes: u32, options: FieldOptions<H>, claim: u32) {
    let mut bytes = image::<H>(path, options, 1);
    let (start, stride) = (get(&bytes, h::LANES_OFFSET), get(&bytes, h::LANE_STRIDE));
    let cells = get(&bytes, h::CELLS_OFFSET);
    let most = (u32::MAX - 4096 - start) / stride;
    let lanes = lanes.min(most);
    let size = start + stride * lanes;
    put(&mut bytes, h::FILE_SIZE, size);
    put(&mut bytes, h::LANE_CAPACITY, lanes);
    put(&mut bytes, h::LANES_USED, lanes);
    seal(&mut bytes);
    let file = create(path, size.into());
    file.write_all_at(&bytes[..start as usize], 0).expect("a file");
    // All cells that could be the field's are filled.
    let mut head = vec![0_u8; (cells + 64) as usize];
    put(&mut head, lane::STATE, lane_state::OWNED);
    for at in (lane::PRESENCE..cells).step_by(4) {
        put(&mut head, at, u32::MAX);
    }
    for at in (cells..cells + 32).step_by(8) {
        put(&mut head, at, claim);
        put(&mut head, at + 4, 0);
    }
    for n in 0..lanes {
        file.write_all_at(&head, u64::from(start) + u64::from(n) * u64::from(stride))
            .expect("a file");
    }
}
