//! The commands of the binary `mmstats`: see `mmstats help`.
//!
//! A library so that tests can run a command and read its output. Nothing in it is stable:
//! programs use `mmstats-observe`.
//!
//! The modules are layers; each uses only those above it here: `text` and `backend`, `output`,
//! `value`, `model`, `json` and `render`, `command`, `cli`.
#![forbid(unsafe_code)]

mod backend;
mod cli;
mod command;
mod json;
mod model;
mod output;
mod render;
mod text;
mod value;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use crate::cli::Cli;
use crate::output::Output;
use crate::text::escape;

#[doc(hidden)]
pub use crate::output::Captured;

/// Runs the command that the command line names.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return help_or_usage(&error),
    };
    #[cfg(feature = "demo")]
    if let command::Command::DemoPublisher(args) = &cli.command {
        return command::demo::publisher::run(args);
    }
    let mut output = Output::new(cli.color());
    run(&cli, &mut output);
    ExitCode::from(output.code())
}

fn run(cli: &Cli, output: &mut Output) {
    let result = cli.command.run(Cli::command, output);
    finish(result, output);
}

/// Writes what is left. A closed pipe is no error: its reader has seen enough.
fn finish(result: io::Result<()>, output: &mut Output) {
    match result.and_then(|()| output.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => output.fail(&format!("cannot write: {error}")),
    }
}

/// Prints help, or an error in the command line. `clap::Error::exit` would panic on a broken pipe
/// and write arguments unescaped: a message with harmful characters is escaped, without styles.
fn help_or_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let mut output = Output::new(anstream::ColorChoice::Auto);
        let result = write!(output, "{}", error.render().ansi());
        finish(result, &mut output);
        return ExitCode::from(output.code());
    }
    let text = error.render().to_string();
    let fields_missing =
        error.kind() == ErrorKind::MissingRequiredArgument && text.contains(command::poll::FIELDS);
    if text.chars().all(|c| c == '\n' || escape::is_harmless(c)) {
        let _ = error.print();
    } else {
        let lines = text.lines().map(|line| escape::text(line) + "\n");
        let _ = io::stderr().write_all(lines.collect::<String>().as_bytes());
    }
    if fields_missing {
        let _ = io::stderr()
            .write_all(b"`mmstats show` lists the fields, `mmstats poll '*'` takes all.\n");
    }
    ExitCode::from(2)
}

/// Runs a command in this process, for tests. `arguments` are those after the program's name;
/// `terminal` is the size of the terminal in columns and rows, `None` for a pipe.
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
    let (mut output, captured) = Output::capture(cli.color(), terminal);
    run(&cli, &mut output);
    let code = output.code();
    drop(output);
    captured.take(code)
}
