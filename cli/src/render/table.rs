//! Tables whose columns are as wide as their cells.

use anstyle::Style;

use crate::output::{Line, style};
use crate::text::escape;

/// A cell; its text must be escaped already.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    pub(crate) fn styled(style: Style, text: impl Into<String>) -> Self {
        Self { text: text.into(), style }
    }
}

/// Alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Width of a table with these cells, not cut.
pub(crate) fn width(heads: &[(&str, Align)], rows: &[Vec<Cell>]) -> usize {
    widths(heads, rows, usize::MAX).iter().map(|width| width + 2).sum::<usize>().saturating_sub(2)
}

/// Width of each column, at most `max` unless its head is wider.
fn widths(heads: &[(&str, Align)], rows: &[Vec<Cell>], max: usize) -> Vec<usize> {
    let column = |(at, (head, _)): (usize, &(&str, Align))| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        let widest = cells.map(|cell| escape::width(&cell.text)).max().unwrap_or(0);
        widest.min(max).max(head.len())
    };
    heads.iter().enumerate().map(column).collect()
}

/// A header and rows. Cells are at most `max` columns wide, except in the last column.
pub(crate) fn lines(heads: &[(&str, Align)], rows: &[Vec<Cell>], max: usize) -> Vec<Line> {
    let widths = widths(heads, rows, max);
    let head: Vec<Cell> = heads.iter().map(|(head, _)| Cell::styled(style::BOLD, *head)).collect();
    std::iter::once(&head).chain(rows).map(|row| line(heads, &widths, row)).collect()
}

fn line(heads: &[(&str, Align)], widths: &[usize], row: &[Cell]) -> Line {
    let mut line = Line::new();
    for (at, ((cell, (_, align)), width)) in row.iter().zip(heads).zip(widths).enumerate() {
        if at > 0 {
            line.plain("  ");
        }
        let start = line.width();
        let last = at + 1 == heads.len();
        let text = if last { cell.text.as_str().into() } else { escape::clip(&cell.text, *width) };
        if *align == Align::Right {
            line.pad_to(start + width.saturating_sub(escape::width(&text)));
        }
        line.push(cell.style, text);
        if !last {
            line.pad_to(start + width);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_aligns_columns() {
        let heads = [("PID", Align::Right), ("COMMAND", Align::Left), ("FILE", Align::Left)];
        let rows = [
            vec![Cell::new("7"), Cell::new("漢字"), Cell::new("/a")],
            vec![Cell::new("12345"), Cell::new("a-long-command"), Cell::new("/a/longer/path")],
        ];
        let lines = lines(&heads, &rows, 10);
        let text: Vec<String> = lines.iter().map(|line| line.unstyled(99)).collect();
        assert_eq!(
            text,
            [
                "  PID  COMMAND     FILE",
                "    7  漢字        /a",
                "12345  a-long-co…  /a/longer/path",
            ]
        );
    }
}
