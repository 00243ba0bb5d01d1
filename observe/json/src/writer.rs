//! JSON that is harmless on a terminal and inside a page.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::escape::is_harmless;

/// Writes `value` and a line end; terminal controls and markup characters become `\uXXXX`.
///
/// # Errors
///
/// The errors of `out`.
pub fn write_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Harmless))?;
    out.write_all(b"\n")
}

/// The text that [`write_line`] writes, without the line end.
#[must_use]
pub fn to_text(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    // Neither memory nor our documents refuse a write.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut text, Harmless));
    String::from_utf8(text).unwrap_or_default()
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut from = 0;
        // serde_json itself escapes the control characters below 0x20.
        let unsafe_char = |c: char| !is_harmless(c) || matches!(c, '<' | '>' | '&');
        for (at, c) in fragment.char_indices().filter(|(_, c)| unsafe_char(*c)) {
            writer.write_all(&fragment.as_bytes()[from..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            from = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_line_escapes_controls_and_markup() {
        let markup = "</script><b>&amp;";
        let mut out = Vec::new();
        write_line(&mut out, &markup).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains(['<', '>', '&']), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), markup);

        let nasty = "a\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{e0041}\"é\n";
        let mut out = Vec::new();
        write_line(&mut out, &nasty).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\"a\\u001b[2J\\u009b\\u007f\\u202e\\udb40\\udc41\\\"é\\n\"\n");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), nasty);
    }
}
