//! Where output goes: standard output with its size and colours, and complaints.

use std::cell::RefCell;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::rc::Rc;

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;

use crate::escape;

/// What a renderer must know of the place it writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// `None` if it is not a terminal: then nothing is cut, and machines read it.
    pub(crate) size: Option<(usize, usize)>,
}

impl Screen {
    /// Not a terminal.
    #[cfg(test)]
    pub(crate) const PIPE: Self = Self { size: None };

    /// Of standard output, now.
    pub(crate) fn now() -> Self {
        if !io::stdout().is_terminal() {
            return Self { size: None };
        }
        let (columns, rows) = match crossterm::terminal::size() {
            Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
            _ => (80, 24),
        };
        Self { size: Some((columns.into(), rows.into())) }
    }

    pub(crate) const fn is_terminal(self) -> bool {
        self.size.is_some()
    }

    /// In columns; endless where it is not a terminal.
    pub(crate) fn width(self) -> usize {
        self.size.map_or(usize::MAX, |(columns, _)| columns)
    }

    /// In rows.
    pub(crate) fn height(self) -> Option<usize> {
        self.size.map(|(_, rows)| rows)
    }
}

/// Standard output and standard error of one command.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write>>,
    err: Box<dyn Write>,
    /// `None`: as standard output is, now.
    screen: Option<Screen>,
    code: u8,
}

impl Output {
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let out = Box::new(AutoStream::new(io::stdout(), choice));
        let err = Box::new(AutoStream::new(io::stderr(), choice));
        Self { out: BufWriter::new(out), err, screen: None, code: 0 }
    }

    /// An output that goes nowhere but into memory.
    pub(crate) fn capture(choice: ColorChoice, size: Option<(usize, usize)>) -> (Self, Capture) {
        let capture = Capture::default();
        // As `auto` decides it, of a terminal that is none.
        let plain = choice == ColorChoice::Never || (choice == ColorChoice::Auto && size.is_none());
        let stream = |pipe: &Pipe| -> Box<dyn Write> {
            let pipe = Pipe(Rc::clone(&pipe.0));
            if plain { Box::new(anstream::StripStream::new(pipe.boxed())) } else { Box::new(pipe) }
        };
        let (out, err) = (BufWriter::new(stream(&capture.out)), stream(&capture.err));
        (Self { out, err, screen: Some(Screen { size }), code: 0 }, capture)
    }

    /// What is known of the place that this is shown at.
    pub(crate) fn screen(&self) -> Screen {
        self.screen.unwrap_or_else(Screen::now)
    }

    /// Says on standard error what went wrong with something that was named: exit code 1.
    pub(crate) fn fail(&mut self, what: &str) {
        self.code = self.code.max(1);
        self.note(what);
    }

    /// Says what is wrong with the command line: exit code 2.
    pub(crate) fn usage(&mut self, what: &str) {
        self.code = 2;
        self.note(what);
    }

    /// Something that was named is not as it should be, and that was said: exit code 1.
    pub(crate) fn failed(&mut self) {
        self.code = self.code.max(1);
    }

    /// Whether the exit code will not be 0.
    pub(crate) const fn has_failed(&self) -> bool {
        self.code != 0
    }

    /// Says something on standard error. `what` must be escaped already.
    pub(crate) fn note(&mut self, what: &str) {
        // What was shown so far comes first; a broken pipe shows up at the next write.
        let _ = self.out.flush();
        let _ = writeln!(self.err, "mmstats: {what}");
    }

    /// The exit code.
    pub(crate) const fn code(&self) -> u8 {
        self.code
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What was written to an [`Output::capture`].
#[derive(Default)]
pub(crate) struct Capture {
    out: Pipe,
    err: Pipe,
}

impl Capture {
    pub(crate) fn take(self, code: u8) -> crate::Captured {
        crate::Captured { out: self.out.0.take(), err: self.err.0.take(), code }
    }
}

/// One end of a pipe into memory.
#[derive(Default)]
struct Pipe(Rc<RefCell<Vec<u8>>>);

impl Pipe {
    fn boxed(self) -> Box<dyn Write> {
        Box::new(self)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One line of pieces with styles, cut to the width of a terminal.
#[derive(Debug, Default, Clone)]
pub(crate) struct Line {
    pieces: Vec<(Style, String)>,
    width: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a piece. Text from outside must be escaped already.
    pub(crate) fn push(&mut self, style: Style, text: impl Into<String>) {
        let text = text.into();
        self.width += escape::width(&text);
        self.pieces.push((style, text));
    }

    pub(crate) fn plain(&mut self, text: impl Into<String>) {
        self.push(Style::new(), text);
    }

    /// Fills up with spaces to a column.
    pub(crate) fn pad_to(&mut self, column: usize) {
        if column > self.width {
            self.plain(" ".repeat(column - self.width));
        }
    }

    /// In columns.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// With escape sequences for the styles, without a line end.
    pub(crate) fn render(&self, width: usize) -> String {
        let cut = self.width > width;
        // When cut, the last column is for the mark.
        let mut left = if cut { width.saturating_sub(1) } else { width };
        let mut out = String::new();
        let mut full = false;
        for (style, text) in &self.pieces {
            let columns = escape::width(text);
            let shown = if columns <= left {
                std::borrow::Cow::Borrowed(text.as_str())
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
        // No spaces at the end: they would wrap, and nobody wants them in a pipe.
        out.truncate(out.trim_end().len());
        out
    }
}

/// The few styles.
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
    fn a_line_is_cut_at_the_width() {
        let mut line = Line::new();
        line.plain("ab");
        line.pad_to(4);
        line.push(style::BOLD, "cdef");
        assert_eq!(line.width(), 8);
        let plain = |width| anstream::adapter::strip_str(&line.render(width)).to_string();
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
