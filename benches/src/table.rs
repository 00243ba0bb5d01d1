//! Rows, targets and the printed table.

use std::fmt;

use crate::columns::{Line, short_time, time, write};

/// The limit of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Maximum in bare `fetch_add`s.
    FetchAdds(f64),
    /// Maximum in nanoseconds.
    Nanos(f64),
    /// Maximum in bytes.
    Bytes(f64),
    /// Maximum as a multiple of the row with this name, if that was measured before in the same run.
    Times(f64, &'static str),
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

#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line<5>>,
    /// Names and ratios of the rows, in `fetch_add`s.
    ratios: Vec<(&'static str, f64)>,
}

impl Table {
    pub(crate) fn section(&mut self, title: &'static str) {
        // A section whose rows were all filtered out is replaced.
        if matches!(self.lines.last(), Some(Line::Section(_))) {
            self.lines.pop();
        }
        self.lines.push(Line::Section(title));
    }

    /// Whether a row with these numbers meets its target; `None` without a target for them.
    fn is_met(&self, target: Target, nanos: f64, ratio: f64) -> Option<bool> {
        match target {
            Target::FetchAdds(most) => Some(ratio <= most),
            Target::Nanos(most) => Some(nanos <= most),
            Target::Times(most, base) => {
                let (_, base) = self.ratios.iter().rfind(|(name, _)| *name == base)?;
                Some(ratio <= most * base)
            }
            Target::Bytes(_) | Target::None => None,
        }
    }

    pub(crate) fn push(&mut self, row: Row, outcome: Outcome) {
        let (median, ratio, reached) = match (outcome, row.target) {
            (Outcome::Time { nanos, ratio }, target) => {
                let (nanos, ratio) = (nanos / row.per, ratio / row.per);
                let digits = if ratio < 10.0 { 2 } else { 0 };
                if ratio.is_nan() {
                    ("none".to_owned(), String::new(), None)
                } else {
                    let reached = self.is_met(target, nanos, ratio);
                    self.ratios.push((row.name, ratio));
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
            Target::Times(most, _) => format!("{most} x"),
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

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, ["what", "median", "fetch_adds", "at most", "met"], &self.lines)
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

    #[test]
    fn target_of_times_compares_with_the_row_of_that_name_alone() {
        let mut table = Table::default();
        let target = Target::Times(1.5, "base");
        let mut push = |name, ratio| {
            table.push(Row::new(name), Outcome::Time { nanos: ratio, ratio });
            table.is_met(target, 3.0, 3.0)
        };
        assert_eq!(push("other", 4.0), None, "filtered out");
        assert_eq!(push("base", f64::NAN), None, "not measured");
        assert_eq!(push("base", 2.0), Some(true));
        assert_eq!(push("other", 1.0), Some(true), "a row between");
        assert_eq!(push("base", 1.9), Some(false));
    }
}
