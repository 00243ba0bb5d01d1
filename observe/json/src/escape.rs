//! Escaping of text from files and file systems.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// Whether a terminal shows `c` as a character: no control, bidirectional or invisible one.
#[must_use]
pub fn is_harmless(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let after = HARMFUL.partition_point(|(first, _)| *first <= c);
    let range = after.checked_sub(1).and_then(|at| HARMFUL.get(at));
    range.is_none_or(|(_, last)| c > *last)
}

/// Controls, formats (with all bidirectional ones and tags), separators of lines and paragraphs, and
/// all characters that are shown as nothing: fillers, joiners, selectors of variants.
const CLASS: &str = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]";

/// The ranges of [`CLASS`], ascending.
static HARMFUL: LazyLock<Vec<(char, char)>> = LazyLock::new(|| match regex_syntax::parse(CLASS) {
    Ok(hir) => match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().map(|range| (range.start(), range.end())).collect()
        }
        _ => ALL.to_vec(),
    },
    // Not reached: a test parses it. All but ASCII is escaped then.
    Err(_) => ALL.to_vec(),
});
const ALL: &[(char, char)] = &[('\u{80}', char::MAX)];

/// `text` with everything that is not [`is_harmless`] as `\u{1b}`, and a backslash doubled.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| is_harmless(c) && c != '\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    push(&mut out, text);
    Cow::Owned(out)
}

/// As [`text`], for bytes that should be UTF-8; invalid ones become `\xff`.
#[must_use]
pub fn bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push(&mut out, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn push(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_harmless(c) => out.push(c),
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_escapes_controls() {
        assert_eq!(text("plain é 漢"), "plain é 漢");
        assert_eq!(text("\u{1b}[2J\u{9b}1m"), "\\u{1b}[2J\\u{9b}1m");
        assert_eq!(text("a\tb\nc\rd\\u"), "a\\tb\\nc\\rd\\\\u");
        assert_eq!(text("\u{202e}gpj.exe\u{2066}\u{200b}"), "\\u{202e}gpj.exe\\u{2066}\\u{200b}");
        assert_eq!(text("\u{7f}\u{feff}\u{e0041}"), "\\u{7f}\\u{feff}\\u{e0041}");
        for code in (0..0x20).chain(0x7f..0xa0) {
            let c = char::from_u32(code).unwrap();
            assert!(!text(&c.to_string()).contains(c), "{code:#x}");
        }
    }

    #[test]
    fn text_escapes_invisible_characters() {
        // Joiners, fillers, vowels that are not shown, selectors, music, tags, bidirectional ones.
        for code in [
            0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x180b, 0x180e, 0x200b, 0x200e, 0x2028,
            0x2029, 0x202e, 0x2060, 0x2065, 0x2069, 0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xfff9,
            0x1bca0, 0x1d173, 0xe0001, 0xe0100, 0xe0fff,
        ] {
            let c = char::from_u32(code).unwrap();
            assert_eq!(text(&c.to_string()), format!("\\u{{{code:x}}}"));
        }
        for shown in ["é", "e\u{301}", "漢字", "עברית", "한글", "ไทย", "♥", "🦀", "\u{a0}"]
        {
            assert_eq!(text(shown), shown);
        }
        assert!(HARMFUL.len() > 20, "{HARMFUL:?}");
    }

    #[test]
    fn bytes_writes_invalid_utf8_in_hex() {
        assert_eq!(bytes(b"a\xff\xfeb\x1b"), "a\\xff\\xfeb\\u{1b}");
        assert_eq!(bytes(b"\xe2\x82"), "\\xe2\\x82");
    }
}
