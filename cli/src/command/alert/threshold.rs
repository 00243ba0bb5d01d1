//! Numbers with units, and values of which only a bound may be known.

use std::cmp::Ordering;
use std::time::Duration;

use mmstats_observe::{Number, OwnedValue};

use crate::text::escape;
use crate::text::unit::UnitForm;

/// Dimension of the number in a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    /// Nothing: it is in the unit of the field.
    None,
    /// Nanoseconds.
    Time,
    /// Bytes.
    Bytes,
}

/// A number of a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Threshold {
    pub(super) dimension: Dimension,
    /// Numerator and denominator; `None` if these have too many digits.
    exact: Option<(i128, i128)>,
    nearest: f64,
}

const TIMES: [(&str, i128); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const SIZES: [(&str, i128); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Threshold {
    /// A decimal number, with a unit of time or size behind it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let shown = || escape::text(text).into_owned();
        let number = text.char_indices().find(|(at, c)| {
            let exponent = matches!(c, 'e' | 'E')
                && text[at + 1..].starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c));
            !(c.is_ascii_digit() || "+-.".contains(*c) || exponent)
        });
        let (number, unit) = text.split_at(number.map_or(text.len(), |(at, _)| at));
        let wrong = || format!("'{}' is not a number like 10, 2.5, 5s or 10MiB", shown());
        let parsed: f64 = number.parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(wrong)?;
        let unit = unit.trim();
        let find = |units: &[(&str, i128)]| {
            units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
        };
        let (dimension, factor) = match (unit, find(&TIMES), find(&SIZES)) {
            ("", ..) => (Dimension::None, 1),
            (_, Some(factor), _) => (Dimension::Time, factor),
            (_, _, Some(factor)) => (Dimension::Bytes, factor),
            _ => {
                let units = "ns, us, ms, s, m, h, d, B, kB, MB, GB, TB, KiB, MiB, GiB, TiB";
                let unit = escape::text(unit);
                return Err(format!("'{}': {unit} is not a unit; there are {units}", shown()));
            }
        };
        let exact = exact(number).and_then(|(numerator, denominator)| {
            Some((numerator.checked_mul(factor)?, denominator))
        });
        #[allow(clippy::cast_precision_loss)] // Factors are exact.
        Ok(Self { dimension, exact, nearest: parsed * factor as f64 })
    }

    /// A plain number as seconds.
    pub(super) fn or_seconds(mut self) -> Self {
        if self.dimension == Dimension::None {
            self.dimension = Dimension::Time;
            self.exact = self.exact.and_then(|(n, d)| Some((n.checked_mul(1_000_000_000)?, d)));
            self.nearest *= 1e9;
        }
        self
    }

    /// The same in the unit of a field; `None` if that measures something else.
    pub(super) fn in_unit(self, unit: &str) -> Option<Self> {
        match (self.dimension, UnitForm::from_unit(unit)) {
            (Dimension::None, _) | (Dimension::Bytes, UnitForm::Bytes) => Some(self),
            (Dimension::Time, UnitForm::Time(seconds)) => {
                #[allow(clippy::cast_possible_truncation)] // 1 to 10^9.
                let nanos = (seconds * 1e9).round() as i128;
                let exact = self.exact.and_then(|(n, d)| Some((n, d.checked_mul(nanos)?)));
                Some(Self { exact, nearest: self.nearest / (seconds * 1e9), ..self })
            }
            _ => None,
        }
    }

    /// The nearest float.
    pub(super) const fn nearest(self) -> f64 {
        self.nearest
    }

    /// `number` against this; `None` if one of them is no number.
    fn compare(self, number: Number) -> Option<Ordering> {
        let integer = match number {
            Number::Unsigned(n) => i128::try_from(n).ok(),
            Number::Signed(n) => Some(n),
            Number::Float(_) => None,
        };
        if let (Some(n), Some((numerator, denominator))) = (integer, self.exact)
            && let Some(scaled) = n.checked_mul(denominator)
        {
            return Some(scaled.cmp(&numerator));
        }
        number.as_f64().partial_cmp(&self.nearest)
    }
}

