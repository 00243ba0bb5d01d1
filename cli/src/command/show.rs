//! `mmstats show`: fields with their values.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io::{self, Write};
use std::time::SystemTime;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use globset::GlobSet;
use mmstats_observe::{Damage, Level, Observer, Program};

use super::args::{TRY_DEMO, exit_codes, selecting};
use crate::json;
use crate::model::globs;
use crate::model::row::{self, Row};
use crate::model::section::Section;
use crate::model::selection::Selection;
use crate::model::threads::Threads;
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
    selecting!(),
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

    /// Process ids, names of programs, files or directories [default: all live programs of this user].
    #[arg(value_name = "PID|NAME|PATH")]
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
    let sections =
        Sections { args, levels, filter, shown: Cell::new(0), damage: RefCell::default() };
    // A program at a time: the fields of all of them need not fit in the memory.
    if args.json {
        let documents = selected.iter().filter_map(|program| sections.section(program));
        json::write_line(output, &json::Documents::new(documents))?;
    } else {
        for program in &selected {
            let Some(section) = sections.section(program) else { continue };
            print(args, &section, sections.shown.get() == 1, screen, output)?;
        }
    }
    problems::report(&observer, output);
    problems::report_incomplete(selected.iter().copied(), output);
    for (named, text) in sections.damage.take() {
        problems::write(named, &text, output);
    }
    if sections.shown.get() == 0 && !output.has_failed() {
        output.fail(&nothing_shown(&observer, &selection, selected.len(), programs.len()));
    }
    Ok(())
}

/// Makes the sections of programs, one after the other.
struct Sections<'s> {
    args: &'s Show,
    levels: Levels,
    filter: Option<GlobSet>,
    /// Number of sections that were made.
    shown: Cell<usize>,
    /// Damaged values of undamaged fields, and whether their files were named.
    damage: RefCell<Vec<(bool, String)>>,
}

impl Sections<'_> {
    /// The section of a program; `None` if no field matches the filter.
    fn section<'a>(&self, program: &'a Program<'a>) -> Option<Section<'a>> {
        let (rows, threads) = rows(program, self.args.lanes, self.filter.as_ref());
        let section = self.levels.section(program, rows, threads);
        if self.filter.is_some() && section.rows.is_empty() && section.hidden.is_empty() {
            return None;
        }
        self.shown.set(self.shown.get() + 1);
        let mut damage = self.damage.borrow_mut();
        if damage.len() < MAX_MESSAGES {
            damage.extend(damaged_values(&section));
        }
        Some(section)
    }
}

/// Maximum number of messages about damaged values of all programs.
const MAX_MESSAGES: usize = 1_000;

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

    fn section<'a>(
        self,
        program: &'a Program<'a>,
        rows: Vec<Row>,
        threads: Threads,
    ) -> Section<'a> {
        let shown = |row: &Row| {
            row.field.properties.level() <= self.max && !(self.hide_standard && row.is_standard())
        };
        let (rows, hidden) = rows.into_iter().partition(shown);
        Section { program, rows, hidden, threads }
    }
}

/// The rows that match the filter, and the threads of all lanes.
fn rows(program: &Program<'_>, lanes: bool, filter: Option<&GlobSet>) -> (Vec<Row>, Threads) {
    let mut rows = if lanes { row::by_lane(program) } else { row::combined(program) };
    let threads = Threads::new(&rows);
    if let Some(filter) = filter {
        rows.retain(|row| filter.is_match(&row.field.label));
    }
    (rows, threads)
}

fn print(
    args: &Show,
    section: &Section<'_>,
    first: bool,
    screen: Screen,
    output: &mut Output,
) -> io::Result<()> {
    if !screen.is_terminal() && !args.verbose {
        for row in &section.rows {
            writeln!(output, "{}", program::piped(section.program, row))?;
        }
        return Ok(());
    }
    if !first {
        writeln!(output)?;
    }
    for line in program::section(section, args.verbose, SystemTime::now()) {
        writeln!(output, "{}", line.render(screen.width()))?;
    }
    Ok(())
}

/// Messages about damaged values of undamaged fields, and whether the file was named.
fn damaged_values(section: &Section<'_>) -> Vec<(bool, String)> {
    let Some(file) = section.program.files().first() else { return Vec::new() };
    let rows = section.rows.iter().chain(&section.hidden);
    let damaged = rows.filter(|row| !row.field.label.is_empty());
    let damaged = damaged.filter_map(|row| row.damage().map(|damage| (row, damage)));
    let message = |(row, damage): (&Row, Damage)| {
        let (path, name) = (escape::path(file.path()), field::name(row));
        let (code, offset) = (damage.code, damage.offset);
        (file.named(), format!("{path}: the value of {name} is damaged ({code} at byte {offset})"))
    };
    damaged.take(MAX_DAMAGED).map(message).collect()
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
