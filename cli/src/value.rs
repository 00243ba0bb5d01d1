//! Values as the tools print them: exact, or humane.

use std::fmt::Write as _;

use mmstats_observe::OwnedValue;
use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use crate::{escape, human, kinds, rates};

/// The most characters of a text, and bytes of a byte string, in any output but JSON.
const LONGEST: usize = 4096;

/// Exact and on one line, for pipes: no grouping, no unit, texts escaped and bare.
pub(crate) fn plain(value: &OwnedValue) -> String {
    match value {
        OwnedValue::Unsigned(n) => n.to_string(),
        OwnedValue::Signed(n) => n.to_string(),
        OwnedValue::F32(x) if x.is_finite() => x.to_string(),
        OwnedValue::F64(x) if x.is_finite() => x.to_string(),
        OwnedValue::F32(x) => human::special(f64::from(*x)).to_owned(),
        OwnedValue::F64(x) => human::special(*x).to_owned(),
        OwnedValue::Bool(b) => b.to_string(),
        OwnedValue::Text { text, .. } => bounded_text(text),
        OwnedValue::Bytes { bytes, .. } => bounded_hex(bytes),
        OwnedValue::Array(elements) => list(elements, plain, usize::MAX),
        OwnedValue::Each(each) => {
            let values: Vec<OwnedValue> = each.iter().filter_map(|e| e.value.clone()).collect();
            list(&values, plain, usize::MAX)
        }
        OwnedValue::Timer(t) => {
            let mut out = format!("count={} sum={}", t.count, t.sum);
            for (name, value) in [("min", t.min), ("max", t.max), ("last", t.last)] {
                if let Some(value) = value {
                    let _ = write!(out, " {name}={value}");
                }
            }
            out
        }
        OwnedValue::State(value) => kinds::plain_state(value),
        OwnedValue::Histogram(value) => kinds::plain_histogram(value),
        OwnedValue::Average(value) | OwnedValue::Window(value) => kinds::plain_average(value),
        OwnedValue::Rate(value) => rates::plain(value).unwrap_or_else(|| "-".to_owned()),
        _ => UNKNOWN.to_owned(),
    }
}

/// For a person: grouped digits, sizes and durations by `unit`.
pub(crate) fn humane(value: &OwnedValue, unit: &str) -> String {
    let scale = Scale::of(unit);
    match value {
        OwnedValue::Unsigned(_)
        | OwnedValue::Signed(_)
        | OwnedValue::F32(_)
        | OwnedValue::F64(_)
            if scale != Scale::Plain =>
        {
            scale.show(value.as_f64().unwrap_or(f64::NAN))
        }
        OwnedValue::Unsigned(n) => human::grouped(&n.to_string()),
        OwnedValue::Signed(n) => human::grouped(&n.to_string()),
        OwnedValue::F32(x) => human::float(f64::from(*x)),
        OwnedValue::F64(x) => human::float(*x),
        OwnedValue::Bool(b) => if *b { "yes" } else { "no" }.to_owned(),
        OwnedValue::Text { text, cut } => {
            format!("\"{}\"{}", bounded_text(text), if *cut { " (cut)" } else { "" })
        }
        OwnedValue::Bytes { bytes, cut } => {
            format!("0x{}{}", bounded_hex(bytes), if *cut { " (cut)" } else { "" })
        }
        OwnedValue::Array(elements) => list(elements, |e| humane(e, unit), 64),
        OwnedValue::Each(each) => {
            let values: Vec<OwnedValue> = each.iter().filter_map(|e| e.value.clone()).collect();
            list(&values, |e| humane(e, unit), 64)
        }
        OwnedValue::Timer(t) => match t.mean() {
            None => "none yet".to_owned(),
            Some(mean) => {
                let mut out = format!(
                    "{} × {}",
                    human::grouped(&t.count.to_string()),
                    human::seconds(mean / 1e9)
                );
                let ends = [("min", t.min), ("max", t.max), ("last", t.last)];
                let ends = ends.map(|(name, n)| n.map(|n| format!("{name} {}", nanos(n))));
                let ends: Vec<String> = ends.into_iter().flatten().collect();
                if !ends.is_empty() {
                    let _ = write!(out, "  ({})", ends.join(", "));
                }
                out
            }
        },
        OwnedValue::State(value) => kinds::state(value),
        OwnedValue::Histogram(value) => kinds::histogram(value, unit),
        OwnedValue::Average(value) => kinds::average(value, unit, false),
        OwnedValue::Window(value) => kinds::average(value, unit, true),
        OwnedValue::Rate(value) => {
            rates::humane(value, unit).unwrap_or_else(|| "none yet".to_owned())
        }
        _ => UNKNOWN.to_owned(),
    }
}

