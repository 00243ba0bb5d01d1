//! Numbers, durations and sizes in a short form for people.

use std::time::Duration;

/// The value as text, or `-` if there is none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let mut out = String::with_capacity(number.len() * 4 / 3 + 1);
    out.push_str(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Grouped, with at most four decimals, six below 0.01: `1,234.57`, `0.0312`, `6.0221e23`.
pub(crate) fn float(x: f64) -> String {
    if !x.is_finite() {
        return non_finite(x).to_owned();
    }
    let size = x.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{x:.4e}");
    }
    let decimals = match size {
        s if s >= 1e5 => 0,
        s if s >= 1e3 => 2,
        s if s >= 0.01 => 4,
        _ => 6,
    };
    let text = format!("{x:.decimals$}");
    match text.split_once('.') {
        None => grouped(&text),
        Some((whole, part)) => match part.trim_end_matches('0') {
            "" => grouped(whole),
            part => format!("{}.{part}", grouped(whole)),
        },
    }
}

/// A plain decimal number: three decimals, more if it is small, so that four digits are left; an
/// exponent below 1e-12.
pub(crate) fn decimal(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        return non_finite(x).to_owned();
    }
    if size > 0.0 && size < 1e-12 {
        return format!("{x:e}");
    }
    let mut decimals = 3;
    let mut scaled = size;
    while scaled > 0.0 && scaled < 1.0 {
        (decimals, scaled) = (decimals + 1, scaled * 10.0);
    }
    format!("{x:.decimals$}")
}

pub(crate) use mmstats_json::non_finite;

/// Whether a text is that of NaN or an infinity.
pub(crate) fn is_non_finite(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

/// Three significant digits: `1.24`, `12.4`, `124`.
fn three(x: f64) -> String {
    let decimals = match x.abs() {
        s if s < 9.995 => 2,
        s if s < 99.95 => 1,
        _ => 0,
    };
    format!("{x:.decimals$}")
}

/// A duration in seconds with three digits: `1.24 ms`, `38 ns`, `2m 05s`, `3h 12m`.
pub(crate) fn seconds(x: f64) -> String {
    if !x.is_finite() {
        return non_finite(x).to_owned();
    }
    let size = x.abs();
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 999.5e-9 {
        format!("{} ns", float((x * 1e9 * 10.0).round() / 10.0))
    } else if size < 999.5e-6 {
        format!("{} µs", three(x * 1e6))
    } else if size < 999.5e-3 {
        format!("{} ms", three(x * 1e3))
    } else if size < 60.0 {
        format!("{} s", three(x))
    } else if size < 1e15 {
        let sign = if x < 0.0 { "-" } else { "" };
        format!("{sign}{}", age(Duration::from_secs_f64(size)))
    } else {
        format!("{x:.4e} s")
    }
}

/// A duration in its two largest units: `12s`, `3m 12s`, `5h 03m`, `12d 4h`.
pub(crate) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if minutes == 0 {
        format!("{seconds}s")
    } else if hours == 0 {
        format!("{minutes}m {:02}s", seconds % 60)
    } else if days == 0 {
        format!("{hours}h {:02}m", minutes % 60)
    } else if days < 10_000 {
        format!("{days}d {}h", hours % 24)
    } else {
        format!("{days}d")
    }
}

/// A duration that is known to a minute: `<1m`, `3m`, `5h 03m`, `12d 4h`.
pub(crate) fn about(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => "<1m".to_owned(),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        _ => age(duration),
    }
}

/// Bytes in powers of 1024 with three digits: `1.24 MiB`; exact below 1 KiB.
pub(crate) fn size(bytes: f64) -> String {
    if !bytes.is_finite() {
        return non_finite(bytes).to_owned();
    }
    let mut left = bytes;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if left.abs() < 999.5 {
            return match unit {
                "B" => format!("{} B", float((left * 10.0).round() / 10.0)),
                unit => format!("{} {unit}", three(left)),
            };
        }
        left /= 1024.0;
    }
    format!("{} EiB", float(left))
}

/// A number for a narrow column: whole up to 99,999, then `123k`, `1.24M`.
pub(crate) fn compact(x: f64) -> String {
    if !x.is_finite() {
        return non_finite(x).to_owned();
    }
    if x.abs() < 99_999.5 {
        return match x.abs() {
            0.0 => "0".to_owned(),
            s if s >= 99.95 || (x.fract() == 0.0) => grouped(&format!("{x:.0}")),
            s if s >= 0.01 => three(x),
            _ => format!("{x:.1e}"),
        };
    }
    let mut left = x;
    for unit in ["", "k", "M", "G", "T", "P"] {
        if left.abs() < 999.5 {
            return format!("{}{unit}", three(left));
        }
        left /= 1000.0;
    }
    format!("{x:.2e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grouped_separates_thousands() {
        for (plain, want) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-123456", "-123,456"),
            ("18446744073709551615", "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(plain), want);
        }
    }

    #[test]
    fn float_has_few_digits() {
        for (x, want) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.312_345_678, "0.3123"),
            (1234.5678, "1,234.57"),
            (1_322_000_000.25, "1,322,000,000"),
            (6.022_14e23, "6.0221e23"),
            (-1.5e-9, "-1.5000e-9"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float(x), want);
        }
    }

    #[test]
    fn seconds_keep_three_digits() {
        for (x, want) in [
            (0.0, "0 s"),
            (38e-9, "38 ns"),
            (1.5e-9, "1.5 ns"),
            (999.9e-9, "1.00 µs"),
            (0.001_24, "1.24 ms"),
            (0.9999, "1.00 s"),
            (59.99, "60.0 s"),
            (125.0, "2m 05s"),
            (11_520.0, "3h 12m"),
            (-125.0, "-2m 05s"),
        ] {
            assert_eq!(seconds(x), want);
        }
        assert_eq!(age(Duration::from_secs(86_400 * 12 + 4 * 3600)), "12d 4h");
        let about = [59, 60, 3599, 3600].map(|s| about(Duration::from_secs(s)));
        assert_eq!(about, ["<1m", "1m", "59m", "1h 00m"]);
        assert_eq!(age(Duration::MAX), "213503982334601d");
    }

    #[test]
    fn size_is_binary() {
        for (x, want) in [
            (0.0, "0 B"),
            (512.0, "512 B"),
            (1023.0, "1.00 KiB"),
            (1_300_000.0, "1.24 MiB"),
            (1.8e19, "15.6125 EiB"),
        ] {
            assert_eq!(size(x), want);
        }
    }

    #[test]
    fn decimal_keeps_small_values() {
        for (x, want) in [
            (0.0, "0.000"),
            (1_234.5, "1234.500"),
            (0.5, "0.5000"),
            (0.000_001_234_5, "0.000001234"),
            (-0.000_25, "-0.0002500"),
            (3e-20, "3e-20"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(decimal(x), want);
        }
    }

    #[test]
    fn compact_is_narrow() {
        for (x, want) in [
            (0.0, "0"),
            (7.0, "7"),
            (0.333, "0.33"),
            (99_999.0, "99,999"),
            (123_456.0, "123k"),
            (1_240_000.0, "1.24M"),
            (-2.5, "-2.50"),
        ] {
            assert_eq!(compact(x), want);
            assert!(compact(x).len() <= 8);
        }
    }
}
