//! Blocks of gzip, as BGZF has them: each says its size in its header, so a reader finds the next one.
//!
//! Source: "Sequence Alignment/Map Format Specification", section 4.1. The time of the gzip header is that of the
//! first line in the block; an empty block ends a segment.

use std::io::{self, Read as _};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output,
    create_comp_flags_from_zip_params,
};

/// Size of the header of a block.
pub(crate) const HEADER: usize = 18;
/// Size of the checksum and the length behind the data.
const TRAILER: usize = 8;
/// Maximum number of bytes in a block, so that incompressible ones fit too.
pub(crate) const MAX_DATA: usize = 0xff00;
/// Maximum number of bytes that a block of another writer may have.
const MAX_OUTPUT: usize = 1 << 16;

/// Bytes with which every file of gzip begins.
pub(crate) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The empty block: the end of a segment.
pub(crate) const END: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 6, 0, 0x42, 0x43, 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0,
    0, 0, 0, 0,
];

/// Appends `data`, cut into blocks, to `out`. `time` is that of the first line, in seconds since 1970.
pub(crate) fn compress(data: &[u8], time: u32, out: &mut Vec<u8>) -> io::Result<()> {
    for data in data.chunks(MAX_DATA) {
        let start = out.len();
        out.extend([0x1f, 0x8b, 0x08, 0x04]);
        out.extend(time.to_le_bytes());
        out.extend([0, 0xff, 6, 0, 0x42, 0x43, 2, 0, 0, 0]);
        deflate(data, out)?;
        let mut crc = Crc::new();
        crc.update(data);
        out.extend(crc.sum().to_le_bytes());
        out.extend(u32::try_from(data.len()).unwrap_or(0).to_le_bytes());
        let size = u16::try_from(out.len() - start - 1).map_err(io::Error::other)?;
        if let Some(place) = out.get_mut(start + 16..start + 18) {
            place.copy_from_slice(&size.to_le_bytes());
        }
    }
    Ok(())
}

/// Appends the compressed data. Short matches are left out: numbers that differ in their last digits take less room as
/// literals than as matches far away.
fn deflate(data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let flags = create_comp_flags_from_zip_params(9, 0, CompressionStrategy::Filtered as i32);
    let mut compressor = CompressorOxide::new(flags);
    let append = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        true
    };
    match compress_to_output(&mut compressor, data, TDEFLFlush::Finish, append) {
        (TDEFLStatus::Done, _) => Ok(()),
        (status, _) => Err(io::Error::other(format!("cannot compress: {status:?}"))),
    }
}

/// The header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Size of the block in the file, in bytes.
    pub(crate) size: u32,
    /// Seconds since 1970.
    pub(crate) time: u32,
}

impl Header {
    /// Whether the block has no data.
    pub(crate) const fn is_end(self) -> bool {
        self.size as usize == END.len()
    }
}

/// The header of a block; `None` if it is none.
pub(crate) fn header(bytes: &[u8; HEADER]) -> Option<Header> {
    let [0x1f, 0x8b, 8, 4, a, b, c, d, _, _, 6, 0, 0x42, 0x43, 2, 0, low, high] = *bytes else {
        return None;
    };
    let size = u32::from(u16::from_le_bytes([low, high])) + 1;
    let time = u32::from_le_bytes([a, b, c, d]);
    (size as usize >= END.len()).then_some(Header { size, time })
}

/// Appends the data of a block, at most 64 KiB, to `out`.
pub(crate) fn decompress(block: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let deflated =
        block.get(HEADER..block.len().saturating_sub(TRAILER)).ok_or("a block is too short")?;
    let trailer = block.len() - TRAILER;
    let word = |at: usize| {
        let bytes = block.get(trailer + at..trailer + at + 4).and_then(|b| b.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    let start = out.len();
    let mut decoder = DeflateDecoder::new(deflated).take(MAX_OUTPUT as u64 + 1);
    decoder.read_to_end(out).map_err(|_| "the data of a block are damaged")?;
    let data = out.get(start..).unwrap_or_default();
    let mut crc = Crc::new();
    crc.update(data);
    if data.len() > MAX_OUTPUT {
        return Err("a block has more than 64 KiB of data");
    }
    if crc.sum() != word(0) || u32::try_from(data.len()) != Ok(word(4)) {
        return Err("the checksum of a block is wrong");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_same_data_afterwards() {
        let mut state = 1_u32;
        let data: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(200_000)
        .collect();
        let (mut blocks, mut back) = (Vec::new(), Vec::new());
        compress(&data, 7, &mut blocks).unwrap();
        blocks.extend(END);
        let mut rest = blocks.as_slice();
        while !rest.is_empty() {
            let header = header(rest[..HEADER].try_into().unwrap()).unwrap();
            assert_eq!(header.is_end(), rest.len() == END.len());
            assert!(header.is_end() || header.time == 7);
            let (block, more) = rest.split_at(header.size as usize);
            decompress(block, &mut back).unwrap();
            rest = more;
        }
        assert_eq!(back, data);
    }

    #[test]
    fn damaged_block_is_an_error() {
        let mut block = Vec::new();
        compress(b"hello hello hello", 0, &mut block).unwrap();
        for at in HEADER..block.len() {
            let mut other = block.clone();
            other[at] ^= 1;
            assert!(decompress(&other, &mut Vec::new()).is_err(), "{at}");
        }
        assert!(decompress(&block[..HEADER + 3], &mut Vec::new()).is_err());
    }
}
