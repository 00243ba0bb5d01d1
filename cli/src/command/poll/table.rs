//! The rows of `poll` as text.

use std::io::{self, Write};

use super::sample::Sample;
use super::texts::{self, TextColumn};
use crate::model::rates::column::{Cell, Column};
use crate::output::{Line, Output, Screen, style};
use crate::text::escape;

/// Rows between two headers in a pipe.
const PIPED_ROWS: usize = 20;

/// Prints rows, and a header where one is due.
pub(crate) struct Table {
    prefix: String,
    /// Rows since the last header.
    rows: usize,
    /// Texts and screen of the last header.
    header: Option<(Vec<TextColumn>, Screen)>,
    warned: bool,
}

impl Table {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), rows: 0, header: None, warned: false }
    }

    pub(crate) fn print(
        &mut self,
        columns: &[Column],
        sample: &Sample,
        screen: Screen,
        output: &mut Output,
    ) -> io::Result<()> {
        if columns.is_empty() {
            return Ok(());
        }
        let pairs = || columns.iter().zip(&sample.cells);
        let heads = |(column, cell): (&Column, &Cell)| {
            texts::heads(column, cell, &self.prefix, sample.time, screen)
        };
        let mut texts: Vec<TextColumn> = pairs().flat_map(heads).collect();
        // Columns of texts grow, and do not shrink.
        if let Some((before, _)) = self.header.as_ref().filter(|(_, at)| *at == screen) {
            let same = |(text, before): &(&mut TextColumn, &TextColumn)| text.head == before.head;
            for (text, before) in texts.iter_mut().zip(before).filter(same) {
                text.width = text.width.max(before.width);
            }
        }
        let shown = fitting(&texts, screen);
        if shown < texts.len() && !self.warned {
            self.warned = true;
            let more = texts.len() - shown;
            output.note(&format!("{more} columns do not fit; name fewer fields, or use --plain"));
        }
        // Two lines of header and one for the cursor.
        let most = screen.height().map_or(PIPED_ROWS, |height| height.saturating_sub(3).max(1));
        let same = self.header.as_ref().is_some_and(|(heads, at)| *heads == texts && *at == screen);
        if !same || self.rows >= most {
            self.rows = 0;
            for line in header(&texts[..shown], screen) {
                writeln!(output, "{}", line.render(screen.width()))?;
            }
        }
        self.rows += 1;
        let cells =
            pairs().flat_map(|(column, cell)| texts::cells(column, cell, sample.time, screen));
        let mut line = Line::new();
        for (at, (cell, text)) in cells.zip(&texts[..shown]).enumerate() {
            if at > 0 {
                line.plain(" ");
            }
            let cell =
                if screen.is_terminal() { escape::clip(&cell, text.width) } else { cell.into() };
            line.pad_to(line.width() + text.width.saturating_sub(escape::width(&cell)));
            line.plain(cell);
        }
        self.header = Some((texts, screen));
        writeln!(output, "{}", line.render(screen.width()))
    }
}

/// Number of columns that fit.
fn fitting(texts: &[TextColumn], screen: Screen) -> usize {
    let mut used = 0;
    let fits = texts.iter().take_while(|text| {
        used += text.width + 1;
        used - 1 <= screen.width()
    });
    fits.count().max(1).min(texts.len())
}

fn header(texts: &[TextColumn], screen: Screen) -> Vec<Line> {
    let line = |pick: fn(&TextColumn) -> &String, style| {
        let mut line = Line::new();
        for (at, text) in texts.iter().enumerate() {
            if at > 0 {
                line.plain(" ");
            }
            line.pad_to(line.width() + text.width.saturating_sub(escape::width(pick(text))));
            line.push(style, pick(text).as_str());
        }
        line
    };
    let mut lines = vec![line(|text| &text.head, style::BOLD)];
    if screen.is_terminal() {
        lines.push(line(|text| &text.below, style::DIM));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use mmstats_observe::{Kind, Verdict};

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn fitting_columns_are_those_of_screen() {
        let terminal = Screen { size: Some((40, 10)) };
        let column = Column::for_test("requests", "", Kind::Counter);
        let cell = Cell { total: None, verdict: Verdict::Absent, interval: None };
        let texts: Vec<TextColumn> =
            (0..9).flat_map(|_| texts::heads(&column, &cell, "", NOW, terminal)).collect();
        assert_eq!(fitting(&texts, terminal), 4);
        assert_eq!(fitting(&texts, Screen::PIPE), 9);
    }
}
