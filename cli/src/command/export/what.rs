//! Options that all forms of `export` share: programs and fields.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use clap::Args;

use super::watcher::{Watched, Watching};
use crate::command::args::{Scope, live_program, long_duration, up_to};
use crate::metrics::{Scraper, Settings};
use crate::model::pattern::Pattern;
use crate::output::Output;
use crate::render::missing::Looked;
use crate::render::problems;
use crate::text::escape;

/// The programs and fields to export.
#[derive(Debug, Args)]
pub(super) struct What {
    /// Export only fields that match, as GLOB or GLOB{key="GLOB"}; separated by commas, or repeated.
    #[arg(short = 'F', long, value_name = "FIELD")]
    filter: Vec<String>,

    /// Add a label to all series.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    label: Vec<(String, String)>,

    /// Export the sums of all programs of a command, which never go back, in place of each program.
    #[arg(long)]
    sum: bool,

    /// How long a program stays after its end, like 90s or 5m.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = long_duration)]
    hold: Duration,

    /// Memory for programs that have ended, in MiB.
    #[arg(long, value_name = "MIB", default_value = "64",
          value_parser = up_to::<16_384>)]
    memory: u16,

    #[command(flatten)]
    scope: Scope,

    /// Process ids, names of programs, files or directories [default: all programs that can be found].
    #[arg(value_name = "PID|NAME|PATH", value_parser = live_program())]
    programs: Vec<OsString>,
}

/// `NAME=VALUE`, with a name that Prometheus takes.
fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not a label like NAME=VALUE")?;
    let is_name = !name.is_empty()
        && !name.starts_with("__")
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name || matches!(name, "le" | "quantile") {
        return Err(
            "the name of a label has letters, digits and _, and is not le or quantile".to_owned()
        );
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl What {
    /// Where programs are looked for.
    pub(super) fn looked(&self) -> Looked {
        if self.programs.is_empty() { Looked::Everywhere } else { Looked::Named }
    }

    /// A scraper of the programs, and of lines of events from a time on; `None` after a message about the command line.
    pub(super) fn scraper(&self, lines: Option<u64>, output: &mut Output) -> Option<Scraper> {
        let filter = Pattern::all(&self.filter).inspect_err(|text| output.usage(text)).ok()?;
        let selection = self.scope.select_everywhere(&self.programs);
        let settings = Settings {
            filter,
            labels: self.label.clone(),
            sum: self.sum,
            hold: self.hold,
            budget: usize::from(self.memory) << 20,
            lines,
        };
        Some(Scraper::new(selection, settings))
    }

    /// Starts to watch the programs; `None` after a message about the command line.
    pub(super) fn watch(
        &self,
        lines: Option<u64>,
        output: &mut Output,
    ) -> io::Result<Option<(Watched, Watching)>> {
        let Some(scraper) = self.scraper(lines, output) else { return Ok(None) };
        let (watched, watching, problem) = Watched::start(scraper)?;
        // Programs that do not exist yet may still start.
        problems::report_waiting(watched.lock().observer(), true, output);
        if let Some(problem) = problem {
            output.note(&format!("{}: short programs may be missed", escape::text(&problem)));
        }
        Ok(Some((watched, watching)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_has_a_name_of_prometheus() {
        assert_eq!(label("a_1=b=c"), Ok(("a_1".to_owned(), "b=c".to_owned())));
        for wrong in ["", "a", "=b", "1a=b", "__a=b", "a-b=c", "le=1"] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }
}
