//! `mmstats show`: fields with their values.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io::{self, Write};
use std::time::SystemTime;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use mmstats_observe::{Damage, Level, Observer, Program};

use super::args::{Form, Scope, exit_codes, interrupt, program, selecting};
use super::watch::{Frame, Watch};
use crate::json;
use crate::model::families;
use crate::model::head::Head;
use crate::model::pattern::Pattern;
#[cfg(feature = "record")]
use crate::model::recorded::{Recordings, When, left_out, state_at};
use crate::model::row::{self, Row};
use crate::model::section::Section;
use crate::model::selection::Selection;
use crate::model::similar;
use crate::model::threads::Threads;
use crate::model::watched::Watched;
use crate::output::{Output, Screen};
use crate::render::missing::{Looked, nothing};
use crate::render::paths::Paths;
use crate::render::problems::{self, MAX_DAMAGED, WhenMissing};
use crate::render::{field, program as lines};

#[derive(Debug, Default, Args)]
#[command(after_long_help = exit_codes!(
    "Values of the writing threads (lanes) are combined by the rule of each field. A named file is\n",
    "shown in any state, and the dead files of a process id if it has no live one. --watch keeps to\n",
    "the programs that live: one that ends meanwhile stays with its last values, or goes with its\n",
    "file, and earlier ones do not take its place. The next one of a name or a directory comes, of a\n",
    "process id does not: without a file of it, it ends. Ctrl-C ends it with code 0.\n",
    "\nEach field has a level: info (for all users), diagnostic (to analyse a problem) or debug\n",
    "(for the program's developers). Fields of level info are shown, also in a pipe; with -v,\n",
    "--json or --filter fields of all levels. --level overrides both. On a terminal the standard\n",
    "fields, sys.*, are shown from level diagnostic on: the header line has most of them.\n",
    "\nPiped, a value is a line: LABEL TAB VALUE TAB UNIT TAB PID TAB FILE. Numbers are exact\n",
    "and not grouped; timers are `count=.. sum=.. min=.. max=.. last=..` in nanoseconds; no\n",
    "value is `-`; activities are `[NUMBER:BEGIN:TEXT, ..]`, then `contended=..`, `damaged=..` and\n",
    "`refused=..` if not 0. Attributes follow the label as {key=\"value\"}, a lane as [0].\n",
    selecting!(),
    "\nA recording of `mmstats record` is shown as it was --at a time, or at its end; process ids and\n",
    "names behind it select its programs. Shown is the last look at or before the time, which the\n",
    "header names. -5m counts from the last look, and is the nearest look if that is within a tenth\n",
    "of the pace: looks are a little early or late.\n",
    "\nExamples:\n",
    "  mmstats show\n",
    "  mmstats show -v --lanes 1234\n",
    "  mmstats show --level debug 1234\n",
    "  mmstats show -F 'http.*' -F '*.errors' web\n",
    "  mmstats show -F 'http.requests{status=\"5*\"}' web\n",
    "  mmstats show --watch web\n",
    "  mmstats show --all | grep requests\n",
    "  mmstats show --at 21:35:10 web.jsonl.gz\n",
    "  mmstats show --json core-of-web.mmst | jq '.files[].fields[] | [.label, .value]'\n"
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

    /// Show a recording as of this time: as 2026-11-29T21:35:10Z, 21:35:10 (local), -5m (before its
    /// end) or @1796000000 [default: its end].
    #[cfg(feature = "record")]
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true,
          conflicts_with_all = ["watch", "lanes"])]
    pub(crate) at: Option<When>,

    #[command(flatten)]
    pub(crate) form: Form,

    #[command(flatten)]
    pub(crate) watch: Watch,

    #[command(flatten)]
    pub(crate) scope: Scope,

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
    #[cfg(feature = "record")]
    if let Some(recordings) = Recordings::find(&args.programs) {
        return recorded(args, &filter, &recordings, &paths, output);
    } else if args.at.is_some() {
        output.usage("--at needs a recording of `mmstats record`: mmstats show --at -5m FILE");
        return Ok(());
    }
    let selection = args.scope.select(&args.programs);
    let mut observer = Observer::new(selection.sources.clone());
    let mut shown = Shown { args, filter, selection, paths, frames: Frames::default() };
    if args.watch.is_on() {
        return args.watch.repeat(
            &interrupt()?,
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

/// Shows a recording as of one moment.
#[cfg(feature = "record")]
fn recorded(
    args: &Show,
    filter: &[Pattern],
    recordings: &Recordings,
    paths: &Paths,
    output: &mut Output,
) -> io::Result<()> {
    if args.lanes || args.watch.is_on() {
        output.usage(
            "a recording has no lanes and is not watched: --lanes and --watch are for programs",
        );
        return Ok(());
    }
    let found = recordings.open().and_then(|recording| state_at(&recording, args.at));
    let found = match found {
        Ok(found) => found,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    found.notes.iter().for_each(|note| output.note(note));
    let time = found.state.time();
    let screen = args.form.screen(output);
    let levels = Levels::new(args, screen);
    let mut sections = Vec::new();
    let programs = recordings.select(&found.state, args.all);
    recordings.ended(&found.state, programs.len()).iter().for_each(|note| output.note(note));
    for note in left_out(&programs) {
        output.set_incomplete();
        output.note(&note);
    }
    for program in &programs {
        let (rows, threads) = selected(row::recorded(program.totals()), filter, !args.json);
        let section = levels.section(Head::from_recorded(program, time), rows, threads);
        if filter.is_empty() || !section.rows.is_empty() || !section.hidden.is_empty() {
            sections.push(section);
        }
    }
    let incomplete = sections.iter().filter_map(|section| problems::incomplete_head(&section.head));
    let incomplete: Vec<String> = incomplete.collect();
    let damage: Vec<_> =
        sections.iter().flat_map(|section| damaged_values(section, paths)).collect();
    let count = sections.len();
    if args.json {
        json::write_line(output, &json::Documents::new(time, sections.into_iter()))?;
    } else {
        for (number, section) in sections.iter().enumerate() {
            print(args, section, number == 0, screen, paths, time, output)?;
        }
    }
    for text in incomplete {
        output.set_incomplete();
        output.note(&text);
    }
    damage.iter().for_each(|(named, text)| problems::write(*named, text, output));
    if programs.is_empty() {
        output.fail(&recordings.no_program(&found.state));
    }
    let fields = || programs.iter().flat_map(|program| program.totals()).map(|total| &total.field);
    let labels = || fields().map(|field| &*field.label).collect();
    let matches = |filter: &Pattern| fields().any(|field| filter.matches(field));
    let unmatched = match programs.is_empty() {
        true => Vec::new(),
        false => unmatched(filter, matches, labels),
    };
    unmatched.iter().for_each(|message| output.fail(message));
    debug_assert!(count > 0 || output.has_failed(), "nothing is shown for a reason");
    Ok(())
}

/// A message about each filter that no field matches.
fn unmatched<'a>(
    filter: &[Pattern],
    matches: impl Fn(&Pattern) -> bool,
    labels: impl Fn() -> Vec<&'a str>,
) -> Vec<String> {
    let mut known = None;
    let missing = filter.iter().filter(|pattern| !matches(pattern));
    let message = |pattern: &Pattern| {
        let near = similar::near_pattern(pattern, known.get_or_insert_with(&labels));
        format!("no field matches the filter '{}'{near}", pattern.shown())
    };
    missing.map(message).collect()
}

/// State of the command, for one look or, with `--watch`, for each.
struct Shown<'s> {
    args: &'s Show,
    filter: Vec<Pattern>,
    selection: Selection,
    paths: Paths,
    frames: Frames,
}

/// State of earlier frames.
#[derive(Default)]
struct Frames {
    count: u64,
    /// Whether the frame before showed a program.
    has_shown: bool,
    watched: Watched,
}

impl Shown<'_> {
    /// Shows the programs as of now.
    fn once(&mut self, observer: &Observer, output: &mut Output) -> io::Result<Frame> {
        let (args, all) = (self.args, self.args.all);
        let programs = observer.programs();
        let is_first = self.frames.count == 0;
        let left_out = match is_first && !all {
            true => self.selection.left_out(&programs),
            false => Vec::new(),
        };
        if args.watch.is_on() && !all {
            self.selection.pass_over_ended(&programs);
        }
        let selected = self.selection.select(&programs, all);
        self.frames.count += 1;
        let is_watch = args.watch.is_on();
        // Others may come.
        let waits = is_watch && self.selection.takes_later_ones();
        let mut news = self.frames.watched.news(&selected, &programs, waits);
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
                print(
                    args,
                    &section,
                    sections.shown.get() == 1,
                    screen,
                    paths,
                    SystemTime::now(),
                    output,
                )?;
            }
        }
        // The news tell what became of programs.
        let missing = match is_first {
            true if waits => WhenMissing::Wait,
            true => WhenMissing::Fail,
            false => WhenMissing::Ignore,
        };
        problems::report_named(observer, missing, paths, output);
        problems::report_incomplete(selected.iter().copied(), output);
        for (named, text) in sections.damage.take() {
            problems::write(named, &text, output);
        }
        left_out.iter().for_each(|left_out| output.note(&format!("{left_out}: --all")));
        let has_shown = std::mem::replace(&mut self.frames.has_shown, sections.shown.get() > 0);
        let mut is_over = false;
        // A field may be added later.
        let unmatched = if is_first || sections.shown.get() == 0 {
            self.unmatched(&selected)
        } else {
            Vec::new()
        };
        if is_watch && sections.shown.get() > 0 {
            unmatched.iter().for_each(|message| output.note(message));
        } else if !unmatched.is_empty() {
            unmatched.iter().for_each(|message| output.fail(message));
        } else if sections.shown.get() == 0 && !output.has_failed() {
            if !selected.is_empty() || (is_first && !waits) {
                let looked = Looked::from_arguments(self.selection.is_empty());
                output.fail(&nothing(observer, looked, Some("--all")));
            } else if waits && is_first && !problems::has_missing(observer) {
                let places = problems::in_directories(observer);
                news.push(format!("waiting for a program{places}"));
            } else if waits && has_shown && news.is_empty() && !self.frames.watched.waits() {
                news.push("waiting for a program".to_owned());
            }
        }
        if is_watch && !waits && selected.is_empty() && problems::has_missing(observer) {
            is_over = true;
            if has_shown && news.is_empty() {
                news.push("no file of it is left".to_owned());
            }
        }
        Ok(Frame { news, is_over })
    }

    /// A message about each filter that no field of the programs matches; none without a program.
    fn unmatched(&self, selected: &[&Program<'_>]) -> Vec<String> {
        if selected.is_empty() {
            return Vec::new();
        }
        let files = || selected.iter().flat_map(|program| program.files());
        let fields = || files().flat_map(|file| file.fields()).filter(|field| !field.is_retired());
        let matches = |filter: &Pattern| fields().any(|field| filter.matches_ref(&field));
        let labels = || fields().map(|field| field.label()).collect();
        unmatched(&self.filter, matches, labels)
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
        let section =
            self.levels.section(Head::from_program(program, SystemTime::now()), rows, threads);
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

    fn section<'a>(self, head: Head<'a>, rows: Vec<Row>, threads: Threads) -> Section<'a> {
        let shown = |row: &Row| {
            row.field.properties.level() <= self.max && !(self.hide_standard && row.is_standard())
        };
        let (rows, hidden) = rows.into_iter().partition(shown);
        Section { head, rows, hidden, threads }
    }
}

