//! `mmstats ls`: the programs that publish.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::{File, Observer};
use serde::Serialize;

use super::args::{TRY_DEMO, exit_codes};
use crate::json::{self, FileHead};
use crate::model::age;
use crate::model::selection::Selection;
use crate::output::{Line, Output, style};
use crate::render::problems;
use crate::render::program::state_style;
use crate::render::table::{Align, Cell, lines};
use crate::text::{escape, human};

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Columns: process id, program, state, time since it started publishing, number of fields\n",
    "and lanes (writing threads), file. States are live, closed (ended cleanly), dead (did not),\n",
    "and unknown (format 1 has no proof). In a pipe, the columns are separated by tabs, without\n",
    "a header, ages in seconds.\n",
    "\nExamples:\n",
    "  mmstats ls\n",
    "  mmstats ls 1234 /srv/stats\n",
    "  mmstats ls --json | jq -r '.files[] | select(.state == \"dead\").path'\n"
))]
pub(crate) struct Ls {
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,

    /// Files, directories or process ids [default: all files of this user].
    #[arg(value_name = "PATH|PID")]
    pub(crate) programs: Vec<OsString>,
}

pub(crate) fn run(args: &Ls, output: &mut Output) -> io::Result<()> {
    let selection = Selection::parse(&args.programs);
    let mut observer = Observer::new(selection.sources.clone());
    observer.refresh();
    let (files, now) = (observer.files(), SystemTime::now());
    let screen = output.screen();
    if args.json {
        json::write_line(output, &document(files, now))?;
    } else if screen.is_terminal() {
        for line in table(files, now) {
            writeln!(output, "{}", line.render(screen.width()))?;
        }
    } else {
        for file in files {
            writeln!(output, "{}", piped(file, now))?;
        }
    }
    problems::report(&observer, output);
    if files.is_empty() && !output.has_failed() {
        let places = problems::in_directories(&observer);
        output.note(&format!("no program publishes{places}{TRY_DEMO}"));
    }
    Ok(())
}

/// Age of the program, or if that is unknown the time since the file was modified.
fn file_age(file: &File, now: SystemTime) -> Option<Duration> {
    age(file.identity(), now).or_else(|| now.duration_since(file.modified()).ok())
}

fn pid(file: &File) -> String {
    human::or_dash(file.identity().pid)
}

fn command(file: &File) -> String {
    let command = file.identity().command.as_deref();
    human::or_dash(command.filter(|command| !command.is_empty()).map(escape::text))
}

/// `PID TAB COMMAND TAB STATE TAB SECONDS TAB FIELDS TAB LANES TAB FILE`.
fn piped(file: &File, now: SystemTime) -> String {
    let age = human::or_dash(file_age(file, now).map(|age| age.as_secs()));
    [
        pid(file),
        command(file),
        file.state().name().to_owned(),
        age,
        file.field_count().to_string(),
        file.lanes().used.to_string(),
        escape::path(file.path()),
    ]
    .join("\t")
}

/// The table for a terminal. A directory that all files share stands below, not in each row.
fn table(files: &[File], now: SystemTime) -> Vec<Line> {
    if files.is_empty() {
        return Vec::new();
    }
    let heads = [
        ("PID", Align::Right),
        ("COMMAND", Align::Left),
        ("STATE", Align::Left),
        ("AGE", Align::Right),
        ("FIELDS", Align::Right),
        ("LANES", Align::Right),
        ("FILE", Align::Left),
    ];
    let directory = common_directory(files);
    let rows: Vec<Vec<Cell>> = files
        .iter()
        .map(|file| {
            let name = match (directory, file.path().file_name()) {
                (Some(_), Some(name)) => escape::os(name),
                _ => escape::path(file.path()),
            };
            vec![
                Cell::new(pid(file)),
                Cell::new(command(file)),
                Cell::styled(state_style(file.state()), file.state().name()),
                Cell::new(human::or_dash(file_age(file, now).map(human::age))),
                Cell::new(file.field_count().to_string()),
                Cell::new(file.lanes().used.to_string()),
                Cell::styled(style::DIM, name),
            ]
        })
        .collect();
    let mut lines = lines(&heads, &rows, 20);
    if let Some(directory) = directory {
        let text = format!("files in {}", escape::path(directory));
        lines.push(Line::styled(style::DIM, text));
    }
    lines
}

fn common_directory(files: &[File]) -> Option<&Path> {
    let first = files.first()?.path().parent().filter(|path| *path != Path::new(""))?;
    files.iter().all(|file| file.path().parent() == Some(first)).then_some(first)
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    head: FileHead<'a>,
    part: u32,
    /// In seconds.
    age: Option<f64>,
    fields: usize,
    lanes: LaneCounts,
    size: u64,
    owner: Option<u32>,
}

#[derive(Serialize)]
struct LaneCounts {
    used: u32,
    owned: u32,
    capacity: u32,
}

fn document<'a>(files: &'a [File], now: SystemTime) -> impl Serialize {
    let entry = |file: &'a File| {
        let lanes = file.lanes();
        Entry {
            head: FileHead::from_file(file),
            part: file.part(),
            age: file_age(file, now).map(|age| age.as_secs_f64()),
            fields: file.field_count(),
            lanes: LaneCounts { used: lanes.used, owned: lanes.owned, capacity: lanes.capacity },
            size: file.size(),
            owner: file.owner(),
        }
    };
    BTreeMap::from([("files", files.iter().map(entry).collect::<Vec<_>>())])
}
