//! The values of constants.

use mmstats_core::Constant;

/// The value of an [`Info`](crate::Info).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
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
    Text(String),
}

impl Value {
    /// The value in the form that the core writes.
    pub(crate) fn constant(&self) -> Constant<'_> {
        match self {
            Self::U32(v) => Constant::U32(*v),
            Self::U64(v) => Constant::U64(*v),
            Self::I64(v) => Constant::I64(*v),
            Self::F64(v) => Constant::F64(*v),
            Self::Bool(v) => Constant::Bool(*v),
            Self::Text(v) => Constant::Text(v),
        }
    }
}

macro_rules! value_from {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
value_from!(u32 => U32, u64 => U64, i32 => I64, i64 => I64, f64 => F64, bool => Bool, &str => Text, String => Text);
