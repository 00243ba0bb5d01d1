//! `mmstats poll` of a recording: rows as those of live programs, from its looks.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mmstats_history::ProgramKey;
use mmstats_observe::{Completeness, FileState, Total};
use mmstats_recording::{Frames, RecordedProgram, Recording, State};

use super::args::{Poll, patterns, report, unmatched};
use super::json::Document;
use super::sample::{Counts, Programs, Rows};
use super::table;
use crate::json::write_line;
use crate::model::is_active;
use crate::model::life::end_word;
use crate::model::rates::column::Columns;
use crate::model::rates::series::{Covers, Start};
use crate::model::rates::subject::{Subject, grouped, start_of};
use crate::model::rates::views::View;
use crate::model::recorded::{MAX_NAMED, Recordings, cuts, gap, left_out, name, range};
use crate::output::Output;
use crate::text::escape;

/// Prints the rows from the first look to the last one that are asked for.
pub(super) fn run(args: &Poll, recordings: &Recordings, output: &mut Output) -> io::Result<()> {
    let Ok(patterns) = patterns(args).inspect_err(|text| output.usage(text)) else {
        return Ok(());
    };
    if args.follow {
        output.usage("--follow is for programs: a recording has an end");
        return Ok(());
    }
    let recording = match recordings.open() {
        Ok(recording) => recording,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    cuts(&recording).iter().for_each(|note| output.note(note));
    let (from, to) = match range(&recording, args.from, args.to) {
        Ok(range) => range,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    let frames = from.map_or_else(|| Ok(recording.frames()), |from| recording.frames_from(from));
    let frames = match frames {
        Ok(frames) => frames,
        Err(error) => {
            output.fail(&escape::text(&error.to_string()));
            return Ok(());
        }
    };
    let printer = Printer {
        args,
        recordings,
        rows: Rows::new(patterns),
        table: table::Table::new(&args.prefix),
        start: Instant::now(),
        printed: 0,
        live: Vec::new(),
        has_lived: false,
        notes: HashSet::new(),
    };
    printer.print(frames, &recording, to, output)
}

struct Printer<'r> {
    args: &'r Poll,
    recordings: &'r Recordings,
    rows: Rows,
    table: table::Table,
    /// Stands for the first look: only differences matter.
    start: Instant,
    printed: u64,
    /// The live programs of the row before.
    live: Vec<(ProgramKey, String)>,
    /// Whether a program lived at one of the looks.
    has_lived: bool,
    /// What was said of programs.
    notes: HashSet<String>,
}

impl Printer<'_> {
    fn print(
        mut self,
        mut frames: Frames<'_>,
        recording: &Recording,
        to: Option<SystemTime>,
        output: &mut Output,
    ) -> io::Result<()> {
        let (mut first, mut before, mut due) = (None, None, Duration::ZERO);
        loop {
            let state = match frames.next() {
                Ok(Some(state)) if to.is_some_and(|to| state.time() > to) => break,
                Ok(Some(state)) => state,
                Ok(None) => break,
                Err(error) => {
                    // The looks after it may be whole.
                    output.fail(&escape::text(&error.to_string()));
                    continue;
                }
            };
            if let Some(text) = before.and_then(|before| gap(state, before)) {
                output.note(&text);
            }
            before = Some((state.time(), state.at()));
            let since = state.at().since(*first.get_or_insert(state.at()));
            // A look is a little before or after its time.
            let near = since + (state.every() / 2).min(self.args.delay / 2);
            if near < due {
                continue;
            }
            while due <= near {
                due += self.args.delay;
            }
            if !self.row(state, since, output)? {
                return Ok(());
            }
        }
        if self.rows.columns.all.is_empty() || self.rows.unmatched().next().is_some() {
            let state = recording.at(to.unwrap_or(recording.span().1)).ok().flatten();
            let programs = state.iter().flat_map(|state| self.recordings.select(state, true));
            let programs: Vec<&RecordedProgram> = programs.collect();
            if !self.has_lived
                && let Some(state) = state.as_ref().filter(|_| self.rows.columns.all.is_empty())
            {
                output.fail(&match programs.first() {
                    None => self.recordings.no_program(state),
                    Some(program) => format!(
                        "{} had ended before: there are no rates; `mmstats show` has its last values",
                        name(program)
                    ),
                });
                return Ok(());
            }
            let totals: Vec<&Total> =
                programs.iter().flat_map(|program| program.totals()).collect();
            let labels = || totals.iter().map(|total| &*total.field.label).collect();
            report(&unmatched(&self.rows, labels), output);
        } else if self.printed == 0 && !output.has_failed() {
            output.fail("one look has no interval: a row needs two; --from and --to say which");
        }
        Ok(())
    }

    /// Takes in a look; prints a row of all but the first. Returns whether more are wanted.
    fn row(&mut self, state: &State, since: Duration, output: &mut Output) -> io::Result<bool> {
        let programs = self.recordings.live(state);
        self.has_lived |= !programs.is_empty();
        for note in left_out(&programs) {
            output.set_incomplete();
            if self.notes.insert(note.clone()) {
                output.note(&note);
            }
        }
        self.news(state, &programs, output);
        let recorded = Recorded { programs: &programs, time: state.time() };
        let sample = self.rows.sample(&recorded, state.time(), self.start + since);
        if sample.elapsed.is_none() {
            return Ok(true);
        }
        if sample.incomplete > 0 {
            output.set_incomplete();
        }
        self.printed += 1;
        let columns = &self.rows.columns.all;
        if self.args.json {
            write_line(output, &Document::new(columns, &sample))?;
        } else {
            self.table.print(columns, &sample, self.args.form.screen(output), output)?;
        }
        output.flush()?;
        Ok(self.args.count.is_none_or(|count| self.printed < count) && !output.is_closed())
    }

    /// Says which programs have begun and ended since the row before. Those of applications come and go.
    fn news(&mut self, state: &State, programs: &[&RecordedProgram], output: &mut Output) {
        let live = programs.iter().filter(|program| {
            let look = program.look();
            is_active(look.condition.state()) && look.identity.application.is_none()
        });
        let live: Vec<(ProgramKey, String)> = live.map(|one| (one.look().key, name(one))).collect();
        let before = std::mem::replace(&mut self.live, live);
        if self.rows.is_first() {
            return;
        }
        let is_in = |all: &[(ProgramKey, String)], key| all.iter().any(|(other, _)| *other == key);
        let gone: Vec<_> = before.iter().filter(|(key, _)| !is_in(&self.live, *key)).collect();
        for (key, name) in gone.iter().take(MAX_NAMED) {
            output.note(&self.end(state, *key, name));
        }
        if gone.len() > MAX_NAMED {
            output.note(&format!("{} more programs are gone", gone.len() - MAX_NAMED));
        }
        let new: Vec<_> = self.live.iter().filter(|(key, _)| !is_in(&before, *key)).collect();
        for (_, name) in new.iter().take(MAX_NAMED) {
            output.note(&format!("now {name}"));
        }
        if new.len() > MAX_NAMED {
            output.note(&format!("{} more programs", new.len() - MAX_NAMED));
        }
    }

    /// What became of a program that lived in the row before.
    fn end(&self, state: &State, key: ProgramKey, name: &str) -> String {
        let Some(program) = state.program(key) else {
            return format!("{name} is not recorded any more");
        };
        let look = program.look();
        let word = end_word(look.condition.state());
        match look.process.or(look.identity.pid) {
            Some(pid) if look.condition.state() == FileState::Dead => {
                let since = state.time().duration_since(UNIX_EPOCH).unwrap_or_default();
                let (at, file) = (since.as_millis(), self.recordings.example());
                format!(
                    "{name} {word}; `mmstats show --at @{}.{:03} {file} {pid}` has its last values",
                    at / 1_000,
                    at % 1_000
                )
            }
            _ => format!("{name} {word}"),
        }
    }
}

