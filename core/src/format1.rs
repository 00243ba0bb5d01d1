//! Format 1: the packed little-endian files of the original Python library, read only.
//!
//! A byte 1, then records without padding, until a label size of 0 or the end:
//!
//! | size | type | name | rule |
//! | ---: | --- | --- | --- |
//! | 2 | u16 | label size | in bytes; 0 ends the list |
//! | label size | bytes | label | UTF-8 |
//! | 2 | u16 | type size | in bytes |
//! | type size | bytes | type | one code of Python's `struct` module, or a length and `s` |
//! | 1 | u8 | write buffer | 0 or 1: the writer fills that one next; 255: unbuffered |
//! | 1 or 2 values | | value | unbuffered: one; else two buffers, and the other one than the write buffer is read |
//!
//! Values are those of the original's reader: invalid UTF-8 is dropped, a text ends at its first
//! zero byte. Sizes are those of 64-bit Linux: `l` and `L` have 8 bytes. A 32-bit writer used 4,
//! which the file does not tell; such a file usually ends with an error at the next record.
//!
//! Copy a live file and read the copy. The format has no protocol: a copy taken during an update
//! may have a torn value.
//!
//! ```
//! use mmstats_core::format1::{self, Value};
//!
//! let file = b"\x01\x04\x00hits\x01\x00I\x01\x2A\x00\x00\x00\x29\x00\x00\x00\x00\x00";
//! let record = format1::fields(file)?.next().unwrap()?;
//! assert_eq!(record.label.as_str(), Some("hits"));
//! assert_eq!(record.value, Value::U64(42));
//! # Ok::<(), format1::Error>(())
//! ```

use core::{fmt, str};

/// The first byte of a file.
pub const VERSION: u8 = 1;
/// The write buffer of an unbuffered field.
const UNBUFFERED: u8 = 255;
/// Longest type: a length of up to 10 digits and `s`.
const MAX_TYPE: usize = 11;

/// Text of a file; bytes that are not UTF-8 are dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Lossy<'a>(&'a [u8]);

impl<'a> Lossy<'a> {
    /// All bytes.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text, if it is all UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        str::from_utf8(self.0).ok()
    }

    /// The valid pieces of the text; the original shows them joined.
    pub fn pieces(self) -> impl Iterator<Item = &'a str> {
        self.0.utf8_chunks().map(|chunk| chunk.valid())
    }
}

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().try_for_each(|piece| f.write_str(piece))
    }
}

impl fmt::Debug for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A value. Narrow integers are widened; [`Record::ty`] tells the width.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)] // Each holds what its name says.
pub enum Value<'a> {
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Text(Lossy<'a>),
}

/// One field of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// Offset of the record in the file, in bytes.
    pub offset: usize,
    /// The label.
    pub label: Lossy<'a>,
    /// The type: a code of Python's `struct` module, or a length and `s`.
    pub ty: &'a str,
    /// The buffer that the writer fills next; `None` if the field is unbuffered.
    pub write_buffer: Option<u8>,
    /// The value published last.
    pub value: Value<'a>,
}

/// Reason why a file, or the rest of it, cannot be read. Offsets and sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // The fields: `offset` in the file, what was `found`.
pub enum Error {
    /// The first byte is not 1, or there is none.
    Version { found: Option<u8> },
    /// A record needs `needed` bytes, of which `left` exist.
    Truncated { offset: usize, needed: usize, left: usize },
    /// A type that the original does not write; `size` is the length of its name.
    Type { offset: usize, size: usize },
    /// A write buffer that is none of 0, 1 and 255.
    WriteBuffer { offset: usize, found: u8 },
}

impl Error {
    /// The stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => "format1-version",
            Self::Truncated { .. } => "format1-truncated",
            Self::Type { .. } => "format1-type",
            Self::WriteBuffer { .. } => "format1-write-buffer",
        }
    }

    /// Offset of the broken rule in the file.
    #[must_use]
    pub const fn offset(&self) -> usize {
        match *self {
            Self::Version { .. } => 0,
            Self::Truncated { offset, .. }
            | Self::Type { offset, .. }
            | Self::WriteBuffer { offset, .. } => offset,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Version { found: Some(found) } => {
                write!(f, "not a file of format 1: it starts with {found}")
            }
            Self::Version { found: None } => f.write_str("not a file of format 1: it is empty"),
            Self::Truncated { offset, needed, left } => {
                write!(f, "a record needs {needed} bytes at {offset}, {left} are left")
            }
            Self::Type { offset, size } => {
                write!(f, "unknown type of {size} bytes at {offset}")
            }
            Self::WriteBuffer { offset, found } => {
                write!(f, "write buffer {found} at {offset} is none of 0, 1 and 255")
            }
        }
    }
}

