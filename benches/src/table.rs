//! Rows, targets and the printed table.

use std::fmt;

/// The limit of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Maximum in bare `fetch_add`s.
    FetchAdds(f64),
    /// Maximum in nanoseconds.
    Nanos(f64),
    /// Maximum in bytes.
    Bytes(f64),
    /// Maximum as a multiple of the row before, if that was measured in the same run.
    Before(f64),
    /// For comparison only.
    None,
}

/// A row before it is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    name: &'static str,
    target: Target,
    per: f64,
}

impl Row {
    /// A row to compare others with.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, target: Target::None, per: 1.0 }
    }

    /// Sets the limit.
    #[must_use]
    pub const fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Divides the result by `things`, the number of fields in an iteration, for instance.
    #[must_use]
    pub fn per(mut self, things: u32) -> Self {
        self.per = f64::from(things);
        self
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }
}

/// The result of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    /// Medians of one iteration.
    Time {
        nanos: f64,
        ratio: f64,
    },
    Bytes(f64),
}

#[derive(Debug)]
enum Line {
    Section(&'static str),
    Row([String; 5]),
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
    /// Ratio of the last row of this section, in `fetch_add`s.
    last: Option<f64>,
}

impl Table {
    pub(crate) fn section(&mut self, title: &'static str) {
        // A section whose rows were all filtered out is replaced.
        if matches!(self.lines.last(), Some(Line::Section(_))) {
            self.lines.pop();
        }
        self.lines.push(Line::Section(title));
        self.last = None;
    }

    pub(crate) fn push(&mut self, row: Row, outcome: Outcome) {
        let (median, ratio, reached) = match (outcome, row.target) {
            (Outcome::Time { nanos, ratio }, target) => {
                let (nanos, ratio) = (nanos / row.per, ratio / row.per);
                let reached = match target {
                    Target::FetchAdds(most) => Some(ratio <= most),
                    Target::Nanos(most) => Some(nanos <= most),
                    Target::Before(most) => self.last.map(|last| ratio <= most * last),
                    Target::Bytes(_) | Target::None => None,
                };
                self.last = Some(ratio);
                let digits = if ratio < 10.0 { 2 } else { 0 };
                if ratio.is_nan() {
                    ("none".to_owned(), String::new(), None)
                } else {
                    (time(nanos), format!("{ratio:.digits$}"), reached)
                }
            }
            (Outcome::Bytes(bytes), target) => {
                let bytes = bytes / row.per;
                let reached = match target {
                    Target::Bytes(most) => Some(bytes <= most),
                    _ => None,
                };
                (format!("{bytes:.1} B"), String::new(), reached)
            }
        };
        let target = match row.target {
            Target::FetchAdds(most) => format!("{most} fa"),
            Target::Nanos(most) => short_time(most),
            Target::Bytes(most) => format!("{most} B"),
            Target::Before(most) => format!("{most} x"),
            Target::None => String::new(),
        };
        let met = match reached {
            // Not for an unoptimised build.
            _ if cfg!(debug_assertions) => "",
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        self.lines.push(Line::Row([
            format!("  {}", row.name),
            median,
            ratio,
            target,
            met.to_owned(),
        ]));
    }
}

/// Nanoseconds in the unit that reads best.
fn time(nanos: f64) -> String {
    match nanos {
        n if n < 10_000.0 => format!("{n:.2} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}

fn short_time(nanos: f64) -> String {
    match nanos {
        n if n < 1e4 => format!("{n} ns"),
        n if n < 1e6 => format!("{} us", n / 1e3),
        n => format!("{} ms", n / 1e6),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "median", "fetch_adds", "at most", "met"].map(str::to_owned);
        let mut widths = [0; 5];
        let rows = self.lines.iter().filter_map(|line| match line {
            Line::Row(cells) => Some(cells),
            Line::Section(_) => None,
        });
        for cells in rows.chain([&head]) {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.len());
            }
        }
        let row = |f: &mut fmt::Formatter<'_>, [what, median, ratio, target, met]: &[String; 5]| {
            let [a, b, c, d, e] = widths;
            let line = format!("{what:<a$}  {median:>b$}  {ratio:>c$}  {target:>d$}  {met:<e$}");
            writeln!(f, "{}", line.trim_end())
        };
        row(f, &head)?;
        writeln!(f, "{}", "-".repeat(widths.iter().sum::<usize>() + 8))?;
        for (i, line) in self.lines.iter().enumerate() {
            match line {
                Line::Section(_)
                    if matches!(self.lines.get(i + 1), None | Some(Line::Section(_))) => {}
                Line::Section(title) => writeln!(f, "{title}")?,
                Line::Row(cells) => row(f, cells)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_aligned_columns_and_no_empty_section() {
        let mut table = Table::default();
        table.section("empty");
        table.section("publishing");
        let row = Row::new("50 fields").target(Target::FetchAdds(0.5)).per(50);
        table.push(row, Outcome::Time { nanos: 75.0, ratio: 30.0 });
        table.push(
            Row::new("a file").target(Target::Nanos(100_000.0)),
            Outcome::Time { nanos: 27_000.0, ratio: 12_000.0 },
        );
        table.push(Row::new("bytes").target(Target::Bytes(112.0)).per(2), Outcome::Bytes(177.0));
        let expected = "\
what          median  fetch_adds  at most  met
----------------------------------------------
publishing
  50 fields  1.50 ns        0.60   0.5 fa  NO
  a file     27.0 us       12000   100 us  yes
  bytes       88.5 B                112 B  yes
";
        let met = |line: &str| line.trim_end_matches("  yes").trim_end_matches("  NO").to_owned();
        let [found, expected] =
            [&table.to_string(), expected].map(|text| text.lines().map(met).collect::<Vec<_>>());
        assert_eq!(found, expected);
    }
}
