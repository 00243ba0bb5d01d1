//! `mmstats show`: fields with their values.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::time::SystemTime;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use mmstats_observe::{Damage, Level, Observer, Program, ProgramId};

use super::args::{Form, TRY_DEMO, exit_codes, program, selecting};
use super::watch::Watch;
use crate::json;
use crate::model::families;
use crate::model::pattern::Pattern;
use crate::model::row::{self, Row};
use crate::model::section::Section;
use crate::model::selection::Selection;
use crate::model::similar;
use crate::model::threads::Threads;
use crate::model::watched::Watched;
use crate::output::{Output, Screen};
use crate::render::paths::Paths;
use crate::render::problems::{self, MAX_DAMAGED, WhenMissing};
use crate::render::{field, program as lines};

#[derive(Debug, Default, Args)]
#[command(after_long_help = exit_codes!(
    "Values of the writing threads (lanes) are combined by the rule of each field. A named file is\n",
    "shown in any state, and the dead files of a process id if it has no live one. --watch keeps to\n",
    "the programs that live: one that ends meanwhile stays with its last values, or goes with its\n",
    "file, and earlier ones do not take its place.\n",
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
    "  mmstats show -F 'http.*' -F '*.errors' web\n",
    "  mmstats show -F 'http.requests{status=\"5*\"}' web\n",
    "  mmstats show --watch web\n",
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

    /// Show only fields that match, as GLOB or GLOB{key="GLOB"}, of any level; separated by commas,
    /// or repeated.
    #[arg(short = 'F', long, value_name = "FIELD")]
    pub(crate) filter: Vec<String>,

    /// Show fields up to this level: info, diagnostic or debug (all) [default: info].
    #[arg(short = 'L', long, value_name = "LEVEL", hide_possible_values = true,
          value_parser = level_parser())]
    pub(crate) level: Option<Level>,

    /// Print one JSON document; with --watch one each time.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) form: Form,

    #[command(flatten)]
    pub(crate) watch: Watch,

    /// Process ids, names of programs, files or directories [default: all live programs of this user].
    #[arg(value_name = "PID|NAME|PATH", value_parser = program())]
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
    run_with_paths(args, Paths::default(), output)
}

/// As [`run`], with other names for paths.
pub(crate) fn run_with_paths(args: &Show, paths: Paths, output: &mut Output) -> io::Result<()> {
    let Ok(filter) = Pattern::all(&args.filter).inspect_err(|text| output.usage(text)) else {
        return Ok(());
    };
    let selection = Selection::parse(&args.programs);
    let mut observer = Observer::new(selection.sources.clone());
    let mut shown = Shown { args, filter, selection, paths, frames: Frames::default() };
    if args.watch.is_on() {
        return args.watch.repeat(
            args.form,
            args.json,
            &mut observer,
            output,
            |observer, output| shown.once(observer, output),
        );
    }
    observer.refresh();
    shown.once(&observer, output).map(drop)
}

/// What is shown, once or again and again.
struct Shown<'s> {
    args: &'s Show,
    filter: Vec<Pattern>,
    selection: Selection,
    paths: Paths,
    frames: Frames,
}

/// What earlier frames have shown.
#[derive(Default)]
struct Frames {
    count: u64,
    /// Programs that had ended before the first frame and were not shown in it: they do not take the
    /// place of one that ends later.
    passed_over: HashSet<ProgramId>,
    watched: Watched,
}

