//! Escaping of text from files and file systems for terminals.
//!
//! All text from outside passes through here before it is written, or, as JSON, through
//! [`crate::json`], which uses the same [`is_harmless`].

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;

pub(crate) use mmstats_json::escape::{bytes, hex, is_harmless, text};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

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
#[cfg(feature = "top")]
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
    fn clip_counts_columns() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdef", 5), "abcd…");
        assert_eq!(clip("漢字漢字", 5), "漢字…");
        assert_eq!(clip("漢字漢字", 4), "漢…");
        assert_eq!(clip("abc", 0), "");
        assert_eq!(clip("abc", 1), "…");
    }

    #[cfg(feature = "top")]
    #[test]
    fn clip_front_keeps_the_end() {
        assert_eq!(clip_front("/a/long/path", 6), "…/path");
        assert_eq!(clip_front("漢字漢字", 4), "…字");
    }
}
