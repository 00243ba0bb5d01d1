//! The arguments of `poll`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::sample::Rows;
use crate::command::args::{Form, count, exit_codes, program, seconds, selecting};
use crate::model::globs;
use crate::model::pattern::Pattern;
#[cfg(feature = "record")]
use crate::model::recorded::When;
use crate::model::similar;
use crate::output::Output;

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
    "end are removed; poll ends with the last named program, and says how it ended. That is no error, but\n",
    "with --count, if there were fewer rows, and if all that is named, also a file, had ended before.\n",
    "Rates of programs that have ended are `-`. With --follow it waits for the next ones, and says which\n",
    "they are. Ctrl-C ends it with code 0.\n",
    "\nConditions select fields by attributes, with globs: key=\"5*\" and key!=\"404\"; they have a\n",
    "column of their own beside that of all fields of the label. Globs leave out constants and the\n",
    "standard fields: name the constants, `sys.*` selects the others.\n",
    "\nA quantile beyond the buckets of its histogram is `>60` or `<=0.001`. No value is `-`: nothing\n",
    "was counted, or it is not known, because a value went down or could not be read.\n",
    "\nThe header is repeated once a screen, in a pipe every 20 rows. In a pipe numbers have no\n",
    "grouping and no units: bytes, seconds, per second, and in a column whose head has a unit\n",
    "that unit; a timestamp is seconds since 1970.\n",
    selecting!(),
    "\nA recording of `mmstats record` has the rows of its looks, one each DELAY, --from one time --to\n",
    "another; process ids and names behind it select its programs. Where nothing was recorded, and how a\n",
    "program ended, it is said; a program that has ended has no values. Times: see `mmstats show`.\n",
    "\nExamples:\n",
    "  mmstats poll requests,errors\n",
    "  mmstats poll -d 5 -c 12 -p http. 'requests,latency' 1234\n",
    "  mmstats poll 'http.requests,http.requests{status=\"5*\"}' web\n",
    "  mmstats poll --follow requests web\n",
    "  mmstats poll --from -5m -d 10 requests web.jsonl.gz\n",
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

    /// Begin a recording at this time: as 2026-11-29T21:35:10Z, 21:35:10 (local), -5m (before its end)
    /// or @1796000000 [default: its begin].
    #[cfg(feature = "record")]
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true)]
    pub(crate) from: Option<When>,

    /// End a recording at this time [default: its end].
    #[cfg(feature = "record")]
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true)]
    pub(crate) to: Option<When>,

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

/// The patterns of all fields.
///
/// # Errors
///
/// The message, escaped.
pub(super) fn patterns(args: &Poll) -> Result<Vec<Pattern>, String> {
    let fields = globs::split(&args.fields);
    if fields.is_empty() {
        return Err("no field is named; `mmstats show` lists them".to_owned());
    }
    fields.iter().map(|field| Pattern::new(&args.prefix, field)).collect()
}

/// A message about each pattern that no field matches, and whether it is wrong by itself.
pub(super) fn unmatched<'a>(rows: &Rows, labels: impl Fn() -> Vec<&'a str>) -> Vec<(bool, String)> {
    let mut known = None;
    let message = |pattern: &Pattern| {
        let text = pattern.shown();
        let labels = known.get_or_insert_with(&labels);
        let is_known = || labels.iter().any(|label| pattern.matches_label(label));
        let hint = match pattern.selector().is_empty() && is_known() {
            true => {
                "; globs leave out constants and the fields of the library: name them, or 'sys.*'"
                    .to_owned()
            }
            false => similar::near_pattern(pattern, labels),
        };
        let message = format!("no field '{text}'{hint}");
        match pattern.bad_glob() {
            Some(why) => (true, format!("{message}; as a glob: {why}")),
            None => (false, message),
        }
    };
    rows.unmatched().map(message).collect()
}

/// Reports the messages of [`unmatched`]. Returns whether there is none.
pub(super) fn report(messages: &[(bool, String)], output: &mut Output) -> bool {
    for (is_usage, message) in messages {
        if *is_usage { output.usage(message) } else { output.fail(message) }
    }
    messages.is_empty()
}
