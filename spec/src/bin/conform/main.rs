//! `conform`: checks readers and writers, see CONFORMANCE.md.
#![forbid(unsafe_code)]

mod compare;
mod fixtures;
mod report;
mod run;
mod session;
mod steps;
mod stress;
mod values;
mod write;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use globset::{Glob, GlobSet, GlobSetBuilder};

use fixtures::{Fixture, load};

/// Checks readers of the mmstats format against the fixtures.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where the fixtures are.
    #[arg(long, global = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))]
    fixtures: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a reader over the fixtures.
    Run(Run),
    /// Runs several readers, and prints a table of readers and folders.
    Table {
        /// NAME=COMMAND, more than once.
        #[arg(long, required = true)]
        reader: Vec<String>,
        /// Codes are compared too.
        #[arg(long)]
        strict: bool,
        /// Readers, by name, that are started once and get the paths by their standard input.
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        stdin: Vec<String>,
    },
    /// Lists the fixtures.
    List(Selection),
    /// Copies the fixtures, for a reader on another machine.
    Copy {
        /// A directory, made if it is missing.
        directory: PathBuf,
    },
    /// Prints a fixture: its bytes, the rule, the expected document.
    Explain {
        /// As `valid/small`.
        id: String,
    },
    /// Runs a writer over descriptions, and lets two readers read its files.
    Write {
        /// The command; it is called with a description and the path of the file to write.
        #[arg(long)]
        writer: String,
        /// The highest level of descriptions, which the writer claims to support.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
        level: u8,
        /// Only descriptions whose name matches, as `a counter*`.
        #[arg(long)]
        only: Vec<String>,
        /// Keeps the descriptions and the files in this directory.
        #[arg(long, value_name = "DIRECTORY")]
        keep: Option<PathBuf>,
        /// Readers to ask, at least two [default: the Rust and the Python reader].
        #[arg(long)]
        reader: Vec<String>,
    },
    /// Has a reader look at a file while it is being written, again and again.
    Stress {
        /// The command; it is called with `--repeat N FILE`.
        #[arg(long)]
        reader: String,
        /// How long to write.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The command of the reader; `{file}` stands for the path, else it comes last.
    #[arg(long)]
    reader: String,
    #[command(flatten)]
    selection: Selection,
    /// What is compared; of `values` the reader gets a directory of images, and only `--limit` counts.
    #[arg(long, value_enum, default_value_t = Level::Bytes)]
    level: Level,
    /// Codes of refusals and damage are compared too.
    #[arg(long)]
    strict: bool,
    /// The longest that it may take for one file, in seconds; for one that an emulator starts.
    #[arg(long, default_value_t = run::LIMIT.as_secs())]
    limit: u64,
    /// It is started once, with `--stdin`, and gets the paths by its standard input.
    #[arg(long)]
    stdin: bool,
    /// Fixtures that are known to fail, one in a line: these must fail, and no others.
    #[arg(long)]
    known_failures: Option<PathBuf>,
    /// Writes a report.
    #[arg(long)]
    json: Option<PathBuf>,
    /// The version of the format; there is one so far.
    #[arg(long, default_value = "3.0")]
    format: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// What lies in one image.
    Bytes,
    /// What the images of several programs add up to.
    Values,
}

#[derive(Debug, clap::Args)]
struct Selection {
    /// Only fixtures that match, as `valid/*`.
    #[arg(long)]
    only: Vec<String>,
    /// No fixtures that match.
    #[arg(long)]
    skip: Vec<String>,
}

impl Selection {
    fn of(&self, all: &[Fixture]) -> Result<Vec<Fixture>, Box<dyn std::error::Error>> {
        let (only, skip) = (globs(&self.only)?, globs(&self.skip)?);
        let wanted =
            |f: &&Fixture| (self.only.is_empty() || only.is_match(&f.id)) && !skip.is_match(&f.id);
        let these: Vec<Fixture> = all.iter().filter(wanted).cloned().collect();
        if these.is_empty() {
            return Err("no fixture matches; `list` names all".into());
        }
        Ok(these)
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern)?);
    }
    set.build()
}

fn main() -> ExitCode {
    match work(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("conform: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints long output; a closed pipe is not an error.
fn say(text: &str) -> Result<bool, Box<dyn std::error::Error>> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(true),
    }
}

/// Whether all is well.
fn work(arguments: &Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    let all = || load(&arguments.fixtures);
    match &arguments.command {
        Command::Run(run) => {
            if run.format != "3.0" {
                return Err(format!("no fixtures of format {}; there is 3.0", run.format).into());
            }
            let limit = Duration::from_secs(run.limit);
            if run.level == Level::Values {
                return values::values(&run.reader, &arguments.fixtures.join("../values"), limit);
            }
            let all = all()?;
            let fixtures = run.selection.of(&all)?;
            let known = match &run.known_failures {
                Some(path) => {
                    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?
                }
                None => String::new(),
            };
            let results = run::run(&run.reader, &fixtures, run.strict, run.stdin, limit)?;
            if let Some(path) = &run.json {
                std::fs::write(path, report::json(&run.reader, &results))
                    .map_err(|e| format!("{}: {e}", path.display()))?;
            }
            let ids: BTreeSet<&str> = all.iter().map(|f| f.id.as_str()).collect();
            Ok(report::print(&results, &known, &ids))
        }
        Command::Table { reader, strict, stdin } => {
            let fixtures = all()?;
            let mut rows = Vec::new();
            for reader in reader {
                let (name, command) = reader.split_once('=').ok_or("--reader NAME=COMMAND")?;
                let stdin = stdin.iter().any(|one| one == name);
                let results = run::run(command, &fixtures, *strict, stdin, run::LIMIT)?;
                rows.push((name.to_owned(), results));
            }
            if let Some(name) = stdin.iter().find(|name| rows.iter().all(|(row, _)| row != *name)) {
                return Err(format!("--stdin {name}: no reader has this name").into());
            }
            Ok(report::table(&rows))
        }
        Command::List(selection) => {
            let fixtures = selection.of(&all()?)?;
            say(&fixtures.iter().map(|f| format!("{:48} {}\n", f.id, f.about)).collect::<String>())
        }
        Command::Copy { directory } => fixtures::copy(&all()?, directory).map(|()| true),
        Command::Explain { id } => say(&fixtures::explain(&arguments.fixtures, id)?),
        Command::Write { writer, level, only, keep, reader } => {
            let (level, only, keep) = (*level, globs(only)?, keep.clone());
            write::write(writer, reader, &write::Selection { level, only, keep })
        }
        Command::Stress { reader, seconds } => stress::stress(reader, *seconds),
    }
}
