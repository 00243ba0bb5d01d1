//! Verdicts and decoded values: FORMAT.md sections 4.1 and 6.

use core::str;

use super::error::ValueError;
use super::field::Field;
use super::journal::Histogram;
use super::lane::no_state;
use crate::layout::CUT;
use crate::types::{DataType, Storage};

/// Bytes of the length and flags before a text or bytes value.
const PREFIX: usize = 8;

/// State of a lane that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LaneState {
    /// A writer owns it, or died owning it.
    Owned,
    /// Its writer handed it back.
    HandedBack,
}

/// What a reader can honestly say, in bounded time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<T> {
    /// A value that was published, whole.
    Consistent(T),
    /// The writer was faster in all attempts; or this target cannot load 8 bytes at once.
    Contended,
    /// There is no value: the presence bit is 0, or nobody claimed the lane yet.
    Absent,
    /// The field was retired.
    Retired,
    /// A type or storage that this reader does not know.
    Unknown,
    /// The caller's buffer is smaller than [`Field::buffer_size`] or the slot.
    NoRoom,
    /// A rule of the format is broken.
    Damaged(ValueError),
}

impl<T> Verdict<T> {
    /// The same verdict with another value.
    #[inline]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Verdict<U> {
        self.and_then(|value| Verdict::Consistent(f(value)))
    }

    /// Goes on with a consistent value; other verdicts stay.
    #[inline]
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Verdict<U>) -> Verdict<U> {
        match self {
            Self::Consistent(value) => f(value),
            Self::Contended => Verdict::Contended,
            Self::Absent => Verdict::Absent,
            Self::Retired => Verdict::Retired,
            Self::Unknown => Verdict::Unknown,
            Self::NoRoom => Verdict::NoRoom,
            Self::Damaged(error) => Verdict::Damaged(error),
        }
    }

    /// The value, if the verdict is consistent.
    #[inline]
    pub fn consistent(self) -> Option<T> {
        match self {
            Self::Consistent(value) => Some(value),
            _ => None,
        }
    }
}

impl<T> From<Result<T, ValueError>> for Verdict<T> {
    #[inline]
    fn from(result: Result<T, ValueError>) -> Self {
        result.map_or_else(Self::Damaged, Self::Consistent)
    }
}

/// The verdict on one value of one field in one lane.
pub type Reading<'a> = Verdict<Value<'a>>;

/// One number or bool. Narrow integers are widened; [`Field::ty`] tells the width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// u8 to u64.
    U64(u64),
    /// i8 to i64.
    I64(i64),
    /// f32.
    F32(f32),
    /// f64.
    F64(f64),
    /// bool.
    Bool(bool),
}

/// A decoded value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// u8 to u64.
    U64(u64),
    /// i8 to i64.
    I64(i64),
    /// f32.
    F32(f32),
    /// f64.
    F64(f64),
    /// bool.
    Bool(bool),
    /// UTF-8 text.
    Text {
        /// The text.
        text: &'a str,
        /// Whether the writer cut it to fit.
        cut: bool,
    },
    /// Bytes.
    Bytes {
        /// The bytes.
        bytes: &'a [u8],
        /// Whether the writer cut them to fit.
        cut: bool,
    },
    /// An array of scalars.
    Array(ArrayView<'a>),
    /// How values are distributed.
    Histogram(Histogram<'a>),
    /// The last values.
    Window(WindowSum),
}

/// The last values of a window, added up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WindowSum {
    count: u32,
    integers: i128,
    floats: f64,
}

impl WindowSum {
    /// How many values: at most as many as the window has.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Their sum, rounded once.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Rounded.
    pub const fn sum(&self) -> f64 {
        // One of the two is 0: a field has one type.
        self.integers as f64 + self.floats
    }

    pub(super) fn add(&mut self, scalar: Scalar) {
        self.count += 1;
        match scalar {
            Scalar::U64(n) => self.integers += i128::from(n),
            Scalar::I64(n) => self.integers += i128::from(n),
            Scalar::F64(x) => self.floats += x,
            Scalar::F32(_) | Scalar::Bool(_) => {}
        }
    }
}

impl From<Scalar> for Value<'_> {
    #[inline]
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::U64(n) => Self::U64(n),
            Scalar::I64(n) => Self::I64(n),
            Scalar::F32(x) => Self::F32(x),
            Scalar::F64(x) => Self::F64(x),
            Scalar::Bool(b) => Self::Bool(b),
        }
    }
}

