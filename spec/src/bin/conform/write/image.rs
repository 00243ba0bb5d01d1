//! Bytes of a written image, which of them belong to a structure, and the rules that they break.

/// An image that readers accept, and what was found in it.
#[derive(Debug)]
pub(super) struct Image<'a> {
    bytes: &'a [u8],
    /// Whether each byte belongs to a structure.
    used: Vec<bool>,
    pub(super) problems: Vec<String>,
}

/// A descriptor, as far as its cell needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) flags: u64,
    pub(super) place: usize,
    pub(super) slot_size: usize,
    pub(super) slot_bits: usize,
    pub(super) member: usize,
}

impl<'a> Image<'a> {
    /// Bytes after `file_size` are no part of the image.
    pub(super) fn new(file: &'a [u8]) -> Self {
        let size = usize::try_from(number(file, 52, 4)).unwrap_or(usize::MAX);
        let bytes = file.get(..size).unwrap_or(file);
        Self { bytes, used: vec![false; bytes.len()], problems: Vec::new() }
    }

    /// A number of `size` bytes: 0 outside the image.
    pub(super) fn word(&self, at: usize, size: usize) -> u64 {
        number(self.bytes, at, size)
    }

    /// An offset, size or count.
    pub(super) fn size(&self, at: usize, size: usize) -> usize {
        usize::try_from(self.word(at, size)).unwrap_or(usize::MAX)
    }

    pub(super) fn range(&self, at: usize, size: usize) -> &'a [u8] {
        self.bytes.get(at..at.saturating_add(size)).unwrap_or(&[])
    }

    /// These bytes belong to a structure.
    pub(super) fn mark(&mut self, at: usize, size: usize) {
        let end = at.saturating_add(size).min(self.bytes.len());
        if let Some(used) = self.used.get_mut(at..end) {
            used.fill(true);
        }
    }

    /// A broken rule. `code` is that of the table in CONFORMANCE.md section 4.2.
    pub(super) fn problem(&mut self, code: &str, what: &str) {
        self.problems.push(format!("{code}: {what}"));
    }

    /// A problem if `found` is not `wanted`.
    pub(super) fn expect(&mut self, code: &str, what: &str, found: u64, wanted: u64) {
        if found != wanted {
            self.problem(code, &format!("{what} is {found}, not {wanted}"));
        }
    }

    /// A problem if one of these bytes is not zero.
    pub(super) fn zero(&mut self, code: &str, what: &str, at: usize, size: usize) {
        if let Some(first) = self.range(at, size).iter().position(|&byte| byte != 0) {
            let byte = at + first;
            self.problem(code, &format!("byte {byte} of {what} is not zero"));
        }
    }

    /// A problem if a byte outside of all structures is not zero.
    pub(super) fn check_unused(&mut self) {
        let outside = |(byte, used): (&u8, &bool)| *byte != 0 && !*used;
        if let Some(at) = self.bytes.iter().zip(&self.used).position(outside) {
            self.problem("unused", &format!("byte {at} belongs to nothing, and is not zero"));
        }
    }
}

/// A little-endian number; 0 where it is not there.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let range = bytes.get(at..at.saturating_add(size)).unwrap_or(&[]);
    range.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}
