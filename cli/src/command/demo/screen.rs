//! The demo on a terminal: frames, each drawn over the one before.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::SystemTime;

use anstream::{AutoStream, ColorChoice};
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen,
};
use crossterm::{Command, execute};
use mmstats_observe::{Kind, OwnedValue, Program, Verdict};

use super::lines::commands_to_try;
use super::snapshot::Snapshot;
use crate::model::row::Row;
use crate::output::{Line, Screen, style};
use crate::render::field::name;
use crate::render::program;
use crate::render::table::{Align, Cell, lines};
use crate::text::{escape, human, unit};
use crate::value::to_human;

/// The alternate screen of the terminal, until it is dropped.
pub(super) struct Frames {
    colours: bool,
}

impl Frames {
    pub(super) fn open() -> io::Result<Self> {
        let colours = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(Self { colours })
    }

    pub(super) fn draw(
        &mut self,
        program: &Program<'_>,
        previous: Option<&Snapshot>,
        current: &Snapshot,
    ) -> io::Result<()> {
        let screen = Screen::now();
        let (columns, rows) = screen.size.unwrap_or((80, 24));
        let pid = program.identity().pid.unwrap_or(0);
        let header = program::header(program, SystemTime::now());
        let lines = frame(header, pid, previous, current, (columns, rows));
        // One write, so that a frame is shown as a whole.
        let mut out = String::new();
        push(&mut out, BeginSynchronizedUpdate);
        push(&mut out, MoveTo(0, 0));
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                out.push_str("\r\n");
            }
            let text = line.render(columns);
            if self.colours {
                out.push_str(&text);
            } else {
                let _ = write!(out, "{}", anstream::adapter::strip_str(&text));
            }
            push(&mut out, Clear(ClearType::UntilNewLine));
        }
        push(&mut out, Clear(ClearType::FromCursorDown));
        push(&mut out, EndSynchronizedUpdate);
        let mut stdout = io::stdout().lock();
        stdout.write_all(out.as_bytes())?;
        stdout.flush()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    }
}

/// Adds a command as an escape sequence; Windows before 10 has none, and no frames.
fn push(out: &mut String, command: impl Command) {
    let _ = command.write_ansi(out);
}

/// The lines of a frame, at most `height`.
fn frame(
    header: Line,
    pid: u32,
    previous: Option<&Snapshot>,
    current: &Snapshot,
    (width, height): (usize, usize),
) -> Vec<Line> {
    // On a narrow terminal without the prefix that all labels share.
    let short_name = |row: &Row| {
        let name = name(row);
        match name.split_once('.') {
            Some((_, rest)) if width < 60 => rest.to_owned(),
            _ => name,
        }
    };
    let heads = [("FIELD", Align::Left), ("VALUE", Align::Right), ("PER SEC", Align::Right)];
    let shown: Vec<&Row> = current.rows.iter().filter(|row| is_visible(row)).collect();
    // Texts stand below the table: they would make its column too wide.
    let (texts, numbers): (Vec<&Row>, Vec<&Row>) =
        shown.into_iter().partition(|row| matches!(row.value, Some(OwnedValue::Text { .. })));
    let cells: Vec<Vec<Cell>> =
        numbers.iter().map(|row| cells(short_name(row), row, previous, current)).collect();
    let mut body = lines(&heads, &cells, 36);
    body.push(Line::new());
    let widest = texts.iter().map(|row| escape::width(&short_name(row))).max().unwrap_or(0);
    for row in texts {
        let mut line = Line::new();
        line.plain(short_name(row));
        line.pad_to(widest + 2);
        line.plain(row.value.as_ref().map_or_else(String::new, |v| to_human(v, &row.field.unit)));
        body.push(line);
    }
    let mut foot = vec![Line::new()];
    let dim = |text: String| Line::styled(style::DIM, text);
    foot.extend(commands_to_try(pid).map(dim));
    foot.push(dim("Ctrl-C ends both.".to_owned()));
    if 1 + body.len() + foot.len() > height {
        foot = vec![dim(format!("Ctrl-C ends it. Elsewhere: mmstats show {pid}"))];
    }
    fit(header, body, foot, height)
}

/// Cuts the body to `height`; its last line then gives the number of missing lines.
fn fit(header: Line, mut body: Vec<Line>, foot: Vec<Line>, height: usize) -> Vec<Line> {
    let room = height.saturating_sub(1 + foot.len());
    if body.len() > room {
        let more = body.len() - room.saturating_sub(1);
        body.truncate(room.saturating_sub(1));
        body.push(Line::styled(style::DIM, format!("… {more} more lines")));
    }
    let mut all = vec![header];
    all.extend(body);
    all.extend(foot);
    all.truncate(height.max(1));
    all
}

fn is_visible(row: &Row) -> bool {
    !row.field.label.starts_with("sys.")
        && row.field.properties.kind() != Some(Kind::Info)
        && row.verdict != Verdict::Retired
}

fn cells(name: String, row: &Row, previous: Option<&Snapshot>, current: &Snapshot) -> Vec<Cell> {
    let rate = previous.and_then(|previous| current.rate(row, previous));
    let (value, rate) = match &row.value {
        Some(OwnedValue::Timer(timer)) => {
            let mean = human::or_dash(timer.mean().map(|mean| human::seconds(mean / 1e9)));
            (format!("mean {mean}"), rate.map(human::compact))
        }
        Some(value) => {
            let text = unit::followed_by(to_human(value, &row.field.unit), &row.field.unit);
            (text, rate.map(|rate| unit::compact(rate, &row.field.unit)))
        }
        None => ("-".to_owned(), None),
    };
    vec![Cell::new(name), Cell::new(value), Cell::new(rate.unwrap_or_default())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_never_exceeds_height() {
        let lines = |n: usize| vec![Line::new(); n];
        for height in 0..30 {
            let all = fit(Line::new(), lines(20), lines(5), height);
            assert!(all.len() <= height.max(1), "{height}");
        }
        assert_eq!(fit(Line::new(), lines(20), lines(5), 30).len(), 26);
    }
}
