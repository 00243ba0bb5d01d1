//! Standard output and standard error of one command.

mod capture;
mod line;

use std::io::{self, BufWriter, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use terminal_size::{Height, Width};

use self::capture::Capture;
pub use self::capture::Captured;
pub(crate) use self::line::{Line, style};

/// Both streams, and the exit code.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write>>,
    err: Box<dyn Write>,
    /// `None`: that of standard output.
    screen: Option<Screen>,
    code: u8,
    /// Whether what is shown of a program is not all.
    incomplete: bool,
}

impl Output {
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let out = Box::new(AutoStream::new(io::stdout(), choice));
        let err = Box::new(AutoStream::new(io::stderr(), choice));
        Self { out: BufWriter::new(out), err, screen: None, code: 0, incomplete: false }
    }

    /// An output into memory; `size` as in [`Screen::size`].
    pub(crate) fn capture(choice: ColorChoice, size: Option<(usize, usize)>) -> (Self, Capture) {
        let capture = Capture::default();
        // `auto` strips styles where the output is no terminal.
        let plain = choice == ColorChoice::Never || (choice == ColorChoice::Auto && size.is_none());
        let (out, err) = capture.streams(plain);
        let (out, screen) = (BufWriter::new(out), Some(Screen { size }));
        (Self { out, err, screen, code: 0, incomplete: false }, capture)
    }

    /// Where standard output goes.
    pub(crate) fn screen(&self) -> Screen {
        self.screen.unwrap_or_else(Screen::now)
    }

    /// Writes an error about a named file or field to standard error; the exit code becomes 1.
    pub(crate) fn fail(&mut self, message: &str) {
        self.code = self.code.max(1);
        self.note(message);
    }

    /// Writes an error in the command line to standard error; the exit code becomes 2.
    pub(crate) fn usage(&mut self, message: &str) {
        self.code = 2;
        self.note(message);
    }

    /// Sets the exit code to 1 without a message.
    pub(crate) fn set_failed(&mut self) {
        self.code = self.code.max(1);
    }

    /// Whether an error was written.
    pub(crate) const fn has_failed(&self) -> bool {
        self.code != 0
    }

    /// Sets the exit code to 3, unless there are errors: what is shown of a program is not all.
    pub(crate) const fn set_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Writes a message to standard error; it must be escaped already.
    pub(crate) fn note(&mut self, message: &str) {
        // Standard output comes first; a broken pipe shows up at its next write.
        let _ = self.out.flush();
        let _ = writeln!(self.err, "mmstats: {message}");
    }

    /// The exit code.
    pub(crate) const fn code(&self) -> u8 {
        match self.code {
            0 if self.incomplete => 3,
            code => code,
        }
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

/// The terminal or pipe that standard output goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Columns and rows; `None` for a pipe or a file, where nothing is cut.
    pub(crate) size: Option<(usize, usize)>,
}

impl Screen {
    /// A pipe or a file.
    #[cfg(test)]
    pub(crate) const PIPE: Self = Self { size: None };

    /// Standard output as it is now.
    pub(crate) fn now() -> Self {
        if !io::stdout().is_terminal() {
            return Self { size: None };
        }
        let size = match terminal_size::terminal_size_of(io::stdout()) {
            Some((Width(columns), Height(rows))) if columns > 0 && rows > 0 => (columns, rows),
            _ => (80, 24),
        };
        Self { size: Some((size.0.into(), size.1.into())) }
    }

    pub(crate) const fn is_terminal(self) -> bool {
        self.size.is_some()
    }

    /// In columns; unlimited for a pipe.
    pub(crate) fn width(self) -> usize {
        self.size.map_or(usize::MAX, |(columns, _)| columns)
    }

    /// In rows.
    pub(crate) fn height(self) -> Option<usize> {
        self.size.map(|(_, rows)| rows)
    }
}
