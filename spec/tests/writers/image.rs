//! A written file that gets a fault, and the checksums that fit it.

/// Where label, unit, help, attributes and detail are in a descriptor.
const STRINGS: [usize; 5] = [0, 4, 8, 12, 44];
const CONSTANT: u64 = 1;

#[derive(Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    /// Whether the checksums are made anew: the fault is none in them.
    pub(crate) sealed: bool,
}

impl Image {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, sealed: true }
    }

    pub(crate) fn get(&self, at: usize, size: usize) -> u64 {
        let range = self.bytes.get(at..at + size).unwrap_or(&[]);
        range.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    fn offset(&self, at: usize) -> usize {
        usize::try_from(self.get(at, 4)).unwrap()
    }

    pub(crate) fn set(&mut self, at: usize, size: usize, value: u64) {
        let bytes = &value.to_le_bytes()[..size];
        self.bytes[at..at + size].copy_from_slice(bytes);
    }

    pub(crate) fn flip(&mut self, at: usize, bits: u8) {
        self.bytes[at] ^= bits;
    }

    /// Adds to a number of four bytes.
    pub(crate) fn add(&mut self, at: usize, n: u64) {
        self.set(at, 4, self.get(at, 4) + n);
    }

    /// Descriptor of a field.
    pub(crate) fn field(&self, index: usize) -> usize {
        self.offset(56) + index * usize::try_from(self.get(64, 2)).unwrap()
    }

    /// A string of a field, by its offset in the descriptor; of a constant, 24.
    pub(crate) fn heap(&self, index: usize, at: usize) -> usize {
        self.offset(self.field(index) + at)
    }

    pub(crate) fn lane(&self) -> usize {
        self.offset(76)
    }

    pub(crate) fn cell(&self, index: usize) -> usize {
        self.lane() + self.offset(self.field(index) + 24)
    }

    /// Slot of a latched cell or journal.
    pub(crate) fn slot(&self, index: usize, slot: usize) -> usize {
        self.cell(index) + 8 + slot * self.offset(self.field(index) + 28)
    }

    /// Makes the lanes longer by some bytes; where they begin, in a lane.
    pub(crate) fn grow_lane(&mut self, more: usize) -> usize {
        let stride = self.offset(80);
        self.bytes.resize(self.bytes.len() + more, 0);
        self.add(80, more as u64);
        self.add(52, more as u64);
        stride
    }

    /// Adds a lane; where it begins.
    pub(crate) fn add_lane(&mut self) -> usize {
        let (end, stride) = (self.offset(52), self.offset(80));
        self.bytes.resize(end + stride, 0);
        self.add(84, 1);
        self.add(52, stride as u64);
        end
    }

    /// Makes room of 64 bytes in front of `at`, in an image of one field: from there on all moves.
    fn insert(&mut self, at: usize) {
        self.bytes.splice(at..at, [0; 64]);
        let offsets = [52, 56, 68, 76];
        for offset in offsets.into_iter().filter(|&offset| offset != 56 || at < 256) {
            self.add(offset, 64);
        }
        for string in STRINGS.map(|string| self.field(0) + string) {
            if self.get(string, 4) != 0 {
                self.add(string, 64);
            }
        }
    }

    /// A header that is longer; where its new bytes begin.
    pub(crate) fn lengthen_header(&mut self) -> usize {
        self.insert(192);
        self.set(14, 2, 256);
        192
    }

    /// Descriptors that are longer.
    pub(crate) fn lengthen_descriptor(&mut self) -> usize {
        self.insert(256);
        self.set(64, 2, 128);
        256
    }

    /// Room for another descriptor.
    pub(crate) fn add_descriptor(&mut self) -> usize {
        self.insert(256);
        self.set(60, 4, 2);
        256
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes, with checksums that fit.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.sealed {
            let sum = fletcher(self.bytes.get(..120).unwrap());
            self.set(120, 8, sum);
            for index in 0..usize::try_from(self.get(132, 4)).unwrap() {
                let sum = fletcher(&self.pieces(index));
                self.set(self.field(index) + 56, 8, sum);
            }
        }
        self.bytes
    }

    /// FORMAT.md section 8.
    fn pieces(&self, index: usize) -> Vec<u8> {
        let at = self.field(index);
        let range = |at: usize, size: usize| self.bytes.get(at..at + size).unwrap_or(&[]);
        let mut pieces = range(at, 48).to_vec();
        for string in STRINGS.map(|string| self.offset(at + string)) {
            if string != 0 {
                let length = usize::try_from(self.get(string, 2)).unwrap();
                pieces.extend_from_slice(range(string, (2 + length).next_multiple_of(4)));
            }
        }
        if self.get(at + 19, 1) == CONSTANT {
            let value = self.heap(index, 24);
            let count = self.offset(at + 20);
            let size = match self.get(at + 16, 1) {
                12 | 13 => 8 + self.offset(value),
                1 | 5 | 11 => count,
                2 | 6 => 2 * count,
                3 | 7 | 9 => 4 * count,
                _ => 8 * count,
            };
            pieces.extend_from_slice(range(value, size.next_multiple_of(8)));
        }
        pieces
    }
}

fn fletcher(bytes: &[u8]) -> u64 {
    let (mut a, mut b) = (0_u64, 0_u64);
    for word in bytes.chunks_exact(4) {
        a = (a + u64::from(u32::from_le_bytes(word.try_into().unwrap()))) % 0xFFFF_FFFF;
        b = (b + a) % 0xFFFF_FFFF;
    }
    b << 32 | a
}
