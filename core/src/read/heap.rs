//! Strings and constants in the heap: FORMAT.md section 5.

use core::str;

use super::error::FieldError;
use crate::checksum::Fletcher64;
use crate::region::Source;

/// Size of the length before a string, in bytes.
const LENGTH: u32 = 2;
/// Bit 7 of each byte of a word: all clear if the four bytes are ASCII.
const HIGH_BITS: u32 = 0x8080_8080;

/// Checked offset and length of a string in the heap. The text is loaded on request.
///
/// The default is the empty string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct HeapStr {
    /// Offset of the length before the text.
    at: u32,
    len: u16,
}

impl HeapStr {
    /// The string of `len` bytes at `at`, both checked.
    pub(super) const fn new(at: u32, len: u16) -> Self {
        Self { at, len }
    }

    /// The length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Offset of the first byte of the text in the image.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.at.saturating_add(LENGTH)
    }

    /// Copies the text into `out` and returns it.
    ///
    /// Cannot fail: if `out` is too short, or a hostile writer changed the text after the check,
    /// the result is the longest UTF-8 prefix.
    pub fn read<'b, S: Source + ?Sized>(self, source: &S, out: &'b mut [u8]) -> &'b str {
        prefix(self.load(source, out))
    }

    /// [`HeapStr::read`] for bytes that may not be UTF-8.
    fn load<'b, S: Source + ?Sized>(self, source: &S, out: &'b mut [u8]) -> &'b [u8] {
        let n = out.len().min(self.len());
        let Some(text) = out.get_mut(..n) else { return &[] };
        if let Some(bytes) = source.slice(self.offset(), self.len.into()) {
            text.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            return text;
        }
        let (head, rest) = text.split_at_mut(n.min(2));
        let [_, _, a, b] = source.load32(self.at).to_le_bytes();
        head.iter_mut().zip([a, b]).for_each(|(to, from)| *to = from);
        let mut at = self.at;
        for chunk in rest.chunks_mut(4) {
            at = at.saturating_add(4);
            let word = source.load32(at).to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        }
        text
    }

    /// The text in a plain slice, without a copy. Cannot fail, as [`HeapStr::read`].
    #[must_use]
    pub fn slice(self, image: &[u8]) -> &str {
        let from = self.offset() as usize;
        prefix(image.get(from..from.saturating_add(self.len())).unwrap_or(&[]))
    }
}

/// The longest prefix that is UTF-8.
fn prefix(bytes: &[u8]) -> &str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            bytes.get(..error.valid_up_to()).and_then(|b| str::from_utf8(b).ok()).unwrap_or("")
        }
    }
}

/// The used part of the heap: `start..end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heap {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Heap {
    /// Whether `size` bytes from `at` are inside.
    pub(super) fn holds(self, at: u32, size: u64) -> bool {
        at >= self.start && u64::from(at).saturating_add(size) <= u64::from(self.end)
    }

    /// Checks offset and length of the string at `at`, which is referred to at `from`, and adds its
    /// words to `scan`. Returns the length of the text.
    ///
    /// Not inlined: four copies make `Field::read` slower.
    #[inline(never)]
    pub(super) fn string<S: Source + ?Sized>(
        self,
        source: &S,
        from: u32,
        at: u32,
        limit: usize,
        scan: &mut Scan,
    ) -> Result<u16, FieldError> {
        let left = self.end.saturating_sub(at);
        if !at.is_multiple_of(4) || at < self.start || left < 4 {
            let (least, limit) = (self.start, self.end);
            return Err(FieldError::StringPlace { offset: from, found: at, least, limit });
        }
        let [a, b, _, _] = source.load32(at).to_le_bytes();
        let len = u16::from_le_bytes([a, b]);
        let found = u32::from(len);
        // No overflow: `found` has 16 bits.
        let size = (LENGTH + found).next_multiple_of(4);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        if found == 0 || found > limit || size > left {
            let limit = limit.min(left - LENGTH);
            return Err(FieldError::StringLength { offset: at, found, limit });
        }
        scan.bits |= scan.sum.range_or(source, at, size);
        Ok(len)
    }
}

/// One pass over the words of a field's strings.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) sum: Fletcher64,
    /// Bitwise or of all words of all strings.
    bits: u32,
}

