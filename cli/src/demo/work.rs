//! Work that is worth watching: hashing and compressing real bytes.

use std::fs::File;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64 << 10;
/// No more than this is kept in memory.
const MOST: u64 = 16 << 20;

/// The bytes of this very program; where they cannot be read, made-up sentences.
pub(crate) fn material() -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = std::env::current_exe().and_then(File::open);
    let read = file.and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    if read.is_err() || bytes.len() < BLOCK {
        bytes.clear();
        let mut n = 1_u64;
        while bytes.len() < BLOCK * 64 {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let line = format!("worker {} saw {:x} items and went on\n", n >> 60, n >> 20);
            bytes.extend_from_slice(line.as_bytes());
        }
    }
    bytes
}

/// Number `n` of the blocks of the material, which begins again at its end.
pub(crate) fn block(material: &[u8], n: u64) -> &[u8] {
    let blocks = (material.len() / BLOCK).max(1) as u64;
    // Less than the length, so it fits.
    let at = usize::try_from(n % blocks).unwrap_or(0) * BLOCK;
    &material[at..material.len().min(at + BLOCK)]
}

pub(crate) fn hash(block: &[u8]) -> [u8; 32] {
    Sha256::digest(block).into()
}

/// Compresses into `out`, which is emptied before.
pub(crate) fn compress(block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    let mut encoder = DeflateEncoder::new(out, Compression::fast());
    encoder.write_all(block)?;
    encoder.finish().map(drop)
}

/// Whether `compressed` gives back what had this hash.
pub(crate) fn verify(compressed: &[u8], hash: &[u8; 32]) -> bool {
    let mut back = Vec::with_capacity(BLOCK);
    // A damaged stream must not fill the memory.
    let read = DeflateDecoder::new(compressed).take(BLOCK as u64 + 1).read_to_end(&mut back);
    read.is_ok() && self::hash(&back) == *hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_damage_is_found() {
        let material = material();
        assert!(material.len() >= BLOCK);
        let block = block(&material, u64::MAX - 3);
        let mut out = Vec::new();
        compress(block, &mut out).unwrap();
        assert!(verify(&out, &hash(block)));
        let middle = out.len() / 2;
        out[middle] ^= 0x10;
        assert!(!verify(&out, &hash(block)));
    }
}
