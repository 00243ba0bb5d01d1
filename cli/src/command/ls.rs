//! `mmstats ls`: the programs that publish.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::{Observer, Program};
use serde::Serialize;

use super::args::{Form, TRY_DEMO, exit_codes, selecting};
use crate::json::{self, FileHead};
use crate::model::age;
use crate::model::selection::Selection;
use crate::output::{Line, Output, style};
use crate::render::problems;
use crate::render::program::{own_user, state_style};
use crate::render::table::{Align, Cell, lines};
use crate::text::{escape, human};

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A row is a program, which may have several files. Columns: process id, program, state, time\n",
    "since it started publishing, number of fields and lanes (writing threads) in all files, first\n",
    "file; the user, where there are several. States are live, closed (ended cleanly), dead (did\n",
    "not), unknown (format 1 has no proof) and ledger (sums of the ended programs of an application);\n",
    "a program from which files or lanes are missing is incomplete. In a pipe, the columns are\n",
    "separated by tabs, without a header, ages in seconds, followed by the number of files, the user\n",
    "id, and what is missing or `-`.\n",
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
        for line in table(&programs, now) {
            writeln!(output, "{}", line.render(screen.width()))?;
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
    let modified = || program.files().iter().map(|file| file.modified()).max();
    age(program.identity(), now).or_else(|| now.duration_since(modified()?).ok())
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
/// MISSING`.
fn piped(program: &Program<'_>, now: SystemTime) -> String {
    let age = human::or_dash(program_age(program, now).map(|age| age.as_secs()));
    let completeness = program.completeness();
    let missing = (!completeness.is_complete()).then(|| completeness.to_string());
    [
        pid(program),
        command(program),
        program.state().name().to_owned(),
        age,
        field_count(program).to_string(),
        lane_count(program).used.to_string(),
        human::or_dash(program.files().first().map(|file| escape::path(file.path()))),
        program.files().len().to_string(),
        human::or_dash(program.owner()),
        human::or_dash(missing),
    ]
    .join("\t")
}

/// The table for a terminal. A directory that all files share stands below, not in each row.
fn table(programs: &[Program<'_>], now: SystemTime) -> Vec<Line> {
    if programs.is_empty() {
        return Vec::new();
    }
    let mut heads = vec![
        ("PID", Align::Right),
        ("COMMAND", Align::Left),
        ("STATE", Align::Left),
        ("AGE", Align::Right),
        ("FIELDS", Align::Right),
        ("LANES", Align::Right),
        ("FILE", Align::Left),
    ];
    let own = own_user();
    let others = programs.iter().any(|program| program.owner() != own) && own.is_some();
    if others {
        heads.insert(2, ("USER", Align::Right));
    }
    let directory = common_directory(programs);
    let rows: Vec<Vec<Cell>> = programs
        .iter()
        .map(|program| {
            let mut row = vec![
                Cell::new(human::or_dash(program.process().or(program.identity().pid))),
                Cell::new(command(program)),
                state(program),
                Cell::new(human::or_dash(program_age(program, now).map(human::age))),
                Cell::new(field_count(program).to_string()),
                Cell::new(lane_count(program).used.to_string()),
                Cell::styled(style::DIM, files(program, directory.is_some())),
            ];
            if others {
                row.insert(2, Cell::new(human::or_dash(program.owner())));
            }
            row
        })
        .collect();
    let mut lines = lines(&heads, &rows, 20);
    if let Some(directory) = directory {
        let text = format!("files in {}", escape::path(directory));
        lines.push(Line::styled(style::DIM, text));
    }
    lines
}

/// `live`, or `live, incomplete`.
fn state(program: &Program<'_>) -> Cell {
    let state = program.state();
    if program.completeness().is_complete() {
        Cell::styled(state_style(state), state.name())
    } else {
        Cell::styled(style::BAD, format!("{}, incomplete", state.name()))
    }
}

/// `web-1.mmst`, or `web-1.mmst and 8 more`.
fn files(program: &Program<'_>, without_directory: bool) -> String {
    let Some((first, more)) = program.files().split_first() else { return String::new() };
    let name = match first.path().file_name() {
        Some(name) if without_directory => escape::os(name),
        _ => escape::path(first.path()),
    };
    if more.is_empty() { name } else { format!("{name} and {} more", more.len()) }
}

fn common_directory<'a>(programs: &[Program<'a>]) -> Option<&'a Path> {
    let mut files = programs.iter().flat_map(|program| program.files().iter().copied());
    let first = files.next()?.path().parent().filter(|path| *path != Path::new(""))?;
    files.all(|file| file.path().parent() == Some(first)).then_some(first)
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    head: FileHead<'a>,
    /// In seconds.
    age: Option<f64>,
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

fn document<'a>(programs: &'a [Program<'a>], now: SystemTime) -> impl Serialize {
    let entry = |program: &'a Program<'a>| {
        Some(Entry {
            head: FileHead::from_program(program)?,
            age: program_age(program, now).map(|age| age.as_secs_f64()),
            fields: field_count(program),
            lanes: lane_count(program),
            size: program.files().iter().map(|file| file.size()).fold(0, u64::saturating_add),
        })
    };
    BTreeMap::from([("files", programs.iter().filter_map(entry).collect::<Vec<_>>())])
}
