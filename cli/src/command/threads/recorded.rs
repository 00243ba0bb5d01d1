//! What the threads of the programs of a recording did.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats_recording::{RecordedProgram, State, Threads as RecordedThreads};
use mmstats_threads::Report;

use super::json::{ProgramDocument, write_programs};
use crate::command::args::Form;
use crate::json::RecordedHead;
use crate::model::head::Head;
use crate::model::recorded::{Recordings, When, name, no_threads, state_at};
use crate::output::Output;
use crate::render::threads;
use crate::text::human;

/// What is to be shown of a recording, and how.
pub(super) struct Wanted {
    /// The end by default.
    pub(super) at: Option<When>,
    /// Whether to show programs that had ended too.
    pub(super) all: bool,
    pub(super) json: bool,
    pub(super) form: Form,
}

/// Shows the threads of a recording as of one moment.
pub(super) fn run(wanted: &Wanted, recordings: &Recordings, output: &mut Output) -> io::Result<()> {
    let found = recordings.open().and_then(|recording| state_at(&recording, wanted.at));
    let found = match found {
        Ok(found) => found,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    found.notes.iter().for_each(|note| output.note(note));
    let state = &found.state;
    // The sums of ended programs have no threads.
    let is_program = |program: &&RecordedProgram| {
        program.look().condition.state() != mmstats_observe::FileState::Ledger
    };
    let programs = recordings.select(state, wanted.all);
    recordings.ended(state, programs.len()).iter().for_each(|note| output.note(note));
    let programs = programs.into_iter().filter(is_program);
    let programs: Vec<&RecordedProgram> = programs.collect();
    let mut shown: Vec<(&RecordedProgram, Arc<Report>)> = Vec::new();
    let mut missing = Vec::new();
    for program in &programs {
        match state.threads(program) {
            RecordedThreads::Looked { report, left_out, .. } => {
                if let Some(note) = late(state, program, &report, left_out) {
                    output.note(&note);
                }
                shown.push((program, report));
            }
            other => missing.push(format!("{}: {}", name(program), no_threads(&other))),
        }
    }
    let is_recorded = state.threads_every().is_some();
    if !shown.is_empty() {
        print(wanted, &shown, state.time(), output)?;
    } else if programs.is_empty() {
        output.fail(&recordings.no_program(state));
    }
    if !is_recorded && !programs.is_empty() {
        output.fail(&no_threads(&RecordedThreads::NotRecorded));
        return Ok(());
    }
    for text in missing {
        if shown.is_empty() {
            output.fail(&text);
        } else {
            output.set_incomplete();
            output.note(&text);
        }
    }
    Ok(())
}

fn print(
    wanted: &Wanted,
    shown: &[(&RecordedProgram, Arc<Report>)],
    now: SystemTime,
    output: &mut Output,
) -> io::Result<()> {
    if wanted.json {
        let mut documents = Vec::new();
        for (program, report) in shown {
            documents.push(ProgramDocument::new(Some(RecordedHead(program.head())), report));
        }
        return write_programs(documents, now, output);
    }
    let screen = wanted.form.screen(output);
    for (at, (program, report)) in shown.iter().enumerate() {
        let head = Head::from_recorded(program, now);
        if !screen.is_terminal() {
            for line in threads::plain(Some(&head), report) {
                writeln!(output, "{line}")?;
            }
            continue;
        }
        if at > 0 {
            writeln!(output)?;
        }
        let fields = program.totals().iter().map(|total| &total.field);
        let texts = fields.filter(|field| threads::is_text_of_thread(field.properties));
        let texts: Vec<&str> = texts.map(|field| &*field.label).collect();
        for line in threads::section(Some(&head), report, &texts, screen.width(), now) {
            writeln!(output, "{}", line.render(usize::MAX))?;
        }
    }
    Ok(())
}

/// A remark about a look that was long before, or after looks that were left out.
fn late(
    state: &State,
    program: &RecordedProgram,
    report: &Report,
    left_out: u64,
) -> Option<String> {
    // Of a program that has ended nothing moves any more.
    if report.has_ended() {
        return None;
    }
    let looked = UNIX_EPOCH + Duration::from_nanos(report.at);
    let late = state.time().duration_since(looked).unwrap_or_default();
    let every = state.threads_every().unwrap_or_default();
    let program = name(program);
    if late > every * 2 + Duration::from_secs(1) {
        let late = human::age(late);
        return Some(format!("{program}: the last look at its threads was {late} before"));
    }
    let looks = if left_out == 1 { "look" } else { "looks" };
    (left_out > 0).then(|| {
        format!("{program}: {left_out} {looks} at its threads before this one had no time or room")
    })
}
