//! The tools of mmstats: see [`args`] for what they do.
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

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return help_or_usage(&error),
    };
    let mut output = Output::new(cli.color.choice());
    let result = match &cli.command {
        Command::Ls(args) => ls::run(args, &mut output),
        Command::Show(args) => show::run(args, &mut output),
        Command::Poll(args) => poll::run(args, &mut output),
        Command::Events(args) => events::run(args, &mut output),
        Command::Clean(args) => clean::run(args, &mut output),
        Command::Check(args) => check::run(args, &mut output),
        Command::Dump(args) => dump::run(args, &mut output),
        Command::Scan(args) => scan::run(args, &mut output),
        Command::Demo(args) => demo::run(args, &mut output),
        Command::DemoPublisher(args) => return demo::publisher::run(args),
    };
    match result.and_then(|()| output.flush()) {
        Ok(()) => output.exit_code(),
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => output.exit_code(),
        Err(error) => {
            output.fail(&format!("cannot write: {error}"));
            output.exit_code()
        }
    }
}

/// clap's own `exit` would panic on a broken pipe, and its texts may hold what the user
/// pasted: control characters are taken out of complaints.
fn help_or_usage(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { 2 } else { 0 };
    let _ = error.print();
    ExitCode::from(code)
}
