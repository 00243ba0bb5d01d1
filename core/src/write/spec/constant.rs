//! Values of constants.

use crate::types::DataType;

/// A constant value.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Constant<'a> {
    /// u32.
    U32(u32),
    /// u64.
    U64(u64),
    /// i64.
    I64(i64),
    /// f64.
    F64(f64),
    /// bool.
    Bool(bool),
    /// Text of at most 1,048,560 bytes.
    Text(&'a str),
    /// Bytes, at most 1,048,560.
    Bytes(&'a [u8]),
}

impl Constant<'_> {
    pub(super) const fn ty(&self) -> DataType {
        match self {
            Self::U32(_) => DataType::U32,
            Self::U64(_) => DataType::U64,
            Self::I64(_) => DataType::I64,
            Self::F64(_) => DataType::F64,
            Self::Bool(_) => DataType::Bool,
            Self::Text(_) => DataType::Text,
            Self::Bytes(_) => DataType::Bytes,
        }
    }

    /// The 8 bytes of a scalar in the heap; `None` for text and bytes.
    pub(crate) const fn scalar_bytes(&self) -> Option<[u8; 8]> {
        let bits = match *self {
            Self::U32(v) => v as u64,
            Self::U64(v) => v,
            Self::I64(v) => v.cast_unsigned(),
            Self::F64(v) => v.to_bits(),
            Self::Bool(v) => v as u64,
            Self::Text(_) | Self::Bytes(_) => return None,
        };
        Some(bits.to_le_bytes())
    }

    pub(crate) const fn tail(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }
}
