//! Labels of a family by name.

use std::borrow::Cow;

/// The labels of a family by name: a struct with `#[derive(Labels)]`.
///
/// Each field is one label. Its type is a [`LabelValue`]: a text, a number, a `bool`, or an enum
/// with `#[derive(State)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of labels",
    label = "not a struct with `#[derive(Labels)]`"
)]
pub trait Labels {
    /// The keys of the attributes, at least one.
    const KEYS: &'static [&'static str];

    /// Calls `take` with the values, in the order of [`KEYS`](Self::KEYS). Nothing is allocated. With
    /// another number of values than keys, the field is that of the overflow.
    fn with_values<R>(&self, take: impl FnOnce(&[&str]) -> R) -> R;
}

/// The value of a label.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no value of a label",
    label = "not a text, a number, a `bool` or an enum with `#[derive(State)]`"
)]
pub trait LabelValue {
    /// The value as text, which may be written to `buffer`.
    fn as_label<'a>(&'a self, buffer: &'a mut LabelBuffer) -> &'a str;
}

/// Room for a value that is no text: an integer of 64 bits in decimal.
#[derive(Debug, Clone, Copy, Default)]
pub struct LabelBuffer([u8; 20]);

impl LabelBuffer {
    /// An empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; 20])
    }

    fn decimal(&mut self, negative: bool, mut magnitude: u64) -> &str {
        let mut start = self.0.len();
        loop {
            start -= 1;
            // Less than ten.
            #[allow(clippy::cast_possible_truncation)]
            let digit = (magnitude % 10) as u8;
            self.0[start] = b'0' + digit;
            magnitude /= 10;
            if magnitude == 0 {
                break;
            }
        }
        if negative {
            start -= 1;
            self.0[start] = b'-';
        }
        std::str::from_utf8(&self.0[start..]).unwrap_or_default()
    }
}

impl LabelValue for str {
    #[inline]
    fn as_label<'a>(&'a self, _: &'a mut LabelBuffer) -> &'a str {
        self
    }
}

impl<T: LabelValue + ?Sized> LabelValue for &T {
    #[inline]
    fn as_label<'a>(&'a self, buffer: &'a mut LabelBuffer) -> &'a str {
        (**self).as_label(buffer)
    }
}

impl LabelValue for String {
    #[inline]
    fn as_label<'a>(&'a self, _: &'a mut LabelBuffer) -> &'a str {
        self
    }
}

impl LabelValue for Cow<'_, str> {
    #[inline]
    fn as_label<'a>(&'a self, _: &'a mut LabelBuffer) -> &'a str {
        self
    }
}

impl LabelValue for bool {
    #[inline]
    fn as_label<'a>(&'a self, _: &'a mut LabelBuffer) -> &'a str {
        if *self { "true" } else { "false" }
    }
}

macro_rules! integer {
    ($($type:ty: $negative:expr, $magnitude:expr;)*) => {$(
        impl LabelValue for $type {
            fn as_label<'a>(&'a self, buffer: &'a mut LabelBuffer) -> &'a str {
                buffer.decimal($negative(*self), $magnitude(*self))
            }
        }
    )*};
}
integer! {
    u8: |_| false, u64::from;
    u16: |_| false, u64::from;
    u32: |_| false, u64::from;
    u64: |_| false, |n| n;
    usize: |_| false, |n| n as u64;
    i8: |n: i8| n < 0, |n: i8| u64::from(n.unsigned_abs());
    i16: |n: i16| n < 0, |n: i16| u64::from(n.unsigned_abs());
    i32: |n: i32| n < 0, |n: i32| u64::from(n.unsigned_abs());
    i64: |n: i64| n < 0, i64::unsigned_abs;
    isize: |n: isize| n < 0, |n: isize| n.unsigned_abs() as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl LabelValue) -> String {
        value.as_label(&mut LabelBuffer::new()).to_owned()
    }

    #[test]
    fn as_label_integers_as_display() {
        for n in [i64::MIN, -10, -9, -1, 0, 1, 9, 10, 100, 404, i64::MAX] {
            assert_eq!(text(n), n.to_string());
            assert_eq!(text(n.unsigned_abs()), n.unsigned_abs().to_string());
        }
        assert_eq!(text(u64::MAX), u64::MAX.to_string());
        assert_eq!((text(i8::MIN), text(u8::MAX)), ("-128".to_owned(), "255".to_owned()));
        assert_eq!((text(i16::MIN), text(u16::MAX)), ("-32768".to_owned(), "65535".to_owned()));
        assert_eq!(text(i32::MIN), i32::MIN.to_string());
        assert_eq!(text(u32::MAX), u32::MAX.to_string());
        assert_eq!(
            (text(usize::MAX), text(isize::MIN)),
            (usize::MAX.to_string(), isize::MIN.to_string())
        );
    }

    #[test]
    fn as_label_texts_unchanged() {
        assert_eq!(text("a"), "a");
        assert_eq!(text(String::from("b")), "b");
        assert_eq!(text(Cow::Borrowed("c")), "c");
        assert_eq!((text(true), text(false)), ("true".to_owned(), "false".to_owned()));
    }
}
