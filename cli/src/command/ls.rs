//! `mmstats ls`: the programs that publish.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::{Observer, Program};
use serde::Serialize;

use super::args::{Form, Scope, exit_codes, live_program, selecting};
use crate::backend::ProcessState;
use crate::json::{self, FileHead};
use crate::model::life::{End, Life};
use crate::output::{Line, Output, style};
use crate::render::missing::{Looked, nothing};
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
    "           unknown (format 1 has no proof), ledger (sums of the ended programs of an application);\n",
    "           of files without a program: building (not complete yet), damaged, foreign (no file of\n",
    "           mmstats, by its name or its first bytes)\n",
    "  UP       time for which it has been, or was, publishing\n",
    "  CHANGED  time since the last sign of a change: of its files, which a running program touches\n",
    "           once a minute, or its last line of events\n",
    "  DIED     time of its end, to a minute: that of the last sign; of a file that was copied\n",
    "           without its time, `<` and the time of the copy\n",
    "  CONTAINER  of a program in another namespace: the id of its container, or a number\n",
    "  PROBLEM  why it cannot be read, or what is missing of it\n",
    "\nPlain, a line is PID TAB COMMAND TAB STATE TAB AGE TAB FIELDS TAB LANES TAB FILE TAB FILES TAB\n",
    "USER TAB PROCESS TAB CHANGED TAB DIED TAB PROBLEM TAB MISSING: STATE is live, closed, dead, ...;\n",
    "PROCESS has the words of the table; AGE is the time since the program began, of one that ended\n",
    "too; ages are in seconds, DIED in UTC, `-` stands for nothing.\n",
    "\nPrograms that ended are listed too. The code is 1 if there is no program.\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats ls\n",
    "  mmstats ls 1234 /srv/stats\n",
    "  sudo mmstats ls --all-namespaces\n",
    "  mmstats ls --json | jq -r '.files[] | select(.state == \"dead\").path'\n"
))]
pub(crate) struct Ls {
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,

    /// Changes nothing: programs that ended are listed without it.
    #[arg(short, long, hide = true)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) form: Form,

    #[command(flatten)]
    pub(crate) scope: Scope,

    /// Process ids, names of programs, files or directories [default: all programs that can be found].
    #[arg(value_name = "PID|NAME|PATH", value_parser = live_program())]
    pub(crate) programs: Vec<OsString>,
}

pub(crate) fn run(args: &Ls, output: &mut Output) -> io::Result<()> {
    let explicit = crate::backend::directory::environment().is_explicit();
    let everywhere = args.programs.is_empty() && !explicit;
    let selection = args.scope.select_everywhere(&args.programs);
    let mut observer = Observer::new(selection.sources.clone());
    observer.refresh();
    let (programs, now) = (observer.programs(), SystemTime::now());
    let listed: Vec<_> = programs.iter().map(|program| Listed::new(program, now)).collect();
    let screen = args.form.screen(output);
    if args.json {
        json::write_line(output, &document(&listed, now))?;
    } else if screen.is_terminal() {
        for line in table(&listed, now, screen.width()) {
            writeln!(output, "{}", line.render(usize::MAX))?;
        }
    } else {
        for program in &listed {
            writeln!(output, "{}", piped(program))?;
        }
    }
    problems::report(&observer, output);
    if everywhere {
        problems::report_closed(&observer, output);
    }
    problems::report_incomplete(&programs, output);
    if programs.is_empty() && !output.has_failed() {
        let looked = if args.programs.is_empty() { Looked::Everywhere } else { Looked::Named };
        output.fail(&nothing(&observer, looked, None));
    }
    Ok(())
}

/// A program with its state and times.
struct Listed<'p, 'a> {
    program: &'p Program<'a>,
    life: Life,
}

