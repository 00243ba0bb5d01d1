//! The tools of mmstats, which the binary `mmstats` runs: see `mmstats help`.
//!
//! A library only so that tests can run a tool and look at what it would have written.
//! Nothing in it is a promise: programs use `mmstats-observe`.
#![forbid(unsafe_code)]

mod args;
mod check;
mod clean;
mod demo;
mod dump;
mod escape;
mod events;
mod globs;
mod human;
mod json;
mod kinds;
mod ls;
mod output;
mod poll;
mod rates;
mod render;
mod scan;
mod show;
mod targets;
mod value;
mod view;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // as above
use mmstats_windows as backend;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::output::Output;

/// Runs the tool that the command line names.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return help_or_usage(&error),
    };
    if let Command::DemoPublisher(args) = &cli.command {
        return demo::publisher::run(args);
    }
    let mut output = Output::new(cli.color.choice());
    run(&cli, &mut output);
    ExitCode::from(output.code())
}

fn run(cli: &Cli, output: &mut Output) {
    let result = match &cli.command {
        Command::Ls(args) => ls::run(args, output),
        Command::Show(args) => show::run(args, output),
        Command::Poll(args) => poll::run(args, output),
        Command::Events(args) => events::run(args, output),
        Command::Clean(args) => clean::run(args, output),
        Command::Check(args) => check::run(args, output),
        Command::Dump(args) => dump::run(args, output),
        Command::Scan(args) => scan::run(args, output),
        Command::Demo(args) => demo::run(args, output),
        // A process of its own, which has no output: see `main`.
        Command::DemoPublisher(_) => Ok(()),
    };
    match result.and_then(|()| output.flush()) {
        Ok(()) => {}
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => output.fail(&format!("cannot write: {error}")),
    }
}

/// clap's own `exit` would panic on a broken pipe, and its complaints may hold what the user
/// pasted, or a name that a pattern of the shell found: such a one is plain and escaped.
fn help_or_usage(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { 2 } else { 0 };
    let text = error.render().to_string();
    if text.chars().all(|c| c == '\n' || escape::harmless(c)) {
        let _ = error.print();
    } else {
        let lines = text.lines().map(|line| escape::text(line) + "\n");
        let _ = io::stderr().write_all(lines.collect::<String>().as_bytes());
    }
    ExitCode::from(code)
}

/// What a tool wrote.
#[doc(hidden)]
#[derive(Debug)]
pub struct Captured {
    /// To standard output.
    pub out: Vec<u8>,
    /// To standard error.
    pub err: Vec<u8>,
    /// The exit code.
    pub code: u8,
}

/// Runs a tool in this process, for tests: `arguments` are those after the program's name,
/// `terminal` the columns and rows of the terminal that standard output is, if it is one.
///
/// # Panics
///
/// If the arguments are wrong.
#[doc(hidden)]
#[must_use]
pub fn capture(arguments: &[OsString], terminal: Option<(usize, usize)>) -> Captured {
    let name = OsString::from("mmstats");
    let cli = Cli::try_parse_from(std::iter::once(&name).chain(arguments));
    let cli = cli.unwrap_or_else(|error| panic!("{error}"));
    let (mut output, captured) = Output::capture(cli.color.choice(), terminal);
    run(&cli, &mut output);
    let code = output.code();
    drop(output);
    captured.take(code)
}
