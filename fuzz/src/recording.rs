//! Recordings: the bytes as a file, and as the lines of one.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use mmstats_recording::{Recording, repair};

use crate::limits::Limits;
use crate::place;

/// A block may have a thousand times the bytes of its file, and a value 24 times those of its text.
const FILE: Limits = Limits { memory: 64 << 20, memory_each: 64 << 10, ..Limits::TOOLS };
/// The compressor alone takes 1 MiB.
const LINES: Limits = Limits { memory: 8 << 20, ..Limits::TOOLS };

/// Reads all that is in a recording, and repairs it.
///
/// # Panics
///
/// If a repaired recording has an end that is cut.
pub fn run(data: &[u8]) {
    FILE.hold(data.len(), || read(data));
    let blocks: Vec<u8> = data.chunks(0xff00).flat_map(block).collect();
    LINES.hold(data.len(), || read(&blocks));
    place::clear();
}

fn read(bytes: &[u8]) {
    let path = place::put("recording.jsonl.gz", bytes);
    let repaired = place::directory().join("repaired.jsonl.gz");
    let _ = std::fs::remove_file(&repaired);
    if repair(&path, &repaired).is_ok()
        && let Ok(recording) = Recording::open([&repaired])
    {
        assert_eq!(recording.cuts().count(), 0);
    }
    let Ok(recording) = Recording::open([&path]) else { return };
    let mut frames = recording.frames();
    loop {
        match frames.next() {
            Ok(Some(state)) => drop(format!("{state:?}")),
            Ok(None) => break,
            Err(error) => drop(error.to_string()),
        }
    }
    let (from, to) = recording.span();
    for state in [from, to].into_iter().filter_map(|time| recording.at(time).ok().flatten()) {
        state.programs().for_each(|program| drop(format!("{:?}", state.threads(program))));
    }
    if let Ok(mut replay) = recording.replay(1 << 20, None, Some(to)) {
        let now = replay.sampler.clock().now();
        let _ = replay.sampler.clock().time_of_day(now);
        let programs = replay.sampler.read(|history| {
            drop(format!("{history:?}"));
            history.programs().iter().map(|program| program.key).collect::<Vec<_>>()
        });
        programs.into_iter().for_each(|key| drop(format!("{:?}", replay.threads.at(key, now))));
    }
}

/// A block of BGZF.
fn block(data: &[u8]) -> Vec<u8> {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflated.write_all(data).unwrap();
    let deflated = deflated.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(data);
    let mut block = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, 0x42, 0x43, 2, 0];
    block.extend(u16::try_from(deflated.len() + 25).unwrap_or(0).to_le_bytes());
    block.extend(deflated);
    block.extend(crc.sum().to_le_bytes());
    block.extend(u32::try_from(data.len()).unwrap_or(0).to_le_bytes());
    block
}
