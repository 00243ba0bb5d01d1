//! Values of all programs at one time, and what was counted since the time before.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant, SystemTime};

use mmstats_observe::{
    FieldRef, File, FileState, Observer, Program, ProgramId, Reading, Tally, Totals, Verdict,
};

use super::column::{Cell, Columns};
use super::series::{Covers, Gain, Look, Start};
use super::views::View;
use crate::model::life::Life;
use crate::model::pattern::Pattern;
use crate::model::selection::Selection;
use crate::model::watched::{Watched, name};
use crate::model::{age, is_active};
use crate::output::Output;
use crate::render::problems::{ProblemLog, is_unsettled};
use crate::render::program::end_text;

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

/// Takes samples.
pub(crate) struct Sampler {
    selection: Selection,
    pub(crate) observer: Observer,
    views: Vec<View>,
    pub(crate) columns: Columns,
    /// The look before.
    looks: HashMap<Subject, Look>,
    last: Option<Instant>,
    samples: u64,
    /// Whether a program could publish at the look before.
    active: bool,
}

/// Maximum number of programs whose end is reported.
const MAX_ENDED: usize = 5;

impl Sampler {
    pub(crate) fn new(selection: Selection, patterns: Vec<Pattern>) -> Self {
        Self {
            observer: Observer::new(selection.sources.clone()),
            selection,
            views: View::all(patterns),
            columns: Columns::default(),
            looks: HashMap::new(),
            last: None,
            samples: 0,
            active: false,
        }
    }

    /// Reports what the files of the programs do not have.
    pub(crate) fn report_incomplete(&self, log: &mut ProblemLog, output: &mut Output) {
        log.report_incomplete(self.selection.select(&self.observer.programs(), false), output);
    }

    /// What became of programs that were asked for by process id or name.
    pub(crate) fn news(&self, watched: &mut Watched, waits: bool) -> Vec<String> {
        if !self.selection.has_names() {
            return Vec::new();
        }
        let all = self.observer.programs();
        watched.news(&self.selection.select(&all, false), &all, waits)
    }

    /// A message about each program that was asked for by process id or name and has ended.
    pub(crate) fn ended(&self) -> Vec<String> {
        if !self.selection.has_names() {
            return Vec::new();
        }
        let (all, now) = (self.observer.programs(), SystemTime::now());
        let ended = self.selection.select(&all, false).into_iter().filter(|program| {
            program.state().has_ended() && program.identity().application.is_none()
        });
        let message = |program: &Program<'_>| {
            let word = if program.state() == FileState::Closed { "ended" } else { "died" };
            let end = Life::new(program, now).end().and_then(end_text);
            let end = end.map_or_else(String::new, |end| format!(" {end}"));
            let pid = program.process().or(program.identity().pid);
            let pid = pid.map_or_else(|| "--all".to_owned(), |pid| pid.to_string());
            format!("{} {word}{end}; `mmstats show {pid}` has its last values", name(program))
        };
        ended.take(MAX_ENDED).map(message).collect()
    }

    /// The patterns that no label matches.
    pub(crate) fn unmatched(&self) -> impl Iterator<Item = &Pattern> {
        let columns = &self.columns.all;
        let matches = |view: &View, pattern: &Pattern| {
            let of_view = columns.iter().filter(|column| column.selector == view.selector());
            of_view.into_iter().any(|column| pattern.matches_label(column.label()))
        };
        self.views
            .iter()
            .flat_map(move |view| view.patterns().filter(move |pattern| !matches(view, pattern)))
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
        let elapsed = self.last.map(|last| now - last);
        let all = self.observer.programs();
        self.selection.update(&all);
        let programs = self.selection.select(&all, false);
        let files = || programs.iter().flat_map(|program| program.files().iter().copied());

        self.columns.add(&self.views, files().flat_map(File::fields).filter(is_good));
        let mut readings: Vec<Reading> = Vec::new();
        let absent = || Reading { value: None, verdict: Verdict::Absent, tally: Tally::default() };
        readings.resize_with(self.columns.all.len(), absent);
        let mut gains = vec![Gain::default(); readings.len()];
        for (view, totals) in in_passes(&self.views, files(), Totals::of_families) {
            for total in totals.into_fields() {
                let number = self.columns.find(view, &total.field).map(|number| number as usize);
                if let Some(reading) = number.and_then(|number| readings.get_mut(number)) {
                    *reading = total.reading;
                }
            }
        }
        let unsettled = is_unsettled(&self.observer);
        let mut looks = HashMap::new();
        for (subject, programs) in subjects(&programs) {
            let is_application = matches!(subject, Subject::Application(..));
            let mut covers = Covers::new(&programs, is_application);
            covers.is_whole &= !(is_application && unsettled);
            let mut look = Look::new(now, covers);
            let files = || programs.iter().flat_map(|program| program.files().iter().copied());
            for (view, totals) in in_passes(&self.views, files(), |all| all) {
                look.add(view, &totals, &self.columns);
            }
            let before = self.looks.remove(&subject);
            let start = match programs[..] {
                [program] if !is_application => start(program, time, elapsed),
                _ => Start::Unknown,
            };
            look.gains(before, start, &mut gains);
            looks.insert(subject, look);
        }
        let (mut incomplete, mut samples_refused, mut ended) = (0, 0_u64, 0);
        for program in &programs {
            ended += usize::from(program.state().has_ended());
            let completeness = program.completeness();
            let in_doubt = unsettled && program.identity().application.is_some();
            incomplete += usize::from(in_doubt || !completeness.is_complete());
            samples_refused = samples_refused.saturating_add(completeness.samples_refused);
        }
        let active = programs.iter().any(|program| is_active(program.state()));
        // Nothing is counted any more, which is no rate.
        let was_active = std::mem::replace(&mut self.active, active);
        let stands_still = !active && !was_active;
        let programs = programs.len();
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

/// Whether the field is part of sums.
const fn is_good(field: &FieldRef<'_>) -> bool {
    field.damage().is_none() && !field.is_retired()
}

/// Programs whose counts are compared as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    /// Name, owner and device: its ledger takes in the counts of instances that ended.
    Application(String, Option<u32>, u64),
    Program(ProgramId),
    /// A file of format 1.
    File(String),
}

