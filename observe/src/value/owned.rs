//! Values that the reader owns, and readings: values with the verdict on them.

use mmstats_core::merge::{AverageValue, Number, RunningValue, TimerValue};
use mmstats_core::read::{Scalar, Value};

use super::activity::ActivityValue;
use super::histogram::HistogramValue;
use super::summary::{StateValue, WindowRate};
use super::verdict::{Origin, Tally, Verdict};

/// A value, or several values combined.
///
/// Integers are exact: a sum of 64-bit counters has 128 bits.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OwnedValue {
    /// An unsigned integer, a sum of them, or the number of true bools.
    Unsigned(u128),
    /// A signed integer, or a sum of them.
    Signed(i128),
    /// A single f32, kept as such so that it is shown with its own digits.
    F32(f32),
    /// A float, a sum of them, or a mean.
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
    /// A named state, or the number of lanes in each.
    State(StateValue),
    /// A distribution of values.
    Histogram(Box<HistogramValue>),
    /// An average of all values.
    Average(AverageValue),
    /// An average of the last values.
    Window(AverageValue),
    /// Rates of a counter over windows of time.
    Rate(Vec<WindowRate>),
    /// How many sections of a timer are in progress, and since when at least.
    Running(RunningValue),
    /// Activities in progress.
    Activity(ActivityValue),
    /// Values that are listed, not combined: one for each lane or file.
    Each(Vec<EachValue>),
}

impl OwnedValue {
    /// The nearest float; `None` if the value is not a single number. A bool is 0 or 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // the nearest float
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

    /// The value in a list of one; any other value itself.
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
        Value::from(scalar).into()
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
            Value::Table(table) => Self::Activity(ActivityValue::decode(&table).0),
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
    /// Where the value comes from.
    pub origin: Origin,
    /// The value; `None` unless the verdict is consistent, or rows of an activity are damaged beside good ones.
    pub value: Option<OwnedValue>,
    /// The verdict on it.
    pub verdict: Verdict,
}

/// A value, if there is one, and the verdict on it.
///
/// A combined value has the worst verdict of its parts: damaged, contended, consistent, absent,
/// in this order. It contains the consistent parts; the tally counts all parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The value; `None` if no part is consistent.
    pub value: Option<OwnedValue>,
    /// The verdict.
    pub verdict: Verdict,
    /// The parts of the value.
    pub tally: Tally,
}

impl Reading {
    /// No value.
    pub(crate) fn none(verdict: Verdict) -> Self {
        let mut tally = Tally::default();
        tally.add(verdict);
        Self { value: None, verdict, tally }
    }

    /// A single value.
    #[must_use]
    pub const fn consistent(value: OwnedValue) -> Self {
        let tally = Tally { values: 1, absent: 0, contended: 0, damaged: 0 };
        Self { value: Some(value), verdict: Verdict::Consistent, tally }
    }

    /// Whether the verdict is consistent.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.verdict == Verdict::Consistent
    }
}