/// The rows that match the filter, and the threads of all lanes.
fn rows(
    program: &Program<'_>,
    lanes: bool,
    filter: &[Pattern],
    arranged: bool,
) -> (Vec<Row>, Threads) {
    let rows = if lanes { row::by_lane(program) } else { row::combined(program) };
    selected(rows, filter, arranged)
}

/// The rows that match the filter, and the threads of all lanes.
fn selected(mut rows: Vec<Row>, filter: &[Pattern], arranged: bool) -> (Vec<Row>, Threads) {
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
    now: SystemTime,
    output: &mut Output,
) -> io::Result<()> {
    if !screen.is_terminal() && !args.verbose {
        for row in &section.rows {
            writeln!(output, "{}", lines::piped(&section.head, row, paths))?;
        }
        return Ok(());
    }
    if !first {
        writeln!(output)?;
    }
    let width = screen.width();
    for line in lines::section(section, args.verbose, width, now, paths) {
        // No line is cut: what is too wide is one word.
        writeln!(output, "{}", line.render(usize::MAX))?;
    }
    Ok(())
}

/// Messages about damaged values of undamaged fields, and whether the file was named.
fn damaged_values(section: &Section<'_>, paths: &Paths) -> Vec<(bool, String)> {
    let Some(file) = section.head.paths.first() else { return Vec::new() };
    let rows = section.rows.iter().chain(&section.hidden);
    let damaged = rows.filter(|row| !row.field.label.is_empty());
    let damaged = damaged.filter_map(|row| row.damage().map(|damage| (row, damage)));
    let message = |(row, damage): (&Row, Damage)| {
        let (path, name) = (paths.shown(file), field::name(row));
        let (code, offset) = (damage.code, damage.offset);
        (
            section.head.named,
            format!("{path}: the value of {name} is damaged ({code} at byte {offset})"),
        )
    };
    damaged.take(MAX_DAMAGED).map(message).collect()
}
