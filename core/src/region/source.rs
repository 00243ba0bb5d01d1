//! What an image can be read from: shared memory, or a plain slice of bytes.

/// Bytes that can be read as an image: shared memory or a plain slice.
///
/// The one code path of the checked reader. No method fails: bytes past the end
/// read as zero, and the reader checks every range against [`Source::size`] first.
pub trait Source {
    /// The number of bytes, at most `u32::MAX`.
    fn size(&self) -> u32;

    /// The little-endian u32 at `offset`, a multiple of 4.
    fn load32(&self, offset: u32) -> u32;

    /// The little-endian u64 at `offset`, a multiple of 8, read in one access.
    ///
    /// `None` where this target has no such access and the bytes may change.
    fn load64(&self, offset: u32) -> Option<u64>;

    /// A fence(Acquire): later loads are not done before earlier ones.
    fn fence_acquire(&self);

    /// Copies bytes from `offset`, a multiple of 8, into `out`, in whole words
    /// (`out.len()` is a multiple of 8). Bytes past the end are zero.
    fn copy(&self, offset: u32, out: &mut [u8]) {
        let mut at = offset;
        for word in out.chunks_exact_mut(4) {
            word.copy_from_slice(&self.load32(at).to_le_bytes());
            at = at.saturating_add(4);
        }
    }
}

impl Source for [u8] {
    fn size(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    fn load32(&self, offset: u32) -> u32 {
        let at = offset as usize;
        match self.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            Some(bytes) => u32::from_le_bytes(*bytes),
            None => 0,
        }
    }

    fn load64(&self, offset: u32) -> Option<u64> {
        let at = offset as usize;
        match self.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => Some(u64::from_le_bytes(*bytes)),
            None => Some(0),
        }
    }

    // A slice does not change while it is borrowed.
    fn fence_acquire(&self) {}

    fn copy(&self, offset: u32, out: &mut [u8]) {
        let rest = self.get(offset as usize..).unwrap_or(&[]);
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        out[n..].fill(0);
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn size(&self) -> u32 {
        (**self).size()
    }
    fn load32(&self, offset: u32) -> u32 {
        (**self).load32(offset)
    }
    fn load64(&self, offset: u32) -> Option<u64> {
        (**self).load64(offset)
    }
    fn fence_acquire(&self) {
        (**self).fence_acquire();
    }
    fn copy(&self, offset: u32, out: &mut [u8]) {
        (**self).copy(offset, out);
    }
}
