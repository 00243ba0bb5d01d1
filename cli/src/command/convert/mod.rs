//! `mmstats convert`: a recording in the formats of others.

mod csv;
mod openmetrics;
mod spool;

use std::ffi::OsString;
use std::io;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use mmstats_recording::{RecordedProgram, Recording, State};

use super::args::exit_codes;
use crate::model::recorded::{self, Recordings, When};
use crate::output::Output;
use crate::text::escape;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// OpenMetrics text with times, for `promtool tsdb create-blocks-from openmetrics`.
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// A row for each field and look: time, program, field, attributes, value.
    Csv,
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "openmetrics: names, units and types are those of `mmstats export`; the samples of a series stand\n",
    "together, in the order of time, with milliseconds. Of a program that ended the values at its end\n",
    "are the last ones. What has no number (texts, events) is left out.\n",
    "\ncsv, as of RFC 4180: the time in UTC with milliseconds, `web[1234]`, the label with its lane, if\n",
    "the field has values for each, the attributes as key=\"value\",..., and the value as in the lines\n",
    "of `mmstats show --plain`: exact, empty if there is none.\n",
    "\nTimes are as those of `mmstats show --at`.\n",
    "\nExamples:\n",
    "  mmstats convert openmetrics web.jsonl.gz > web.om\n",
    "  promtool tsdb create-blocks-from openmetrics web.om /var/lib/prometheus\n",
    "  mmstats convert csv --from -5m web.jsonl.gz web > web.csv\n"
))]
pub(crate) struct Convert {
    /// Begin at this time.
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true)]
    from: Option<When>,

    /// End at this time.
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true)]
    to: Option<When>,

    /// The format.
    #[arg(value_name = "FORMAT")]
    format: Format,

    /// Recordings of `mmstats record`, and process ids or names of programs in them [default: all].
    #[arg(value_name = "FILE", required = true)]
    files: Vec<OsString>,
}

pub(crate) fn run(args: &Convert, output: &mut Output) -> io::Result<()> {
    let Some(recordings) = Recordings::find(&args.files) else {
        output.fail(&Recordings::why_none(&args.files));
        return Ok(());
    };
    match args.format {
        Format::OpenMetrics => {
            let mut series = openmetrics::Series::new()?;
            each(args, &recordings, output, |state, programs, _| series.add(state, programs))?;
            series.write(output)
        }
        Format::Csv => {
            csv::head(output)?;
            each(args, &recordings, output, csv::rows)
        }
    }
}

/// Calls `look` for each look from the begin to the end that are asked for.
fn each(
    args: &Convert,
    recordings: &Recordings,
    output: &mut Output,
    mut look: impl FnMut(&State, &[&RecordedProgram], &mut Output) -> io::Result<()>,
) -> io::Result<()> {
    let recording = match recordings.open() {
        Ok(recording) => recording,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    recorded::cuts(&recording).iter().for_each(|note| output.note(note));
    let (from, to) = match recorded::range(&recording, args.from, args.to) {
        Ok(range) => range,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    let (mut has_program, mut last) = (false, None);
    looks(&recording, from, to, output, |state, output| {
        let programs = recordings.select(state, true);
        has_program |= !programs.is_empty();
        if !has_program {
            last = Some(recordings.no_program(state));
        }
        look(state, &programs, output)
    })?;
    if !has_program && !output.has_failed() {
        output.fail(&last.unwrap_or_else(|| recorded::no_look(&recording, from, to)));
    }
    Ok(())
}

fn looks(
    recording: &Recording,
    from: Option<SystemTime>,
    to: Option<SystemTime>,
    output: &mut Output,
    mut look: impl FnMut(&State, &mut Output) -> io::Result<()>,
) -> io::Result<()> {
    let frames = from.map_or_else(|| Ok(recording.frames()), |from| recording.frames_from(from));
    let mut frames = match frames {
        Ok(frames) => frames,
        Err(error) => {
            output.fail(&escape::text(&error.to_string()));
            return Ok(());
        }
    };
    loop {
        match frames.next() {
            Ok(Some(state)) => {
                let time = state.time();
                if to.is_some_and(|to| time > to) {
                    return Ok(());
                }
                if from.is_none_or(|from| time >= from) {
                    look(state, output)?;
                }
            }
            Ok(None) => return Ok(()),
            // The looks after it may be whole.
            Err(error) => output.fail(&escape::text(&error.to_string())),
        }
    }
}
