//! Samples of programs that are published now.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant, SystemTime};

use mmstats_observe::{FieldRef, File, Observer, Program, Total, Totals};

use super::sample::{Counts, Programs, Rows, Sample};
use crate::model::is_active;
use crate::model::life::{Life, end_word};
use crate::model::pattern::Pattern;
use crate::model::rates::column::Columns;
use crate::model::rates::series::{Covers, Start};
use crate::model::rates::subject::{Subject, start, subjects};
use crate::model::rates::views::View;
use crate::model::selection::Selection;
use crate::model::watched::{Watched, name};
use crate::output::Output;
use crate::render::problems::{ProblemLog, is_unsettled};
use crate::render::program::end_text;
use crate::text::escape;

/// Takes samples.
pub(crate) struct Sampler {
    selection: Selection,
    pub(crate) observer: Observer,
    pub(crate) rows: Rows,
}

/// Maximum number of programs whose end is reported.
const MAX_ENDED: usize = 5;

impl Sampler {
    pub(crate) fn new(selection: Selection, patterns: Vec<Pattern>) -> Self {
        let observer = Observer::new(selection.sources.clone());
        Self { observer, selection, rows: Rows::new(patterns) }
    }

    /// Reports what the files of the programs do not have.
    pub(crate) fn report_incomplete(&self, log: &mut ProblemLog, output: &mut Output) {
        log.report_incomplete(self.selection.select(&self.observer.programs(), false), output);
    }

    /// Messages about the ends and starts of programs that were selected by process id, by name or as a file.
    pub(crate) fn news(&self, watched: &mut Watched, waits: bool) -> Vec<String> {
        let all = self.observer.programs();
        let mut selected = self.selection.select(&all, false);
        selected.retain(|program| self.selection.is_sought(program));
        watched.news(&selected, &all, waits)
    }

    /// A message about each program that was asked for as a process, by name or as a file, and has ended.
    pub(crate) fn ended(&self) -> Vec<String> {
        let (all, now) = (self.observer.programs(), SystemTime::now());
        let ended = self.selection.select(&all, false).into_iter().filter(|program| {
            program.state().has_ended()
                && program.identity().application.is_none()
                && self.selection.is_sought(program)
        });
        let message = |program: &Program<'_>| {
            let word = end_word(program.state());
            let end = Life::new(program, now).end().and_then(end_text);
            let end = end.map_or_else(String::new, |end| format!(" {end}"));
            let named = program.files().iter().find(|file| file.named());
            let argument = match (named, program.process().or(program.identity().pid)) {
                (Some(file), _) => escape::path(file.path()),
                (None, Some(pid)) => pid.to_string(),
                (None, None) => "--all".to_owned(),
            };
            let name = name(program);
            format!("{name} {word}{end}; `mmstats show {argument}` has its last values")
        };
        ended.take(MAX_ENDED).map(message).collect()
    }

    /// The labels of all programs, for suggestions.
    pub(crate) fn labels(&self) -> Vec<&str> {
        let all = self.observer.programs();
        let programs = self.selection.select(&all, false);
        let files = programs.into_iter().flat_map(|program| program.files().iter().copied());
        files.flat_map(File::fields).filter(is_good).map(|field| field.label()).collect()
    }

    /// Reads all programs.
    pub(crate) fn sample(&mut self) -> Sample {
        self.observer.refresh();
        let (time, now) = (SystemTime::now(), Instant::now());
        if self.selection.update(&self.observer.programs()) {
            self.observer.set_sources(self.selection.sources.clone());
        }
        let all = self.observer.programs();
        let programs = self.selection.select(&all, false);
        let published =
            Published { programs: &programs, time, unsettled: is_unsettled(&self.observer) };
        self.rows.sample(&published, time, now)
    }
}

/// The programs of a sample.
struct Published<'p, 'a> {
    programs: &'p [&'p Program<'a>],
    time: SystemTime,
    /// Whether a ledger may lack what ended.
    unsettled: bool,
}

fn files<'a>(programs: &[&Program<'a>]) -> impl Iterator<Item = &'a File> {
    programs.iter().flat_map(|program| program.files().iter().copied())
}

impl<'p, 'a> Programs for Published<'p, 'a> {
    type Group = Vec<&'p Program<'a>>;

    fn add_columns(&self, columns: &mut Columns, views: &[View]) {
        columns.add(views, files(self.programs).flat_map(File::fields).filter(is_good));
    }

    fn families(&self, views: &[View]) -> impl Iterator<Item = (usize, Vec<Total>)> {
        in_passes(views, files(self.programs), Totals::of_families)
    }

