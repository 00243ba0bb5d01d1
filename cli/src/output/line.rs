//! Lines of styled text, cut to the width of a terminal.

use std::borrow::Cow;

use anstyle::Style;

use crate::text::escape;

/// One line of styled spans.
#[derive(Debug, Default, Clone)]
pub(crate) struct Line {
    spans: Vec<(Style, String)>,
    width: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a span. Text from outside must be escaped already.
    pub(crate) fn push(&mut self, style: Style, text: impl Into<String>) {
        let text = text.into();
        self.width += escape::width(&text);
        self.spans.push((style, text));
    }

    /// Adds a span without a style.
    pub(crate) fn plain(&mut self, text: impl Into<String>) {
        self.push(Style::new(), text);
    }

    /// Adds spaces up to a column.
    pub(crate) fn pad_to(&mut self, column: usize) {
        if column > self.width {
            self.plain(" ".repeat(column - self.width));
        }
    }

    /// Width in columns.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// A line of one span.
    pub(crate) fn styled(style: Style, text: impl Into<String>) -> Self {
        let mut line = Self::new();
        line.push(style, text);
        line
    }

    /// A dimmed text after `indent` spaces.
    pub(crate) fn remark(indent: usize, text: impl Into<String>) -> Self {
        let mut line = Self::styled(Style::new(), " ".repeat(indent));
        line.push(style::DIM, text);
        line
    }

    /// The text, at most `width` columns, with escape sequences for the styles and no line end.
    pub(crate) fn render(&self, width: usize) -> String {
        let cut = self.width > width;
        // When cut, the last column is for the ellipsis.
        let mut left = if cut { width.saturating_sub(1) } else { width };
        let mut out = String::new();
        let mut full = false;
        for (style, text) in &self.spans {
            let columns = escape::width(text);
            let shown = if columns <= left {
                Cow::Borrowed(text.as_str())
            } else {
                full = true;
                let mut shown = escape::clip(text, left + 1).into_owned();
                shown.pop();
                shown.into()
            };
            left -= escape::width(&shown);
            if *style == Style::new() {
                out.push_str(&shown);
            } else if !shown.is_empty() {
                out.push_str(&format!("{style}{shown}{style:#}"));
            }
            if full {
                break;
            }
        }
        if cut && width > 0 {
            out.push('…');
        }
        // Spaces at the end would wrap on a terminal, and are noise in a pipe.
        out.truncate(out.trim_end().len());
        out
    }
}

#[cfg(test)]
impl Line {
    /// The text without styles, at most `width` columns.
    pub(crate) fn unstyled(&self, width: usize) -> String {
        anstream::adapter::strip_str(&self.render(width)).to_string()
    }
}

/// The styles of all output.
pub(crate) mod style {
    use anstyle::{AnsiColor, Style};

    pub(crate) const BOLD: Style = Style::new().bold();
    pub(crate) const DIM: Style = Style::new().dimmed();
    pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
    pub(crate) const BAD: Style = AnsiColor::Red.on_default();
    pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn render_cuts_at_the_width() {
        let mut line = Line::new();
        line.plain("ab");
        line.pad_to(4);
        line.push(style::BOLD, "cdef");
        assert_eq!(line.width(), 8);
        let plain = |width| line.unstyled(width);
        assert_eq!(plain(usize::MAX), "ab  cdef");
        assert_eq!(plain(8), "ab  cdef");
        assert_eq!(plain(7), "ab  cd…");
        assert_eq!(plain(3), "ab…");
        assert_eq!(plain(1), "…");
        assert_eq!(plain(0), "");
        for width in 0..10 {
            assert!(escape::width(&plain(width)) <= width);
        }
    }
}
