//! JSON that is also harmless when a terminal shows it, and inside of a page.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::escape::harmless;

/// Writes `value` on one line, with everything that a terminal would obey, and what could be
/// markup, as `\uXXXX`.
pub(crate) fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Harmless))?;
    out.write_all(b"\n")
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut from = 0;
        // The control characters below 0x20 are escaped by serde_json and never get here.
        let obeyed = |c: char| !harmless(c) || matches!(c, '<' | '>' | '&');
        for (at, c) in fragment.char_indices().filter(|(_, c)| obeyed(*c)) {
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
    fn terminals_see_no_escapes_and_parsers_the_text() {
        let markup = "</script><b>&amp;";
        let mut out = Vec::new();
        line(&mut out, &markup).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains(['<', '>', '&']), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), markup);

        let nasty = "a\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{e0041}\"é\n";
        let mut out = Vec::new();
        line(&mut out, &nasty).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\"a\\u001b[2J\\u009b\\u007f\\u202e\\udb40\\udc41\\\"é\\n\"\n");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), nasty);
    }
}
