//! The commands of the binary `mmstats`: see `mmstats help`.
//!
//! A library so that tests can run a command and read its output. Nothing in it is stable:
//! programs use `mmstats-observe`.
//!
//! The modules are layers; each uses only those above it here: `text` and `backend`, `output`,
//! `value`, `model`, `json` and `render`, `live`, `command`, `cli`.
#![forbid(unsafe_code)]

mod backend;
mod cli;
mod command;
mod json;
#[cfg(feature = "live")] // of `top` and `serve`
mod live;
#[cfg(feature = "serve")] // of its server, and of `export`
mod metrics;
mod model;
mod output;
mod render;
mod text;
mod value;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::output::Output;
use crate::text::escape;

#[doc(hidden)]
pub use crate::output::Captured;

/// Runs the command that the command line names.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::from_arguments(std::env::args_os()) {
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
        Err(error) => {
            output.fail(&format!("cannot write: {}", backend::reason(&error)));
            if output.has_answer() {
                output.answer(command::alert::UNKNOWN);
            }
        }
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
    if is_alert(std::env::args_os().skip(1)) {
        // Code 2 is an answer of this command; monitoring reads standard output.
        let _ = writeln!(io::stdout(), "{}: {}", command::alert::WRONG, message_line(&text));
        return ExitCode::from(command::alert::UNKNOWN);
    }
    ExitCode::from(2)
}

/// The message of an error as one line: without the usage behind it, but with what is listed below its first
/// line, as missing arguments are. A bar, which begins the data of a plugin, is `/`.
fn message_line(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    escape::text(line.trim_start_matches("error: ")).replace('|', "/")
}

/// Whether the arguments are those of `alert`, wrong as they may be.
fn is_alert(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        if argument == "--color" {
            arguments.next();
        } else if !argument.as_encoded_bytes().starts_with(b"-") {
            return argument == "alert";
        }
    }
    false
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
    let cli = Cli::from_arguments(std::iter::once(name).chain(arguments.iter().cloned()));
    let cli = cli.unwrap_or_else(|error| panic!("{error}"));
    let (mut output, captured) = Output::capture(cli.color(), terminal);
    run(&cli, &mut output);
    let code = output.code();
    drop(output);
    captured.take(code)
}