/// A decimal number as numerator and denominator.
fn exact(text: &str) -> Option<(i128, i128)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let power = exponent.checked_sub(i32::try_from(part.len()).ok()?)?;
    let ten = 10_i128.checked_pow(power.unsigned_abs())?;
    if power >= 0 { Some((digits.checked_mul(ten)?, 1)) } else { Some((digits, ten)) }
}

/// A duration: seconds, or a number with a unit of time.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let threshold = Threshold::parse(text)?.or_seconds();
    let is_time = threshold.dimension == Dimension::Time;
    let duration = Duration::try_from_secs_f64(threshold.nearest / 1e9).ok();
    duration.filter(|_| is_time).ok_or_else(|| "not a duration like 30s or 5m".to_owned())
}

/// Knowledge of a value: a number or a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Known {
    Exact(Number),
    /// Parts that can only add to it could not be read.
    AtLeast(Number),
    MoreThan(Number),
    AtMost(Number),
}

impl Known {
    pub(super) const fn number(self) -> Number {
        match self {
            Self::Exact(n) | Self::AtLeast(n) | Self::MoreThan(n) | Self::AtMost(n) => n,
        }
    }

    /// Which bound of the value the number is, for programs; `None` if it is the value.
    pub(super) const fn bound(self) -> Option<&'static str> {
        match self {
            Self::Exact(_) => None,
            Self::AtLeast(_) => Some("at-least"),
            Self::MoreThan(_) => Some("more-than"),
            Self::AtMost(_) => Some("at-most"),
        }
    }

    /// The words before the number.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Exact(_) => "",
            Self::AtLeast(_) => "at least ",
            Self::MoreThan(_) => "more than ",
            Self::AtMost(_) => "at most ",
        }
    }

    /// The number in a value; `None` if the value is not a single number.
    pub(super) fn from_value(value: &OwnedValue) -> Option<Self> {
        Some(Self::Exact(match value {
            OwnedValue::Unsigned(n) => Number::Unsigned(*n),
            OwnedValue::Signed(n) => Number::Signed(*n),
            // By its shortest digits: 0.1 is exactly 0.1.
            OwnedValue::F32(x) => Number::Float(x.to_string().parse().ok()?),
            OwnedValue::F64(x) => Number::Float(*x),
            OwnedValue::Bool(b) => Number::Unsigned(u128::from(*b)),
            _ => return None,
        }))
    }
}

/// How a value is compared with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
}

impl Operator {
    pub(super) const ALL: [(&'static str, Self); 6] = [
        (">=", Self::GreaterOrEqual),
        ("<=", Self::LessOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        (">", Self::Greater),
        ("<", Self::Less),
    ];

    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
        }
    }

    /// Whether the comparison holds; `None` if that is not known.
    pub(super) fn holds(self, known: Known, threshold: Threshold) -> Option<bool> {
        let order = threshold.compare(known.number())?;
        // Possible orders of the real value and the threshold.
        let possible: &[Ordering] = match (known, order) {
            (Known::Exact(_), _) => &[order],
            (Known::AtLeast(_) | Known::MoreThan(_), Ordering::Greater)
            | (Known::MoreThan(_), Ordering::Equal) => &[Ordering::Greater],
            (Known::AtLeast(_), Ordering::Equal) => &[Ordering::Equal, Ordering::Greater],
            (Known::AtMost(_), Ordering::Less) => &[Ordering::Less],
            (Known::AtMost(_), Ordering::Equal) => &[Ordering::Less, Ordering::Equal],
            _ => &[Ordering::Less, Ordering::Equal, Ordering::Greater],
        };
        let first = self.accepts(possible[0]);
        possible.iter().all(|order| self.accepts(*order) == first).then_some(first)
    }

