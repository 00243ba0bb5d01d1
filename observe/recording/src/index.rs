//! Where the segments of a file are: from the headers of its blocks, without reading their data.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use crate::bgzf::{GZIP, HEADER, Header, header};
use crate::error::{Error, open};

/// Bytes at the end of a file that the reader leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// A run of blocks that begins with a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Offset of its first block.
    pub(crate) start: u64,
    /// Offset behind its last block.
    pub(crate) end: u64,
    /// Time of its first line, in seconds since 1970.
    pub(crate) time: u32,
}

/// The segments of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    pub(crate) segments: Vec<Segment>,
    /// Offset behind the last whole block.
    pub(crate) end: u64,
    pub(crate) cut: Option<Cut>,
}

/// Maximum number of segments of a file: those of ten years.
const MAX_SEGMENTS: usize = 1 << 23;

impl Index {
    /// Reads the headers of all blocks.
    pub(crate) fn new(path: &Path, file: &mut File) -> Result<Self, Error> {
        Self::read(file).map_err(|error| Error::io(path, "read it", &error))
    }

    fn read(file: &mut File) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let (mut index, mut open) = (Self::default(), None::<Segment>);
        while let Some(block) = next(&mut reader, size - index.end)? {
            let end = index.end + u64::from(block.size);
            match (&mut open, block.is_end()) {
                (None, true) => {}
                (Some(segment), true) => {
                    index.segments.push(*segment);
                    open = None;
                }
                (Some(segment), false) => segment.end = end,
                (None, false) => {
                    open = Some(Segment { start: index.end, end, time: block.time });
                }
            }
            index.end = end;
            if index.segments.len() > MAX_SEGMENTS {
                return Err(io::Error::other("it has too many segments"));
            }
            reader.seek_relative(i64::from(block.size) - HEADER as i64)?;
        }
        index.segments.extend(open);
        let bytes = size - index.end;
        index.cut = (bytes > 0).then_some(Cut { offset: index.end, bytes });
        Ok(index)
    }
}

/// The next header, if its block is whole.
fn next(reader: &mut impl Read, left: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER];
    if left < HEADER as u64 {
        return Ok(None);
    }
    reader.read_exact(&mut bytes)?;
    Ok(header(&bytes).filter(|header| u64::from(header.size) <= left))
}
/// Why a file without a whole block is no recording.
pub(crate) fn no_block(path: &Path) -> Error {
    let mut bytes = Vec::new();
    let start = open(path).and_then(|file| {
        let length = HEADER.try_into().unwrap_or(u64::MAX);
        file.take(length)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io(path, "read it", &error))
    });
    let message = match (start, &bytes[..]) {
        (Err(error), _) => return error,
        (_, []) => "it is no recording: it is empty",
        (_, start) if !start.starts_with(&GZIP) => "it is no recording: it is no file of gzip",
        (_, start) if start.first_chunk().is_some_and(|start| header(start).is_none()) => {
            "it is no recording: it is a file of gzip without blocks"
        }
        _ => "it is cut or damaged before its first block ends: nothing of it can be read",
    };
    Error::new(path, message)
}