/// Whether the value is one number, which looks best at the right of its column.
pub(crate) const fn is_number(value: &OwnedValue) -> bool {
    matches!(
        value,
        OwnedValue::Unsigned(_) | OwnedValue::Signed(_) | OwnedValue::F32(_) | OwnedValue::F64(_)
    )
}

/// Whether [`humane`] shows the unit itself.
pub(crate) fn shows_unit(value: &OwnedValue, unit: &str) -> bool {
    Scale::of(unit) != Scale::Plain || matches!(value, OwnedValue::Timer(_))
}

/// For kinds of values that this version of the tools does not know.
const UNKNOWN: &str = "?";

/// Units that have a humane form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Plain,
    Bytes,
    /// Seconds in one of the unit.
    Time(f64),
}

impl Scale {
    pub(crate) fn of(unit: &str) -> Self {
        match unit {
            "bytes" | "byte" | "B" => Self::Bytes,
            "seconds" | "second" | "s" => Self::Time(1.0),
            "milliseconds" | "millisecond" | "ms" => Self::Time(1e-3),
            "microseconds" | "microsecond" | "us" | "µs" => Self::Time(1e-6),
            "nanoseconds" | "nanosecond" | "ns" => Self::Time(1e-9),
            _ => Self::Plain,
        }
    }

    pub(crate) fn show(self, x: f64) -> String {
        match self {
            Self::Plain => human::float(x),
            Self::Bytes => human::size(x),
            Self::Time(seconds) => human::seconds(x * seconds),
        }
    }
}

#[allow(clippy::cast_precision_loss)] // Shown with three digits.
fn nanos(n: u64) -> String {
    human::seconds(n as f64 / 1e9)
}

fn bounded_text(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => escape::text(text).into_owned(),
        Some((at, _)) => format!("{}… ({} bytes)", escape::text(&text[..at]), text.len()),
    }
}

fn bounded_hex(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(LONGEST)];
    let mut out = hex(shown);
    if shown.len() < bytes.len() {
        let _ = write!(out, "… ({} bytes)", bytes.len());
    }
    out
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn list(elements: &[OwnedValue], show: impl Fn(&OwnedValue) -> String, most: usize) -> String {
    let shown: Vec<String> = elements.iter().take(most).map(show).collect();
    let more = if elements.len() > most {
        format!(", … ({} elements)", elements.len())
    } else {
        String::new()
    };
    format!("[{}{more}]", shown.join(", "))
}

