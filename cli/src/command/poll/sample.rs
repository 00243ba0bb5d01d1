//! Values of all programs at one time, and what was counted since the time before.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use mmstats_observe::{Reading, Tally, Total, Verdict};

use crate::model::pattern::Pattern;
use crate::model::rates::column::{Cell, Columns};
use crate::model::rates::series::{Covers, Gain, Look, Start};
use crate::model::rates::subject::Subject;
use crate::model::rates::views::View;

/// All columns at one time.
pub(crate) struct Sample {
    pub(crate) time: SystemTime,
    /// Time since the previous sample; `None` in the first one.
    pub(crate) elapsed: Option<Duration>,
    pub(crate) programs: usize,
    /// How many of them have ended.
    pub(crate) ended: usize,
    /// Number of programs of which not all was seen.
    pub(crate) incomplete: usize,
    /// Number of samples that the programs did not record.
    pub(crate) samples_refused: u64,
    /// Whether any of the programs may still publish.
    pub(crate) active: bool,
    /// One for each column.
    pub(crate) cells: Vec<Cell>,
}

/// Programs at one time: those that are published now, or those of a recording.
pub(super) trait Programs {
    /// Programs whose counts are compared as one.
    type Group;

    /// Adds columns for new fields.
    fn add_columns(&self, columns: &mut Columns, views: &[View]);

    /// Totals of the families that match, each with the number of its view.
    fn families(&self, views: &[View]) -> impl Iterator<Item = (usize, Vec<Total>)>;

    /// The programs whose counts are compared, what of them was seen, and since when new ones count.
    fn groups(
        &self,
        elapsed: Option<Duration>,
    ) -> impl Iterator<Item = (Subject, Covers, Start, Self::Group)>;

    /// Totals of the fields of a group that match, each with the number of its view.
    fn fields(
        &self,
        group: &Self::Group,
        views: &[View],
    ) -> impl Iterator<Item = (usize, Vec<Total>)>;

    fn counts(&self) -> Counts;
}

/// Data of a sample about its programs: see [`Sample`].
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) programs: usize,
    pub(super) ended: usize,
    pub(super) incomplete: usize,
    pub(super) samples_refused: u64,
    pub(super) active: bool,
    /// Whether a program is one of an application, whose ledger counts what ended.
    pub(super) has_application: bool,
}

/// Columns, and the look before.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) views: Vec<View>,
    pub(super) columns: Columns,
    looks: HashMap<Subject, Look>,
    last: Option<Instant>,
    samples: u64,
    /// Whether a program could publish at the look before.
    active: bool,
}

impl Rows {
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        Self { views: View::all(patterns), ..Self::default() }
    }

    /// The patterns that no label matches.
    pub(super) fn unmatched(&self) -> impl Iterator<Item = &Pattern> {
        let columns = &self.columns.all;
        let matches = |view: &View, pattern: &Pattern| {
            let of_view = columns.iter().filter(|column| column.selector == view.selector());
            of_view.into_iter().any(|column| pattern.matches_label(column.label()))
        };
        self.views
            .iter()
            .flat_map(move |view| view.patterns().filter(move |pattern| !matches(view, pattern)))
    }

    /// Whether no sample was taken.
    #[cfg(feature = "record")] // the only user
    pub(super) const fn is_first(&self) -> bool {
        self.samples == 0
    }

    /// The sample of programs at a time, by the system's clock and by one that never goes back.
    pub(super) fn sample(
        &mut self,
        programs: &impl Programs,
        time: SystemTime,
        now: Instant,
    ) -> Sample {
        let elapsed = self.last.map(|last| now - last);
        programs.add_columns(&mut self.columns, &self.views);
        let mut readings: Vec<Reading> = Vec::new();
        let absent = || Reading { value: None, verdict: Verdict::Absent, tally: Tally::default() };
        readings.resize_with(self.columns.all.len(), absent);
        let mut gains = vec![Gain::default(); readings.len()];
        for (view, totals) in programs.families(&self.views) {
            for total in totals {
                let number = self.columns.find(view, &total.field).map(|number| number as usize);
                if let Some(reading) = number.and_then(|number| readings.get_mut(number)) {
                    *reading = total.reading;
                }
            }
        }
        let mut looks = HashMap::new();
        for (subject, covers, start, group) in programs.groups(elapsed) {
            let mut look = Look::new(now, covers);
            for (view, totals) in programs.fields(&group, &self.views) {
                look.add(view, &totals, &self.columns);
            }
            look.gains(self.looks.remove(&subject), start, &mut gains);
            looks.insert(subject, look);
        }
        let counts = programs.counts();
        let Counts { programs, ended, incomplete, samples_refused, active, .. } = counts;
        // Nothing is counted any more, which is no rate. A ledger may count once more what ended.
        let was_active = std::mem::replace(&mut self.active, active);
        let stands_still = !(active || was_active && counts.has_application);
        (self.looks, self.last) = (looks, Some(now));
        self.samples += 1;
        let first_row = self.samples == 2;
        let cells = gains.into_iter().zip(readings).map(|(gain, reading)| {
            let mut cell =
                Cell { total: reading.value, verdict: reading.verdict, interval: gain.interval() };
            if first_row {
                cell.show_life();
            }
            if let Some(interval) = cell.interval.as_mut().filter(|_| stands_still) {
                interval.rate = None;
            }
            cell
        });
        let cells = cells.collect();
        Sample { time, elapsed, programs, ended, incomplete, samples_refused, active, cells }
    }
}
