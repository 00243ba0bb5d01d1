//! The work of the demo: hashing and compressing.

use std::fs::File;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};

/// Size of a block in bytes.
pub(crate) const BLOCK: usize = 64 << 10;
/// Maximum size of the material in bytes.
const MAX_MATERIAL: u64 = 16 << 20;

/// The bytes of this program, or generated text if they cannot be read.
pub(crate) fn material() -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = std::env::current_exe().and_then(File::open);
    let read = file.and_then(|file| file.take(MAX_MATERIAL).read_to_end(&mut bytes));
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

/// Block `n` of the material, which repeats without end.
pub(crate) fn block(material: &[u8], n: u64) -> &[u8] {
    let blocks = (material.len() / BLOCK).max(1) as u64;
    // Less than the length, so it fits.
    let at = usize::try_from(n % blocks).unwrap_or(0) * BLOCK;
    &material[at..material.len().min(at + BLOCK)]
}

pub(crate) fn hash(block: &[u8]) -> [u8; 32] {
    Sha256::digest(block).into()
}

/// Compresses into `out`, which is cleared first.
pub(crate) fn compress(block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    let mut encoder = DeflateEncoder::new(out, Compression::fast());
    encoder.write_all(block)?;
    encoder.finish().map(drop)
}

/// Whether `compressed` decompresses to bytes with this hash.
pub(crate) fn verify(compressed: &[u8], hash: &[u8; 32]) -> bool {
    let mut back = Vec::with_capacity(BLOCK);
    // Limits a damaged stream.
    let read = DeflateDecoder::new(compressed).take(BLOCK as u64 + 1).read_to_end(&mut back);
    read.is_ok() && self::hash(&back) == *hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verify_detects_damage() {
        let material = material();
        assert!(material.len() >= BLOCK);
        let block = block(&material, u64::MAX - 3);
        let mut out = Vec::new();
        compress(block, &mut out).unwrap();
        assert!(verify(&out, &hash(block)));
        // Another bit may mean another place with the same bytes; less is never the same.
        let mut other = hash(block);
        other[7] ^= 0x10;
        assert!(!verify(&out, &other));
        out.truncate(out.len() / 2);
        assert!(!verify(&out, &hash(block)));
    }
}
