//! The table of results, with a row for each scenario.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// A row while it is being counted.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    tried: u64,
    lost: u64,
    /// Reads with the verdict contended.
    pub(crate) contended: Option<u64>,
    /// Longest time.
    worst: Option<Duration>,
    /// Other measurements.
    pub(crate) remark: String,
    /// A part that was not tried, and why; printed below the table.
    pub(crate) not_tried: Option<String>,
    seconds: f64,
    /// The first reasons of losses.
    why: Vec<String>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Tries one case, which is lost if it returns an error or panics.
    pub(crate) fn case(&mut self, case: impl FnOnce() -> Result<(), String>) {
        self.tried += 1;
        let failed = match catch_unwind(AssertUnwindSafe(case)) {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
                (Some(why), _) => why.clone(),
                (_, Some(why)) => (*why).to_owned(),
                _ => "a panic".to_owned(),
            },
        };
        self.tried -= 1;
        self.lose(failed);
    }

    /// Counts one case that was lost.
    pub(crate) fn lose(&mut self, why: impl Into<String>) {
        self.tried += 1;
        self.lost += 1;
        let why = why.into();
        if self.why.len() < 5 && !self.why.contains(&why) {
            self.why.push(why);
        }
    }

    /// Counts cases that survived elsewhere.
    pub(crate) const fn add_tried(&mut self, tried: u64) {
        self.tried += tried;
    }

    /// Keeps the longest time.
    pub(crate) fn time(&mut self, took: Duration) {
        self.worst = self.worst.max(Some(took));
    }

    fn passed(&self) -> bool {
        self.lost == 0 && self.tried > 0
    }
}

/// All rows.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    send: Option<Sender<Row>>,
}

impl Table {
    /// A table that sends its rows to another one.
    pub(crate) fn sending(send: &Sender<Row>) -> Self {
        Self { rows: Vec::new(), send: Some(send.clone()) }
    }

    /// Adds a row; a panic outside a case is lost too.
    pub(crate) fn row(&mut self, name: impl Into<String>, fill: impl FnOnce(&mut Row)) {
        let (mut row, start) = (Row::new(name), Instant::now());
        if catch_unwind(AssertUnwindSafe(|| fill(&mut row))).is_err() {
            row.lose("the harness panicked, see above");
        }
        row.seconds = start.elapsed().as_secs_f64();
        self.add(row);
    }

    pub(crate) fn add(&mut self, row: Row) {
        if let Some(send) = &self.send {
            let _ = send.send(row);
            return;
        }
        eprintln!("{}", row.line());
        row.why.iter().for_each(|why| eprintln!("    lost: {why}"));
        self.rows.push(row);
    }

    /// Numbers of rows that passed, and that failed.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let passed = self.rows.iter().filter(|row| row.passed()).count();
        (passed, self.rows.len() - passed)
    }
}

impl Row {
    fn line(&self) -> String {
        let Self { name, tried, lost, .. } = self;
        let contended = self.contended.map_or_else(String::new, |n| n.to_string());
        let worst = self.worst.map_or_else(String::new, short);
        let line = format!(
            "{name:<34} {tried:>9} {:>9} {lost:>5} {contended:>9} {worst:>8} {:>7.1}  {}",
            tried - lost,
            self.seconds,
            self.remark
        );
        line.trim_end().to_owned()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = format!(
            "{:<34} {:>9} {:>9} {:>5} {:>9} {:>8} {:>7}",
            "scenario", "tried", "survived", "lost", "contended", "worst", "seconds"
        );
        writeln!(f, "\n{head}\n{}", "-".repeat(head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{}", row.line()))?;
        for row in &self.rows {
            if let Some(why) = &row.not_tried {
                writeln!(f, "NOT TRIED, {}: {why}", row.name)?;
            }
            row.why.iter().try_for_each(|why| writeln!(f, "lost, {}: {why}", row.name))?;
        }
        Ok(())
    }
}

/// A duration in the unit that fits.
pub(crate) fn short(time: Duration) -> String {
    let nanos = time.as_nanos();
    let in_unit =
        |unit: u128, name: &str| format!("{}.{} {name}", nanos / unit, nanos % unit * 10 / unit);
    match nanos {
        0..10_000 => format!("{nanos} ns"),
        10_000..10_000_000 => in_unit(1_000, "us"),
        10_000_000..10_000_000_000 => in_unit(1_000_000, "ms"),
        _ => in_unit(1_000_000_000, "s"),
    }
}