impl Shown<'_> {
    /// Returns what has happened since the time before.
    fn once(&mut self, observer: &Observer, output: &mut Output) -> io::Result<Vec<String>> {
        let (args, all) = (self.args, self.args.all);
        let mut programs = observer.programs();
        programs.retain(|p| p.id().is_none_or(|id| !self.frames.passed_over.contains(&id)));
        let selected = self.selection.select(&programs, all);
        let is_first = self.frames.count == 0;
        self.frames.count += 1;
        if args.watch.is_on() && is_first {
            let shown: HashSet<_> = selected.iter().filter_map(|program| program.id()).collect();
            let ended = programs.iter().filter(|program| program.state().has_ended());
            let ended = ended.filter_map(Program::id).filter(|id| !shown.contains(id));
            self.frames.passed_over = ended.collect();
        }
        let mut news = self.frames.watched.news(&selected, &programs, true);
        let screen = args.form.screen(output);
        let levels = Levels::new(args, screen);
        let (filter, paths) = (&*self.filter, &self.paths);
        let (shown, damage) = (Cell::new(0), RefCell::default());
        let sections = Sections { args, levels, filter, paths, shown, damage };
        // A program at a time: the fields of all of them need not fit in the memory.
        if args.json {
            let documents = selected.iter().filter_map(|program| sections.section(program));
            json::write_line(output, &json::Documents::new(SystemTime::now(), documents))?;
        } else {
            for program in &selected {
                let Some(section) = sections.section(program) else { continue };
                print(args, &section, sections.shown.get() == 1, screen, paths, output)?;
            }
        }
        // The news tell what became of programs.
        let missing = if is_first { WhenMissing::Fail } else { WhenMissing::Ignore };
        problems::report_named(observer, missing, paths, output);
        problems::report_incomplete(selected.iter().copied(), output);
        for (named, text) in sections.damage.take() {
            problems::write(named, &text, output);
        }
        if is_first && !all {
            for left_out in self.selection.left_out(&programs) {
                output.note(&format!("{left_out}: --all"));
            }
        }
        if sections.shown.get() == 0 && !output.has_failed() {
            if is_first || !self.selection.has_names() || !selected.is_empty() {
                output.fail(&self.nothing_shown(observer, &selected, programs.len()));
            } else if news.is_empty() {
                news.push("waiting for a program".to_owned());
            }
        }
        Ok(news)
    }

    /// The reason why nothing was shown.
    fn nothing_shown(
        &self,
        observer: &Observer,
        selected: &[&Program<'_>],
        found: usize,
    ) -> String {
        let places = problems::in_directories(observer);
        if let (Some(filter), false) = (self.filter.first(), selected.is_empty()) {
            let files = selected.iter().flat_map(|program| program.files());
            let fields = files.flat_map(|file| file.fields()).map(|field| field.label());
            let near = similar::near(filter.label(), &fields.collect::<Vec<_>>());
            format!("no field matches the filter '{}'{near}", filter.shown())
        } else if found > 0 {
            format!(
                "no live program{places}; --all shows the {found} that ended too, `mmstats ls` other places"
            )
        } else if self.selection.is_empty() {
            format!("no program publishes{places}; `mmstats ls` lists other places{TRY_DEMO}")
        } else {
            format!("no program publishes{places}")
        }
    }
}

/// Makes the sections of programs, one after the other.
struct Sections<'s> {
    args: &'s Show,
    levels: Levels,
    filter: &'s [Pattern],
    paths: &'s Paths,
    /// Number of sections that were made.
    shown: Cell<usize>,
    /// Damaged values of undamaged fields, and whether their files were named.
    damage: RefCell<Vec<(bool, String)>>,
}

impl Sections<'_> {
    /// The section of a program; `None` if no field matches the filter.
    fn section<'a>(&self, program: &'a Program<'a>) -> Option<Section<'a>> {
        let (rows, threads) = rows(program, self.args.lanes, self.filter, !self.args.json);
        let section = self.levels.section(program, rows, threads);
        if !self.filter.is_empty() && section.rows.is_empty() && section.hidden.is_empty() {
            return None;
        }
        self.shown.set(self.shown.get() + 1);
        let mut damage = self.damage.borrow_mut();
        if damage.len() < MAX_MESSAGES {
            damage.extend(damaged_values(&section, self.paths));
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
fn rows(
    program: &Program<'_>,
    lanes: bool,
    filter: &[Pattern],
    arranged: bool,
) -> (Vec<Row>, Threads) {
    let mut rows = if lanes { row::by_lane(program) } else { row::combined(program) };
    let threads = Threads::new(&rows);
    if !filter.is_empty() {
        rows.retain(|row| filter.iter().any(|pattern| pattern.matches(&row.field)));
    }
    // In JSON fields have the order of the file.
    if arranged {
        rows = families::arrange(rows);
    }
    (rows, threads)
}

fn print(
    args: &Show,
    section: &Section<'_>,
    first: bool,
    screen: Screen,
    paths: &Paths,
    output: &mut Output,
) -> io::Result<()> {
    if !screen.is_terminal() && !args.verbose {
        for row in &section.rows {
            writeln!(output, "{}", lines::piped(section.program, row, paths))?;
        }
        return Ok(());
    }
    if !first {
        writeln!(output)?;
    }
    let width = screen.width();
    for line in lines::section(section, args.verbose, width, SystemTime::now(), paths) {
        // No line is cut: what is too wide is one word.
        writeln!(output, "{}", line.render(usize::MAX))?;
    }
    Ok(())
}

/// Messages about damaged values of undamaged fields, and whether the file was named.
fn damaged_values(section: &Section<'_>, paths: &Paths) -> Vec<(bool, String)> {
    let Some(file) = section.program.files().first() else { return Vec::new() };
    let rows = section.rows.iter().chain(&section.hidden);
    let damaged = rows.filter(|row| !row.field.label.is_empty());
    let damaged = damaged.filter_map(|row| row.damage().map(|damage| (row, damage)));
    let message = |(row, damage): (&Row, Damage)| {
        let (path, name) = (paths.shown(file.path()), field::name(row));
        let (code, offset) = (damage.code, damage.offset);
        (file.named(), format!("{path}: the value of {name} is damaged ({code} at byte {offset})"))
    };
    damaged.take(MAX_DAMAGED).map(message).collect()
}
