//! The demo on a terminal: frames that are drawn over each other.

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
use mmstats_observe::{OwnedValue, Program, Verdict};

use super::{Before, look_from_elsewhere};
use crate::output::{Line, Screen, style};
use crate::poll::gained;
use crate::render::fields;
use crate::render::table::{Align, Cell, lines};
use crate::value::{self, Scale};
use crate::view::Row;
use crate::{escape, human};

/// A screen of its own, until it is dropped.
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
        before: Option<&Before>,
        after: &Before,
    ) -> io::Result<()> {
        let screen = Screen::now();
        let (columns, rows) = screen.size.unwrap_or((80, 24));
        let pid = program.identity().pid.unwrap_or(0);
        let header = fields::header(program, SystemTime::now());
        let lines = frame(header, pid, before, after, (columns, rows));
        // One write for all, so that no half of a frame is ever seen.
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

/// On Windows before 10 a command may be no escape sequence; there is no frame then.
fn push(out: &mut String, command: impl Command) {
    let _ = command.write_ansi(out);
}

/// The lines of a frame, at most `height`.
fn frame(
    header: Line,
    pid: u32,
    before: Option<&Before>,
    after: &Before,
    (width, height): (usize, usize),
) -> Vec<Line> {
    // Where there is little room, the prefix that all labels share is left out.
    let name = |row: &Row| {
        let name = fields::name(row);
        match name.split_once('.') {
            Some((_, rest)) if width < 60 => rest.to_owned(),
            _ => name,
        }
    };
    let heads = [("FIELD", Align::Left), ("VALUE", Align::Right), ("PER SEC", Align::Right)];
    let shown: Vec<&Row> = after.rows.iter().filter(|row| visible(row)).collect();
    // Texts would make the column of numbers too wide.
    let (texts, numbers): (Vec<&Row>, Vec<&Row>) =
        shown.into_iter().partition(|row| matches!(row.value, Some(OwnedValue::Text { .. })));
    let cells: Vec<Vec<Cell>> =
        numbers.iter().map(|row| cells(name(row), row, before, after)).collect();
    let mut body = lines(&heads, &cells, 36);
    body.push(Line::new());
    let widest = texts.iter().map(|row| escape::width(&name(row))).max().unwrap_or(0);
    for row in texts {
        let mut line = Line::new();
        line.plain(name(row));
        line.pad_to(widest + 2);
        line.plain(row.value.as_ref().map_or_else(String::new, |v| value::humane(v, &row.unit)));
        body.push(line);
    }
    let mut foot = vec![Line::new()];
    for text in look_from_elsewhere(pid) {
        let mut line = Line::new();
        line.push(style::DIM, text);
        foot.push(line);
    }
    let remark = |text: String| {
        let mut line = Line::new();
        line.push(style::DIM, text);
        line
    };
    foot.push(remark("Ctrl-C ends both.".to_owned()));
    if 1 + body.len() + foot.len() > height {
        foot = vec![remark(format!("Ctrl-C ends it. Elsewhere: mmstats show {pid}"))];
    }
    fit(header, body, foot, height)
}

/// Takes from the body what does not fit, and says so.
fn fit(header: Line, mut body: Vec<Line>, foot: Vec<Line>, height: usize) -> Vec<Line> {
    let room = height.saturating_sub(1 + foot.len());
    if body.len() > room {
        let more = body.len() - room.saturating_sub(1);
        body.truncate(room.saturating_sub(1));
        let mut line = Line::new();
        line.push(style::DIM, format!("… {more} more lines"));
        body.push(line);
    }
    let mut all = vec![header];
    all.extend(body);
    all.extend(foot);
    all.truncate(height.max(1));
    all
}

fn visible(row: &Row) -> bool {
    !row.label.starts_with("sys.") && row.kind != "info" && row.verdict != Verdict::Retired
}

fn cells(name: String, row: &Row, before: Option<&Before>, after: &Before) -> Vec<Cell> {
    let (value, rate) = match &row.value {
        Some(OwnedValue::Timer(timer)) => {
            let mean = timer.mean().map_or_else(|| "-".to_owned(), |m| human::seconds(m / 1e9));
            (format!("mean {mean}"), rate(row, before, after).map(human::compact))
        }
        Some(value) => {
            let mut text = value::humane(value, &row.unit);
            if !row.unit.is_empty() && !value::shows_unit(value, &row.unit) {
                text = format!("{text} {}", escape::text(&row.unit));
            }
            let rate = rate(row, before, after).map(|rate| match Scale::of(&row.unit) {
                Scale::Plain => human::compact(rate),
                scale => scale.show(rate),
            });
            (text, rate)
        }
        None => ("-".to_owned(), None),
    };
    vec![Cell::new(name), Cell::new(value), Cell::new(rate.unwrap_or_default())]
}

/// What a counter or timer gained since the frame before, per second.
fn rate(row: &Row, before: Option<&Before>, after: &Before) -> Option<f64> {
    if !matches!(row.kind, "counter" | "timer") {
        return None;
    }
    let before = before?;
    let old = before.rows.iter().find(|old| {
        (&old.label, &old.attributes, old.lane) == (&row.label, &row.attributes, row.lane)
    })?;
    let counts = |value: &OwnedValue| match value {
        OwnedValue::Timer(timer) => OwnedValue::Unsigned(timer.count),
        other => other.clone(),
    };
    let gain = gained(&counts(old.value.as_ref()?), &counts(row.value.as_ref()?))?;
    let span = after.at.duration_since(before.at).as_secs_f64();
    (span > 0.0).then(|| gain / span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_never_higher_than_the_screen() {
        let lines = |n: usize| vec![Line::new(); n];
        for height in 0..30 {
            let all = fit(Line::new(), lines(20), lines(5), height);
            assert!(all.len() <= height.max(1), "{height}");
        }
        assert_eq!(fit(Line::new(), lines(20), lines(5), 30).len(), 26);
    }
}
