//! `mmstats diff`: the fields that differ between two programs or two moments.

mod compare;
mod print;

use std::ffi::{OsStr, OsString};
use std::io;
use std::time::SystemTime;

use clap::Args;
use mmstats_observe::Observer;

use self::compare::{Side, compare};
use super::args::{Form, exit_codes, program, selecting};
use crate::model::families;
use crate::model::head::Head;
use crate::model::pattern::Pattern;
use crate::model::recorded::{Recordings, When, state_at};
use crate::model::row;
use crate::model::selection::Selection;
use crate::output::Output;
use crate::render::paths::Paths;
use crate::render::problems;
use crate::text::escape;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Each side is a recording (as it was at its end, or --at a time), a process id or name, or a file,\n",
    "of a program that lives or has ended; a directory is its live programs, else those that have ended.\n",
    "Of several programs of a side those with the same command\n",
    "are compared, in their order. Fields are the same if label, attributes, type, kind and unit are.\n",
    "\nA line has both values and the difference; fields of one side are marked + (added) and - (gone).\n",
    "Counts of timers, histograms and averages are compared too. In a pipe a line is\n",
    "SIGN TAB LABEL TAB VALUE TAB VALUE TAB DIFFERENCE TAB UNIT, `-` for none; SIGN is ~, + or -, and\n",
    "= with --all. Identity has the labels command, pid, state (in the words of `mmstats ls`) and the like.\n",
    "Standard fields, sys.*, are left out, but for --all or a filter that names them.\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats diff --at -5m web.jsonl.gz web      a recording and now\n",
    "  mmstats diff before.jsonl.gz after.jsonl.gz\n",
    "  mmstats diff --at 21:30 --at 21:35 web.jsonl.gz web.jsonl.gz\n",
    "  mmstats diff ./web-1188.mmst ./web-1234.mmst\n",
))]
pub(crate) struct Diff {
    /// The time of each recording, as for `show --at`; given twice, that of A and that of B.
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true)]
    at: Vec<When>,

    /// Compare only fields that match, as for `show -F`.
    #[arg(short = 'F', long, value_name = "FIELD")]
    filter: Vec<String>,

    /// Show equal fields, and standard fields, too.
    #[arg(short, long)]
    all: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    form: Form,

    /// One side: a recording, process id, name, file or directory.
    #[arg(value_name = "A", value_parser = program())]
    before: OsString,

    /// The other side.
    #[arg(value_name = "B", value_parser = program())]
    after: OsString,
}

pub(crate) fn run(args: &Diff, output: &mut Output) -> io::Result<()> {
    let Ok(filter) = Pattern::all(&args.filter).inspect_err(|text| output.usage(text)) else {
        return Ok(());
    };
    let recordings =
        [&args.before, &args.after].map(|side| Recordings::find(std::slice::from_ref(side)));
    let count = recordings.iter().flatten().count();
    if args.at.len() > count {
        output.usage("--at needs a recording of `mmstats record` for each time");
        return Ok(());
    }
    // One time is that of all recordings.
    let mut times = args.at.iter().copied();
    let mut when = None;
    let mut sides = Vec::new();
    for (argument, recordings) in [&args.before, &args.after].into_iter().zip(&recordings) {
        let side = match recordings {
            Some(recordings) => {
                when = times.next().or(when);
                recorded(recordings, when, output)
            }
            None => observed(argument, output),
        };
        let Some(side) = side else { return Ok(()) };
        sides.push(side);
    }
    let [before, after] = &sides[..] else { return Ok(()) };
    let wanted = |row: &row::Row| match filter.is_empty() {
        true => args.all || !row.is_standard(),
        false => filter.iter().any(|pattern| pattern.matches(&row.field)),
    };
    let pairs = compare(before, after, wanted, args.all);
    if args.json {
        return print::json([before, after], &pairs, output);
    }
    print::lines([before, after], &pairs, args.form.screen(output), output)
}

fn recorded(recordings: &Recordings, when: Option<When>, output: &mut Output) -> Option<Side> {
    let found = recordings.open().and_then(|recording| state_at(&recording, when));
    let found = found.map_err(|message| output.fail(&message)).ok()?;
    found.notes.iter().for_each(|note| output.note(note));
    let time = found.state.time();
    let mut side = Side { time, programs: Vec::new() };
    for program in recordings.select(&found.state, false) {
        let head = Head::from_recorded(program, time);
        if let Some(text) = problems::incomplete_head(&head) {
            output.set_incomplete();
            output.note(&text);
        }
        side.add(&head, families::arrange(row::recorded(program.totals())));
    }
    side.or_failure(recordings.files.first(), output)
}

fn observed(argument: &OsStr, output: &mut Output) -> Option<Side> {
    let selection = Selection::parse(&[argument.to_owned()]);
    let mut observer = Observer::new(selection.sources.clone());
    observer.refresh();
    let time = SystemTime::now();
    let programs = observer.programs();
    // As a process id or a name, a directory without a live program stands for those that have ended.
    let mut selected = selection.select(&programs, false);
    if selected.is_empty() {
        selected = selection.select(&programs, true);
    }
    problems::report_named(&observer, problems::WhenMissing::Fail, &Paths::default(), output);
    problems::report_incomplete(selected.iter().copied(), output);
    let mut side = Side { time, programs: Vec::new() };
    for program in selected {
        side.add(&Head::from_program(program, time), families::arrange(row::combined(program)));
    }
    side.or_failure(Some(argument), output)
}

impl Side {
    /// The side, if it has a program.
    fn or_failure(self, argument: Option<impl AsRef<OsStr>>, output: &mut Output) -> Option<Self> {
        if self.programs.is_empty() && !output.has_failed() {
            let argument = argument.map_or_else(String::new, |side| escape::os(side.as_ref()));
            output.fail(&format!(
                "{argument}: there is no program to compare; `mmstats ls` lists them"
            ));
        }
        (!self.programs.is_empty()).then_some(self)
    }
}
