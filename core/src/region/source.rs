//! What an image can be read from: shared memory, or a plain slice of bytes.

use crate::protocol::{ReadWord, Site};

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

    /// A fence(Acquire): later loads are not done before earlier ones. `site` says why.
    fn fence(&self, site: Site);

    /// The `len` bytes from `offset`, where they are all there and cannot change.
    ///
    /// `None` for shared memory. Only a shortcut: a reader that gets `None` loads words.
    #[inline]
    fn slice(&self, offset: u32, len: u32) -> Option<&[u8]> {
        let _ = (offset, len);
        None
    }

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
    #[inline]
    fn size(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    #[inline]
    fn slice(&self, offset: u32, len: u32) -> Option<&[u8]> {
        self.get(offset as usize..)?.get(..len as usize)
    }

    #[inline]
    fn load32(&self, offset: u32) -> u32 {
        let at = offset as usize;
        match self.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            Some(bytes) => u32::from_le_bytes(*bytes),
            None => 0,
        }
    }

    #[inline]
    fn load64(&self, offset: u32) -> Option<u64> {
        let at = offset as usize;
        match self.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => Some(u64::from_le_bytes(*bytes)),
            None => Some(0),
        }
    }

    // A slice does not change while it is borrowed.
    #[inline]
    fn fence(&self, _site: Site) {}

    #[inline]
    fn copy(&self, offset: u32, out: &mut [u8]) {
        let rest = self.get(offset as usize..).unwrap_or(&[]);
        // The usual case apart: `out` often has a constant length, and then this is a few
        // moves and no call.
        match rest.get(..out.len()) {
            Some(all) => out.copy_from_slice(all),
            None => copy_end(rest, out),
        }
    }
}

/// Copies what is left at the end of an image, shorter than `out`.
#[cold]
#[inline(never)]
fn copy_end(rest: &[u8], out: &mut [u8]) {
    out.fill(0);
    out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
}

impl<S: Source + ?Sized> Source for &S {
    #[inline]
    fn size(&self) -> u32 {
        (**self).size()
    }
    #[inline]
    fn slice(&self, offset: u32, len: u32) -> Option<&[u8]> {
        (**self).slice(offset, len)
    }
    #[inline]
    fn load32(&self, offset: u32) -> u32 {
        (**self).load32(offset)
    }
    #[inline]
    fn load64(&self, offset: u32) -> Option<u64> {
        (**self).load64(offset)
    }
    #[inline]
    fn fence(&self, site: Site) {
        (**self).fence(site);
    }
    #[inline]
    fn copy(&self, offset: u32, out: &mut [u8]) {
        (**self).copy(offset, out);
    }
}

/// A word of 4 bytes in a source.
pub(crate) struct WordOf<'a, S: ?Sized> {
    pub(crate) source: &'a S,
    pub(crate) offset: u32,
}

impl<S: Source + ?Sized> ReadWord for WordOf<'_, S> {
    #[inline(always)]
    fn load(&self) -> u32 {
        self.source.load32(self.offset)
    }

    #[inline(always)]
    fn fence(&self, site: Site) {
        self.source.fence(site);
    }
}