/// An array of scalars, checked: no access fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayView<'a> {
    ty: DataType,
    bytes: &'a [u8],
}

impl<'a> ArrayView<'a> {
    /// `bytes` are whole elements of a scalar type.
    pub(super) const fn new(ty: DataType, bytes: &'a [u8]) -> Self {
        Self { ty, bytes }
    }

    /// Type of the elements.
    #[must_use]
    pub const fn ty(&self) -> DataType {
        self.ty
    }

    /// Number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() / self.ty.size() as usize
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The elements one after the other, little-endian.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Element `index`; `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Scalar> {
        let from = index.checked_mul(self.ty.size() as usize)?;
        scalar(self.ty, self.bytes.get(from..)?)
    }

    /// The elements in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Scalar> + use<'a> {
        let ty = self.ty;
        // `scalar` answers for every whole chunk.
        let element = move |chunk| scalar(ty, chunk).unwrap_or(Scalar::U64(0));
        self.bytes.chunks_exact(ty.size() as usize).map(element)
    }
}

/// Decodes a field's value from the bytes of a whole slot of its cell.
///
/// So all members of a group come from one consistent slot. Offsets in errors are
/// from the start of `slot`; see [`Slot::value`](super::Slot::value).
#[must_use]
pub fn decode<'a>(field: &Field, slot: &'a [u8]) -> Reading<'a> {
    decode_slot(field, slot, 0)
}

/// [`decode`] for a slot that starts at offset `at` of the image.
pub(super) fn decode_slot<'a>(field: &Field, slot: &'a [u8], at: u32) -> Reading<'a> {
    if field.storage() != Some(Storage::Latched) {
        return Verdict::Unknown;
    }
    match slot.get(field.member() as usize..) {
        Some(bytes) => decode_value(field, bytes, at.saturating_add(field.member())),
        None => Verdict::NoRoom,
    }
}

/// Decodes a field's value from bytes that start with it, at offset `at` of the image.
pub(super) fn decode_value<'a>(field: &Field, bytes: &'a [u8], at: u32) -> Reading<'a> {
    let Some(ty) = field.ty() else { return Verdict::Unknown };
    if !ty.is_scalar() {
        return decode_text(field, ty, bytes, at);
    }
    let Some(bytes) = bytes.get(..field.value_size() as usize) else { return Verdict::NoRoom };
    if ty == DataType::Bool
        && let Some((i, found)) = bytes.iter().enumerate().find(|(_, byte)| **byte > 1)
    {
        let offset = at.saturating_add(u32::try_from(i).unwrap_or(u32::MAX));
        return Verdict::Damaged(ValueError::Range { offset, found: u32::from(*found), ty });
    }
    if field.is_array() {
        return Verdict::Consistent(Value::Array(ArrayView { ty, bytes }));
    }
    match scalar(ty, bytes) {
        Some(Scalar::U64(found)) if no_state(field, found) => {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            Verdict::Damaged(ValueError::Range { offset: at, found, ty })
        }
        Some(scalar) => Verdict::Consistent(scalar.into()),
        None => Verdict::NoRoom,
    }
}

fn decode_text<'a>(field: &Field, ty: DataType, bytes: &'a [u8], at: u32) -> Reading<'a> {
    let Some(([a, b, c, d, e, f, g, h], rest)) = bytes.split_first_chunk::<PREFIX>() else {
        return Verdict::NoRoom;
    };
    let found = u32::from_le_bytes([*a, *b, *c, *d]);
    let cut = u32::from_le_bytes([*e, *f, *g, *h]) & CUT != 0;
    if found > field.count() {
        let limit = field.count();
        return Verdict::Damaged(ValueError::Length { offset: at, found, limit });
    }
    let Some(bytes) = rest.get(..found as usize) else { return Verdict::NoRoom };
    if ty == DataType::Bytes {
        return Verdict::Consistent(Value::Bytes { bytes, cut });
    }
    match str::from_utf8(bytes) {
        Ok(text) => Verdict::Consistent(Value::Text { text, cut }),
        Err(error) => {
            let good = u32::try_from(error.valid_up_to() + PREFIX).unwrap_or(u32::MAX);
            Verdict::Damaged(ValueError::Utf8 { offset: at.saturating_add(good) })
        }
    }
}

/// The scalar at the start of `bytes`; `None` if it is not all there.
#[inline]
pub(super) fn scalar(ty: DataType, bytes: &[u8]) -> Option<Scalar> {
    Some(match ty {
        DataType::U8 => Scalar::U64(u64::from(u8::from_le_bytes(*bytes.first_chunk()?))),
        DataType::U16 => Scalar::U64(u64::from(u16::from_le_bytes(*bytes.first_chunk()?))),
        DataType::U32 => Scalar::U64(u64::from(u32::from_le_bytes(*bytes.first_chunk()?))),
        DataType::U64 => Scalar::U64(u64::from_le_bytes(*bytes.first_chunk()?)),
        DataType::I8 => Scalar::I64(i64::from(i8::from_le_bytes(*bytes.first_chunk()?))),
        DataType::I16 => Scalar::I64(i64::from(i16::from_le_bytes(*bytes.first_chunk()?))),
        DataType::I32 => Scalar::I64(i64::from(i32::from_le_bytes(*bytes.first_chunk()?))),
        DataType::I64 => Scalar::I64(i64::from_le_bytes(*bytes.first_chunk()?)),
        DataType::F32 => Scalar::F32(f32::from_le_bytes(*bytes.first_chunk()?)),
        DataType::F64 => Scalar::F64(f64::from_le_bytes(*bytes.first_chunk()?)),
        DataType::Bool => Scalar::Bool(*bytes.first()? != 0),
        DataType::Text | DataType::Bytes => return None,
    })
}

/// A scalar of at most 4 bytes, widened to `word` as an atomic cell holds it; `None`
/// where the word is outside the type.
#[inline]
pub(super) fn narrow(ty: DataType, word: u32) -> Option<Scalar> {
    let signed = word.cast_signed();
    Some(match ty {
        DataType::U8 => Scalar::U64(u64::from(u8::try_from(word).ok()?)),
        DataType::U16 => Scalar::U64(u64::from(u16::try_from(word).ok()?)),
        DataType::U32 => Scalar::U64(u64::from(word)),
        DataType::I8 => Scalar::I64(i64::from(i8::try_from(signed).ok()?)),
        DataType::I16 => Scalar::I64(i64::from(i16::try_from(signed).ok()?)),
        DataType::I32 => Scalar::I64(i64::from(signed)),
        DataType::F32 => Scalar::F32(f32::from_bits(word)),
        DataType::Bool if word <= 1 => Scalar::Bool(word == 1),
        _ => return None,
    })
}

/// A scalar of 8 bytes; `None` for other types.
#[inline]
pub(super) fn wide(ty: DataType, word: u64) -> Option<Scalar> {
    Some(match ty {
        DataType::U64 => Scalar::U64(word),
        DataType::I64 => Scalar::I64(word.cast_signed()),
        DataType::F64 => Scalar::F64(f64::from_bits(word)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_words_must_be_in_range() {
        use DataType::{Bool, F32, I8, I16, I32, U8, U16, U32, U64};
        for (ty, word, scalar) in [
            (U8, 255, Some(Scalar::U64(255))),
            (U8, 256, None),
            (U16, 65_535, Some(Scalar::U64(65_535))),
            (U16, 65_536, None),
            (U32, u32::MAX, Some(Scalar::U64(4_294_967_295))),
            (I8, 127, Some(Scalar::I64(127))),
            (I8, 128, None),
            (I8, 0xFFFF_FF80, Some(Scalar::I64(-128))),
            (I8, 0xFFFF_FF7F, None),
            (I8, 0x80, None),
            (I16, 0xFFFF_8000, Some(Scalar::I64(-32_768))),
            (I16, 0xFFFF_7FFF, None),
            (I16, 0x8000, None),
            (I32, 0x8000_0000, Some(Scalar::I64(-2_147_483_648))),
            (F32, 0x3F80_0000, Some(Scalar::F32(1.0))),
            (Bool, 0, Some(Scalar::Bool(false))),
            (Bool, 1, Some(Scalar::Bool(true))),
            (Bool, 2, None),
            (U64, 1, None),
        ] {
            assert_eq!(narrow(ty, word), scalar, "{ty} {word:#x}");
        }
    }

    #[test]
    fn arrays_give_every_element() {
        let bytes = [1, 0, 0xFF, 0xFF, 0, 0x80];
        let array = ArrayView { ty: DataType::I16, bytes: &bytes };
        assert_eq!(array.len(), 3);
        assert!(array.iter().eq([1, -1, -32_768].map(Scalar::I64)));
        assert_eq!(array.get(2), Some(Scalar::I64(-32_768)));
        assert_eq!(array.get(3), None);
        assert_eq!(array.get(usize::MAX), None);
    }
}
