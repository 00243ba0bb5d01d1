//! The commands, one module each: its arguments, then `run`.

pub(crate) mod alert;
pub(crate) mod args;
mod check;
mod clean;
#[cfg(feature = "record")]
mod convert;
#[cfg(feature = "demo")]
pub(crate) mod demo;
#[cfg(feature = "record")]
mod diff;
mod dump;
mod events;
#[cfg(feature = "export")]
mod export;
mod ls;
mod manual;
pub(crate) mod poll;
#[cfg(feature = "record")]
mod record;
#[cfg(feature = "record")]
mod replay;
mod scan;
#[cfg(feature = "serve")]
mod serve;
mod show;
#[cfg(feature = "threads")]
mod threads;
#[cfg(feature = "top")]
mod top;
mod watch;

use std::io;

use clap::Subcommand;

use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the programs that publish, live and dead.
    Ls(ls::Ls),
    /// Show the fields of programs with their values.
    Show(show::Show),
    /// Print a row of rates and values every second, like vmstat.
    Poll(poll::Poll),
    /// Compare fields with numbers, for monitoring and scripts: exit code 0, 1, 2 or 3.
    Alert(alert::Alert),
    /// Watch programs and their fields on a full screen.
    #[cfg(feature = "top")]
    Top(top::Top),
    /// Show all programs on a page in the browser, and as JSON.
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    /// Tell what the threads of programs do, and what is unusual about them.
    #[cfg(feature = "threads")]
    #[command(visible_alias = "why")]
    Threads(threads::Threads),
    /// Record every value of programs in a file.
    #[cfg(feature = "record")]
    Record(record::Record),
    /// Show a recording on a full screen, or repair one.
    #[cfg(feature = "record")]
    Replay(replay::Replay),
    /// Compare two programs, or a program at two times.
    #[cfg(feature = "record")]
    Diff(diff::Diff),
    /// Print a recording as OpenMetrics text or CSV.
    #[cfg(feature = "record")]
    Convert(convert::Convert),
    /// Print the lines that programs recorded, merged by time.
    Events(events::Events),
    /// Export metrics to Prometheus, an OTLP collector or Graphite.
    #[cfg(feature = "export")]
    Export(export::Export),
    /// Remove the files of dead programs.
    Clean(clean::Clean),
    /// Check files against every rule of the format.
    Check(check::Check),
    /// Print every byte of a file with its meaning.
    Dump(dump::Dump),
    /// Find images inside other files: core dumps, memory of microcontrollers.
    Scan(scan::Scan),
    /// Print a manual page, or write all of them into a directory.
    Man(manual::Man),
    /// Print a script that completes commands and options.
    Completions(manual::Completions),
    /// Start a program that publishes, and watch it from outside.
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// The program that `demo` watches.
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    DemoPublisher(demo::publisher::DemoPublisher),
}

impl Command {
    /// `root` is the definition of the command line.
    pub(crate) fn run(&self, root: fn() -> clap::Command, output: &mut Output) -> io::Result<()> {
        match self {
            Self::Ls(args) => ls::run(args, output),
            Self::Show(args) => show::run(args, output),
            #[cfg(feature = "top")]
            Self::Top(args) => top::run(args, output),
            Self::Poll(args) => poll::run(args, output),
            #[cfg(feature = "serve")]
            Self::Serve(args) => serve::run(args, output),
            Self::Alert(args) => alert::run(args, output),
            #[cfg(feature = "threads")]
            Self::Threads(args) => threads::run(args, output),
            #[cfg(feature = "record")]
            Self::Record(args) => record::run(args, output),
            #[cfg(feature = "record")]
            Self::Replay(args) => replay::run(args, output),
            #[cfg(feature = "record")]
            Self::Convert(args) => convert::run(args, output),
            #[cfg(feature = "record")]
            Self::Diff(args) => diff::run(args, output),
            Self::Events(args) => events::run(args, output),
            #[cfg(feature = "export")]
            Self::Export(args) => export::run(args, output),
            Self::Clean(args) => clean::run(args, output),
            Self::Check(args) => check::run(args, output),
            Self::Dump(args) => dump::run(args, output),
            Self::Scan(args) => scan::run(args, output),
            Self::Man(args) => manual::man(args, root(), output),
            Self::Completions(args) => manual::completions(args, root(), output),
            #[cfg(feature = "demo")]
            Self::Demo(args) => demo::run(args, output),
            // A process without output: `main` runs it.
            #[cfg(feature = "demo")]
            Self::DemoPublisher(_) => Ok(()),
        }
    }
}