/// A value as exact JSON.
pub(crate) struct Exact<'a>(pub(crate) &'a OwnedValue);

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // serde_json writes 128-bit integers digit by digit, so nothing is rounded.
            OwnedValue::Unsigned(n) => serializer.serialize_u128(*n),
            OwnedValue::Signed(n) => serializer.serialize_i128(*n),
            OwnedValue::F32(x) if x.is_finite() => serializer.serialize_f32(*x),
            OwnedValue::F64(x) if x.is_finite() => serializer.serialize_f64(*x),
            OwnedValue::F32(x) => serializer.serialize_str(human::special(f64::from(*x))),
            OwnedValue::F64(x) => serializer.serialize_str(human::special(*x)),
            OwnedValue::Bool(b) => serializer.serialize_bool(*b),
            OwnedValue::Text { text, .. } => serializer.serialize_str(text),
            OwnedValue::Bytes { bytes, .. } => serializer.serialize_str(&hex(bytes)),
            OwnedValue::Array(elements) => serializer.collect_seq(elements.iter().map(Exact)),
            OwnedValue::Each(each) => {
                serializer.collect_seq(each.iter().map(|e| e.value.as_ref().map(Exact)))
            }
            OwnedValue::Timer(t) => {
                let mut s = serializer.serialize_struct("Timer", 5)?;
                s.serialize_field("count", &t.count)?;
                s.serialize_field("sum", &t.sum)?;
                s.serialize_field("min", &t.min)?;
                s.serialize_field("max", &t.max)?;
                s.serialize_field("last", &t.last)?;
                s.end()
            }
            OwnedValue::State(value) => kinds::serialize_state(value, serializer),
            OwnedValue::Histogram(value) => kinds::serialize_histogram(value, serializer),
            OwnedValue::Average(value) | OwnedValue::Window(value) => {
                kinds::serialize_average(value, serializer)
            }
            OwnedValue::Rate(value) => rates::Exact(value).serialize(serializer),
            _ => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmstats_observe::TimerValue;

    fn text(text: &str, cut: bool) -> OwnedValue {
        OwnedValue::Text { text: text.into(), cut }
    }

    fn timer(count: u128, sum: u128, ends: [Option<u64>; 3]) -> OwnedValue {
        let [min, max, last] = ends;
        OwnedValue::Timer(TimerValue { count, sum, min, max, last })
    }

    #[test]
    fn units_choose_the_form() {
        let n = OwnedValue::Unsigned(1_300_000);
        assert_eq!(humane(&n, "bytes"), "1.24 MiB");
        assert_eq!(humane(&n, ""), "1,300,000");
        assert_eq!(plain(&n), "1300000");
        assert_eq!(humane(&OwnedValue::F64(0.001_24), "seconds"), "1.24 ms");
        assert_eq!(humane(&OwnedValue::Signed(-1_240_000), "nanoseconds"), "-1.24 ms");
        let ends = [Some(1_000_000), Some(2_000_000), Some(2_000_000)];
        assert_eq!(
            humane(&timer(2, 3_000_000, ends), ""),
            "2 × 1.50 ms  (min 1.00 ms, max 2.00 ms, last 2.00 ms)"
        );
        assert_eq!(humane(&timer(0, 0, [None; 3]), ""), "none yet");
        assert_eq!(plain(&timer(0, 0, [None; 3])), "count=0 sum=0");
        assert_eq!(
            plain(&timer(2, 3_000_000, ends)),
            "count=2 sum=3000000 min=1000000 max=2000000 last=2000000"
        );
    }

    #[test]
    fn texts_are_bounded_and_escaped() {
        let long = text(&"é".repeat(5000), false);
        assert_eq!(plain(&long).chars().count(), 4096 + "… (10000 bytes)".chars().count());
        assert_eq!(humane(&text("a\u{1b}[2J", true), ""), "\"a\\u{1b}[2J\" (cut)");
        assert_eq!(plain(&OwnedValue::Bytes { bytes: vec![0, 255], cut: false }), "00ff");
    }

    #[test]
    fn json_is_exact() {
        let json = |value: OwnedValue| serde_json::to_string(&Exact(&value)).unwrap();
        assert_eq!(json(OwnedValue::Unsigned(u128::MAX)), u128::MAX.to_string());
        assert_eq!(json(OwnedValue::Signed(i128::MIN)), i128::MIN.to_string());
        assert_eq!(json(OwnedValue::F32(0.1)), "0.1");
        assert_eq!(json(OwnedValue::F64(f64::NAN)), "\"NaN\"");
        assert_eq!(json(OwnedValue::F32(f32::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(json(OwnedValue::Bytes { bytes: vec![1, 0xab], cut: false }), "\"01ab\"");
        let elements = vec![OwnedValue::Unsigned(1), OwnedValue::F64(2.5)];
        assert_eq!(json(OwnedValue::Array(elements)), "[1,2.5]");
        assert_eq!(
            json(timer(0, 0, [None; 3])),
            r#"{"count":0,"sum":0,"min":null,"max":null,"last":null}"#
        );
    }
}
