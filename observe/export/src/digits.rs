//! Numbers as decimal text: integers exactly, also where the unit has another power of ten.

use mmstats_observe::Number;

use crate::unit::Scale;

/// Appends a number in its base unit.
///
/// An integer has all its digits: 1,500 of 10^-9 are `0.0000015`.
pub(crate) fn push(out: &mut String, number: Number, scale: Scale) {
    match number {
        Number::Unsigned(n) => push_integer(out, false, n, scale),
        Number::Signed(n) => push_integer(out, n < 0, n.unsigned_abs(), scale),
        Number::Float(x) => push_float(out, scale.apply(x)),
    }
}

/// Appends a float with the digits that make it out.
pub(crate) fn push_float(out: &mut String, x: f64) {
    if x.is_nan() {
        out.push_str("NaN");
    } else if x.is_infinite() {
        out.push_str(if x > 0.0 { "+Inf" } else { "-Inf" });
    } else if x.fract() == 0.0 && x.abs() < 1e15 && (x != 0.0 || x.is_sign_positive()) {
        #[allow(clippy::cast_possible_truncation)] // Whole and in range.
        out.push_str(itoa::Buffer::new().format(x as i64));
        out.push_str(".0");
    } else {
        out.push_str(ryu::Buffer::new().format_finite(x));
    }
}

fn push_integer(out: &mut String, negative: bool, n: u128, scale: Scale) {
    let n = n.saturating_mul(scale.times.into());
    if negative {
        out.push('-');
    }
    let mut buffer = itoa::Buffer::new();
    // Most are small, and 128 bits are slow.
    let digits = match u64::try_from(n) {
        Ok(n) => buffer.format(n),
        Err(_) => buffer.format(n),
    };
    let power = usize::from(scale.power.unsigned_abs());
    if scale.power >= 0 {
        out.push_str(digits);
        if n > 0 {
            out.extend(std::iter::repeat_n('0', power));
        }
        return;
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(power));
    out.push_str(if whole.is_empty() { "0" } else { whole });
    let zeros = power - fraction.len();
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        out.push('.');
        out.extend(std::iter::repeat_n('0', zeros));
        out.push_str(fraction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_all_digits_in_each_unit() {
        let text = |number, times, power| {
            let mut out = String::new();
            push(&mut out, number, Scale { times, power });
            out
        };
        let unsigned = Number::Unsigned;
        assert_eq!(text(unsigned(u128::MAX), 1, 0), u128::MAX.to_string());
        assert_eq!(text(unsigned(1_500), 1, -9), "0.0000015");
        assert_eq!(text(unsigned(18_446_744_073_709_551_615), 1, -9), "18446744073.709551615");
        assert_eq!(text(unsigned(2_000_000_000), 1, -9), "2");
        assert_eq!(text(unsigned(0), 1, -9), "0");
        assert_eq!(text(Number::Signed(-1_050), 1, -3), "-1.05");
        assert_eq!(
            (text(unsigned(3), 1, 3), text(unsigned(0), 1, 3)),
            ("3000".to_owned(), "0".to_owned())
        );
        assert_eq!(text(unsigned(3), 1024, 0), "3072");
        assert_eq!(text(Number::Float(2.0), 1, -3), "0.002");
    }

    #[test]
    fn floats_are_read_back_as_they_were() {
        for x in [0.1, -0.0, 1e300, 5e-324, 123_456_789.25, 1e15, 9e15] {
            let mut out = String::new();
            push_float(&mut out, x);
            assert_eq!(out.parse::<f64>().unwrap().to_bits(), x.to_bits(), "{out}");
        }
        let mut out = String::new();
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            push_float(&mut out, x);
        }
        assert_eq!(out, "NaN+Inf-Inf");
    }
}
