//! `mmstats replay`: a recording on the screen.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use mmstats_recording::{Recording, repair};

use super::args::{exit_codes, up_to};
#[cfg(feature = "live")] // `top` and `serve` show them
use crate::live::{processes::Processes, recorded_threads::RecordedThreads};
use crate::model::recorded::{self, When};
use crate::output::Output;
use crate::text::escape;
#[cfg(feature = "top")] // the only user
use crate::text::human;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "The screen is that of `mmstats top`, at the end of the recording; the arrow keys go back in time.\n",
    "A rotated recording has several files: name all. What was cut at the end of a file, because the\n",
    "recorder was killed, is left out; --repair writes the rest into a file of its own.\n",
    "\nTimes are as those of `show --at`: 2026-11-29T21:35:10Z, 21:35:10 (local), -5m (before the end),\n",
    "@1796000000.\n",
    "\nExamples:\n",
    "  mmstats replay web.jsonl.gz\n",
    "  mmstats replay --to 21:35:10 web*.jsonl.gz\n",
    "  mmstats replay --serve --open web.jsonl.gz\n",
    "  mmstats replay --repair web.jsonl.gz\n"
))]
pub(crate) struct Replay {
    /// Write what is whole of each file into FILE-repaired, with the same ending.
    #[arg(long, conflicts_with_all = ["from", "to", "memory"])]
    repair: bool,

    /// Show it on a page, as `mmstats serve` does, in place of the screen.
    #[cfg(feature = "serve")]
    #[arg(long, conflicts_with = "repair")]
    serve: bool,

    #[cfg(feature = "serve")]
    #[command(flatten)]
    reach: super::serve::Reach,

    /// Begin at this time.
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true)]
    from: Option<When>,

    /// End at this time.
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true)]
    to: Option<When>,

    /// Memory for the past, in MiB: seconds of six hours before the end, finer near the end.
    #[arg(long, value_name = "MIB", default_value = "256",
          value_parser = up_to::<16_384>)]
    memory: u16,

    /// Recordings of `mmstats record`.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Replay, output: &mut Output) -> io::Result<()> {
    if args.repair {
        args.files.iter().for_each(|file| repaired(file, output));
        return Ok(());
    }
    let opened = recorded::open(&args.files).and_then(|recording| {
        let range = recorded::range(&recording, args.from, args.to)?;
        Ok((recording, range))
    });
    let (recording, range) = match opened {
        Ok(opened) => opened,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    recorded::cuts(&recording).iter().for_each(|note| output.note(note));
    #[cfg(feature = "serve")]
    if args.serve {
        return serve(args, recording, range, output);
    }
    show(args, recording, range, output)
}

/// Times from which and to which; all looks without one.
type Range = (Option<SystemTime>, Option<SystemTime>);

/// The looks of a recording between two times, if one has a program.
#[cfg(feature = "live")] // `top` and `serve` show them
fn looks(
    args: &Replay,
    recording: Recording,
    (from, to): Range,
) -> Result<mmstats_recording::Replay, String> {
    let budget = usize::from(args.memory) << 20;
    let (begin, end) = recording.span();
    let [begin, end] = recorded::dates([from.unwrap_or(begin), to.unwrap_or(end)]);
    let replay = recording.replay(budget, from, to).map_err(|error| error.to_string())?;
    match replay.sampler.read(|history| history.programs().is_empty()) {
        true => Err(format!("the recording has no program from {begin} to {end}")),
        false => Ok(replay),
    }
}

#[cfg(feature = "serve")]
fn serve(args: &Replay, recording: Recording, range: Range, output: &mut Output) -> io::Result<()> {
    let replay = match looks(args, recording, range) {
        Ok(replay) => replay,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    let start = || Ok((replay.sampler, Processes::recorded(RecordedThreads::new(replay.threads))));
    let second = std::time::Duration::from_secs(1);
    // Metrics are of now.
    let metrics = axum::Router::new();
    super::serve::serve(&args.reach, output, second, false, Default::default(), metrics, start)
}

#[cfg(feature = "top")]
fn show(args: &Replay, recording: Recording, range: Range, output: &mut Output) -> io::Result<()> {
    if !output.screen().is_terminal() {
        output.usage(
            "replay needs a terminal; in a pipe there are `mmstats show --at TIME FILE`, `mmstats poll FIELD FILE` \
             and `mmstats convert csv FILE`",
        );
        return Ok(());
    }
    let (from, to) = recording.span();
    let time = human::age(to.duration_since(from).unwrap_or_default());
    let replay = match looks(args, recording, range) {
        Ok(replay) => replay,
        Err(message) => {
            output.fail(&message);
            return Ok(());
        }
    };
    let hint = format!("a recording of {time}  left and right: time  ? keys  q end");
    let processes = Processes::recorded(RecordedThreads::new(replay.threads));
    super::top::replay(replay.sampler, processes, hint, output)
}

#[cfg(not(feature = "top"))]
fn show(_: &Replay, _: Recording, _: Range, output: &mut Output) -> io::Result<()> {
    output.usage("replay has no screen: the feature `top` is not built in");
    Ok(())
}

fn repaired(from: &Path, output: &mut Output) {
    let to = repaired_name(from);
    match repair(from, &to) {
        Ok(repaired) => output.note(&format!(
            "{}: {} blocks are whole; {} bytes were left out",
            escape::path(&to),
            repaired.blocks,
            repaired.left_out
        )),
        Err(error) => output.fail(&error.to_string()),
    }
}

fn repaired_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (stem, end) = match name.strip_suffix(".jsonl.gz") {
        Some(stem) => (stem, ".jsonl.gz"),
        None => (name.as_str(), ""),
    };
    path.with_file_name(format!("{stem}-repaired{end}"))
}
