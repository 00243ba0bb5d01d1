//! `mmstats poll`: rows of rates and values, like vmstat.

mod column;
mod json;
mod sample;
mod series;
mod table;
mod texts;
mod views;

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::Args;

use self::json::Document;
use self::sample::{Sample, Sampler};
use super::args::{Form, count, exit_codes, program, seconds, selecting};
use crate::json::write_line;
use crate::model::globs;
use crate::model::pattern::Pattern;
use crate::model::selection::Selection;
use crate::model::similar;
use crate::model::watched::Watched;
use crate::output::Output;
use crate::render::problems::{self, ProblemLog};

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Each row covers the time since the row before; the first row comes after one DELAY, so that\n",
    "`-c 1` is one interval. Counters are shown as rates per second; timers and averages as a rate\n",
    "and the mean of the interval; histograms as a rate and the quantiles 0.5 and 0.99 of the\n",
    "interval; other fields as their value. In the first row durations and values of a field that\n",
    "counted nothing in the interval are those of its whole life, and the header says so.\n",
    "\nFields of one label are combined over attributes, threads and all live programs that match,\n",
    "if unit, type, kind and rule are the same. Else they have columns of their own, with a word\n",
    "that tells them apart: `lag(seconds)`. Programs that start meanwhile are added, those that\n",
    "end are removed; poll ends with the last named program, and says how it ended. Rates of programs\n",
    "that have ended are `-`. With --follow it waits for the next ones, and says which they are.\n",
    "\nConditions select fields by attributes, with globs: key=\"5*\" and key!=\"404\"; they have a\n",
    "column of their own beside that of all fields of the label. Globs leave out constants and the\n",
    "standard fields: name the constants, `sys.*` selects the others.\n",
    "\nA quantile beyond the buckets of its histogram is `>60` or `<=0.001`. No value is `-`: nothing\n",
    "was counted, or it is not known, because a value went down or could not be read.\n",
    "\nThe header is repeated once a screen, in a pipe every 20 rows. In a pipe numbers have no\n",
    "grouping and no units: bytes, seconds, per second, and in a column whose head has a unit\n",
    "that unit; a timestamp is seconds since 1970.\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats poll requests,errors\n",
    "  mmstats poll -d 5 -c 12 -p http. 'requests,latency' 1234\n",
    "  mmstats poll 'http.requests,http.requests{status=\"5*\"}' web\n",
    "  mmstats poll --follow requests web\n",
    "  mmstats poll --json '*.bytes' | jq .fields\n"
))]
pub(crate) struct Poll {
    /// Seconds between rows.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) delay: Duration,

    /// End after this many rows [default: never].
    #[arg(short, long, value_name = "N", value_parser = count)]
    pub(crate) count: Option<u64>,

    /// Prefix of each FIELD, left out of the header.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,

    /// Continue when the named programs have ended: with those of the same names that start later, and
    /// for a process id with the one of the same command and user that replaces it.
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Print a JSON document for each row.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) form: Form,

    /// Labels, globs for labels, or both with conditions as in 'http.*{status="5*"}', separated by
    /// commas.
    #[arg(value_name = FIELDS)]
    pub(crate) fields: String,

    /// Process ids, names of programs, files or directories [default: all live programs of this user].
    #[arg(value_name = "PID|NAME|PATH", value_parser = program())]
    pub(crate) programs: Vec<OsString>,
}

/// The fields, in the usage.
pub(crate) const FIELDS: &str = "FIELD,FIELD...";

pub(crate) fn run(args: &Poll, output: &mut Output) -> io::Result<()> {
    let Ok(patterns) = patterns(args).inspect_err(|text| output.usage(text)) else {
        return Ok(());
    };
    let mut selection = Selection::parse(&args.programs);
    if args.follow {
        selection = selection.following();
    }
    // Whether the rows end with the programs.
    let named = !selection.is_empty() && !args.follow;
    let mut sampler = Sampler::new(selection, patterns);
    let mut sample = sampler.sample();
    problems::report_waiting(&sampler.observer, args.follow, output);
    let mut problem_log = ProblemLog::new(&sampler.observer);
    sampler.report_incomplete(&mut problem_log, output);
    let waits = args.follow && sample.programs == 0;
    if !waits && !is_ready(&sampler, &sample, output) {
        return Ok(());
    }
    let mut table = table::Table::new(&args.prefix);
    let (start, mut rows) = (Instant::now(), 0_u64);
    let mut watched = Watched::with_hints();
    sampler.news(&mut watched, args.follow);
    report_ended(&sampler, &sample, args.follow, output);
    loop {
        rows += 1;
        wait_for_row(start, args.delay, rows);
        sample = sampler.sample();
        let news = sampler.news(&mut watched, args.follow);
        news.iter().for_each(|news| output.note(news));
        // A file may be truncated meanwhile.
        problem_log.report_new(&sampler.observer, output);
        sampler.report_incomplete(&mut problem_log, output);
        let columns = &sampler.columns.all;
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
            if news.is_empty() {
                output.note("no named program is live any more");
            }
            return Ok(());
        }
    }
}

fn patterns(args: &Poll) -> Result<Vec<Pattern>, String> {
    let fields = globs::split(&args.fields);
    if fields.is_empty() {
        return Err("no field is named; `mmstats show` lists them".to_owned());
    }
    fields.iter().map(|field| Pattern::new(&args.prefix, field)).collect()
}

/// Says which programs that were asked for by process id or name have ended. An error if none of them
/// lives: their counts stand still.
fn report_ended(sampler: &Sampler, sample: &Sample, follow: bool, output: &mut Output) {
    let ended = if follow { Vec::new() } else { sampler.ended() };
    for text in &ended {
        if sample.active { output.note(text) } else { output.fail(text) }
    }
}

/// Whether there are programs and a field for each pattern; reports what is missing.
fn is_ready(sampler: &Sampler, sample: &Sample, output: &mut Output) -> bool {
    if sample.programs == 0 {
        if !output.has_failed() {
            let places = problems::in_directories(&sampler.observer);
            output.fail(&format!("no live program{places}; try `mmstats ls`"));
        }
        return false;
    }
    let mut ready = true;
    let mut labels = None;
    for pattern in sampler.unmatched() {
        let labels = labels.get_or_insert_with(|| sampler.labels());
        let text = pattern.shown();
        let hint = if labels.iter().any(|label| pattern.matches_label(label)) {
            let reason = match pattern.selector().is_empty() {
                true => {
                    "globs leave out constants and the fields of the library: name them, or 'sys.*'"
                }
                false => "the label has no field with such attributes, `mmstats show` lists all",
            };
            format!("; {reason}")
        } else {
            similar::near(pattern.label(), labels)
        };
        let message = format!("no field '{text}'{hint}");
        match pattern.bad_glob() {
            Some(why) => output.usage(&format!("{message}; as a glob: {why}")),
            None => output.fail(&message),
        }
        ready = false;
    }
    ready
}

/// Waits for the time of the next row, a fixed one: delays do not add up.
fn wait_for_row(start: Instant, delay: Duration, rows: u64) {
    let due = u32::try_from(rows).ok().and_then(|rows| delay.checked_mul(rows));
    let left = due.and_then(|due| due.checked_sub(start.elapsed()));
    // Past the time, perhaps after the machine slept: a whole delay.
    std::thread::sleep(left.unwrap_or(delay));
}
