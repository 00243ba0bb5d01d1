//! `mmstats show`: fields with their values.

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::SystemTime;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use globset::GlobSet;
use mmstats_observe::{Level, Observer, Program};

use super::args::{TRY_DEMO, exit_codes};
use crate::json;
use crate::model::globs;
use crate::model::row::{self, Row, Section};
use crate::model::selection::Selection;
use crate::output::{Output, Screen};
use crate::render::problems::{self, MAX_DAMAGED};
use crate::render::{field, program};
use crate::text::escape;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Values of the writing threads (lanes) are combined by the rule of each field. A named file is\n",
    "shown in any state, and the dead files of a process id if it has no live one.\n",
    "\nEach field has a level: info (for all users), diagnostic (to analyse a problem) or debug\n",
    "(for the program's developers). Fields of level info are shown, also in a pipe; with -v,\n",
    "--json or --filter fields of all levels. --level overrides both. On a terminal the standard\n",
    "fields, sys.*, are shown from level diagnostic on: the header line has most of them.\n",
    "\nPiped, a value is a line: LABEL TAB VALUE TAB UNIT TAB PID TAB FILE. Numbers are exact\n",
    "and not grouped; timers are `count=.. sum=.. min=.. max=.. last=..` in nanoseconds; no\n",
    "value is `-`. Attributes follow the label as {key=\"value\"}, a lane as [0].\n",
    "\nExamples:\n",
    "  mmstats show\n",
    "  mmstats show -v --lanes 1234\n",
    "  mmstats show --level debug 1234\n",
    "  mmstats show --filter 'http.*' --filter '*.errors'\n",
    "  mmstats show --all | grep requests\n",
    "  mmstats show --json core-of-web.mmst | jq '.files[].fields[] | {label, value}'\n"
))]
pub(crate) struct Show {
    /// Show help, types, attributes and exact values too.
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Show each lane (writing thread) separately.
    #[arg(short, long)]
    pub(crate) lanes: bool,

    /// Show dead and closed files too.
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Show only fields whose label matches, of any level; may be repeated.
    #[arg(short, long, value_name = "GLOB")]
    pub(crate) filter: Vec<String>,

    /// Show fields up to this level: info, diagnostic or debug (all) [default: info].
    #[arg(short = 'L', long, value_name = "LEVEL", hide_possible_values = true,
          value_parser = level_parser())]
    pub(crate) level: Option<Level>,

    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,

    /// Files, directories or process ids [default: all live programs of this user].
    #[arg(value_name = "PATH|PID|DIR")]
    pub(crate) programs: Vec<OsString>,
}

/// Names of levels; none is higher than debug.
fn level_parser() -> impl TypedValueParser<Value = Level> {
    let [info, diagnostic, debug] = ["info", "diagnostic", "debug"].map(PossibleValue::new);
    PossibleValuesParser::new([info, diagnostic, debug.alias("all")]).map(|name| match &*name {
        "info" => Level::Info,
        "diagnostic" => Level::Diagnostic,
        _ => Level::Debug,
    })
}

pub(crate) fn run(args: &Show, output: &mut Output) -> io::Result<()> {
    let Ok(filter) = globs::glob_set(&args.filter).inspect_err(|text| output.usage(text)) else {
        return Ok(());
    };
    let selection = Selection::parse(&args.programs);
    let mut observer = Observer::new(selection.sources.clone());
    observer.refresh();
    let programs = observer.programs();
    let selected: Vec<&Program<'_>> = selection.select(&programs, args.all).collect();
    let screen = output.screen();
    let levels = Levels::new(args, screen);
    let shown: Vec<Section<'_>> = selected
        .iter()
        .map(|program| levels.section(program, rows(program, args.lanes, filter.as_ref())))
        .filter(|s| filter.is_none() || !s.rows.is_empty() || !s.hidden.is_empty())
        .collect();
    print(args, &shown, screen, output)?;
    problems::report(&observer, output);
    problems::report_incomplete(shown.iter().map(|section| section.program), output);
    for section in &shown {
        report_damaged_values(section, output);
    }
    if shown.is_empty() && !output.has_failed() {
        output.fail(&nothing_shown(&observer, &selection, selected.len(), programs.len()));
    }
    Ok(())
}

/// The levels that are shown: all with `--verbose`, `--json` or `--filter`, else info.
#[derive(Debug, Clone, Copy)]
struct Levels {
    max: Level,
    /// Whether standard fields are hidden whatever their level.
    hide_standard: bool,
}

impl Levels {
    fn new(args: &Show, screen: Screen) -> Self {
        let all = args.verbose || args.json || !args.filter.is_empty();
        let max = args.level.unwrap_or(if all { Level::Debug } else { Level::Info });
        Self { max, hide_standard: max == Level::Info && screen.is_terminal() && !all }
    }

    fn section<'a>(self, program: &'a Program<'a>, rows: Vec<Row>) -> Section<'a> {
        let shown = |row: &Row| {
            row.field.properties.level() <= self.max && !(self.hide_standard && row.is_standard())
        };
        let (rows, hidden) = rows.into_iter().partition(shown);
        Section { program, rows, hidden }
    }
}

fn rows(program: &Program<'_>, lanes: bool, filter: Option<&GlobSet>) -> Vec<Row> {
    let mut rows = if lanes { row::by_lane(program) } else { row::combined(program) };
    if let Some(filter) = filter {
        rows.retain(|row| filter.is_match(&row.field.label));
    }
    rows
}

fn print(
    args: &Show,
    shown: &[Section<'_>],
    screen: Screen,
    output: &mut Output,
) -> io::Result<()> {
    if args.json {
        return json::write_line(output, &json::document(shown));
    }
    if !screen.is_terminal() && !args.verbose {
        for section in shown {
            for row in &section.rows {
                writeln!(output, "{}", program::piped(section.program, row))?;
            }
        }
        return Ok(());
    }
    for (at, section) in shown.iter().enumerate() {
        if at > 0 {
            writeln!(output)?;
        }
        for line in program::section(section, args.verbose, SystemTime::now()) {
            writeln!(output, "{}", line.render(screen.width()))?;
        }
    }
    Ok(())
}

/// Reports damaged values of undamaged fields.
fn report_damaged_values(section: &Section<'_>, output: &mut Output) {
    let Some(file) = section.program.files().first() else { return };
    let rows = section.rows.iter().chain(&section.hidden);
    let damaged = rows.filter(|row| !row.field.label.is_empty());
    for (row, damage) in damaged.filter_map(|row| row.damage().map(|d| (row, d))).take(MAX_DAMAGED)
    {
        let (path, name) = (escape::path(file.path()), field::name(row));
        let (code, offset) = (damage.code, damage.offset);
        let text = format!("{path}: the value of {name} is damaged ({code} at byte {offset})");
        problems::write(file.named(), &text, output);
    }
}

/// The reason why nothing was shown.
fn nothing_shown(
    observer: &Observer,
    selection: &Selection,
    selected: usize,
    found: usize,
) -> String {
    let places = problems::in_directories(observer);
    if selected > 0 {
        "no field matches the filter; `mmstats show` without it lists all".to_owned()
    } else if found > 0 {
        format!("no live program{places}; `--all` shows the {found} that ended too")
    } else if selection.is_empty() {
        format!("no program publishes{places}{TRY_DEMO}")
    } else {
        format!("no program publishes{places}")
    }
}
