//! Texts, bytes and lists with a maximum length.

use std::fmt::Write as _;

use super::escape;

/// Maximum length of a text in characters, and of a byte string in bytes; JSON has no limit.
const MAX: usize = 4096;

/// `text`, escaped; a long one is cut, and its length stands behind.
pub(crate) fn text(text: &str) -> String {
    match text.char_indices().nth(MAX) {
        None => escape::text(text).into_owned(),
        Some((at, _)) => format!("{}… ({} bytes)", escape::text(&text[..at]), text.len()),
    }
}

/// `bytes` in hexadecimal; a long one is cut, and its length stands behind.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(MAX)];
    let mut out = escape::hex(shown);
    if shown.len() < bytes.len() {
        let _ = write!(out, "… ({} bytes)", bytes.len());
    }
    out
}

/// `[a, b, c]`, with at most `max` elements.
pub(crate) fn list<T>(elements: &[T], max: usize, show: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = elements.iter().take(max).map(show).collect();
    let more = if elements.len() > max {
        format!(", … ({} elements)", elements.len())
    } else {
        String::new()
    };
    format!("[{}{more}]", shown.join(", "))
}
