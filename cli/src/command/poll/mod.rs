//! `mmstats poll`: rows of rates and values, like vmstat.

mod args;
mod json;
mod live;
#[cfg(feature = "record")]
mod recorded;
mod sample;
mod table;
mod texts;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use mmstats_observe::{Kind, Observer};

pub(crate) use self::args::{FIELDS, Poll};
use self::args::{patterns, unmatched};
use self::json::Document;
use self::live::Sampler;
use self::sample::Sample;
use super::args::interrupt;
use crate::json::write_line;
#[cfg(feature = "record")]
use crate::model::recorded::Recordings;
use crate::model::selection::Selection;
use crate::model::watched::Watched;
use crate::output::Output;
use crate::render::missing::{Looked, nothing};
use crate::render::problems::{self, ProblemLog};
use crate::text::escape;

pub(crate) fn run(args: &Poll, output: &mut Output) -> io::Result<()> {
    #[cfg(feature = "record")]
    if let Some(recordings) = Recordings::find(&args.programs) {
        return recorded::run(args, &recordings, output);
    } else if args.from.or(args.to).is_some() {
        output.usage("--from and --to need a recording of `mmstats record`, behind the fields");
        return Ok(());
    }
    let Ok(patterns) = patterns(args).inspect_err(|text| output.usage(text)) else {
        return Ok(());
    };
    let mut selection = Selection::parse(&args.programs);
    if args.follow {
        selection = selection.following();
    }
    // Before the first row, so that Ctrl-C never cuts one.
    let stop = interrupt()?;
    // Whether the rows end with the programs.
    let named = !selection.is_empty() && !args.follow;
    let mut sampler = Sampler::new(selection, patterns);
    let mut sample = sampler.sample();
    problems::report_waiting(&sampler.observer, args.follow, output);
    let mut problem_log = ProblemLog::new(&sampler.observer);
    sampler.report_incomplete(&mut problem_log, output);
    let mut waits = args.follow && sample.programs == 0;
    if waits {
        report_waits(args, &sampler, output);
    } else if !is_ready(args, &sampler, &sample, output) {
        return Ok(());
    }
    let mut table = table::Table::new(&args.prefix);
    let (start, mut rows) = (Instant::now(), 0_u64);
    let mut watched = Watched::with_hints();
    sampler.news(&mut watched, args.follow);
    report_ended(&sampler, &sample, args.follow, output);
    loop {
        rows += 1;
        // Nothing is waited for if all that is named has ended before.
        let is_over = rows == 1 && named && !sample.active;
        if !is_over && wait_for_row(&stop, start, args.delay, rows) {
            return Ok(());
        }
        sample = sampler.sample();
        let news = sampler.news(&mut watched, args.follow);
        news.iter().for_each(|news| output.note(news));
        if waits && sample.programs > 0 {
            waits = false;
            // It may have them later.
            let messages = unmatched(&sampler.rows, || sampler.labels());
            messages.iter().for_each(|(_, message)| output.note(message));
        }
        // A file may be truncated meanwhile.
        problem_log.report_new(&sampler.observer, output);
        sampler.report_incomplete(&mut problem_log, output);
        let columns = &sampler.rows.columns.all;
        if args.json {
            write_line(output, &Document::new(columns, &sample))?;
        } else {
            table.print(columns, &sample, args.form.screen(output), output)?;
        }
        output.flush()?;
        if args.count.is_some_and(|count| rows >= count) || output.is_closed() {
            return Ok(());
        }
        if named && !sample.active {
            if news.is_empty() && !output.has_failed() {
                output.note("no named program is live any more");
            }
            if let Some(count) = args.count.filter(|_| !output.has_failed()) {
                output.fail(&format!("{rows} of {count} rows: there is nothing more to read"));
            }
            return Ok(());
        }
    }
}

/// Says which programs that were asked for by process id or name have ended. An error if none of them
/// lives: their counts stand still.
fn report_ended(sampler: &Sampler, sample: &Sample, follow: bool, output: &mut Output) {
    let ended = if follow { Vec::new() } else { sampler.ended() };
    for text in &ended {
        if sample.active { output.note(text) } else { output.fail(text) }
    }
}

/// Says what is waited for, unless the problem of a process or a name does.
fn report_waits(args: &Poll, sampler: &Sampler, output: &mut Output) {
    if sampler.observer.problems().any(|problem| problem.not_found.is_some()) {
        return;
    }
    let places = problems::in_directories(&sampler.observer);
    let names: Vec<_> = args.programs.iter().map(|name| escape::os(name)).collect();
    output.note(&match &*names.join(", ") {
        "" => format!("waiting for a program{places}: none is live"),
        names => format!("waiting for the next program of {names}: none is live"),
    });
}

/// Whether there are programs and a field for each pattern; reports what is missing.
fn is_ready(args: &Poll, sampler: &Sampler, sample: &Sample, output: &mut Output) -> bool {
    let messages = unmatched(&sampler.rows, || sampler.labels());
    if (sample.programs == 0 || !messages.is_empty())
        && let Some(message) = program_without_field(args)
    {
        output.usage(&message);
        return false;
    }
    if sample.programs == 0 {
        if !output.has_failed() {
            let looked = Looked::from_arguments(args.programs.is_empty());
            output.fail(&nothing(&sampler.observer, looked, None));
        }
        return false;
    }
    args::report(&messages, output)
}

/// What to write if the only argument is a program, and no field: `poll 1234`.
fn program_without_field(args: &Poll) -> Option<String> {
    if !args.programs.is_empty() || !args.prefix.is_empty() {
        return None;
    }
    let argument = OsString::from(args.fields.trim());
    let selection = Selection::parse(std::slice::from_ref(&argument));
    let mut observer = Observer::new(selection.sources.clone());
    observer.refresh();
    let programs = observer.programs();
    let selected = selection.select(&programs, false);
    let shown = escape::os(&argument);
    let is_pid = args.fields.bytes().all(|byte| byte.is_ascii_digit());
    if selected.is_empty() {
        let message =
            format!("{shown} is no field: for a process write `mmstats poll FIELD,FIELD {shown}`");
        return is_pid.then_some(message);
    }
    let fields = || selected.iter().flat_map(|p| p.files()).flat_map(|file| file.fields());
    let is_own = |label: &str| !label.starts_with("sys.");
    let counts = fields().filter(|field| field.properties().kind() == Some(Kind::Counter));
    let mut labels: Vec<&str> = counts.map(|field| field.label()).filter(|l| is_own(l)).collect();
    labels.dedup();
    labels.truncate(2);
    let example = if labels.is_empty() { "'*'".to_owned() } else { labels.join(",") };
    let kind = if is_pid { "process id" } else { "program" };
    Some(format!(
        "{shown} is a {kind}, and no field is named: `mmstats poll {} {shown}`, `mmstats poll '*' {shown}` for \
         all; `mmstats show {shown}` lists them",
        escape::text(&example),
    ))
}

/// Waits for the time of the next row, a fixed one: delays do not add up. Whether Ctrl-C came.
fn wait_for_row(stop: &Receiver<()>, start: Instant, delay: Duration, rows: u64) -> bool {
    let due = u32::try_from(rows).ok().and_then(|rows| delay.checked_mul(rows));
    let left = due.and_then(|due| due.checked_sub(start.elapsed()));
    // Past the time, perhaps after the machine slept: a whole delay.
    stop.recv_timeout(left.unwrap_or(delay)) != Err(RecvTimeoutError::Timeout)
}
