//! Fletcher-64, FORMAT.md section 8.
//!
//! Chosen by measurement: over 100 bytes it takes a quarter of the time of a
//! table-driven CRC-32 (8 ns against 37 ns), needs no table in a microcontroller's
//! flash, and is five lines in any language.

use crate::region::Source;

/// A running Fletcher-64 over little-endian u32 words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fletcher64 {
    a: u64,
    b: u64,
    words: u32,
}

const MODULUS: u64 = 0xFFFF_FFFF;
/// After this many words the sums are reduced: with n words since then,
/// b < 2^32 * (n + 1) * (n + 2) / 2 + 2^32, which is below 2^64 for n = 2^15.
const REDUCE_EVERY: u32 = 1 << 15;

impl Fletcher64 {
    /// The checksum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { a: 0, b: 0, words: 0 }
    }

    /// Takes in the next word.
    #[inline]
    pub fn word(&mut self, word: u32) {
        self.a += u64::from(word);
        self.b += self.a;
        self.words += 1;
        if self.words == REDUCE_EVERY {
            self.a %= MODULUS;
            self.b %= MODULUS;
            self.words = 0;
        }
    }

    /// Takes in `len` bytes from `offset`, both multiples of 4.
    pub fn range<S: Source + ?Sized>(&mut self, source: &S, offset: u32, len: u32) {
        let mut at = offset;
        for _ in 0..len / 4 {
            self.word(source.load32(at));
            at = at.saturating_add(4);
        }
    }

    /// As [`Fletcher64::range`]; returns all words joined by or, so that a reader can
    /// see in the same pass whether a text is ASCII.
    #[inline]
    pub(crate) fn range_or<S: Source + ?Sized>(
        &mut self,
        source: &S,
        offset: u32,
        len: u32,
    ) -> u32 {
        let (mut at, mut bits) = (offset, 0);
        for _ in 0..len / 4 {
            let word = source.load32(at);
            bits |= word;
            self.word(word);
            at = at.saturating_add(4);
        }
        bits
    }

    /// The checksum of the words so far.
    #[must_use]
    pub const fn finish(&self) -> u64 {
        ((self.b % MODULUS) << 32) | (self.a % MODULUS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut sum = Fletcher64::new();
        sum.range(bytes, 0, u32::try_from(bytes.len()).unwrap());
        sum.finish()
    }

    /// By hand: the words of "abcdefgh" are 0x64636261 and 0x68676665.
    #[test]
    fn known_values() {
        assert_eq!(of(b""), 0);
        let (w1, w2) = (0x6463_6261_u64, 0x6867_6665_u64);
        let (a, b) = ((w1 + w2) % MODULUS, (2 * w1 + w2) % MODULUS);
        assert_eq!(of(b"abcdefgh"), (b << 32) | a);
        assert_eq!(of(&[0xFF; 4]), 0, "the known weakness: ones are zero");
    }

    #[test]
    fn every_single_bit_and_swap_is_found() {
        let bytes: [u8; 64] = core::array::from_fn(|i| u8::try_from(i * 37 % 251).unwrap());
        let good = of(&bytes);
        for bit in 0..64 * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of(&bad), good, "bit {bit}");
        }
        for i in 0..15 {
            let mut bad = bytes;
            for k in 0..4 {
                bad.swap(i * 4 + k, (i + 1) * 4 + k);
            }
            assert_ne!(of(&bad), good, "words {i} and {}", i + 1);
        }
    }

    #[test]
    fn long_inputs_do_not_overflow() {
        let mut sum = Fletcher64::new();
        let (mut a, mut b) = (0_u64, 0_u64);
        for i in 0..200_000_u32 {
            let word = u32::MAX - i % 7;
            sum.word(word);
            a = (a + u64::from(word)) % MODULUS;
            b = (b + a) % MODULUS;
        }
        assert_eq!(sum.finish(), (b << 32) | a);
    }
}
