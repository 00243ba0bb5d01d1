//! Units that have a form of their own: bytes and times.

use super::{escape, human};

/// How a number with a unit is written for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum UnitForm {
    /// The number, followed by the unit.
    Plain,
    Bytes,
    /// A time; the length of the unit in seconds.
    Time(f64),
}

impl UnitForm {
    pub(crate) fn from_unit(unit: &str) -> Self {
        match unit {
            "bytes" | "byte" | "B" => Self::Bytes,
            "seconds" | "second" | "s" => Self::Time(1.0),
            "milliseconds" | "millisecond" | "ms" => Self::Time(1e-3),
            "microseconds" | "microsecond" | "us" | "µs" => Self::Time(1e-6),
            "nanoseconds" | "nanosecond" | "ns" => Self::Time(1e-9),
            _ => Self::Plain,
        }
    }

    /// `x` in this form; a plain number without its unit.
    pub(crate) fn format(self, x: f64) -> String {
        match self {
            Self::Plain => human::float(x),
            Self::Bytes => human::size(x),
            Self::Time(seconds) => human::seconds(x * seconds),
        }
    }
}

/// A number with its unit: `12.5 requests`, `1.24 MiB`.
pub(crate) fn with_unit(x: f64, unit: &str) -> String {
    followed_by(UnitForm::from_unit(unit).format(x), unit)
}

/// `number`, and the unit behind it if its form does not include it.
pub(crate) fn followed_by(number: String, unit: &str) -> String {
    if unit.is_empty()
        || human::is_non_finite(&number)
        || UnitForm::from_unit(unit) != UnitForm::Plain
    {
        return number;
    }
    format!("{number} {}", escape::text(unit))
}

/// A rate in a narrow column: `1.24M`, `1.24 MiB`; the unit `/s` stands in the header.
pub(crate) fn compact(x: f64, unit: &str) -> String {
    match UnitForm::from_unit(unit) {
        UnitForm::Plain => human::compact(x),
        form => form.format(x),
    }
}
