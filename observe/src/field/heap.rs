//! Private copy of a file's strings and constants.

use std::str;

use mmstats_core::protocol::Site;
use mmstats_core::read::{Field, HeapStr};
use mmstats_core::{Source, Storage};

/// The used heap of an image, copied when its fields were checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heap {
    /// Offset of the heap in the image.
    start: u32,
    bytes: Vec<u8>,
}

impl Heap {
    /// No bytes of a heap at offset `start`.
    pub(crate) const fn new(start: u32) -> Self {
        Self { start, bytes: Vec::new() }
    }

    /// Number of copied bytes.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// The copied bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Copies the bytes up to `end` of the heap of `source`. Those that were copied before stay.
    pub(crate) fn extend<S: Source + ?Sized>(&mut self, source: &S, end: u32) {
        let size = (end as usize).next_multiple_of(8);
        // Whole words of 8 bytes are copied.
        let whole = self.bytes.len() / 8 * 8;
        let mut first = [0; 8];
        let (first, _) = first.split_at_mut(self.bytes.len() - whole);
        first.copy_from_slice(self.bytes.get(whole..).unwrap_or(&[]));
        // Exact: there are many files, and few grow.
        self.bytes.reserve_exact(size.saturating_sub(self.bytes.len()));
        self.bytes.resize(size.max(self.bytes.len()), 0);
        let Some(to) = self.bytes.get_mut(whole..size) else { return };
        source.copy(self.start.saturating_add(u32::try_from(whole).unwrap_or(u32::MAX)), to);
        if let Some(to) = to.get_mut(..first.len()) {
            to.copy_from_slice(first);
        }
    }

    /// End of the strings and the constant of a field, counted from the start of the heap.
    #[inline]
    pub(crate) fn end_of(&self, field: &Field) -> u32 {
        let strings =
            [field.label(), field.unit(), field.help(), field.attributes(), field.detail()];
        let end = |string: &HeapStr| {
            let len = u32::try_from(string.len()).unwrap_or(u32::MAX);
            if len == 0 { 0 } else { string.offset().saturating_add(len) }
        };
        let last = strings.iter().map(end).max().unwrap_or(0);
        let mut last = last.checked_next_multiple_of(4).unwrap_or(u32::MAX);
        if field.storage() == Some(Storage::Constant) {
            last = last.max(self.end_of_constant(field));
        }
        last.saturating_sub(self.start)
    }

    fn end_of_constant(&self, field: &Field) -> u32 {
        let size = match field.ty() {
            Some(ty) if !ty.is_scalar() => {
                self.load32(field.place()).min(field.count()).saturating_add(8)
            }
            _ => field.value_size(),
        };
        field.place().saturating_add(size.checked_next_multiple_of(8).unwrap_or(u32::MAX))
    }

    /// Keeps only the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: u32) {
        self.bytes.truncate(len as usize);
        // Most of it was no string.
        if self.bytes.capacity() / 2 > self.bytes.len() {
            self.bytes.shrink_to_fit();
        }
    }

    /// The bytes of a string; empty if it is not in the heap.
    pub(crate) fn string_bytes(&self, string: HeapStr) -> &[u8] {
        self.from(string.offset()).get(..string.len()).unwrap_or(&[])
    }

    /// A checked string.
    pub(crate) fn string(&self, string: HeapStr) -> &str {
        str::from_utf8(self.string_bytes(string)).unwrap_or("")
    }

    /// All bytes from an offset in the image.
    fn from(&self, offset: u32) -> &[u8] {
        let from = offset.checked_sub(self.start).map(|from| from as usize);
        from.and_then(|from| self.bytes.get(from..)).unwrap_or(&[])
    }
}

/// Offsets are those of the image; bytes outside the heap are zero.
impl Source for Heap {
    fn size(&self) -> u32 {
        self.start.saturating_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    fn load32(&self, offset: u32) -> u32 {
        self.from(offset).load32(0)
    }

    fn load64(&self, offset: u32) -> Option<u64> {
        self.from(offset).load64(0)
    }

    #[inline]
    fn slice(&self, offset: u32, len: u32) -> Option<&[u8]> {
        let from = offset.checked_sub(self.start)? as usize;
        self.bytes.get(from..)?.get(..len as usize)
    }

    // A private copy does not change.
    fn fence(&self, _site: Site) {}

    fn copy(&self, offset: u32, out: &mut [u8]) {
        self.from(offset).copy(0, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heap_offsets_are_of_image() {
        let mut heap = Heap::new(64);
        let image = [&[0; 64][..], b"\x05\x00hello\x00", &[0; 8]].concat();
        heap.extend(image.as_slice(), 8);
        assert_eq!((heap.bytes().len(), heap.size()), (8, 72));
        assert_eq!(heap.load32(64), 0x6568_0005);
        assert_eq!(heap.load64(64), Some(0x006F_6C6C_6568_0005));
        assert_eq!((heap.load32(60), heap.load32(72), heap.load32(u32::MAX)), (0, 0, 0));
        let mut out = [9; 16];
        heap.copy(68, &mut out);
        assert_eq!(&out[..5], b"llo\0\0");
        assert_eq!(out[5..], [0; 11]);
        assert_eq!(heap.string(HeapStr::default()), "");
    }

    #[test]
    fn extend_keeps_bytes_that_were_copied() {
        let mut heap = Heap::new(8);
        heap.extend([1; 40].as_slice(), 12);
        heap.truncate(12);
        assert_eq!(heap.bytes(), [1; 12]);
        heap.extend([2; 40].as_slice(), 20);
        assert_eq!(heap.bytes(), [&[1; 12][..], &[2; 12]].concat());
        heap.extend([3; 40].as_slice(), 9);
        assert_eq!(heap.bytes(), [&[1; 12][..], &[2; 12]].concat(), "never shorter");
    }
}