impl<'p, 'a> Listed<'p, 'a> {
    fn new(program: &'p Program<'a>, now: SystemTime) -> Self {
        Self { program, life: Life::new(program, now) }
    }
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
fn piped(Listed { program, life }: &Listed<'_, '_>) -> String {
    let seconds = |time: Option<Duration>| human::or_dash(time.map(|time| time.as_secs()));
    let completeness = program.completeness();
    let missing = (!completeness.is_complete()).then(|| completeness.to_string());
    let end = life.end().and_then(|end| match end {
        End::About(time) => time::utc(time),
        End::Before(time) => time::utc(time).map(|time| format!("<{time}")),
    });
    [
        pid(program),
        command(program),
        program.state().name().to_owned(),
        seconds(life.age(program)),
        field_count(program).to_string(),
        lane_count(program).used.to_string(),
        human::or_dash(program.files().first().map(|file| escape::path(file.path()))),
        program.files().len().to_string(),
        human::or_dash(program.owner()),
        life.word().to_owned(),
        seconds(life.changed()),
        human::or_dash(end),
        human::or_dash(problem(program)),
        human::or_dash(missing),
    ]
    .join("\t")
}

/// Why the program cannot be read.
fn problem(program: &Program<'_>) -> Option<String> {
    let problem = program.problem()?;
    Some(format!("{} ({})", escape::text(&problem.message), problem.code))
}

/// Head of the column that is cut where nothing else can be left out.
const COMMAND: &str = "COMMAND";
const DIED: &str = "DIED";

/// A column of the table.
struct Column {
    head: (&'static str, Align),
    /// The higher, the sooner it is left out on a narrow terminal; 0 for never.
    spare: u8,
    cells: Vec<Cell>,
}

/// The table for a terminal of this width: a row for each program. Columns that do not fit are left out;
/// problems then stand below their rows.
fn table(programs: &[Listed<'_, '_>], now: SystemTime, width: usize) -> Vec<Line> {
    if programs.is_empty() {
        return Vec::new();
    }
    let directory = common_directory(programs);
    let problems: Vec<String> = programs.iter().map(|one| problem_text(one.program)).collect();
    let mut columns = columns(programs, now, directory.is_some());
    let has_problems = problems.iter().any(|text| !text.is_empty());
    let commands = columns.iter().filter(|column| column.head.0 == COMMAND);
    let commands = commands.flat_map(|column| &column.cells);
    let longest_command = commands.map(|cell| escape::width(&cell.text)).max().unwrap_or(0);
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
    // The last resort: a long command is cut, a word of the state is not.
    let excess = width_of(&columns).saturating_sub(width);
    for cell in
        columns.iter_mut().filter(|column| column.head.0 == COMMAND).flat_map(|c| &mut c.cells)
    {
        let room = longest_command.saturating_sub(excess).max(COMMAND.len());
        cell.text = escape::clip(&cell.text, room).into_owned();
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
    if has(DIED) {
        let is_copy = |one: &Listed<'_, '_>| matches!(one.life.end(), Some(End::Before(_)));
        let copies =
            if programs.iter().any(is_copy) { ", < before the file was copied" } else { "" };
        let zone = time::zone(now);
        remarks.extend(zone.map(|zone| format!("times are {zone}, ~ to a minute{copies}")));
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

fn columns(programs: &[Listed<'_, '_>], now: SystemTime, one_directory: bool) -> Vec<Column> {
    let of_life = |head, align, spare, cell: &dyn Fn(&Life) -> String| Column {
        head: (head, align),
        spare,
        cells: programs.iter().map(|one| Cell::new(cell(&one.life))).collect(),
    };
    let text = |head, align, spare, cell: &dyn Fn(&Program<'_>) -> String| Column {
        head: (head, align),
        spare,
        cells: programs.iter().map(|one| Cell::new(cell(one.program))).collect(),
    };
    let (left, right) = (Align::Left, Align::Right);
    let mut columns = vec![
        text("PID", right, 0, &|p| human::or_dash(p.process().or(p.identity().pid))),
        text(COMMAND, left, 0, &|p| escape::clip(&title(p), 40).into_owned()),
    ];
    let own = own_user();
    if own.is_some() && programs.iter().any(|one| one.program.owner() != own) {
        columns.push(text("USER", right, 4, &|p| human::or_dash(p.owner())));
    }
    let states =
        programs.iter().map(|one| Cell::styled(state_style(one.program.state()), one.life.word()));
    columns.push(Column { head: ("STATE", left), spare: 0, cells: states.collect() });
    // Exact to a minute for those that ended.
    let up = |life: &Life| match life.end() {
        Some(_) => human::or_dash(life.up().map(human::about)),
        None => human::or_dash(life.up().map(human::age)),
    };
    columns.push(of_life("UP", right, 3, &up));
    columns
        .push(of_life("CHANGED", right, 6, &|life| human::or_dash(life.changed().map(human::age))));
    if programs.iter().any(|one| one.life.end().is_some()) {
        let died = |life: &Life| {
            let end = life.end()?;
            let text = time::short(end.time(), now)?;
            Some(match end {
                End::About(_) => text,
                End::Before(_) => text.replacen('~', "<", 1),
            })
        };
        columns.push(of_life(DIED, left, 1, &|life| human::or_dash(died(life))));
    }
    if programs.iter().any(|one| one.program.files().len() > 1) {
        columns.push(text("PARTS", right, 7, &|p| p.files().len().to_string()));
    }
    if programs.iter().any(|one| one.program.namespace().is_some()) {
        columns.push(text("CONTAINER", left, 2, &container));
    }
    columns.push(text("FIELDS", right, 8, &|p| field_count(p).to_string()));
    columns.push(text("LANES", right, 9, &|p| lane_count(p).used.to_string()));
    let files =
        programs.iter().map(|one| Cell::styled(style::DIM, file_name(one.program, one_directory)));
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

/// The begin of the id of its container, or the number of its namespace.
fn container(program: &Program<'_>) -> String {
    human::or_dash(program.namespace().map(|namespace| match &namespace.container {
        Some(container) => escape::clip(container, 12).into_owned(),
        None => namespace.number().to_string(),
    }))
}

/// `web-1.mmst`, or the whole path.
fn file_name(program: &Program<'_>, without_directory: bool) -> String {
    let Some(first) = program.files().first() else { return String::new() };
    match first.path().file_name() {
        Some(name) if without_directory => escape::os(name),
        _ => escape::path(first.path()),
    }
}

fn common_directory<'a>(programs: &[Listed<'_, 'a>]) -> Option<&'a Path> {
    let mut files = programs.iter().flat_map(|one| one.program.files().iter().copied());
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
    /// As `died`, of a copied file: when it was copied. Absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    died_before: Option<f64>,
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

fn document<'p>(programs: &'p [Listed<'p, 'p>], now: SystemTime) -> Listing<'p> {
    let entry = |Listed { program, life }: &'p Listed<'p, 'p>| {
        let (died, died_before) = match life.end() {
            Some(End::About(time)) => (Some(json::seconds(time)), None),
            Some(End::Before(time)) => (None, Some(json::seconds(time))),
            None => (None, None),
        };
        Some(Entry {
            head: FileHead::from_program(program, life.process.map(ProcessState::name))?,
            age: life.age(program).map(|age| age.as_secs_f64()),
            changed: life.changed().map(|age| age.as_secs_f64()),
            died,
            died_before,
            fields: field_count(program),
            lanes: lane_count(program),
            size: program.files().iter().map(|file| file.size()).fold(0, u64::saturating_add),
        })
    };
    let files = programs.iter().filter_map(entry).collect();
    Listing { time: json::seconds(now), files }
}
