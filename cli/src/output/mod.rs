//! Standard output and standard error of one command.

mod capture;
mod line;

use std::io::{self, BufWriter, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use terminal_size::{Height, Width};

use self::capture::Capture;
pub use self::capture::Captured;
pub(crate) use self::line::{Line, NO_BREAK, style};

/// Both streams, and the exit code.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write>>,
    err: Box<dyn Write>,
    /// Standard output as it is, for frames, whose controls are no styles.
    frames: Box<dyn Write>,
    /// `None`: that of standard output.
    screen: Option<Screen>,
    code: u8,
    /// The exit code of a command whose codes have another meaning.
    answer: Option<u8>,
    /// Whether what is shown of a program is not all.
    incomplete: bool,
    /// Whether an error was written since [`begin`](Output::begin).
    has_failed: bool,
    /// Output that is not written yet.
    held: Option<Held>,
    /// Whether standard output gets styles.
    styled: bool,
    /// Width of the terminal that standard error goes to; unlimited for a pipe.
    err_width: usize,
}

/// Output and messages of a frame.
#[derive(Default)]
struct Held {
    text: Vec<u8>,
    notes: Vec<String>,
}

impl Output {
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let out = Box::new(AutoStream::new(io::stdout(), choice));
        let styled = out.current_choice() != ColorChoice::Never;
        let err = Box::new(AutoStream::new(io::stderr(), choice));
        Self {
            out: BufWriter::new(out),
            err,
            frames: Box::new(io::stdout()),
            screen: None,
            code: 0,
            answer: None,
            incomplete: false,
            has_failed: false,
            held: None,
            styled,
            err_width: width_of(io::stderr()),
        }
    }

    /// An output into memory; `size` as in [`Screen::size`].
    pub(crate) fn capture(choice: ColorChoice, size: Option<(usize, usize)>) -> (Self, Capture) {
        let capture = Capture::default();
        // `auto` strips styles where the output is no terminal.
        let plain = choice == ColorChoice::Never || (choice == ColorChoice::Auto && size.is_none());
        let (out, err) = capture.streams(plain);
        let (frames, _) = capture.streams(false);
        let (out, screen) = (BufWriter::new(out), Some(Screen { size }));
        (
            Self {
                out,
                err,
                frames,
                screen,
                code: 0,
                answer: None,
                incomplete: false,
                has_failed: false,
                held: None,
                styled: !plain,
                err_width: usize::MAX,
            },
            capture,
        )
    }

    /// Where standard output goes.
    pub(crate) fn screen(&self) -> Screen {
        self.screen.unwrap_or_else(Screen::now)
    }

    /// Whether colours are wanted: for screens that write their own.
    #[cfg(feature = "top")]
    pub(crate) const fn has_colours(&self) -> bool {
        self.styled
    }

    /// Writes an error about a named file or field to standard error; the exit code becomes 1.
    pub(crate) fn fail(&mut self, message: &str) {
        self.code = self.code.max(1);
        self.has_failed = true;
        self.note(message);
    }

    /// Sets an exit code that nothing else changes.
    pub(crate) const fn answer(&mut self, code: u8) {
        self.answer = Some(code);
    }

    /// Whether the exit code is an answer.
    pub(crate) const fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    /// Writes an error in the command line to standard error; the exit code becomes 2.
    pub(crate) fn usage(&mut self, message: &str) {
        self.code = 2;
        self.note(message);
    }

    /// Sets the exit code to 1 without a message.
    pub(crate) fn set_failed(&mut self) {
        self.code = self.code.max(1);
        self.has_failed = true;
    }

    /// Whether an error was written.
    pub(crate) const fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Begins another one of several outputs, in which no error was written yet.
    pub(crate) const fn begin(&mut self) {
        self.has_failed = false;
    }

    /// Sets the exit code to 3, unless there are errors: what is shown of a program is not all.
    pub(crate) const fn set_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Writes a message to standard error; it must be escaped already.
    pub(crate) fn note(&mut self, message: &str) {
        if let Some(held) = &mut self.held {
            return held.notes.push(message.to_owned());
        }
        // Standard output comes first; a broken pipe shows up at its next write.
        let _ = self.out.flush();
        for row in message_rows(message, self.err_width) {
            let _ = writeln!(self.err, "{}", row.render(usize::MAX));
        }
    }

    /// Whether the reader of standard output is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.screen.is_none() && pipe_is_closed()
    }

    /// From now on output and messages are kept, until [`draw`](Self::draw).
    pub(crate) fn hold(&mut self) {
        self.held = Some(Held::default());
    }

    /// Draws what was kept over the frame before, behind `head` and cut to the height of the
    /// terminal; messages stand at the end.
    pub(crate) fn draw(&mut self, head: &Line) -> io::Result<()> {
        let held = self.held.take().unwrap_or_default();
        let screen = self.screen();
        let text = String::from_utf8_lossy(&held.text);
        let mut lines: Vec<String> = vec![head.render(screen.width())];
        lines.extend(text.lines().map(str::to_owned));
        // The last row is for the cursor.
        let rows = screen.height().map_or(usize::MAX, |height| height.saturating_sub(1).max(1));
        let notes = held.notes.iter().flat_map(|note| message_rows(note, screen.width()));
        let mut notes: Vec<String> = notes.map(|row| row.render(screen.width())).collect();
        shorten(&mut notes, rows / 2);
        shorten(&mut lines, rows - notes.len());
        lines.append(&mut notes);
        // From the top, without the automatic line end, which would shift the frame.
        let mut frame = String::from("\u{1b}[?7l\u{1b}[H");
        for line in lines {
            // Before the line: after one of full width the cursor is on its last character.
            frame.push_str("\u{1b}[2K");
            match self.styled {
                true => frame.push_str(&line),
                false => frame.push_str(&anstream::adapter::strip_str(&line).to_string()),
            }
            frame.push_str("\r\n");
        }
        frame.push_str("\u{1b}[J\u{1b}[?7h");
        self.out.flush()?;
        self.frames.write_all(frame.as_bytes())?;
        self.frames.flush()
    }

    /// The exit code.
    pub(crate) const fn code(&self) -> u8 {
        match (self.answer, self.code) {
            (Some(answer), _) => answer,
            (None, 0) if self.incomplete => 3,
            (None, code) => code,
        }
    }
}

