//! Writes the whole lines of a recording whose end is cut.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::bgzf::{END, HEADER, decompress, header};
use crate::error::{Error, open};
use crate::index::{Index, no_block};

/// Result of [`repair`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Number of blocks that were written.
    pub blocks: u64,
    /// Number of bytes that were left out: a cut block, and blocks that are damaged or whose last line is not whole.
    pub left_out: u64,
}

/// Writes the good blocks of a recording into a new file.
///
/// # Errors
///
/// If a file cannot be read or written, `from` is no recording, or `to` exists.
pub fn repair(from: &Path, to: &Path) -> Result<Repaired, Error> {
    let mut file = open(from)?;
    let index = Index::new(from, &mut file)?;
    if index.segments.is_empty() {
        return Err(no_block(from));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)] // Values may be private.
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(to).map_err(|error| Error::io(to, "make it", &error))?;
    let mut repaired =
        Repaired { blocks: 0, left_out: index.cut.as_ref().map_or(0, |cut| cut.bytes) };
    for segment in &index.segments {
        let good = whole(&mut file, segment.start, segment.end);
        let good = good.map_err(|error| Error::io(from, "read it", &error))?;
        let size: usize = good.iter().map(Vec::len).sum();
        repaired.left_out += segment.end - segment.start - size as u64;
        let written = good.iter().try_for_each(|block| out.write_all(block));
        let end = if good.is_empty() { Ok(()) } else { out.write_all(&END) };
        written.and(end).map_err(|error| Error::io(to, "write it", &error))?;
        repaired.blocks += good.len() as u64;
    }
    out.sync_data().map_err(|error| Error::io(to, "write it", &error))?;
    Ok(repaired)
}

/// The blocks from `start` to `end`, up to the last good one that ends with a line.
fn whole(file: &mut File, start: u64, end: u64) -> io::Result<Vec<Vec<u8>>> {
    let (mut blocks, mut good, mut at) = (Vec::new(), 0, start);
    file.seek(SeekFrom::Start(start))?;
    while at < end {
        let mut block = vec![0; HEADER];
        file.read_exact(&mut block)?;
        let Some(header) = block.as_slice().try_into().ok().and_then(header) else { break };
        block.resize(header.size as usize, 0);
        file.read_exact(block.get_mut(HEADER..).unwrap_or_default())?;
        let mut text = Vec::new();
        if decompress(&block, &mut text).is_err() {
            break;
        }
        blocks.push(block);
        if text.last() == Some(&b'\n') {
            good = blocks.len();
        }
        at += u64::from(header.size);
    }
    blocks.truncate(good);
    Ok(blocks)
}
