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

/// Private memory in which metadata is checked, used for one file after the other.
#[derive(Debug, Default)]
pub(crate) struct CheckBuffer {
    bytes: Vec<u8>,
    /// Memory that the metadata of the next file may take, in bytes.
    left: u64,
}

impl CheckBuffer {
    /// Larger buffers are freed by [`shrink`](Self::shrink).
    const KEPT: usize = 1 << 20;

    /// Sets the memory that the metadata of the next file may take, in bytes.
    pub(crate) const fn set_left(&mut self, left: u64) {
        self.left = left;
    }

    pub(super) const fn has_room(&self, size: u64) -> bool {
        size <= self.left
    }

    /// A buffer of `size` bytes, with old contents.
    pub(super) fn bytes(&mut self, size: u32) -> &mut [u8] {
        let size = size as usize;
        if self.bytes.len() < size {
            // A new vector, not a resized one: zeroed memory costs nothing until it is touched.
            self.bytes = vec![0; size];
        }
        self.bytes.get_mut(..size).unwrap_or(&mut [])
    }

    /// Frees a large buffer, after the last file.
    pub(crate) fn shrink(&mut self) {
        if self.bytes.len() > Self::KEPT {
            self.bytes = Vec::new();
        }
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

    #[test]
    fn check_buffer_is_used_again_and_freed_when_large() {
        let mut buffer = CheckBuffer::default();
        assert_eq!(buffer.bytes(100).len(), 100);
        assert_eq!((buffer.bytes(10).len(), buffer.bytes.len()), (10, 100));
        buffer.shrink();
        assert_eq!(buffer.bytes.len(), 100);
        assert_eq!(buffer.bytes(2 << 20).len(), 2 << 20);
        buffer.shrink();
        assert!(buffer.bytes.is_empty());
        buffer.bytes(1 << 20);
        buffer.shrink();
        assert_eq!(buffer.bytes.len(), 1 << 20, "1 MiB is kept");
    }
}
