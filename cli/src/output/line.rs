//! Lines of styled text, cut to the width of a terminal.

use std::borrow::Cow;

use anstyle::Style;

use crate::text::escape;

/// A space at which no line is broken, until [`Line::release`]. Text from outside has no controls.
pub(crate) const NO_BREAK: char = '\u{1}';

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

    /// The spans: styles and texts.
    #[cfg(feature = "top")]
    pub(crate) fn spans(&self) -> impl Iterator<Item = (Style, &str)> {
        self.spans.iter().map(|(style, text)| (*style, text.as_str()))
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

    /// The same on lines of at most `width` columns, broken at spaces; later lines begin with `hang`
    /// spaces. A longer word stays whole.
    pub(crate) fn wrapped(&self, width: usize, hang: usize) -> Vec<Self> {
        let mut lines = Vec::new();
        let mut line = Self::new();
        // Whether the line has a word.
        let mut has_word = false;
        let mut word = Self::new();
        let mut spaces = 0;
        let mut end_word =
            |word: &mut Self, spaces: &mut usize, line: &mut Self, has_word: &mut bool| {
                if word.width == 0 {
                    return;
                }
                if *has_word && line.width + *spaces + word.width > width {
                    lines.push(std::mem::take(line));
                    line.pad_to(hang);
                } else {
                    line.pad_to(line.width + *spaces);
                }
                line.spans.append(&mut word.spans);
                line.width += std::mem::take(&mut word.width);
                (*spaces, *has_word) = (0, true);
            };
        for (style, text) in &self.spans {
            for part in text.split_inclusive(' ') {
                let letters = part.trim_end_matches(' ');
                if !letters.is_empty() {
                    word.push(*style, letters);
                }
                if part.len() > letters.len() {
                    end_word(&mut word, &mut spaces, &mut line, &mut has_word);
                    spaces += part.len() - letters.len();
                }
            }
        }
        end_word(&mut word, &mut spaces, &mut line, &mut has_word);
        lines.push(line);
        lines
    }

    /// The same without spaces at the start.
    pub(crate) fn trimmed(&self) -> Self {
        let mut line = Self::new();
        for (style, text) in &self.spans {
            let text = if line.width == 0 { text.trim_start_matches(' ') } else { text };
            line.push(*style, text);
        }
        line
    }

    /// The same without spaces at the end.
    #[cfg(feature = "threads")] // the only user
    pub(crate) fn without_end(mut self) -> Self {
        while let Some((_, text)) = self.spans.last_mut() {
            text.truncate(text.trim_end_matches(' ').len());
            if !text.is_empty() {
                break;
            }
            self.spans.pop();
        }
        self.width = self.spans.iter().map(|(_, text)| escape::width(text)).sum();
        self
    }

    /// The columns before `column`, which is at the end of a span, and the rest.
    pub(crate) fn split_at(&self, column: usize) -> (Self, Self) {
        let (mut head, mut tail) = (Self::new(), Self::new());
        for (style, text) in &self.spans {
            let to = if head.width < column { &mut head } else { &mut tail };
            to.push(*style, text.as_str());
        }
        (head, tail)
    }

    /// The text without styles.
    pub(crate) fn text(&self) -> String {
        self.spans.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// Width of the longest word.
    pub(crate) fn longest_word(&self) -> usize {
        self.text().split(' ').map(escape::width).max().unwrap_or(0)
    }

    /// Makes spaces of those at which no line was broken.
    pub(crate) fn release(&mut self) {
        for (_, text) in &mut self.spans {
            if text.contains(NO_BREAK) {
                *text = text.replace(NO_BREAK, " ");
            }
        }
    }

    /// Adds the spans of another line.
    pub(crate) fn append(&mut self, other: Self) {
        self.width += other.width;
        self.spans.extend(other.spans);
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
    fn wrapped_breaks_at_spaces_and_keeps_words() {
        let mut line = Line::styled(Style::new(), "  one two");
        line.push(style::BOLD, "three, four");
        let lines = |width| -> Vec<String> {
            line.wrapped(width, 4).iter().map(|line| line.unstyled(usize::MAX)).collect()
        };
        assert_eq!(lines(99), ["  one twothree, four"]);
        assert_eq!(lines(15), ["  one twothree,", "    four"]);
        assert_eq!(lines(8), ["  one", "    twothree,", "    four"]);
        assert_eq!(lines(1), ["  one", "    twothree,", "    four"]);
        assert_eq!(Line::new().wrapped(3, 1).len(), 1);
    }

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
