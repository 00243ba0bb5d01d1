//! Buffers that are used again.

/// Buffers for reading values, used again so that reading allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    /// A multiple of 8 bytes.
    bytes: Vec<u8>,
    pub(super) present: Vec<bool>,
}

impl Scratch {
    /// Empty buffers, which grow to the need of the largest value.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `size` bytes, with old contents.
    pub(super) fn bytes(&mut self, size: usize) -> &mut [u8] {
        if self.bytes.len() < size {
            self.bytes.resize(size.next_multiple_of(8), 0);
        }
        self.bytes.get_mut(..size).unwrap_or(&mut [])
    }
}

/// Memory that metadata may take.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// Memory that the metadata of the next file may take, in bytes.
    left: u64,
}

impl Allowance {
    /// Sets the memory that the metadata of the next file may take, in bytes.
    pub(crate) const fn set_left(&mut self, left: u64) {
        self.left = left;
    }

    pub(super) const fn has_room(&self, size: u64) -> bool {
        size <= self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_grows_in_whole_words_and_keeps_its_bytes() {
        let mut scratch = Scratch::new();
        assert_eq!(scratch.bytes(13).len(), 13);
        assert_eq!(scratch.bytes.len(), 16);
        assert_eq!(scratch.bytes(8).len(), 8);
        assert_eq!(scratch.bytes.len(), 16);
    }
}