    /// The range in the notation of monitoring plugins, outside of which the condition holds. It has no
    /// sign for `>=` and `<=`, which are written as `>` and `<`.
    pub(super) fn range(self, number: &str) -> String {
        match self {
            Self::Greater | Self::GreaterOrEqual => format!("~:{number}"),
            Self::Less | Self::LessOrEqual => format!("{number}:"),
            Self::Equal => format!("@{number}:{number}"),
            Self::NotEqual => format!("{number}:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, known: Known, text: &str) -> Option<bool> {
        let operator = Operator::ALL.iter().find(|(sign, _)| *sign == operator).unwrap().1;
        operator.holds(known, Threshold::parse(text).unwrap())
    }

    #[test]
    fn operators_compare_exactly() {
        let n = |n: u128| Known::Exact(Number::Unsigned(n));
        let all = |known, text| {
            [">", ">=", "<", "<=", "==", "!="].map(|o| holds(o, known, text) == Some(true))
        };
        assert_eq!(all(n(9), "10"), [false, false, true, true, false, true]);
        assert_eq!(all(n(10), "10"), [false, true, false, true, true, false]);
        assert_eq!(all(n(11), "1.0e1"), [true, true, false, false, false, true]);
        // No doubles.
        assert!(all(n((1 << 53) + 1), "9007199254740992")[0]);
        assert!(all(n(u64::MAX.into()), "18446744073709551615")[4]);
        assert!(all(Known::Exact(Number::Float(0.1)), "0.1")[4]);
        assert_eq!(
            Known::from_value(&OwnedValue::F32(0.1)),
            Some(Known::Exact(Number::Float(0.1)))
        );
        assert_eq!(holds(">", Known::Exact(Number::Float(f64::NAN)), "1"), None);
        assert!(all(Known::Exact(Number::Signed(-5)), "-5")[4]);
    }

    #[test]
    fn bound_decides_only_what_the_rest_cannot_change() {
        let at_least = |n: u128| Known::AtLeast(Number::Unsigned(n));
        let wanted = [
            (">", 11, Some(true)),
            (">", 10, None),
            (">=", 10, Some(true)),
            ("<", 10, Some(false)),
            ("<", 9, None),
            ("<=", 10, None),
            ("<=", 11, Some(false)),
            ("==", 11, Some(false)),
            ("!=", 11, Some(true)),
            ("!=", 10, None),
        ];
        for (operator, n, want) in wanted {
            assert_eq!(holds(operator, at_least(n), "10"), want, "{operator} {n}");
        }
        let at_most = Known::AtMost(Number::Unsigned(9));
        assert_eq!((holds("<", at_most, "10"), holds("<", at_most, "9")), (Some(true), None));
        let more = Known::MoreThan(Number::Float(60.0));
        assert_eq!((holds(">", more, "60"), holds("<=", more, "60")), (Some(true), Some(false)));
        assert_eq!(holds(">", more, "61"), None);
    }

    #[test]
    fn threshold_is_converted_to_the_unit_of_the_field() {
        let number =
            |text: &str, unit: &str| Threshold::parse(text).unwrap().in_unit(unit).map(|t| t.exact);
        assert_eq!(number("250ms", "nanoseconds"), Some(Some((250_000_000, 1))));
        assert_eq!(number("1.5s", "ms"), Some(Some((15_000_000_000, 10_000_000))));
        assert_eq!(number("10MiB", "bytes"), Some(Some((10 << 20, 1))));
        assert_eq!(number("10", "requests"), Some(Some((10, 1))));
        assert_eq!(
            (number("5s", "bytes"), number("5MB", "seconds"), number("5s", "")),
            (None, None, None)
        );
        for bad in ["", "x", "5x", "5 0", "--5", "NaN", "inf", "5s5", "1e", "0x10"] {
            assert!(Threshold::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(duration("5MiB").is_err() && duration("-1s").is_err());
    }
}
