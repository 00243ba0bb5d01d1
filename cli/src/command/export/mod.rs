//! `mmstats export`: metrics for Prometheus, an OTLP collector and Graphite.

mod graphite;
mod otlp;
mod prometheus;
mod queue;
mod sending;
mod watcher;
mod what;

use std::io;

use clap::{Args, Subcommand};

use super::args::exit_codes;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Runs beside the programs: one exporter for all of a machine, for a container, or for one program.\n",
    "A program that ends is exported with its final values for another minute (--hold), also one that\n",
    "was killed, or lived shorter than a scrape. What had ended before the exporter began is left out.\n",
    "Names and types of metrics are described in the README of mmstats-export.\n",
    "\nExamples:\n",
    "  mmstats export prometheus\n",
    "  mmstats export prometheus --textfile /var/lib/node_exporter/mmstats.prom web\n",
    "  mmstats export otlp --to http://127.0.0.1:4318 --label deployment=blue\n",
    "  mmstats export graphite --to 127.0.0.1:2003 -F 'http.*'\n"
))]
pub(crate) struct Export {
    #[command(subcommand)]
    to: To,
}

#[derive(Debug, Subcommand)]
enum To {
    /// Answer the scrapes of Prometheus, or write a file for node_exporter.
    Prometheus(prometheus::Prometheus),
    /// Send metrics, events and panics to an OpenTelemetry collector by HTTP.
    Otlp(otlp::Otlp),
    /// Send lines to carbon.
    Graphite(graphite::Graphite),
}

pub(crate) fn run(args: &Export, output: &mut Output) -> io::Result<()> {
    match &args.to {
        To::Prometheus(args) => prometheus::run(args, output),
        To::Otlp(args) => otlp::run(args, output),
        To::Graphite(args) => graphite::run(args, output),
    }
}
