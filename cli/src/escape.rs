//! Text from files and file systems, made harmless for a terminal.
//!
//! Nothing that comes from a file reaches an output stream without passing here, or,
//! for JSON, through [`crate::json`], which uses the same [`harmless`].

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Whether `c` can be shown as it is: it moves no cursor, turns no text around and is
/// not invisible.
pub(crate) fn harmless(c: char) -> bool {
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

/// `text` with everything that is not [`harmless`] as `\u{1b}`, and a backslash doubled.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| harmless(c) && c != '\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    push(&mut out, text);
    Cow::Owned(out)
}

/// The same for bytes that should be UTF-8; those that are not become `\xff`.
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

/// The same for a path.
pub(crate) fn path(path: &Path) -> String {
    let shown = bytes(path.as_os_str().as_encoded_bytes());
    // Where a backslash separates names and cannot be in one, it need not be doubled.
    if cfg!(windows) { shown.replace(r"\\", r"\") } else { shown }
}

/// The same for an argument or a file name.
pub(crate) fn os(text: &OsStr) -> String {
    bytes(text.as_encoded_bytes())
}

fn push(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if harmless(c) => out.push(c),
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
}

/// Columns that `text` takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// At most `columns` columns of `text`, the last one `…` if something was left out.
pub(crate) fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        let next = used + c.width().unwrap_or(0);
        if next > columns - 1 {
            break;
        }
        used = next;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

/// As [`clip`], but the end of `text` stays: right for paths and dotted labels.
pub(crate) fn clip_front(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let mut used = 0;
    let mut from = text.len();
    for (at, c) in text.char_indices().rev() {
        let next = used + c.width().unwrap_or(0);
        if next > columns - 1 {
            break;
        }
        used = next;
        from = at;
    }
    Cow::Owned(format!("…{}", &text[from..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_become_text() {
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
    fn invalid_utf8_becomes_hex() {
        assert_eq!(bytes(b"a\xff\xfeb\x1b"), "a\\xff\\xfeb\\u{1b}");
        assert_eq!(bytes(b"\xe2\x82"), "\\xe2\\x82");
    }

    #[test]
    fn clipping_counts_columns() {
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
