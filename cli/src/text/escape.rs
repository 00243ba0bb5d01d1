//! Escaping of text from files and file systems for terminals.
//!
//! All text from outside passes through here before it is written, or, as JSON, through
//! [`crate::json`], which uses the same [`is_harmless`].

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Whether a terminal shows `c` as a character: no control, bidirectional or invisible one.
pub(crate) fn is_harmless(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{ad}' // soft hyphen
            | '\u{61c}' // Arabic letter mark
            | '\u{180e}' // Mongolian vowel separator
            | '\u{200b}'..='\u{200f}' // zero width, left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}' // separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates
            | '\u{feff}' // byte order mark
            | '\u{fff9}'..='\u{fffb}' // annotations
            | '\u{e0000}'..='\u{e0fff}')) // tags
}

/// `text` with everything that is not [`is_harmless`] as `\u{1b}`, and a backslash doubled.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| is_harmless(c) && c != '\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    push(&mut out, text);
    Cow::Owned(out)
}

/// As [`text`], for bytes that should be UTF-8; invalid ones become `\xff`.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push(&mut out, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// As [`bytes`], for a path.
pub(crate) fn path(path: &Path) -> String {
    let shown = bytes(path.as_os_str().as_encoded_bytes());
    // A backslash separates names on Windows, and is no part of one.
    if cfg!(windows) { shown.replace(r"\\", r"\") } else { shown }
}

/// As [`bytes`], for an argument or a file name.
pub(crate) fn os(text: &OsStr) -> String {
    bytes(text.as_encoded_bytes())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
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

/// Width of `text` on a terminal, in columns.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of `text`, at most `columns` wide, with `…` where it was cut.
pub(crate) fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    match width(text) {
        width if width <= columns => text.into(),
        _ if columns == 0 => "".into(),
        _ => format!("{}…", &text[..fitting(text.chars(), columns - 1)]).into(),
    }
}

/// The end of `text`, at most `columns` wide: for paths and dotted labels.
pub(crate) fn clip_front(text: &str, columns: usize) -> Cow<'_, str> {
    match width(text) {
        width if width <= columns => text.into(),
        _ if columns == 0 => "".into(),
        _ => format!("…{}", &text[text.len() - fitting(text.chars().rev(), columns - 1)..]).into(),
    }
}

/// Length in bytes of the first characters that fit into `columns`.
fn fitting(chars: impl Iterator<Item = char>, columns: usize) -> usize {
    let mut used = 0;
    let fits = chars.take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= columns
    });
    fits.map(char::len_utf8).sum()
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
    fn bytes_writes_invalid_utf8_in_hex() {
        assert_eq!(bytes(b"a\xff\xfeb\x1b"), "a\\xff\\xfeb\\u{1b}");
        assert_eq!(bytes(b"\xe2\x82"), "\\xe2\\x82");
    }

    #[test]
    fn clip_counts_columns() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdef", 5), "abcd…");
        assert_eq!(clip("漢字漢字", 5), "漢字…");
        assert_eq!(clip("漢字漢字", 4), "漢…");
        assert_eq!(clip("abc", 0), "");
        assert_eq!(clip("abc", 1), "…");
        assert_eq!(clip_front("/a/long/path", 6), "…/path");
        assert_eq!(clip_front("漢字漢字", 4), "…字");
    }
}
