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
use super::args::{Form, exit_codes, seconds, selecting};
use crate::json::write_line;
use crate::model::globs;
use crate::model::pattern::Pattern;
use crate::model::selection::Selection;
use crate::output::Output;
use crate::render::problems::{self, ProblemLog};
use crate::text::escape;

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
    "end are removed; poll ends with the last named program.\n",
    "\nConditions select fields by attributes, with globs: key=\"5*\" and key!=\"404\"; they have a\n",
    "column of their own beside that of all fields of the label. Globs leave out the standard fields;\n",
    "`sys.*` selects them.\n",
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
    #[arg(short, long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Prefix of each FIELD, left out of the header.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,

    /// Continue when the named programs have ended, with those of the same names that start later.
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Print a JSON document for each row.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) form: Form,

    /// Labels, globs for labels, or both with conditions as in 'http.*{status="5*"}', separated by
    /// commas.
    #[arg(value_name = "FIELD,FIELD...")]
    pub(crate) fields: String,

    /// Process ids, names of programs, files or directories [default: all live programs of this user].
    #[arg(value_name = "PID|NAME|PATH")]
    pub(crate) programs: Vec<OsString>,
}

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
    loop {
        rows += 1;
        wait_for_row(start, args.delay, rows);
        sample = sampler.sample();
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
            output.note("no named program is live any more");
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
        let near = similar_labels(pattern.label(), labels);
        let near: Vec<_> = near.iter().map(|label| format!("'{}'", escape::text(label))).collect();
        let hint = if labels.iter().any(|label| pattern.matches_label(label)) {
            let reason = match pattern.selector().is_empty() {
                true => "globs leave out the fields of the library, which 'sys.*' selects",
                false => "the label has no field with such attributes, `mmstats show` lists all",
            };
            format!("; {reason}")
        } else if near.is_empty() {
            "; `mmstats show` lists all".to_owned()
        } else {
            format!("; near it are {}", near.join(", "))
        };
        output.fail(&format!("no field '{text}'{hint}"));
        ready = false;
    }
    ready
}

/// At most three labels, the most similar to `text` first.
fn similar_labels<'a>(text: &str, labels: &[&'a str]) -> Vec<&'a str> {
    let plain = text.replace(['*', '?'], "").to_lowercase();
    let score = |label: &str| {
        let label = label.to_lowercase();
        let end = label.rsplit('.').next().unwrap_or_default();
        let inside = !plain.is_empty() && (label.contains(&plain) || plain.contains(&label));
        let alike = strsim::normalized_damerau_levenshtein(&plain, &label)
            .max(strsim::normalized_damerau_levenshtein(&plain, end));
        if inside { 1.0 + alike } else { alike }
    };
    let mut scored: Vec<(f64, &str)> = labels.iter().map(|label| (score(label), *label)).collect();
    scored.retain(|(score, _)| *score >= 0.5);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by_key(|(_, label)| *label);
    scored.into_iter().take(3).map(|(_, label)| label).collect()
}

/// Waits for the time of the next row, a fixed one: delays do not add up.
fn wait_for_row(start: Instant, delay: Duration, rows: u64) {
    let due = u32::try_from(rows).ok().and_then(|rows| delay.checked_mul(rows));
    let left = due.and_then(|due| due.checked_sub(start.elapsed()));
    // Past the time, perhaps after the machine slept: a whole delay.
    std::thread::sleep(left.unwrap_or(delay));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_labels_orders_by_similarity() {
        let labels = ["http.requests", "http.errors", "db.reads", "sys.pid"];
        assert_eq!(similar_labels("requsts", &labels), ["http.requests"]);
        assert_eq!(similar_labels("errors", &labels)[0], "http.errors");
        assert_eq!(similar_labels("HTTP.*", &labels), ["http.errors", "http.requests"]);
        assert!(similar_labels("zzzzzzzzz", &labels).is_empty());
    }
}
