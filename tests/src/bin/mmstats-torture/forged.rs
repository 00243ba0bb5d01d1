//! Images that claim what no publisher writes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mmstats::{Counter, FieldOptions, Gauge, Lane, OnDrop, Options, Publisher, Schema};
use mmstats_core::checksum::Fletcher64;
use mmstats_core::layout::{descriptor as d, header as h, lane, lane_state};
use mmstats_tests::actor::random;

/// Size limit of an image, in bytes.
pub(crate) const GIB_4: u64 = 1 << 32;

pub(crate) fn create(path: &Path, size: u64) -> File {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
    let file = file.expect("a file");
    file.set_len(size).expect("a sparse file");
    file
}

pub(crate) fn zeros(path: &Path, lanes: u32) {
    // In the full size as large as an image may be.
    create(path, (GIB_4 >> 10) * u64::from(lanes) - 4096);
}

pub(crate) fn noise(path: &Path, lanes: u32) {
    let file = create(path, u64::from(lanes) << 10);
    for at in (0..u64::from(lanes) << 10).step_by(4096) {
        let block: Vec<u8> = (0..512).flat_map(|_| random().to_le_bytes()).collect();
        file.write_all_at(&block, at).expect("a file");
    }
    file.write_all_at(&mmstats_core::layout::MAGIC, 0).expect("a file");
}

/// A good image with one field, ended.
pub(crate) fn image<H: mmstats::Field>(
    path: &Path,
    options: FieldOptions<H>,
    count: u32,
) -> Vec<u8> {
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

pub(crate) fn get(bytes: &[u8], at: u32) -> u32 {
    let at = at as usize;
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn put(bytes: &mut [u8], at: u32, n: u32) {
    bytes[at as usize..at as usize + 4].copy_from_slice(&n.to_le_bytes());
}

pub(crate) fn seal(bytes: &mut [u8]) {
    let mut sum = Fletcher64::new();
    sum.range(&bytes[..h::CHECKSUM as usize], 0, h::CHECKSUM);
    let at = h::CHECKSUM as usize;
    bytes[at..at + 8].copy_from_slice(&sum.finish().to_le_bytes());
}

/// So many descriptors, all of them in a hole; a reader accepts four million.
pub(crate) fn metadata(path: &Path, count: u32) {
    let mut bytes = image::<Counter>(path, FieldOptions::new(), 1);
    let size = (h::SIZE + count * 67).next_multiple_of(64);
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
pub(crate) fn fields<H: mmstats::Field>(path: &Path, lanes: u32) {
    let bytes = image::<H>(path, FieldOptions::new(), lanes * 1000);
    std::fs::write(path, bytes).expect("a file");
}

/// One field in so many lanes, or as many as a file can have; each has a value. All but the
/// first bytes of each lane is a hole. The length of a text or a blob, or the number of events,
/// is `claim`.
pub(crate) fn lanes<H: mmstats::Field>(
    path: &Path,
    lanes: u32,
    options: FieldOptions<H>,
    claim: u32,
) {
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

/// Fields with a name, help, attributes and names of states each, all of them the same 4,096 bytes.
pub(crate) fn shared(path: &Path, thousands: u32) {
    let texts: String = (0..1024).map(|n| format!("{n:x}=")).fold(String::new(), |all, item| {
        let separator = if all.is_empty() { "" } else { "\0" };
        if all.len() + separator.len() + item.len() > 4096 { all } else { all + separator + &item }
    });
    let mut bytes =
        image::<Gauge<u32>>(path, FieldOptions::new().help(texts.as_str()), thousands * 1000);
    let start = get(&bytes, h::DESCRIPTOR_OFFSET);
    let first = start + d::SIZE * find(&bytes, texts.len());
    let texts = get(&bytes, first + d::HELP);
    for n in 0..get(&bytes, h::FIELD_COUNT) {
        let at = start + n * d::SIZE;
        // Constants stay.
        if bytes[(at + d::STORAGE) as usize] != 2 {
            continue;
        }
        bytes[(at + d::KIND) as usize] = 4;
        for reference in [d::HELP, d::ATTRIBUTES, d::DETAIL] {
            put(&mut bytes, at + reference, texts);
        }
        let mut sum = Fletcher64::new();
        sum.range(&bytes[..], at, 48);
        for reference in [d::LABEL, d::UNIT, d::HELP, d::ATTRIBUTES, d::DETAIL] {
            let text = get(&bytes, at + reference);
            if text != 0 {
                let length = get(&bytes, text) & 0xFFFF;
                sum.range(&bytes[..], text, (2 + length).next_multiple_of(4));
            }
        }
        let checksum = (at + d::CHECKSUM) as usize;
        bytes[checksum..checksum + 8].copy_from_slice(&sum.finish().to_le_bytes());
    }
    std::fs::write(path, bytes).expect("a file");
}

/// Number of the first descriptor with a help text of this length.
fn find(bytes: &[u8], length: usize) -> u32 {
    let start = get(bytes, h::DESCRIPTOR_OFFSET);
    let is_it = |n: &u32| {
        let help = get(bytes, start + n * d::SIZE + d::HELP);
        help != 0 && (get(bytes, help) & 0xFFFF) as usize == length
    };
    (0..get(bytes, h::FIELD_COUNT)).find(is_it).expect("the field")
}

/// Gives an image another instance.
pub(crate) fn another(bytes: &mut [u8]) {
    let at = h::INSTANCE as usize;
    bytes[at..at + 8].copy_from_slice(&random().to_le_bytes());
    bytes[at + 8..at + 16].copy_from_slice(&random().to_le_bytes());
    seal(bytes);
}
