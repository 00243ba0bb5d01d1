//! A value that the reader owns.

use mmstats_core::merge::{AverageValue, Number, TimerValue};
use mmstats_core::read::{Scalar, Value};

use super::histogram::HistogramValue;
use super::summary::{StateValue, WindowRate};
use super::verdict::{Origin, Verdict};

/// A value, or several combined.
///
/// Integers are exact: a sum of 64-bit counters has 128 bits.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OwnedValue {
    /// Unsigned integers and sums of them; also a number of true bools.
    Unsigned(u128),
    /// Signed integers and sums of them.
    Signed(i128),
    /// One f32, not added to anything, so that it is shown with its own digits.
    F32(f32),
    /// Floats, sums of them, and means.
    F64(f64),
    /// A bool.
    Bool(bool),
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Whether the writer cut it to fit.
        cut: bool,
    },
    /// Bytes.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether the writer cut them to fit.
        cut: bool,
    },
    /// An array, element by element.
    Array(Vec<OwnedValue>),
    /// Durations.
    Timer(TimerValue),
    /// One of a few named states, or how many are in each.
    State(StateValue),
    /// How values are distributed.
    Histogram(Box<HistogramValue>),
    /// Values whose mean is shown.
    Average(AverageValue),
    /// The last values, whose mean is shown.
    Window(AverageValue),
    /// How fast a counter went up over windows of time.
    Rate(Vec<WindowRate>),
    /// Values that are not combined: one for each lane, or for each file.
    Each(Vec<EachValue>),
}

impl OwnedValue {
    /// The nearest float; `None` for what is not one number. A bool is 0 or 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // "the nearest"
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Unsigned(n) => Some(n as f64),
            Self::Signed(n) => Some(n as f64),
            Self::F32(x) => Some(x.into()),
            Self::F64(x) => Some(x),
            Self::Bool(b) => Some(f64::from(u8::from(b))),
            _ => None,
        }
    }

    /// The one value of an `Each` of one; any other value is itself.
    #[must_use]
    pub fn only(&self) -> &Self {
        match self {
            Self::Each(values) => match values.as_slice() {
                [EachValue { value: Some(value), .. }] => value,
                _ => self,
            },
            _ => self,
        }
    }
}

impl From<Scalar> for OwnedValue {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::U64(n) => Self::Unsigned(n.into()),
            Scalar::I64(n) => Self::Signed(n.into()),
            Scalar::F32(x) => Self::F32(x),
            Scalar::F64(x) => Self::F64(x),
            Scalar::Bool(b) => Self::Bool(b),
        }
    }
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::U64(n) => Self::Unsigned(n.into()),
            Value::I64(n) => Self::Signed(n.into()),
            Value::F32(x) => Self::F32(x),
            Value::F64(x) => Self::F64(x),
            Value::Bool(b) => Self::Bool(b),
            Value::Text { text, cut } => Self::Text { text: text.to_owned(), cut },
            Value::Bytes { bytes, cut } => Self::Bytes { bytes: bytes.to_owned(), cut },
            Value::Array(array) => Self::Array(array.iter().map(Self::from).collect()),
            Value::Histogram(histogram) => {
                Self::Histogram(Box::new(HistogramValue::from(&histogram)))
            }
            Value::Window(sum) => Self::Window(sum.into()),
        }
    }
}

impl From<Number> for OwnedValue {
    fn from(number: Number) -> Self {
        match number {
            Number::Unsigned(n) => Self::Unsigned(n),
            Number::Signed(n) => Self::Signed(n),
            Number::Float(x) => Self::F64(x),
        }
    }
}

/// One of several values that are not combined.
#[derive(Debug, Clone, PartialEq)]
pub struct EachValue {
    /// Whose it is.
    pub origin: Origin,
    /// The value, if the verdict is consistent.
    pub value: Option<OwnedValue>,
    /// What can be said of it.
    pub verdict: Verdict,
}
