//! `mmstats ls`: the programs that publish.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::{Observer, Program};
use serde::Serialize;

use super::args::{Form, TRY_DEMO, exit_codes, selecting};
use crate::json::{self, FileHead};
use crate::model::selection::Selection;
use crate::model::{age, life};
use crate::output::{Line, Output, style};
use crate::render::problems;
use crate::render::program::{own_user, state_style, title};
use crate::render::table::{self, Align, Cell};
use crate::text::{escape, human, time};

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A row is a program, which may have several files, its parts. Columns, where they have room:\n",
    "  PID      process id as this process sees it\n",
    "  USER     user id, where there are several\n",
    "  STATE    running, stopped (by a signal or debugger), zombie (dead, and its parent has not\n",
    "           asked), live (the system does not tell more), closed (ended cleanly), dead (did not),\n",
    "           unknown (format 1 has no proof), ledger (sums of the ended programs of an application)\n",
    "  UP       time for which it has been, or was, publishing\n",
    "  CHANGED  time since the last sign of a change: of its files, which a running program touches\n",
    "           once a minute, or its last line of events\n",
    "  DIED     time of its end, to a minute: that of the last sign\n",
    "  PROBLEM  why it cannot be read, or what is missing of it\n",
    "\nPlain, a line is PID TAB COMMAND TAB STATE TAB AGE TAB FIELDS TAB LANES TAB FILE TAB FILES TAB\n",
    "USER TAB PROCESS TAB CHANGED TAB DIED TAB PROBLEM TAB MISSING: STATE is live, closed, dead, ...;\n",
    "PROCESS has the words of the table; ages are in seconds, DIED in UTC, `-` stands for nothing.\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats ls\n",
    "  mmstats ls 1234 /srv/stats\n",
    "  mmstats ls --json | jq -r '.files[] | select(.state == \"dead\").path'\n"
))]
pub(crate) struct Ls {
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) form: Form,

    /// Process ids, names of programs, files or directories [default: all programs that can be found].
    #[arg(value_name = "PID|NAME|PATH")]
    pub(crate) programs: Vec<OsString>,
}

pub(crate) fn run(args: &Ls, output: &mut Output) -> io::Result<()> {
    let environment = crate::backend::directory::environment();
    let explicit = environment.explicit.is_some_and(|path| !path.is_empty());
    let everywhere = args.programs.is_empty() && !explicit;
    let selection = Selection::parse(&args.programs).or_everywhere(everywhere);
    let mut observer = Observer::new(selection.sources.clone());
    observer.refresh();
    let (programs, now) = (observer.programs(), SystemTime::now());
    let screen = args.form.screen(output);
    if args.json {
        json::write_line(output, &document(&programs, now))?;
    } else if screen.is_terminal() {
        for line in table(&programs, now, screen.width()) {
            writeln!(output, "{}", line.render(usize::MAX))?;
        }
    } else {
        for program in &programs {
            writeln!(output, "{}", piped(program, now))?;
        }
    }
    problems::report(&observer, output);
    problems::report_incomplete(&programs, output);
    if programs.is_empty() && !output.has_failed() {
        let places = problems::in_directories(&observer);
        output.note(&format!("no program publishes{places}{TRY_DEMO}"));
    }
    Ok(())
}

/// Age of the program, or if that is unknown the time since its newest file was modified.
fn program_age(program: &Program<'_>, now: SystemTime) -> Option<Duration> {
    age(program.identity(), now).or_else(|| now.duration_since(life::modified(program)?).ok())
}

fn pid(program: &Program<'_>) -> String {
    human::or_dash(program.identity().pid)
}

fn command(program: &Program<'_>) -> String {
    let command = program.identity().command.as_deref();
    human::or_dash(command.filter(|command| !command.is_empty()).map(escape::text))
}

/// Number of fields in all files.
fn field_count(program: &Program<'_>) -> usize {
    program.files().iter().map(|file| file.field_count()).sum()
}

/// Number of lanes in all files.
fn lane_count(program: &Program<'_>) -> LaneCounts {
    let mut all = LaneCounts { used: 0, owned: 0, capacity: 0 };
    for lanes in program.files().iter().map(|file| file.lanes()) {
        all.used = all.used.saturating_add(lanes.used);
        all.owned = all.owned.saturating_add(lanes.owned);
        all.capacity = all.capacity.saturating_add(lanes.capacity);
    }
    all
}

