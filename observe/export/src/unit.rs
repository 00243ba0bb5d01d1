//! Units: base units, and the factors of others to them.

use std::borrow::Cow;

/// A unit as metric names have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// The word at the end of names; empty if there is none.
    pub(crate) word: Cow<'static, str>,
    pub(crate) scale: Scale,
}

/// Factor from a unit to its base unit: `times * 10^power`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    pub(crate) times: u32,
    pub(crate) power: i8,
}

impl Scale {
    pub(crate) const ONE: Self = Self { times: 1, power: 0 };
    /// Times in a file have nanoseconds.
    pub(crate) const NANO: Self = Self { times: 1, power: -9 };

    pub(crate) fn is_one(self) -> bool {
        self == Self::ONE
    }

    /// `x` in the base unit.
    pub(crate) fn apply(self, x: f64) -> f64 {
        let x = if self.times == 1 { x } else { x * f64::from(self.times) };
        match self.power {
            0 => x,
            // Divided, so that the result is the nearest: 10^-9 is not exact.
            power if power < 0 => x / 10_f64.powi((-power).into()),
            power => x * 10_f64.powi(power.into()),
        }
    }
}

impl Unit {
    /// The unit of a field.
    pub(crate) fn of(unit: &str) -> Self {
        let (word, times, power) = match unit {
            "seconds" | "second" | "s" => ("seconds", 1, 0),
            "milliseconds" | "millisecond" | "ms" => ("seconds", 1, -3),
            "microseconds" | "microsecond" | "us" | "µs" | "μs" => ("seconds", 1, -6),
            "nanoseconds" | "nanosecond" | "ns" => ("seconds", 1, -9),
            "minutes" | "minute" | "min" => ("seconds", 60, 0),
            "hours" | "hour" | "h" => ("seconds", 3_600, 0),
            "days" | "day" | "d" => ("seconds", 86_400, 0),
            "bytes" | "byte" | "B" => ("bytes", 1, 0),
            "kB" | "kilobytes" => ("bytes", 1, 3),
            "MB" | "megabytes" => ("bytes", 1, 6),
            "GB" | "gigabytes" => ("bytes", 1, 9),
            "KiB" | "kibibytes" => ("bytes", 1 << 10, 0),
            "MiB" | "mebibytes" => ("bytes", 1 << 20, 0),
            "GiB" | "gibibytes" => ("bytes", 1 << 30, 0),
            "percent" | "%" => ("ratio", 1, -2),
            "ratio" | "1" => ("ratio", 1, 0),
            "celsius" | "°C" => ("celsius", 1, 0),
            "volts" | "V" => ("volts", 1, 0),
            "amperes" | "A" => ("amperes", 1, 0),
            "joules" | "J" => ("joules", 1, 0),
            "watts" | "W" => ("watts", 1, 0),
            "grams" | "g" => ("grams", 1, 0),
            "meters" | "metres" | "m" => ("meters", 1, 0),
            "hertz" | "Hz" => ("hertz", 1, 0),
            _ => {
                let word = crate::name::metric(unit);
                let word = word.trim_matches('_');
                return Self { word: Cow::Owned(word.to_owned()), scale: Scale::ONE };
            }
        };
        Self { word: Cow::Borrowed(word), scale: Scale { times, power } }
    }

    /// No unit.
    pub(crate) const fn none() -> Self {
        Self { word: Cow::Borrowed(""), scale: Scale::ONE }
    }

    pub(crate) const fn seconds(scale: Scale) -> Self {
        Self { word: Cow::Borrowed("seconds"), scale }
    }
}

/// A unit in UCUM, which OTLP uses; one that it lacks as an annotation, as in `{requests}`.
#[must_use]
pub fn ucum(unit: &str) -> Cow<'_, str> {
    Cow::Borrowed(match unit {
        "" => "",
        "seconds" | "second" | "s" => "s",
        "milliseconds" | "millisecond" | "ms" => "ms",
        "microseconds" | "microsecond" | "us" | "µs" | "μs" => "us",
        "nanoseconds" | "nanosecond" | "ns" => "ns",
        "minutes" | "minute" | "min" => "min",
        "hours" | "hour" | "h" => "h",
        "days" | "day" | "d" => "d",
        "bytes" | "byte" | "B" => "By",
        "kB" | "kilobytes" => "kBy",
        "MB" | "megabytes" => "MBy",
        "GB" | "gigabytes" => "GBy",
        "KiB" | "kibibytes" => "KiBy",
        "MiB" | "mebibytes" => "MiBy",
        "GiB" | "gibibytes" => "GiBy",
        "percent" | "%" => "%",
        "ratio" | "1" => "1",
        "celsius" | "°C" => "Cel",
        "volts" | "V" => "V",
        "amperes" | "A" => "A",
        "joules" | "J" => "J",
        "watts" | "W" => "W",
        "grams" | "g" => "g",
        "meters" | "metres" | "m" => "m",
        "hertz" | "Hz" => "Hz",
        other => {
            // Braces end an annotation, and it has ASCII only.
            let keep = |c: &char| c.is_ascii_graphic() && !matches!(c, '{' | '}');
            return Cow::Owned(format!("{{{}}}", other.chars().filter(keep).collect::<String>()));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_has_word_and_factor_to_base() {
        let of = |unit| {
            let Unit { word, scale } = Unit::of(unit);
            (word.into_owned(), scale.apply(3.0))
        };
        assert_eq!(of("nanoseconds"), ("seconds".to_owned(), 3e-9));
        assert_eq!(of("ms"), ("seconds".to_owned(), 0.003));
        assert_eq!(of("minutes"), ("seconds".to_owned(), 180.0));
        assert_eq!(of("MiB"), ("bytes".to_owned(), 3_145_728.0));
        assert_eq!(of("%"), ("ratio".to_owned(), 0.03));
        assert_eq!(of("requests"), ("requests".to_owned(), 3.0));
        assert_eq!(of("requests/s"), ("requests_s".to_owned(), 3.0));
        assert_eq!(of(""), (String::new(), 3.0));
    }

    #[test]
    fn ucum_of_unknown_unit_is_annotation() {
        assert_eq!(
            (ucum("B"), ucum("requests"), ucum("a}b é")),
            ("By".into(), "{requests}".into(), "{ab}".into())
        );
        assert_eq!(ucum(""), "");
    }
}