    fn groups(
        &self,
        elapsed: Option<Duration>,
    ) -> impl Iterator<Item = (Subject, Covers, Start, Self::Group)> {
        subjects(self.programs).map(move |(subject, programs)| {
            let is_application = matches!(subject, Subject::Application(..));
            let mut covers = Covers::new(&programs, is_application);
            covers.is_whole &= !(is_application && self.unsettled);
            let start = match programs[..] {
                [program] if !is_application => start(program, self.time, elapsed),
                _ => Start::Unknown,
            };
            (subject, covers, start, programs)
        })
    }

    fn fields(
        &self,
        group: &Self::Group,
        views: &[View],
    ) -> impl Iterator<Item = (usize, Vec<Total>)> {
        in_passes(views, files(group), |all| all)
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts { programs: self.programs.len(), ..Counts::default() };
        for program in self.programs {
            counts.ended += usize::from(program.state().has_ended());
            let completeness = program.completeness();
            let in_doubt = self.unsettled && program.identity().application.is_some();
            counts.incomplete += usize::from(in_doubt || !completeness.is_complete());
            counts.samples_refused =
                counts.samples_refused.saturating_add(completeness.samples_refused);
            counts.active |= is_active(program.state());
            counts.has_application |= program.identity().application.is_some();
        }
        counts
    }
}

/// Whether the field is part of sums.
const fn is_good(field: &FieldRef<'_>) -> bool {
    field.damage().is_none() && !field.is_retired()
}

/// Number of fields that are combined in one pass, which bounds the memory: a total takes half a
/// kilobyte, and a file may have a million fields.
const PASS_SIZE: usize = if cfg!(test) { 10 } else { 1 << 17 };

/// Totals of the fields that match, with the number of their view, a part of the labels at a time.
fn in_passes<'a>(
    views: &[View],
    files: impl Iterator<Item = &'a File>,
    grouping: fn(Totals) -> Totals,
) -> impl Iterator<Item = (usize, Vec<Total>)> {
    let files: Vec<&File> = files.collect();
    let count: usize = files.iter().map(|file| file.field_count()).sum();
    let passes = (count / PASS_SIZE + 1) as u64;
    let all = (0..views.len()).flat_map(move |view| (0..passes).map(move |pass| (view, pass)));
    all.map(move |(number, pass)| {
        let view = views.get(number).cloned();
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        let totals = Totals::filtered(move |field| {
            (passes == 1 || hasher.hash_one(field.label()) % passes == pass)
                && view.as_ref().is_some_and(|view| view.place(field).is_some())
        });
        let mut totals = grouping(totals);
        totals.update(files.iter().copied(), None);
        (number, totals.into_fields())
    })
}

#[cfg(test)]
mod tests {
    use mmstats_observe::OwnedValue;

    use super::*;

    /// More fields than one pass combines: each is there once, in its column.
    #[test]
    fn sample_combines_fields_in_passes() {
        use mmstats::{Counter, FieldOptions, Gauge, Lane, Options};
        let directory = tempfile::tempdir().unwrap();
        let publisher = Options::new().directory(directory.path()).start::<Lane>().unwrap();
        let lane = publisher.lane().unwrap();
        let name = |n| format!("field.{n}");
        let counters: Vec<Counter> = (0..50)
            .map(|n| {
                let key = publisher.add(name(2 * n), FieldOptions::new()).unwrap();
                let gauge = publisher.add::<Gauge<u64>>(name(2 * n + 1), FieldOptions::new());
                lane.attach(gauge.unwrap()).unwrap().set(n);
                lane.attach(key).unwrap()
            })
            .collect();
        let selection = Selection::parse(&[directory.path().as_os_str().to_owned()]);
        let mut sampler = Sampler::new(selection, vec![Pattern::new("field.", "*").unwrap()]);
        sampler.sample();
        counters.iter().zip(1..).for_each(|(counter, n)| counter.add(n));
        let sample = sampler.sample();
        let seconds = sample.elapsed.unwrap().as_secs_f64();
        assert_eq!((sampler.rows.columns.all.len(), sample.cells.len()), (100, 100));
        for ((column, cell), n) in sampler.rows.columns.all.iter().zip(&sample.cells).zip(0_u32..) {
            assert_eq!(column.label(), name(n.into()));
            match &cell.interval {
                Some(interval) => {
                    let counted = (interval.rate.unwrap() * seconds).round();
                    assert_eq!((counted, n % 2), (f64::from(n / 2 + 1), 0), "{n}");
                }
                None => {
                    let value = OwnedValue::Unsigned((n / 2).into());
                    assert_eq!((&cell.total, n % 2), (&Some(value), 1), "{n}");
                }
            }
        }
        assert!(sampler.rows.unmatched().next().is_none());
        assert_eq!(
            sampler.labels().iter().filter(|label| label.starts_with("field.")).count(),
            100
        );
    }
}