/// `PID TAB COMMAND TAB STATE TAB SECONDS TAB FIELDS TAB LANES TAB FILE TAB FILES TAB USER TAB
/// PROCESS TAB CHANGED TAB DIED TAB PROBLEM TAB MISSING`.
fn piped(program: &Program<'_>, now: SystemTime) -> String {
    let seconds = |time: Option<Duration>| human::or_dash(time.map(|time| time.as_secs()));
    let completeness = program.completeness();
    let missing = (!completeness.is_complete()).then(|| completeness.to_string());
    [
        pid(program),
        command(program),
        program.state().name().to_owned(),
        seconds(program_age(program, now)),
        field_count(program).to_string(),
        lane_count(program).used.to_string(),
        human::or_dash(program.files().first().map(|file| escape::path(file.path()))),
        program.files().len().to_string(),
        human::or_dash(program.owner()),
        life::word(program).to_owned(),
        seconds(life::changed(program, now)),
        human::or_dash(life::died(program).and_then(time::utc)),
        human::or_dash(problem(program)),
        human::or_dash(missing),
    ]
    .join("\t")
}

/// Why the program cannot be read.
fn problem(program: &Program<'_>) -> Option<String> {
    let problem = program.files().iter().find_map(|file| file.problem())?;
    Some(format!("{} ({})", escape::text(&problem.message), problem.code))
}

