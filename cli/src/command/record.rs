//! `mmstats record`: every look in a file.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use clap::builder::TypedValueParser;
use mmstats_history::{Options, ProgramKey, Sampler, Select};
use mmstats_recording::{Limits, Recorder, Status, Store};

use super::args::{exit_codes, interrupt, long_duration, program, seconds, selecting};
use crate::backend::ProcessState;
use crate::model::life::Life;
use crate::model::recorded;
use crate::model::selection::Selection;
use crate::output::Output;
use crate::text::{escape, human};

/// Memory for the descriptions of programs. Their pasts are in the file.
const BUDGET: usize = 2 << 30;
const PAST: usize = 4 << 20;
/// Time between two looks at the recorder.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Values, states, events: all that `mmstats show --json` shows, whenever it changes; and what the\n",
    "threads do, once a second, as `mmstats threads` tells it. Ctrl-C ends it, and the end of all\n",
    "processes that are named by id. What was recorded is in the file after half a second, also if\n",
    "the recorder is killed. When the disk is full it goes on as soon as there is room, and the gap is\n",
    "in the recording. A file that is there is continued.\n",
    "\nThreads take a tenth of a processor and 64 KiB of text a second at most; looks at them that have no\n",
    "time or room are left out, counted and reported.\n",
    "\nThe file is JSON lines in gzip, for zcat and jq, DuckDB, pandas; `mmstats replay` shows it.\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats record\n",
    "  mmstats record -o web.jsonl.gz --delay 0.1 web\n",
    "  mmstats record --rotate 64M --quota 1G\n",
    "  mmstats record --rotate 1h --quota 1G web worker\n"
))]
pub(crate) struct Record {
    /// The file [default: mmstats-DATE-TIME.jsonl.gz].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Seconds between two looks.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    delay: Duration,

    /// Begin another file at this size, like 64M, or after this time, like 1h.
    #[arg(long, value_name = "SIZE|TIME", value_parser = rotation)]
    rotate: Vec<Rotation>,

    /// Remove the oldest files of this recording when all take more than this, like 1G.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    quota: Option<u64>,

    /// Leave out what the threads do.
    #[arg(long)]
    no_threads: bool,

    /// Process ids, names of programs, files or directories [default: all programs that can be found].
    #[arg(value_name = "PID|NAME|PATH", value_parser = source())]
    programs: Vec<OsString>,
}

/// As [`program`]. A recording is written, not recorded.
fn source() -> impl TypedValueParser<Value = OsString> {
    program().try_map(|text| match recorded::is_meant(Path::new(&text)) {
        true => Err("it has the name of a recording, which is written by `--output FILE`"),
        false => Ok(text),
    })
}

/// When another file begins.
#[derive(Debug, Clone, Copy)]
enum Rotation {
    Size(u64),
    Time(Duration),
}

fn rotation(text: &str) -> Result<Rotation, String> {
    match (size(text), long_duration(text)) {
        (Ok(size), _) => Ok(Rotation::Size(size)),
        (_, Ok(time)) if !time.is_zero() => Ok(Rotation::Time(time)),
        _ => Err("not a size like 64M or 1G, or a time like 90s, 15m, 12h or 7d".to_owned()),
    }
}

/// A size in bytes: `65536`, `64K`, `1.5M`, `1G`, at least 64 KiB.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "not a size from 64K on, like 64M or 1G".to_owned();
    let text = text.strip_suffix("iB").unwrap_or(text);
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 'K')) => (&text[..at], 1_u64 << 10),
        Some((at, 'M')) => (&text[..at], 1 << 20),
        Some((at, 'G')) => (&text[..at], 1 << 30),
        Some((at, 'T')) => (&text[..at], 1 << 40),
        _ => (text, 1),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    #[allow(clippy::cast_precision_loss)] // A power of 2.
    let bytes = number * unit as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // In range.
    (65_536.0..=1e15).contains(&bytes).then_some(bytes as u64).ok_or_else(wrong)
}