impl Scan {
    /// Whether all strings are ASCII and need no further check. A length with bit 7 set also makes
    /// this false, which only costs a check.
    pub(super) const fn is_ascii(&self) -> bool {
        self.bits & HIGH_BITS == 0
    }
}

/// Calls `look` with the bytes of a string.
///
/// Short strings use a small buffer: clearing one for the longest string takes longer than all
/// other checks of a field.
pub(super) fn with_bytes<S: Source + ?Sized, T>(
    source: &S,
    string: HeapStr,
    look: impl FnOnce(&[u8]) -> T,
) -> T {
    if let Some(bytes) = source.slice(string.offset(), string.len.into()) {
        return look(bytes);
    }
    match string.len() {
        0..=128 => look(string.load(source, &mut [0; 128])),
        129..=512 => look(string.load(source, &mut [0; 512])),
        _ => look(string.load(source, &mut [0; 4096])),
    }
}

/// Rule `utf8`.
pub(super) fn check_utf8<S: Source + ?Sized>(
    source: &S,
    string: HeapStr,
) -> Result<(), FieldError> {
    with_bytes(source, string, |bytes| str::from_utf8(bytes).map(|_| ())).map_err(|error| {
        let good = u32::try_from(error.valid_up_to()).unwrap_or(u32::MAX);
        FieldError::Utf8 { offset: string.offset().saturating_add(good) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &[u8] = b"....\x05\x00hello\x00\x02\x00\xC3\xA4\x03\x00a\xFF\xFF\x00";
    const HEAP: Heap = Heap { start: 4, end: 24 };

    /// The length of the string, and whether it is ASCII.
    fn string(at: u32, limit: usize) -> Result<(HeapStr, bool), FieldError> {
        let mut scan = Scan::default();
        let len = HEAP.string(IMAGE, 99, at, limit, &mut scan)?;
        Ok((HeapStr::new(at, len), scan.is_ascii()))
    }

    #[test]
    fn heap_str_read_and_slice_agree() {
        let (hello, ascii) = string(4, 255).unwrap();
        assert!(ascii);
        assert_eq!((hello.len(), hello.offset()), (5, 6));
        assert_eq!(hello.slice(IMAGE), "hello");
        assert_eq!(hello.read(IMAGE, &mut [0; 64]), "hello");
        for (n, text) in [(0, ""), (1, "h"), (2, "he"), (3, "hel"), (5, "hello")] {
            assert_eq!(hello.read(IMAGE, &mut std::vec![0; n]), text);
        }
        let (umlaut, ascii) = string(12, 255).unwrap();
        assert!(!ascii);
        assert_eq!(umlaut.slice(IMAGE), "\u{e4}");
        assert_eq!(umlaut.read(IMAGE, &mut [0; 1]), "", "never half a character");
    }

    #[test]
    fn check_utf8_error_has_offset() {
        let (bad, ascii) = string(16, 255).unwrap();
        assert!(!ascii);
        assert_eq!(bad.slice(IMAGE), "a");
        assert_eq!(check_utf8(IMAGE, bad), Err(FieldError::Utf8 { offset: 19 }));
        assert_eq!(check_utf8(IMAGE, string(4, 9).unwrap().0), Ok(()));
    }

    #[test]
    fn heap_string_outside_used_part_is_refused() {
        for at in [0, 1, 5, 24, 28, u32::MAX, u32::MAX - 3] {
            assert_eq!(string(at, 255).unwrap_err().code(), "string-place", "{at}");
        }
        assert_eq!(string(8, 0xFFFF).unwrap_err().code(), "string-length");
        assert_eq!(
            string(4, 4).unwrap_err(),
            FieldError::StringLength { offset: 4, found: 5, limit: 4 }
        );
        // Padding is part of the string.
        let heap = Heap { start: 4, end: 11 };
        let error = heap.string(IMAGE, 99, 4, 255, &mut Scan::default()).unwrap_err();
        assert_eq!(error, FieldError::StringLength { offset: 4, found: 5, limit: 5 });
    }

    #[test]
    fn heap_str_empty_reads_nothing() {
        assert_eq!(HeapStr::default().read([].as_slice(), &mut [0; 4]), "");
        assert_eq!(HeapStr::default().slice(&[]), "");
    }
}
