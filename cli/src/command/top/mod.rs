//! `mmstats top`: programs and their fields on a full screen.

mod app;
mod chart;
mod details;
mod draw;
mod events;
mod fields;
mod format;
mod help;
mod histograms;
mod keys;
mod locks;
mod programs;
mod row;
mod session;
mod start;
mod table;
mod threads;
mod tree;

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use mmstats_history::{Options, ProgramKey, Sampler, Select};
#[cfg(feature = "demo")] // names its process
use mmstats_observe::Sources;

use self::app::App;
use self::session::Session;
use super::args::{Scope, exit_codes, live_program, seconds, selecting, up_to};
use crate::live::looks::Looks;
#[cfg(feature = "record")]
use crate::live::processes::Processes;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Programs of this machine with their state, processor, memory and busiest counter, and what is\n",
    "unusual about them; Enter shows the fields of one, live. Looking never stops: space freezes the\n",
    "screen, the arrow keys go back in time, and ? lists all keys. A program that dies stays, with\n",
    "its last values.\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats top\n",
    "  mmstats top 1234\n",
    "  mmstats top web worker\n",
    "  mmstats top --delay 0.2 /srv/stats\n"
))]
pub(crate) struct Top {
    #[command(flatten)]
    scope: Scope,

    /// Process ids, names of programs, files or directories [default: all programs that can be found].
    #[arg(value_name = "PID|NAME|PATH", value_parser = live_program())]
    programs: Vec<OsString>,

    /// Seconds between two looks at all fields; those on the screen are looked at ten times a second.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    delay: Duration,

    /// Memory for the past, in MiB.
    #[arg(long, value_name = "MIB", default_value = "64",
          value_parser = up_to::<16_384>)]
    memory: u16,
}

pub(crate) fn run(args: &Top, output: &mut Output) -> io::Result<()> {
    if !output.screen().is_terminal() {
        output.usage("top needs a terminal; for pipes there are `mmstats show` and `mmstats poll`");
        return Ok(());
    }
    let selection = args.scope.select_everywhere(&args.programs);
    let mut options = Options::new(selection.sources.clone());
    // If no program of a name lives, only the last one that ended is shown.
    options.select = Some(Select::new(move |programs| {
        selection.select_or_listed(programs).map(ProgramKey::of).collect()
    }));
    options.every = args.delay;
    options.budget = usize::from(args.memory) << 20;
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    // Without a handler, SIGTERM, SIGHUP and Ctrl-C from elsewhere would leave the terminal as it is.
    if let Err(error) = ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed)) {
        output.note(&format!("a signal will not give the terminal back: {error}"));
    }
    watch(options, output, stop, None, || false)
}

/// Shows what a sampler finds, until the user, `stop` or `is_over` ends it.
fn watch(
    mut options: Options,
    output: &mut Output,
    stop: Arc<AtomicBool>,
    hint: Option<String>,
    is_over: impl FnMut() -> bool,
) -> io::Result<()> {
    let looks = Looks::default();
    options.on_look = Some(looks.on_look());
    let sampler = match Sampler::start(options) {
        Ok(sampler) => sampler,
        Err(error) => {
            output.fail(&format!("cannot start to look: {error}"));
            return Ok(());
        }
    };
    // So that the first frame has programs.
    sampler.wait(0, Duration::from_millis(500));
    let mut session = Session::open(stop)?;
    let mut app = App::new(sampler, looks, output.has_colours());
    app.hint = hint;
    let result = session.run(&mut app, is_over);
    // The terminal first: the end of the sampler waits for its look.
    drop(session);
    result
}

/// Shows a recording.
#[cfg(feature = "record")]
pub(super) fn replay(
    sampler: Sampler,
    processes: Processes,
    hint: String,
    output: &mut Output,
) -> io::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    if let Err(error) = ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed)) {
        output.note(&format!("a signal will not give the terminal back: {error}"));
    }
    let mut session = Session::open(stop)?;
    let mut app = App::new(sampler, Looks::default(), output.has_colours());
    (app.hint, app.processes) = (Some(hint), processes);
    session.run(&mut app, || false)
}

/// Shows one process, for the demo.
#[cfg(feature = "demo")]
pub(super) fn watch_process(
    pid: u32,
    output: &mut Output,
    stop: Arc<AtomicBool>,
    is_over: impl FnMut() -> bool,
) -> io::Result<()> {
    let hint = format!("? keys  q end  elsewhere: mmstats show {pid}");
    watch(Options::new(Sources::new().pid(pid)), output, stop, Some(hint), is_over)
}