/// The rows of a message on a terminal of this width.
fn message_rows(message: &str, width: usize) -> Vec<Line> {
    let message = Line::styled(anstyle::Style::new(), format!("mmstats: {message}"));
    message.wrapped(width, "mmstats: ".len())
}

/// Leaves at most `most` lines, the last of which says how many more there are.
fn shorten(lines: &mut Vec<String>, most: usize) {
    if lines.len() > most {
        let more = lines.len() + 1 - most.max(1);
        lines.truncate(most.saturating_sub(1));
        let more = Line::styled(style::DIM, format!("… {more} more lines"));
        lines.extend((most > 0).then(|| more.render(usize::MAX)));
    }
}

#[cfg(unix)] // tells without a write
fn pipe_is_closed() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    // Errors are reported without being asked for; a reader that is gone is one.
    let mut all = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut all, Some(&now)).is_ok()
        && all[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

#[cfg(not(unix))] // the next write tells
const fn pipe_is_closed() -> bool {
    false
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.held {
            Some(held) => held.text.write(buf),
            None => self.out.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Width of the terminal that a stream goes to; unlimited for a pipe.
#[cfg(unix)] // streams are descriptors
fn width_of(stream: impl std::os::fd::AsFd) -> usize {
    terminal_size::terminal_size_of(stream).map_or(usize::MAX, |(Width(columns), _)| {
        if columns == 0 { usize::MAX } else { columns.into() }
    })
}

/// Width of the terminal that a stream goes to; unlimited for a pipe.
#[cfg(windows)] // streams are handles
fn width_of(stream: impl std::os::windows::io::AsHandle) -> usize {
    terminal_size::terminal_size_of(stream).map_or(usize::MAX, |(Width(columns), _)| columns.into())
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

    /// The same, as a table: in a pipe of the size that COLUMNS and LINES give, else of any width.
    pub(crate) fn as_table(self) -> Self {
        let number = |name| std::env::var(name).ok()?.parse().ok().filter(|n| *n > 0);
        let given = || (number("COLUMNS").unwrap_or(usize::MAX), number("LINES").unwrap_or(24));
        Self { size: self.size.or_else(|| Some(given())) }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a frame that is drawn on a terminal of 20 columns and 7 rows.
    fn frame(lines: usize, notes: &[&str]) -> Vec<String> {
        let (mut output, capture) = Output::capture(ColorChoice::Never, Some((20, 7)));
        output.hold();
        (0..lines).for_each(|n| writeln!(output, "line {n}").unwrap());
        notes.iter().for_each(|note| output.note(note));
        output.draw(&Line::styled(style::DIM, "head")).unwrap();
        drop(output);
        let captured = capture.take(0);
        assert!(captured.err.is_empty());
        let text = String::from_utf8(captured.out).unwrap();
        assert!(text.starts_with("\u{1b}[?7l\u{1b}[H") && text.ends_with("\u{1b}[J\u{1b}[?7h"));
        let text = anstream::adapter::strip_str(&text).to_string();
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn draw_keeps_lines_and_messages_on_the_screen() {
        assert_eq!(frame(2, &["a"]), ["head", "line 0", "line 1", "mmstats: a"]);
        assert_eq!(frame(9, &[])[3..], ["line 2", "line 3", "… 5 more lines"]);
        // A message is broken and not cut; half of the rows are for messages.
        let wanted =
            ["head", "line 0", "… 8 more lines", "mmstats: one two", "         three four"];
        assert_eq!(frame(9, &["one two three four"])[..2], wanted[..2]);
        assert_eq!(frame(9, &["one two three four"])[4..], wanted[3..]);
        let rows = frame(9, &["a", "b", "c", "d"]);
        assert_eq!(rows[3..], ["mmstats: a", "mmstats: b", "… 2 more lines"]);
        assert_eq!(rows.len(), 6);
    }
}
