//! The rows of `poll` as text.

use std::io::{self, Write};

use mmstats_observe::{Kind, OwnedValue};

use super::sample::{Column, ColumnValue};
use crate::output::{Line, Output, Screen, style};
use crate::text::unit::{self, UnitForm};
use crate::text::{escape, human};
use crate::value::{main_number, to_human, to_plain};

/// Rows between two headers in a pipe.
const PIPED_ROWS: usize = 20;
/// Minimum width of a column.
const MIN_WIDTH: usize = 8;
/// Maximum width of a label on a terminal.
const MAX_LABEL: usize = 16;

/// Prints rows, and a header where one is due.
pub(crate) struct Table {
    prefix: String,
    /// Rows since the last header.
    rows: usize,
    /// Number of columns and screen of the last header.
    header: Option<(usize, Screen)>,
    warned: bool,
}

/// A column of text.
struct TextColumn {
    head: String,
    below: String,
    width: usize,
}

impl Table {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), rows: 0, header: None, warned: false }
    }

    pub(crate) fn print(
        &mut self,
        columns: &[Column],
        values: &[ColumnValue],
        screen: Screen,
        output: &mut Output,
    ) -> io::Result<()> {
        let texts: Vec<TextColumn> = columns.iter().flat_map(|c| self.heads(c, screen)).collect();
        let shown = fitting(&texts, screen);
        if shown < texts.len() && !self.warned {
            self.warned = true;
            let more = texts.len() - shown;
            output.note(&format!("{more} columns do not fit; pipe the output to see them"));
        }
        // Two lines of header and one for the cursor.
        let most = screen.height().map_or(PIPED_ROWS, |height| height.saturating_sub(3).max(1));
        let same = self.header.is_some_and(|header| header == (columns.len(), screen));
        if !same || self.rows >= most {
            self.rows = 0;
            self.header = Some((columns.len(), screen));
            for line in header(&texts[..shown], screen) {
                writeln!(output, "{}", line.render(screen.width()))?;
            }
        }
        self.rows += 1;
        let cells =
            columns.iter().zip(values).flat_map(|(column, value)| texts_of(column, value, screen));
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
        writeln!(output, "{}", line.render(screen.width()))
    }

    fn heads(&self, column: &Column, screen: Screen) -> Vec<TextColumn> {
        let label = column.label.strip_prefix(&self.prefix).unwrap_or(&column.label);
        let label = escape::text(label.strip_prefix('.').unwrap_or(label)).replace(' ', "_");
        let heads: Vec<(String, String)> = if screen.is_terminal() {
            let label = escape::clip_front(&label, MAX_LABEL).into_owned();
            match column.kind {
                Some(Kind::Counter) => vec![(label, "/s".to_owned())],
                Some(Kind::Timer) => {
                    vec![(label.clone(), "/s".to_owned()), (label, "mean".to_owned())]
                }
                Some(Kind::Histogram) => vec![(label, "p99".to_owned())],
                _ if UnitForm::from_unit(&column.unit) == UnitForm::Plain => {
                    vec![(label, escape::clip(&escape::text(&column.unit), MAX_LABEL).into_owned())]
                }
                _ => vec![(label, String::new())],
            }
        } else {
            let heads = match column.kind {
                Some(Kind::Counter) => vec![format!("{label}/s")],
                Some(Kind::Timer) => vec![format!("{label}/s"), format!("{label}:mean")],
                Some(Kind::Histogram) => vec![format!("{label}:p99")],
                _ => vec![label],
            };
            heads.into_iter().map(|head| (head, String::new())).collect()
        };
        heads
            .into_iter()
            .map(|(head, below)| {
                let width = escape::width(&head).max(escape::width(&below)).max(MIN_WIDTH);
                TextColumn { head, below, width }
            })
            .collect()
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

/// The texts of a value: two for a timer.
fn texts_of(column: &Column, value: &ColumnValue, screen: Screen) -> Vec<String> {
    let timer = column.kind == Some(Kind::Timer);
    match value {
        ColumnValue::Missing => vec!["-".to_owned(); if timer { 2 } else { 1 }],
        ColumnValue::Rate(rate) if screen.is_terminal() => vec![unit::compact(*rate, &column.unit)],
        ColumnValue::Rate(rate) => vec![piped(*rate)],
        ColumnValue::Timer(rate, mean) if screen.is_terminal() => {
            vec![human::compact(*rate), human::or_dash(mean.map(human::seconds))]
        }
        ColumnValue::Timer(rate, mean) => {
            vec![piped(*rate), human::or_dash(mean.map(|mean| format!("{mean:.9}")))]
        }
        ColumnValue::Value(value) if screen.is_terminal() => vec![value_text(value, &column.unit)],
        ColumnValue::Value(value) => vec![match main_number(value) {
            Some(number) => piped(number),
            None => to_plain(value).replace(' ', "_"),
        }],
    }
}

fn value_text(value: &OwnedValue, unit: &str) -> String {
    match value {
        OwnedValue::Each(each) => format!("{} values", each.len()),
        OwnedValue::Text { text, .. } => escape::text(text).into_owned(),
        value => main_number(value)
            .map_or_else(|| to_human(value, unit), |number| unit::compact(number, unit)),
    }
}

/// For programs: three decimals.
fn piped(rate: f64) -> String {
    if rate.is_finite() { format!("{rate:.3}") } else { human::non_finite(rate).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(label: &str, unit: &str, kind: Kind) -> Column {
        Column { label: label.into(), unit: unit.into(), kind: Some(kind) }
    }

    const TERMINAL: Screen = Screen { size: Some((40, 10)) };

    #[test]
    fn texts_of_differ_between_terminal_and_pipe() {
        let counter = column("sent", "bytes", Kind::Counter);
        assert_eq!(texts_of(&counter, &ColumnValue::Rate(1_300_000.0), TERMINAL), ["1.24 MiB"]);
        assert_eq!(
            texts_of(&counter, &ColumnValue::Rate(1_300_000.0), Screen::PIPE),
            ["1300000.000"]
        );
        let timer = column("latency", "nanoseconds", Kind::Timer);
        let cell = ColumnValue::Timer(1234.5, Some(0.001_24));
        assert_eq!(texts_of(&timer, &cell, TERMINAL), ["1,234", "1.24 ms"]);
        assert_eq!(texts_of(&timer, &cell, Screen::PIPE), ["1234.500", "0.001240000"]);
        assert_eq!(texts_of(&timer, &ColumnValue::Missing, TERMINAL), ["-", "-"]);
        let gauge = column("doing", "", Kind::Gauge);
        let value = ColumnValue::Value(OwnedValue::Text { text: "a b\u{1b}".into(), cut: false });
        assert_eq!(texts_of(&gauge, &value, TERMINAL), ["a b\\u{1b}"]);
        assert_eq!(texts_of(&gauge, &value, Screen::PIPE), ["a_b\\u{1b}"]);
    }

    #[test]
    fn heads_leave_out_prefix_and_split_timers() {
        let table = Table::new("web");
        let heads = |screen| {
            let texts = table.heads(&column("web.latency", "", Kind::Timer), screen);
            texts.into_iter().map(|text| text.head).collect::<Vec<_>>()
        };
        assert_eq!(heads(TERMINAL), ["latency", "latency"]);
        assert_eq!(heads(Screen::PIPE), ["latency/s", "latency:mean"]);
        let texts: Vec<TextColumn> = (0..9)
            .flat_map(|_| table.heads(&column("requests", "", Kind::Counter), TERMINAL))
            .collect();
        assert_eq!(fitting(&texts, TERMINAL), 4);
        assert_eq!(fitting(&texts, Screen::PIPE), 9);
    }
}
