//! Decoded values: FORMAT.md sections 4.1 and 6.

use super::journal::Histogram;
use super::scalar::{ArrayView, Scalar};
use super::table::Table;
use super::verdict::Verdict;

/// The verdict on one value of one field in one lane.
pub type Reading<'a> = Verdict<Value<'a>>;

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
    /// A histogram.
    Histogram(Histogram<'a>),
    /// Sum of the last values of a window.
    Window(WindowSum),
    /// The rows of a table that are in use.
    Table(Table<'a>),
}

/// Count and sum of the last values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WindowSum {
    count: u32,
    integers: i128,
    floats: f64,
}

impl WindowSum {
    /// Number of values, at most the length of the window.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Their sum, rounded once.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Rounded.
    pub const fn sum(&self) -> f64 {
        // One of the two is 0, as a field has one type.
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
