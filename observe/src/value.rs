//! Values that belong to the reader, and what can honestly be said of them.

use std::fmt;

use mmstats_core::merge::{AverageValue, TimerValue};
use mmstats_core::read::{Scalar, Value, Verdict as RawVerdict};

use crate::histogram::HistogramValue;
use crate::kinds::{Meaning, StateValue};
use crate::problem::Damage;
use crate::rates::WindowRate;

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
            Value::Histogram(found) => found.into(),
            Value::Window(sum) => sum.into(),
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

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Number of the file in the list that was given, from 0.
    pub file: usize,
    /// `sys.pid` of the file.
    pub pid: Option<u32>,
    /// Part of its instance.
    pub part: u32,
    /// The lane; `None` for a constant and for format 1.
    pub lane: Option<u32>,
}

/// What can honestly be said of a value, in bounded time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It was published like this, whole.
    Consistent,
    /// The writer was faster in all attempts.
    Contended,
    /// There is none.
    Absent,
    /// The field was retired.
    Retired,
    /// A type or storage that this version does not know.
    Unknown,
    /// A rule of the format is broken.
    Damaged(Damage),
}

impl Verdict {
    /// In lower case, without what is damaged.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::Contended => "contended",
            Self::Absent => "absent",
            Self::Retired => "retired",
            Self::Unknown => "unknown",
            Self::Damaged(_) => "damaged",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(damage) => write!(f, "damaged: {damage}"),
            other => f.pad(other.name()),
        }
    }
}

impl<T> From<&RawVerdict<T>> for Verdict {
    fn from(verdict: &RawVerdict<T>) -> Self {
        match verdict {
            RawVerdict::Consistent(_) => Self::Consistent,
            RawVerdict::Contended => Self::Contended,
            RawVerdict::Absent => Self::Absent,
            RawVerdict::Retired => Self::Retired,
            // Buffers are sized by the field, so there is always room.
            RawVerdict::Unknown | RawVerdict::NoRoom => Self::Unknown,
            RawVerdict::Damaged(error) => Self::Damaged(Damage::from(*error)),
        }
    }
}

/// Of how many lanes (or files) a combined value is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// That had a value, which is part of the result.
    pub values: u32,
    /// That have none.
    pub absent: u32,
    /// Whose writer was faster in all attempts.
    pub contended: u32,
    /// Whose value is damaged.
    pub damaged: u32,
}

/// A value, if there is one, and the verdict on it.
///
/// A combined value has the worst verdict of its parts (damaged, contended, consistent,
/// absent, in this order). It is made of the good parts; the tally says of how many.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The value.
    pub value: Option<OwnedValue>,
    /// What can be said of it.
    pub verdict: Verdict,
    /// What it is made of.
    pub tally: Tally,
}

impl Reading {
    /// No value, and why.
    pub(crate) fn none(verdict: Verdict) -> Self {
        let mut tally = Tally::default();
        match verdict {
            Verdict::Contended => tally.contended = 1,
            Verdict::Absent => tally.absent = 1,
            Verdict::Damaged(_) => tally.damaged = 1,
            _ => {}
        }
        Self { value: None, verdict, tally }
    }

    /// One value that nothing was combined with.
    #[must_use]
    pub const fn consistent(value: OwnedValue) -> Self {
        let tally = Tally { values: 1, absent: 0, contended: 0, damaged: 0 };
        Self { value: Some(value), verdict: Verdict::Consistent, tally }
    }

    /// A read of one lane.
    pub(crate) fn of(raw: RawVerdict<Value<'_>>, meaning: &Meaning) -> Self {
        match raw {
            RawVerdict::Consistent(value) => Self::consistent(meaning.owned(value)),
            other => Self::none(Verdict::from(&other)),
        }
    }

    /// Whether the verdict is consistent.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.verdict == Verdict::Consistent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_without_a_value_is_counted_by_its_verdict() {
        let damage = mmstats_core::read::ValueError::LaneState { offset: 7, found: 9 };
        let none = Tally::default();
        for (raw, verdict, tally) in [
            (RawVerdict::Absent, Verdict::Absent, Tally { absent: 1, ..none }),
            (RawVerdict::Contended, Verdict::Contended, Tally { contended: 1, ..none }),
            (
                RawVerdict::Damaged(damage),
                Verdict::Damaged(Damage { code: "lane-state", offset: 7 }),
                Tally { damaged: 1, ..none },
            ),
            (RawVerdict::Retired, Verdict::Retired, none),
            (RawVerdict::Unknown, Verdict::Unknown, none),
        ] {
            let wanted = Reading { value: None, verdict, tally };
            assert_eq!(Reading::of(raw, &Meaning::Plain), wanted);
        }
    }
}
