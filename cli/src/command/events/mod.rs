//! `mmstats events`: the lines that programs recorded, in the order of their times.

mod printer;
mod rings;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use clap::Args;
use mmstats_observe::Observer;

use self::printer::Printer;
use self::rings::{Rings, sort_by_time};
use super::args::{Form, exit_codes, interrupt, lines, live_program, seconds, selecting};
use crate::model::pattern::Pattern;
use crate::model::selection::Selection;
use crate::model::watched;
use crate::output::Output;
use crate::render::missing::{Looked, nothing};
use crate::render::problems::{self, ProblemLog};
use crate::text::escape;

/// Lines that `--follow` prints at first, without `--lines`.
const LINES_BEFORE_FOLLOW: usize = 10;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "An events field is a ring of the last lines of text with their times: the black box of a\n",
    "program. Lines of all rings, lanes and programs are merged by time. Programs that ended are\n",
    "read too, because the lines before a crash matter most; --live leaves them out. With -f, the\n",
    "last 10 lines (or -n) come first, then new lines, also of programs that start meanwhile;\n",
    "Ctrl-C ends it with code 0. The number of lines that were overwritten before they were read\n",
    "is printed.\n",
    "\nIn a pipe, a line is TIME TAB PID TAB COMMAND TAB LABEL TAB LANE TAB TEXT, in UTC to the\n",
    "nanosecond, with control characters as \\n or \\u{1b}; lost lines are reported on standard\n",
    "error. --json prints an object for each line, the time in nanoseconds since 1970; lost lines\n",
    "are objects with \"lost\".\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats events -n 20\n",
    "  mmstats events -f -F '*.errors' web\n",
    "  mmstats events /srv/stats/web.mmst | cut -f 1,6\n"
))]
pub(crate) struct Events {
    /// Continue with new lines until Ctrl-C.
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Print only the last N lines at first [default: all; 10 with -f].
    #[arg(short = 'n', long, value_name = "N", value_parser = lines)]
    pub(crate) lines: Option<usize>,

    /// Print only lines of fields that match, as GLOB or GLOB{key="GLOB"}; separated by commas, or
    /// repeated.
    #[arg(short = 'F', long, value_name = "FIELD")]
    pub(crate) filter: Vec<String>,

    /// Leave out programs that ended, except named ones.
    #[arg(long)]
    pub(crate) live: bool,

    /// Seconds between two readings, with -f.
    #[arg(short, long, value_name = "SECONDS", default_value = "0.2", value_parser = seconds,
          requires = "follow")]
    pub(crate) delay: Duration,

    /// Print a JSON document for each line.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) form: Form,

    /// Process ids, names of programs, files or directories [default: all programs of this user].
    #[arg(value_name = "PID|NAME|PATH", value_parser = live_program())]
    pub(crate) programs: Vec<OsString>,
}

pub(crate) fn run(args: &Events, output: &mut Output) -> io::Result<()> {
    let Ok(filter) = Pattern::all(&args.filter).inspect_err(|text| output.usage(text)) else {
        return Ok(());
    };
    // Before the first line, so that Ctrl-C never cuts one.
    let stop = if args.follow { Some(interrupt()?) } else { None };
    let selection = Selection::parse(&args.programs);
    let mut observer = Observer::new(selection.sources.clone());
    let mut rings = Rings::new(selection, filter, !args.live);
    observer.refresh();
    let mut entries = rings.new_entries(&observer);
    let mut printer = Printer::new(args.json, args.form.screen(output));
    let max = args.lines.or(args.follow.then_some(LINES_BEFORE_FOLLOW)).unwrap_or(usize::MAX);
    let cut = entries.len().saturating_sub(max);
    entries.drain(..cut);
    if cut == 0 {
        printer.overwritten(rings.overwritten(), output)?;
    }
    printer.print(&entries, output)?;
    problems::report_waiting(&observer, args.follow, output);
    let unread = report_unread(&mut rings, 0, output);
    let mut problem_log = ProblemLog::new(&observer);
    problem_log.report_incomplete(rings.selected(&observer.programs()), output);
    match stop {
        Some(stop) => {
            if rings.selected(&observer.programs()).is_empty() && !problems::has_missing(&observer)
            {
                let places = problems::in_directories(&observer);
                output.note(&format!("waiting for a program{places}"));
            }
            let screen = (&mut printer, &mut problem_log);
            follow(args, &mut observer, (&mut rings, unread), screen, &stop, output)
        }
        None => {
            if rings.is_empty() && unread == 0 && !output.has_failed() {
                let of = match args.filter.first() {
                    Some(first) => format!(" that match the filter '{}'", escape::text(first)),
                    None => String::new(),
                };
                let programs = observer.programs();
                output.fail(&match rings.selected(&programs)[..] {
                    [program] => format!("{} has no events{of}", watched::name(program)),
                    [_, ..] if !args.programs.is_empty() => {
                        format!("none of these programs has events{of}")
                    }
                    [] => {
                        nothing(&observer, Looked::from_arguments(args.programs.is_empty()), None)
                    }
                    _ => {
                        let places = problems::in_directories(&observer);
                        format!("no program has events{of}{places}")
                    }
                });
            }
            Ok(())
        }
    }
}

fn follow(
    args: &Events,
    observer: &mut Observer,
    (rings, mut unread): (&mut Rings, usize),
    (printer, problem_log): (&mut Printer, &mut ProblemLog),
    stop: &Receiver<()>,
    output: &mut Output,
) -> io::Result<()> {
    loop {
        output.flush()?;
        if stop.recv_timeout(args.delay) != Err(RecvTimeoutError::Timeout) || output.is_closed() {
            return Ok(());
        }
        let changes = observer.refresh();
        let mut entries = rings.final_entries(&changes.vanished);
        entries.extend(rings.new_entries(observer));
        sort_by_time(&mut entries);
        printer.print(&entries, output)?;
        unread = report_unread(rings, unread, output);
        problem_log.report_new(observer, output);
        problem_log.report_incomplete(rings.selected(&observer.programs()), output);
    }
}

/// Reports files whose events were not read, if there are more than `before`; the exit code becomes 3.
/// Returns the highest number so far.
fn report_unread(rings: &mut Rings, before: usize, output: &mut Output) -> usize {
    let count = rings.take_unread();
    if count > 0 {
        output.set_incomplete();
    }
    if count > before {
        let files = if count == 1 { "file" } else { "files" };
        output.note(&format!("the events of {count} {files} were not read: together too large"));
    }
    count.max(before)
}