impl core::error::Error for Error {}

/// The fields of a file.
///
/// # Errors
///
/// [`Error::Version`]; the iterator's items have the others.
pub fn fields(file: &[u8]) -> Result<Fields<'_>, Error> {
    match file.split_first() {
        Some((&VERSION, rest)) => Ok(Fields { rest, offset: 1, over: false }),
        first => Err(Error::Version { found: first.map(|(byte, _)| *byte) }),
    }
}

/// Iterator over the fields of a file; it ends after an error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    offset: usize,
    over: bool,
}

impl<'a> Fields<'a> {
    fn take(&mut self, needed: usize) -> Result<&'a [u8], Error> {
        let (offset, left) = (self.offset, self.rest.len());
        let (bytes, rest) =
            self.rest.split_at_checked(needed).ok_or(Error::Truncated { offset, needed, left })?;
        self.rest = rest;
        self.offset = offset.saturating_add(needed);
        Ok(bytes)
    }

    fn size(&mut self) -> Result<usize, Error> {
        Ok(self.take(2)?.first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes).into()))
    }

    fn record(&mut self) -> Result<Option<Record<'a>>, Error> {
        // A single zero byte at the end counts as a label size of 0, as in the original.
        if matches!(self.rest, [] | [0] | [0, 0, ..]) {
            return Ok(None);
        }
        let record = self.offset;
        let size = self.size()?;
        let label = Lossy(self.take(size)?);
        let size = self.size()?;
        let offset = self.offset;
        let ty = str::from_utf8(self.take(size)?).unwrap_or("");
        let (shape, size) = shape(ty).ok_or(Error::Type { offset, size })?;
        let offset = self.offset;
        let (write_buffer, value) = match self.take(1)? {
            [UNBUFFERED] => (None, self.take(size)?),
            [index @ (0 | 1)] => {
                // No overflow: `size` is below 2^32, else `take` refuses it.
                let both = self.take(size.saturating_mul(2))?;
                let (first, second) = both.split_at_checked(size).unwrap_or((both, &[]));
                (Some(*index), if *index == 0 { second } else { first })
            }
            other => {
                let found = other.first().copied().unwrap_or(0);
                return Err(Error::WriteBuffer { offset, found });
            }
        };
        Ok(Some(Record { offset: record, label, ty, write_buffer, value: shape.decode(value) }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Record<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let record = self.record().transpose();
        self.over = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Encoding of a type.
#[derive(Clone, Copy)]
enum Shape {
    Unsigned,
    Signed,
    Float,
    Bool,
    Text,
}

/// The encoding of a type and its size in bytes; `None` if the original never writes it.
fn shape(ty: &str) -> Option<(Shape, usize)> {
    Some(match ty {
        "B" => (Shape::Unsigned, 1),
        "H" => (Shape::Unsigned, 2),
        "I" => (Shape::Unsigned, 4),
        "L" | "Q" => (Shape::Unsigned, 8),
        "b" => (Shape::Signed, 1),
        "h" => (Shape::Signed, 2),
        "i" => (Shape::Signed, 4),
        "l" | "q" => (Shape::Signed, 8),
        "f" => (Shape::Float, 4),
        "d" => (Shape::Float, 8),
        "?" => (Shape::Bool, 1),
        _ => {
            let digits = ty.strip_suffix('s')?;
            if ty.len() > MAX_TYPE || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let size = if digits.is_empty() { 1 } else { digits.parse::<u32>().ok()? };
            (Shape::Text, usize::try_from(size).ok()?)
        }
    })
}

impl Shape {
    fn decode(self, bytes: &[u8]) -> Value<'_> {
        let mut word = [0; 8];
        // Sign extension first, then the bytes over it.
        if matches!(self, Self::Signed) && bytes.last().is_some_and(|last| last & 0x80 != 0) {
            word = [0xFF; 8];
        }
        word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let [a, b, c, d, ..] = word;
        match self {
            Self::Unsigned => Value::U64(u64::from_le_bytes(word)),
            Self::Signed => Value::I64(i64::from_le_bytes(word)),
            Self::Float if bytes.len() == 4 => Value::F32(f32::from_le_bytes([a, b, c, d])),
            Self::Float => Value::F64(f64::from_le_bytes(word)),
            Self::Bool => Value::Bool(a != 0),
            Self::Text => Value::Text(Lossy(bytes.split(|b| *b == 0).next().unwrap_or(&[]))),
        }
    }
}
