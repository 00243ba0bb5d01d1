//! Lines of a table in aligned columns.

use std::fmt;

/// A line of a table.
#[derive(Debug)]
pub(crate) enum Line<const N: usize> {
    Section(&'static str),
    Row([String; N]),
}

/// Writes a table; a section without rows is left out. The first and the last column begin at the left.
pub(crate) fn write<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    head: [&str; N],
    lines: &[Line<N>],
) -> fmt::Result {
    let head = head.map(str::to_owned);
    let mut widths = [0; N];
    let rows = lines.iter().filter_map(|line| match line {
        Line::Row(cells) => Some(cells),
        Line::Section(_) => None,
    });
    for cells in rows.chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let row = |f: &mut fmt::Formatter<'_>, cells: &[String; N]| {
        let mut line = String::new();
        for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
            line += if i == 0 { "" } else { "  " };
            line += &if i == 0 || i == N - 1 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            };
        }
        writeln!(f, "{}", line.trim_end())
    };
    row(f, &head)?;
    writeln!(f, "{}", "-".repeat(widths.iter().sum::<usize>() + 2 * (N - 1)))?;
    for (i, line) in lines.iter().enumerate() {
        match line {
            Line::Section(_) if matches!(lines.get(i + 1), None | Some(Line::Section(_))) => {}
            Line::Section(title) => writeln!(f, "{title}")?,
            Line::Row(cells) => row(f, cells)?,
        }
    }
    Ok(())
}

/// Nanoseconds in the unit that reads best.
pub(crate) fn time(nanos: f64) -> String {
    match nanos {
        n if n < 10_000.0 => format!("{n:.2} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}

pub(crate) fn short_time(nanos: f64) -> String {
    match nanos {
        n if n < 1e4 => format!("{n} ns"),
        n if n < 1e6 => format!("{} us", n / 1e3),
        n => format!("{} ms", n / 1e6),
    }
}
