//! Sources of the checked reader: shared memory, or a plain slice of bytes.

use crate::protocol::{ReadWord, Site};

/// Bytes that can be read as an image: shared memory or a plain slice.
///
/// No method fails: bytes past the end read as zero. The reader checks every range against
/// [`Source::size`] first.
pub trait Source {
    /// The number of bytes, at most `u32::MAX`.
    fn size(&self) -> u32;

    /// The little-endian u32 at `offset`, a multiple of 4.
    fn load32(&self, offset: u32) -> u32;

    /// The little-endian u64 at `offset`, a multiple of 8, read in one access.
    ///
    /// `None` if this target has no such access and the bytes may change.
    fn load64(&self, offset: u32) -> Option<u64>;

    /// fence(Acquire): later loads are not moved before earlier ones. `site` has the reason.
    fn fence(&self, site: Site);

    /// The `len` bytes from `offset`, if all of them exist and cannot change.
    ///
    /// `None` for shared memory, which the reader loads in words.
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
        // Fast path: for an `out` of constant length this compiles to a few moves.
        match rest.get(..out.len()) {
            Some(all) => out.copy_from_slice(all),
            None => copy_end(rest, out),
        }
    }
}

/// Copies the end of an image, which is shorter than `out`.
#[cold]
#[inline(never)]
fn copy_end(rest: &[u8], out: &mut [u8]) {
    out.fill(0);
    out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
}

/// A source that knows whether its bytes can change. Those of a closed image, or of one whose
/// writer is dead, cannot.
///
/// A machine without loads of 8 bytes must not read an 8-byte atomic cell of a live image
/// (PROTOCOL.md section 3). If the image cannot change, two loads of 4 bytes return one value.
///
/// ```
/// use mmstats_core::{Source, Still};
/// let image = [7, 0, 0, 0, 1, 0, 0, 0];
/// assert_eq!(Still::new(&image[..], true).load64(0), Some(0x1_0000_0007));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Still<S> {
    source: S,
    still: bool,
}

impl<S> Still<S> {
    /// `still` promises that the bytes no longer change.
    pub const fn new(source: S, still: bool) -> Self {
        Self { source, still }
    }
}

impl<S: Source> Source for Still<S> {
    #[inline]
    fn size(&self) -> u32 {
        self.source.size()
    }
    #[inline]
    fn slice(&self, offset: u32, len: u32) -> Option<&[u8]> {
        self.source.slice(offset, len)
    }
    #[inline]
    fn load32(&self, offset: u32) -> u32 {
        self.source.load32(offset)
    }
    #[inline]
    fn load64(&self, offset: u32) -> Option<u64> {
        let halves = || {
            let high = u64::from(self.source.load32(offset.saturating_add(4)));
            self.still.then(|| high << 32 | u64::from(self.source.load32(offset)))
        };
        self.source.load64(offset).or_else(halves)
    }
    #[inline]
    fn fence(&self, site: Site) {
        self.source.fence(site);
    }
    #[inline]
    fn copy(&self, offset: u32, out: &mut [u8]) {
        self.source.copy(offset, out);
    }
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
pub(crate) struct SourceWord<'a, S: ?Sized> {
    pub(crate) source: &'a S,
    pub(crate) offset: u32,
}

impl<S: Source + ?Sized> ReadWord for SourceWord<'_, S> {
    #[inline(always)]
    fn load(&self) -> u32 {
        self.source.load32(self.offset)
    }

    #[inline(always)]
    fn fence(&self, site: Site) {
        self.source.fence(site);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shared memory on a machine without loads of 8 bytes.
    struct Narrow([u8; 16]);

    impl Source for Narrow {
        fn size(&self) -> u32 {
            16
        }
        fn load32(&self, offset: u32) -> u32 {
            self.0.load32(offset)
        }
        fn load64(&self, _offset: u32) -> Option<u64> {
            None
        }
        fn fence(&self, _site: Site) {}
    }

    #[test]
    fn still_halves_joined_only_without_writer() {
        let bytes = core::array::from_fn(|i| u8::try_from(i + 1).unwrap());
        let narrow = Narrow(bytes);
        assert_eq!(Still::new(&narrow, false).load64(8), None);
        assert_eq!(Still::new(&narrow, true).load64(8), Some(0x100F_0E0D_0C0B_0A09));
        assert_eq!(Still::new(&narrow, true).load64(8), bytes.as_slice().load64(8));
        assert_eq!(Still::new(&narrow, true).load64(u32::MAX - 7), Some(0));
    }

    /// A source that records its fences.
    struct Asked<'a>(&'a [u8], core::cell::RefCell<std::vec::Vec<Site>>);

    impl Source for Asked<'_> {
        fn size(&self) -> u32 {
            self.0.size()
        }
        fn load32(&self, offset: u32) -> u32 {
            self.0.load32(offset)
        }
        fn load64(&self, offset: u32) -> Option<u64> {
            self.0.load64(offset)
        }
        fn slice(&self, offset: u32, len: u32) -> Option<&[u8]> {
            self.0.slice(offset, len)
        }
        fn fence(&self, site: Site) {
            self.1.borrow_mut().push(site);
        }
    }

    #[test]
    fn source_wrappers_forward_every_method() {
        fn answers(source: &(impl Source + ?Sized)) {
            assert_eq!(source.size(), 24);
            assert_eq!(source.load32(4), 0x0706_0504);
            assert_eq!(source.load64(8), Some(0x0F0E_0D0C_0B0A_0908));
            assert_eq!(source.slice(3, 2), Some(&[3, 4][..]));
            assert_eq!(source.slice(24, 0), Some(&[][..]));
            assert_eq!((source.slice(20, 5), source.slice(25, 0)), (None, None));
            let mut out = [0; 8];
            source.copy(16, &mut out);
            assert_eq!(out, [16, 17, 18, 19, 20, 21, 22, 23]);
            source.fence(Site::ReaderExit);
        }
        let bytes: [u8; 24] = core::array::from_fn(|i| u8::try_from(i).unwrap());
        let asked = Asked(&bytes, core::cell::RefCell::default());
        answers(&asked);
        answers(&&asked);
        answers(&Still::new(&asked, false));
        answers(&Still::new(&asked, true));
        let word = SourceWord { source: &asked, offset: 4 };
        assert_eq!(word.load(), 0x0706_0504);
        word.fence(Site::ReaderExit);
        assert_eq!(asked.1.into_inner(), [Site::ReaderExit; 5]);
        answers(&bytes[..]);
        // The default of `slice` is `None`.
        assert_eq!(Narrow([0; 16]).slice(0, 8), None);
    }
}
