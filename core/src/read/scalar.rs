//! Numbers and arrays of numbers, decoded: FORMAT.md section 4.1.

use crate::types::DataType;

/// One number or bool. Narrow integers are widened; [`Field::ty`](super::Field::ty) tells the
/// width.
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

impl Scalar {
    /// The value as the low bits of a little-endian word of type `ty`; `None` if it is of another
    /// class of types, or out of range.
    #[must_use]
    pub const fn to_bits(self, ty: DataType) -> Option<u64> {
        let bits = 8 * ty.size();
        Some(match (self, ty) {
            (Self::U64(v), DataType::U64) => v,
            (Self::U64(v), DataType::U8 | DataType::U16 | DataType::U32) if v >> bits == 0 => v,
            (Self::I64(v), DataType::I64) => v.cast_unsigned(),
            (Self::I64(v), DataType::I8 | DataType::I16 | DataType::I32)
                // The bits from the sign on are equal.
                if v >> (bits - 1) == 0 || v >> (bits - 1) == -1 =>
            {
                v.cast_unsigned() & ((1 << bits) - 1)
            }
            (Self::F32(v), DataType::F32) => v.to_bits() as u64,
            (Self::F64(v), DataType::F64) => v.to_bits(),
            (Self::Bool(v), DataType::Bool) => v as u64,
            _ => return None,
        })
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

    /// The little-endian elements.
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
        // Never `None`: the chunk is whole.
        let element = move |chunk| scalar(ty, chunk).unwrap_or(Scalar::U64(0));
        self.bytes.chunks_exact(ty.size() as usize).map(element)
    }
}

/// The scalar at the start of `bytes`; `None` if `bytes` is too short.
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

/// The scalar of at most 4 bytes in the word of an atomic cell; `None` if the word is out of range.
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

/// The scalar of 8 bytes in the word of an atomic cell; `None` for other types.
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
    fn narrow_out_of_range_is_none() {
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
    fn to_bits_out_of_range_or_other_class_is_none() {
        use DataType::{Bool, F32, F64, I8, I32, I64, Text, U8, U32, U64};
        for (value, ty, bits) in [
            (Scalar::U64(255), U8, Some(255)),
            (Scalar::U64(256), U8, None),
            (Scalar::U64(1 << 32), U32, None),
            (Scalar::U64(u64::MAX), U64, Some(u64::MAX)),
            (Scalar::U64(1), I8, None),
            (Scalar::I64(127), I8, Some(127)),
            (Scalar::I64(128), I8, None),
            (Scalar::I64(-128), I8, Some(0x80)),
            (Scalar::I64(-129), I8, None),
            (Scalar::I64(-1), I32, Some(0xFFFF_FFFF)),
            (Scalar::I64(-1), I64, Some(u64::MAX)),
            (Scalar::F32(1.0), F32, Some(0x3F80_0000)),
            (Scalar::F64(1.0), F32, None),
            (Scalar::F64(1.0), F64, Some(1.0_f64.to_bits())),
            (Scalar::Bool(true), Bool, Some(1)),
            (Scalar::Bool(true), U8, None),
            (Scalar::U64(1), Text, None),
        ] {
            assert_eq!(value.to_bits(ty), bits, "{value:?} {ty}");
        }
    }

    #[test]
    fn array_view_elements_in_order() {
        let bytes = [1, 0, 0xFF, 0xFF, 0, 0x80];
        let array = ArrayView { ty: DataType::I16, bytes: &bytes };
        assert_eq!(array.len(), 3);
        assert!(array.iter().eq([1, -1, -32_768].map(Scalar::I64)));
        assert_eq!(array.get(2), Some(Scalar::I64(-32_768)));
        assert_eq!(array.get(3), None);
        assert_eq!(array.get(usize::MAX), None);
    }
}