/// A column of the table.
struct Column {
    head: (&'static str, Align),
    /// The higher, the sooner it is left out on a narrow terminal; 0 for never.
    spare: u8,
    cells: Vec<Cell>,
}

/// The table for a terminal of this width: a row for each program. Columns that do not fit are left out;
/// problems then stand below their rows.
fn table(programs: &[Program<'_>], now: SystemTime, width: usize) -> Vec<Line> {
    if programs.is_empty() {
        return Vec::new();
    }
    let directory = common_directory(programs);
    let problems: Vec<String> = programs.iter().map(problem_text).collect();
    let mut columns = columns(programs, now, directory.is_some());
    let has_problems = problems.iter().any(|text| !text.is_empty());
    let width_of = |columns: &[Column]| {
        let heads: Vec<_> = columns.iter().map(|column| column.head).collect();
        table::width(&heads, &rows_of(columns, programs.len()))
    };
    if has_problems {
        let cells = problems.iter().map(|text| Cell::styled(style::BAD, text.as_str())).collect();
        let at = columns.len() - 1;
        columns.insert(at, Column { head: ("PROBLEM", Align::Left), spare: 5, cells });
    }
    while width_of(&columns) > width {
        let spare = columns.iter().enumerate().max_by_key(|(_, column)| column.spare);
        let Some((at, _)) = spare.filter(|(_, column)| column.spare > 0) else { break };
        columns.remove(at);
    }
    let has = |name: &str| columns.iter().any(|column| column.head.0 == name);
    let heads: Vec<_> = columns.iter().map(|column| column.head).collect();
    let rows = rows_of(&columns, programs.len());
    let mut lines = Vec::new();
    for (at, line) in table::lines(&heads, &rows, usize::MAX).into_iter().enumerate() {
        lines.push(line);
        let text = at.checked_sub(1).and_then(|row| problems.get(row));
        if let Some(text) = text.filter(|text| !has("PROBLEM") && !text.is_empty()) {
            let mut below = Line::new();
            below.plain("  ");
            below.push(style::BAD, text.as_str());
            lines.extend(below.wrapped(width, 4));
        }
    }
    let mut remarks = Vec::new();
    if has("DIED") {
        remarks.extend(time::zone(now).map(|zone| format!("times are {zone}, ~ to a minute")));
    }
    if let Some(directory) = directory {
        remarks.push(format!("files are in {}", escape::path(directory)));
    } else if !has("FILE") {
        remarks.push("--plain and --json have the paths".to_owned());
    }
    if !remarks.is_empty() {
        lines.extend(Line::remark(0, remarks.join("; ")).wrapped(width, 2));
    }
    lines
}

fn rows_of(columns: &[Column], count: usize) -> Vec<Vec<Cell>> {
    let row =
        |at: usize| columns.iter().filter_map(|column| column.cells.get(at).cloned()).collect();
    (0..count).map(row).collect()
}

fn columns(programs: &[Program<'_>], now: SystemTime, one_directory: bool) -> Vec<Column> {
    let text = |head, align, spare, cell: &dyn Fn(&Program<'_>) -> String| Column {
        head: (head, align),
        spare,
        cells: programs.iter().map(|program| Cell::new(cell(program))).collect(),
    };
    let age = |time: Option<Duration>| human::or_dash(time.map(human::age));
    let (left, right) = (Align::Left, Align::Right);
    let mut columns = vec![
        text("PID", right, 0, &|p| human::or_dash(p.process().or(p.identity().pid))),
        text("COMMAND", left, 0, &|p| escape::clip(&title(p), 40).into_owned()),
    ];
    let own = own_user();
    if own.is_some() && programs.iter().any(|program| program.owner() != own) {
        columns.push(text("USER", right, 4, &|p| human::or_dash(p.owner())));
    }
    let states = programs
        .iter()
        .map(|program| Cell::styled(state_style(program.state()), life::word(program)));
    columns.push(Column { head: ("STATE", left), spare: 0, cells: states.collect() });
    // Exact to a minute for those that ended.
    let up = |p: &Program<'_>| match life::died(p) {
        Some(_) => human::or_dash(life::up(p, now).map(human::about)),
        None => age(life::up(p, now)),
    };
    columns.push(text("UP", right, 3, &up));
    columns.push(text("CHANGED", right, 6, &|p| age(life::changed(p, now))));
    if programs.iter().any(|program| life::died(program).is_some()) {
        columns.push(text("DIED", left, 1, &|p| {
            human::or_dash(life::died(p).and_then(|died| time::short(died, now)))
        }));
    }
    if programs.iter().any(|program| program.files().len() > 1) {
        columns.push(text("PARTS", right, 7, &|p| p.files().len().to_string()));
    }
    columns.push(text("FIELDS", right, 8, &|p| field_count(p).to_string()));
    columns.push(text("LANES", right, 9, &|p| lane_count(p).used.to_string()));
    let files = programs.iter().map(|p| Cell::styled(style::DIM, file_name(p, one_directory)));
    columns.push(Column { head: ("FILE", left), spare: 10, cells: files.collect() });
    columns
}

/// Why the program cannot be read, or what is missing of it; empty for neither.
fn problem_text(program: &Program<'_>) -> String {
    let completeness = program.completeness();
    problem(program).unwrap_or_else(|| match completeness.is_complete() {
        true => String::new(),
        false => format!("incomplete: {completeness}"),
    })
}

/// `web-1.mmst`, or the whole path.
fn file_name(program: &Program<'_>, without_directory: bool) -> String {
    let Some(first) = program.files().first() else { return String::new() };
    match first.path().file_name() {
        Some(name) if without_directory => escape::os(name),
        _ => escape::path(first.path()),
    }
}

fn common_directory<'a>(programs: &[Program<'a>]) -> Option<&'a Path> {
    let mut files = programs.iter().flat_map(|program| program.files().iter().copied());
    let first = files.next()?.path().parent().filter(|path| *path != Path::new(""))?;
    files.all(|file| file.path().parent() == Some(first)).then_some(first)
}

#[derive(Serialize)]
struct Listing<'a> {
    /// In seconds since 1970.
    time: f64,
    files: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    head: FileHead<'a>,
    /// In seconds.
    age: Option<f64>,
    changed: Option<f64>,
    /// In seconds since 1970.
    died: Option<f64>,
    fields: usize,
    lanes: LaneCounts,
    size: u64,
}

#[derive(Serialize)]
struct LaneCounts {
    used: u32,
    owned: u32,
    capacity: u32,
}

fn document<'a>(programs: &'a [Program<'a>], now: SystemTime) -> Listing<'a> {
    let entry = |program: &'a Program<'a>| {
        Some(Entry {
            head: FileHead::from_program(program)?,
            age: program_age(program, now).map(|age| age.as_secs_f64()),
            changed: life::changed(program, now).map(|age| age.as_secs_f64()),
            died: life::died(program).map(json::seconds),
            fields: field_count(program),
            lanes: lane_count(program),
            size: program.files().iter().map(|file| file.size()).fold(0, u64::saturating_add),
        })
    };
    let files = programs.iter().filter_map(entry).collect();
    Listing { time: json::seconds(now), files }
}
