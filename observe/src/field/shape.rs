//! Type and number of elements of a value.

use std::fmt;

use mmstats_core::{DataType, Properties};

/// Type and number of elements of a value.
///
/// ```
/// use mmstats_observe::{DataType, Shape};
///
/// assert_eq!(Shape::One(DataType::Text).to_string(), "text");
/// assert_eq!(Shape::Array(DataType::U64, 5).to_string(), "u64[5]");
/// assert_eq!(Shape::Unknown(77).to_string(), "unknown(77)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// One scalar, text or bytes.
    One(DataType),
    /// An array of scalars, with the number of elements.
    Array(DataType, u32),
    /// An unknown type, with its code.
    Unknown(u8),
    /// The description is damaged.
    Damaged,
}

impl Shape {
    /// The shape of a field that is not damaged.
    pub(super) const fn new(properties: Properties) -> Self {
        match properties.ty() {
            None => Self::Unknown(properties.ty_code()),
            Some(ty) if properties.is_array() => Self::Array(ty, properties.count()),
            Some(ty) => Self::One(ty),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(ty) => ty.fmt(f),
            Self::Array(ty, count) => f.pad(&format!("{ty}[{count}]")),
            Self::Unknown(code) => f.pad(&format!("unknown({code})")),
            Self::Damaged => f.pad("damaged"),
        }
    }
}