pub(crate) fn run(args: &Record, output: &mut Output) -> io::Result<()> {
    let mut limits = Limits::default();
    limits.quota = args.quota;
    for rotation in &args.rotate {
        match rotation {
            Rotation::Size(size) => limits.size = Some(*size),
            Rotation::Time(time) => limits.time = Some(*time),
        }
    }
    let path = args.output.clone().unwrap_or_else(default_name);
    let (store, cut) = match Store::open(&path, limits) {
        Ok(opened) => opened,
        Err(error) => {
            let help = if path.is_dir() { "; --output takes a file: DIR/web.jsonl.gz" } else { "" };
            output.fail(&format!("{error}{help}"));
            return Ok(());
        }
    };
    let interrupted = interrupt()?;
    if cut > 0 {
        output.note(&format!("{cut} bytes of a cut write at the end of the file were removed"));
    }
    let tool = concat!("mmstats ", env!("CARGO_PKG_VERSION"));
    let mut recorder = Recorder::new(store, args.delay, tool);
    if args.no_threads {
        recorder = recorder.without_threads();
    }
    let selection = selection(args);
    // Process ids alone: nothing else can come.
    let only_pids = !selection.pids().is_empty() && selection.pids().len() == args.programs.len();
    let sampler = match start(args, selection, &recorder) {
        Ok(sampler) => sampler,
        Err(error) => {
            output.fail(&format!("cannot start to look: {error}"));
            return Ok(());
        }
    };
    sampler.wait(0, Duration::from_secs(10));
    let (programs, problems) = sampler.read(|history| {
        let named = history.problems().iter().filter(|problem| problem.named);
        let named: Vec<String> = named.map(ToString::to_string).collect();
        let programs = history.programs().iter();
        let is_readable =
            |program: &&mmstats_history::Program| program.condition().state().is_readable();
        (programs.filter(is_readable).count(), named)
    });
    for problem in &problems {
        if only_pids { output.fail(problem) } else { output.note(problem) }
    }
    let file = escape::path(&recorder.status().path);
    if programs == 0 && only_pids {
        recorder.finish();
        return Ok(());
    }
    let word = if programs == 1 { "program" } else { "programs" };
    output.note(&format!("recording {programs} {word} in {file}; Ctrl-C ends it"));
    let mut news = News::default();
    while interrupted.recv_timeout(PAUSE).is_err() && sampler.is_running() {
        news.tell(&recorder.status(), output);
        let (left_out, over) = sampler.read(|history| {
            let programs = || history.programs().iter();
            let ended = programs().all(|program| program.condition().has_ended());
            (programs().map(mmstats_history::Program::left_out).sum::<usize>(), ended)
        });
        if left_out > news.left_out {
            output.note(&format!("{left_out} fields find no room and are not recorded"));
            news.left_out = left_out;
        }
        if only_pids && over {
            output.note("the last named program has ended");
            break;
        }
    }
    drop(sampler);
    recorder.finish();
    let status = recorder.status();
    if let Some(problem) = &status.problem {
        output.fail(&format!("{}: {}", escape::path(&status.path), escape::text(problem)));
    }
    #[allow(clippy::cast_precision_loss)] // Shown with three digits.
    let (looks, size) = (status.looks, human::size(status.size as f64));
    output.note(&format!("{looks} looks, {size} in {}", escape::path(&status.path)));
    match status.threads_left_out {
        0 => {}
        1 => output.note("1 look at the threads of a program had no time or room, and is left out"),
        n => {
            let text = "looks at the threads of programs had no time or room, and are left out";
            output.note(&format!("{n} {text}"));
        }
    }
    Ok(())
}

fn selection(args: &Record) -> Selection {
    let explicit = crate::backend::directory::environment().is_explicit();
    Selection::parse(&args.programs).or_everywhere(args.programs.is_empty() && !explicit)
}

fn start(args: &Record, selection: Selection, recorder: &Recorder) -> io::Result<Sampler> {
    let mut options = Options::new(selection.sources.clone());
    options.select = Some(Select::new(move |programs| {
        selection.select_or_listed(programs).map(ProgramKey::of).collect()
    }));
    (options.every, options.budget, options.past) = (args.delay, BUDGET, PAST);
    options.on_look =
        Some(recorder.on_look(|program| {
            Life::new(program, SystemTime::now()).process.map(ProcessState::name)
        }));
    options.on_frame = Some(recorder.on_frame());
    Sampler::start(options)
}

/// Problems of the recorder that were reported.
#[derive(Default)]
struct News {
    problem: Option<String>,
    left_out: usize,
}

impl News {
    fn tell(&mut self, status: &Status, output: &mut Output) {
        if status.problem.is_some() == self.problem.is_some() {
            return;
        }
        let file = escape::path(&status.path);
        match &status.problem {
            Some(problem) => {
                let problem = escape::text(problem);
                output.note(&format!("{file}: {problem}; it goes on when that is possible"));
            }
            None => output.note(&format!("{file}: it goes on; {} looks are lost", status.lost)),
        }
        self.problem.clone_from(&status.problem);
    }
}

fn default_name() -> PathBuf {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = i128::try_from(now.as_nanos()).unwrap_or(0);
    let time = crate::text::time::local(nanoseconds, "%Y-%m-%d-%H%M%S").unwrap_or_default();
    PathBuf::from(format!("mmstats-{time}.jsonl.gz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_is_size_or_time() {
        assert!(matches!(rotation("64M"), Ok(Rotation::Size(67_108_864))));
        assert!(matches!(rotation("90000"), Ok(Rotation::Size(90_000))));
        assert!(matches!(rotation("1GiB"), Ok(Rotation::Size(1_073_741_824))));
        let hour = Duration::from_secs(3_600);
        assert!(matches!(rotation("1h"), Ok(Rotation::Time(time)) if time == hour));
        for bad in ["", "0", "0s", "1", "1K", "-1M", "NaNM", "1X", "1e30G"] {
            assert!(rotation(bad).is_err(), "{bad}");
        }
    }
}