/// The programs of a look.
struct Recorded<'p> {
    programs: &'p [&'p RecordedProgram],
    time: SystemTime,
}

/// The totals of a view.
fn matching<'p>(view: &View, programs: &[&'p RecordedProgram]) -> impl Iterator<Item = &'p Total> {
    let view = view.clone();
    let totals = programs.iter().flat_map(|program| program.totals()).collect::<Vec<_>>();
    totals.into_iter().filter(move |total| view.place(&&total.field).is_some())
}

impl<'p> Programs for Recorded<'p> {
    type Group = Vec<&'p RecordedProgram>;

    fn add_columns(&self, columns: &mut Columns, views: &[View]) {
        let totals = self.programs.iter().flat_map(|program| program.totals());
        columns.add(views, totals.map(|total| &total.field));
    }

    fn families(&self, views: &[View]) -> impl Iterator<Item = (usize, Vec<Total>)> {
        let families = |view| Total::combine_families(matching(view, self.programs));
        views.iter().map(families).enumerate()
    }

    fn groups(
        &self,
        elapsed: Option<Duration>,
    ) -> impl Iterator<Item = (Subject, Covers, Start, Self::Group)> {
        let subject = |program: &&RecordedProgram| {
            let look = program.look();
            match look.key {
                ProgramKey::Program(id) => {
                    Subject::of_program(id, look.identity.application.as_ref())
                }
                key => Subject::File(format!("{key:?}")),
            }
        };
        grouped(self.programs, subject).map(move |(subject, programs)| {
            let is_application = matches!(subject, Subject::Application(..));
            let seen = programs.iter().map(|program| program.look().completeness.clone());
            let seen: Vec<Completeness> = seen.collect();
            let covers = Covers::from_completeness(&seen, is_application);
            let start = match programs[..] {
                [program] if !is_application => {
                    let look = program.look();
                    start_of(&look.identity, look.condition.state(), self.time, elapsed)
                }
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
        let all: Vec<_> = views.iter().map(|view| Total::combine(matching(view, group))).collect();
        all.into_iter().enumerate()
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts { programs: self.programs.len(), ..Counts::default() };
        for program in self.programs {
            let look = program.look();
            counts.ended += usize::from(look.condition.has_ended());
            counts.incomplete += usize::from(!look.completeness.is_complete());
            let refused = look.completeness.samples_refused;
            counts.samples_refused = counts.samples_refused.saturating_add(refused);
            counts.active |= is_active(look.condition.state());
            counts.has_application |= look.identity.application.is_some();
        }
        counts
    }
}
