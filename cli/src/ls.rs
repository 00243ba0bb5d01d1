//! `mmstats ls`: the programs that publish.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use mmstats_observe::{File, Observer};
use serde::Serialize;

use crate::args::Ls;
use crate::output::{Line, Output, style};
use crate::render::document::Head;
use crate::render::fields::state_style;
use crate::render::table::{Align, Cell, lines};
use crate::targets::{Targets, age, complain, places};
use crate::{escape, human, json};

pub(crate) fn run(args: &Ls, output: &mut Output) -> io::Result<()> {
    let targets = Targets::parse(&args.targets);
    let mut observer = Observer::new(targets.sources.clone());
    observer.refresh();
    let (files, now) = (observer.files(), SystemTime::now());
    let screen = output.screen();
    if args.json {
        json::line(output, &document(files, now))?;
    } else if screen.is_terminal() {
        for line in table(files, now) {
            writeln!(output, "{}", line.render(screen.width()))?;
        }
    } else {
        for file in files {
            writeln!(output, "{}", piped(file, now))?;
        }
    }
    complain(&observer, output);
    if files.is_empty() && !output.has_failed() {
        output.note(&format!("no program publishes{}; try `mmstats demo`", places(&observer)));
    }
    Ok(())
}

/// How long ago the program began; without that, how long ago the file was written to.
fn file_age(file: &File, now: SystemTime) -> Option<Duration> {
    age(file.identity(), now).or_else(|| now.duration_since(file.modified()).ok())
}

fn pid(file: &File) -> String {
    file.identity().pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())
}

fn command(file: &File) -> String {
    match file.identity().command.as_deref() {
        None | Some("") => "-".to_owned(),
        Some(command) => escape::text(command).into_owned(),
    }
}

fn piped(file: &File, now: SystemTime) -> String {
    let age = file_age(file, now).map_or_else(|| "-".to_owned(), |age| age.as_secs().to_string());
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

/// With the names alone, if all files are in one directory, which then stands below.
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
                Cell::new(file_age(file, now).map_or_else(|| "-".to_owned(), human::age)),
                Cell::new(file.field_count().to_string()),
                Cell::new(file.lanes().used.to_string()),
                Cell::styled(style::DIM, name),
            ]
        })
        .collect();
    let mut lines = lines(&heads, &rows, 20);
    if let Some(directory) = directory {
        let mut line = Line::new();
        line.push(style::DIM, format!("files in {}", escape::path(directory)));
        lines.push(line);
    }
    lines
}

fn common_directory(files: &[File]) -> Option<&Path> {
    let first = files.first()?.path().parent().filter(|path| *path != Path::new(""))?;
    files.iter().all(|file| file.path().parent() == Some(first)).then_some(first)
}

#[derive(Serialize)]
struct Document<'a> {
    files: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    part: u32,
    /// Seconds since the program began to publish.
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

fn document(files: &[File], now: SystemTime) -> Document<'_> {
    let entry = |file| {
        let file: &File = file;
        let lanes = file.lanes();
        Entry {
            head: Head::of_file(file),
            part: file.part(),
            age: file_age(file, now).map(|age| age.as_secs_f64()),
            fields: file.field_count(),
            lanes: LaneCounts { used: lanes.used, owned: lanes.owned, capacity: lanes.capacity },
            size: file.size(),
            owner: file.owner(),
        }
    };
    Document { files: files.iter().map(entry).collect() }
}