/// Groups the instances of applications.
fn subjects<'p, 'a>(
    programs: &[&'p Program<'a>],
) -> impl Iterator<Item = (Subject, Vec<&'p Program<'a>>)> {
    let mut groups: Vec<(Subject, Vec<&Program<'a>>)> = Vec::new();
    let mut known: HashMap<Subject, usize> = HashMap::new();
    for program in programs {
        let subject = match (program.id(), &program.identity().application) {
            (Some(id), Some(name)) => Subject::Application(name.clone(), id.owner, id.device),
            (Some(id), None) => Subject::Program(id),
            (None, _) => {
                let file = program.files().first();
                Subject::File(file.map_or_else(String::new, |file| format!("{:?}", file.id())))
            }
        };
        let at = *known.entry(subject.clone()).or_insert_with(|| {
            groups.push((subject, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(*program);
    }
    groups.into_iter()
}

/// Since when a program that was not seen before counts: since its start, if that is within the
/// interval.
fn start(program: &Program<'_>, now: SystemTime, elapsed: Option<Duration>) -> Start {
    if program.identity().declared.is_some() {
        // Its counters go on from an earlier run.
        return Start::Unknown;
    }
    let age = age(program.identity(), now).filter(|_| is_active(program.state()));
    match (age, elapsed) {
        // It may have been built for a while before it could be seen.
        (Some(age), Some(elapsed)) if age <= elapsed * 2 => {
            Start::Seconds(elapsed.max(age).as_secs_f64())
        }
        _ => Start::Unknown,
    }
}

/// Number of fields that are combined in one pass, which bounds the memory: a total takes half a
/// kilobyte, and a file may have a million fields.
const PASS_SIZE: usize = if cfg!(test) { 10 } else { 1 << 17 };

/// Totals of the fields that match, with the number of their view, a part of the labels at a time.
fn in_passes<'a>(
    views: &[View],
    files: impl Iterator<Item = &'a File>,
    grouping: fn(Totals) -> Totals,
) -> impl Iterator<Item = (usize, Totals)> {
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
        (number, totals)
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
        assert_eq!((sampler.columns.all.len(), sample.cells.len()), (100, 100));
        for ((column, cell), n) in sampler.columns.all.iter().zip(&sample.cells).zip(0_u32..) {
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
        assert!(sampler.unmatched().next().is_none());
        assert_eq!(
            sampler.labels().iter().filter(|label| label.starts_with("field.")).count(),
            100
        );
    }
}
