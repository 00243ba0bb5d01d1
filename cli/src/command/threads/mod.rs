//! `mmstats threads`: what the threads of programs do.

pub(super) mod json;
#[cfg(feature = "record")] // recordings
mod recorded;

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::{Observer, Program};
use mmstats_threads::{Report, Watcher};

use super::args::{Form, exit_codes, interrupt, program, selecting};
use super::watch::{Frame, Watch};
use crate::backend::ProcessState;
use crate::model::head::Head;
use crate::model::life::Life;
#[cfg(feature = "record")] // recordings
use crate::model::recorded::{Recordings, When};
use crate::model::selection::Selection;
use crate::model::watched::Watched;
use crate::output::Output;
use crate::render::missing::{Looked, nothing};
use crate::render::paths::Paths;
use crate::render::problems::{self, WhenMissing};
use crate::render::threads;

/// Time between two looks, of which the second is shown: shares of processors, deadlocks.
const BETWEEN: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "First what is unusual: deadlocks, threads that are stopped, busy or wait for a lock, what is in\n",
    "progress in no thread, panics, with --watch no change for long. Then a line for each thread:\n",
    "  TID       its id, as the program sees it\n",
    "  STATE     running, sleeping, disk (waits for a device), stopped, traced, zombie\n",
    "  CPU       processors in use in the last 0.3 s; with --watch since the time before\n",
    "  QUIET     with --watch, time since the last change of what it publishes; > since the first look\n",
    "  WAITS IN  function of the kernel in which it waits, where that is to be known\n",
    "  DOING     its activities, oldest first, each with its age; the lock it waits for and who holds\n",
    "            it; the locks it holds\n",
    "\nState, processors and kernel come from the system, the rest from what the program publishes:\n",
    "activities, tracing spans (mmstats-tracing), named locks (mmstats::sync). A process that publishes\n",
    "nothing is shown as the system knows it; of a dead one what it did last. Of a core dump,\n",
    "`mmstats scan --extract` makes files that can be named here.\n",
    "\nPlain, a line is PID TAB finding TAB CODE TAB TEXT; PID TAB thread TAB TID TAB NAME TAB STATE TAB\n",
    "CPU TAB QUIET TAB WAITS_IN TAB DOING; or PID TAB activity TAB SECONDS TAB LABEL TAB TEXT. Ages count\n",
    "until now, also of what was in progress when a program ended.\n",
    selecting!(),
    "\nA recording of `mmstats record` is shown as it was --at a time, or at its end; process ids and\n",
    "names behind it select its programs. Threads are recorded once a second: the last look is shown.\n",
    "The header names the time of the look at the program; times are as those of `mmstats show --at`.\n",
    "\nExamples:\n",
    "  mmstats threads web\n",
    "  mmstats why 1234\n",
    "  mmstats threads --watch web\n",
    "  mmstats threads --at 21:35:10 web.jsonl.gz\n",
    "  mmstats threads --json web | jq '.programs[].findings'\n"
))]
pub(crate) struct Threads {
    /// Show dead and closed programs too.
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Print one JSON document; with --watch one each time.
    #[arg(long)]
    pub(crate) json: bool,

    /// Show a recording as of this time: as 2026-11-29T21:35:10Z, 21:35:10 (local), -5m (before its
    /// end) or @1796000000 [default: its end].
    #[cfg(feature = "record")] // recordings
    #[arg(long, value_name = "TIME", value_parser = When::parse, allow_hyphen_values = true,
          conflicts_with = "watch")]
    pub(crate) at: Option<When>,

    #[command(flatten)]
    pub(crate) form: Form,

    #[command(flatten)]
    pub(crate) watch: Watch,

    /// Process ids, names of programs, files or directories [default: all live programs of this user].
    #[arg(value_name = "PID|NAME|PATH", value_parser = program())]
    pub(crate) programs: Vec<OsString>,
}

pub(crate) fn run(args: &Threads, output: &mut Output) -> io::Result<()> {
    #[cfg(feature = "record")] // recordings
    if let Some(recordings) = Recordings::find(&args.programs) {
        if args.watch.is_on() {
            output.usage("a recording is not watched: --watch is for programs");
            return Ok(());
        }
        let Threads { at, all, json, form, .. } = *args;
        let wanted = recorded::Wanted { at, all, json, form };
        return recorded::run(&wanted, &recordings, output);
    } else if args.at.is_some() {
        output.usage("--at needs a recording of `mmstats record`: mmstats threads --at -5m FILE");
        return Ok(());
    }
    let selection = Selection::parse(&args.programs);
    let mut observer = Observer::new(selection.sources.clone());
    let (watcher, watched) = (Watcher::new(), Watched::default());
    let mut shown = Shown { args, selection, watcher, watched, is_first: true, left_out: None };
    let stop = if args.watch.is_on() { Some(interrupt()?) } else { None };
    observer.refresh();
    shown.look(&observer);
    std::thread::sleep(BETWEEN);
    if let Some(stop) = stop {
        return args.watch.repeat(
            &stop,
            args.form,
            args.json,
            &mut observer,
            output,
            |observer, output| shown.once(observer, output),
        );
    }
    observer.refresh();
    shown.once(&observer, output).map(drop)
}

/// State of the command, for one look or, with `--watch`, for each.
struct Shown<'s> {
    args: &'s Threads,
    selection: Selection,
    watcher: Watcher,
    watched: Watched,
    /// Whether nothing was shown yet.
    is_first: bool,
    /// Messages about ended programs that were left out at the first look.
    left_out: Option<Vec<String>>,
}

/// A program with its report, or the report of a process that publishes nothing.
type Reported<'r, 'a> = (Option<&'r Program<'a>>, &'r Report);

impl Shown<'_> {
    /// Looks at the selected programs, and at the processes that publish nothing.
    fn look<'a>(&mut self, observer: &'a Observer) -> (Vec<Program<'a>>, Vec<u32>) {
        let all = observer.programs();
        if !self.args.all && self.left_out.is_none() {
            self.left_out = Some(self.selection.left_out(&all));
        }
        if self.args.watch.is_on() && !self.args.all {
            self.selection.pass_over_ended(&all);
        }
        let selected = self.selection.select(&all, self.args.all).into_iter().cloned();
        // The sums of ended programs have no threads.
        let selected: Vec<_> = selected.filter(|program| program.ledger().is_none()).collect();
        // A process that lives is shown even if it publishes nothing that can be read, or if another one had its
        // id and is dead. One that its parent has not waited for is still that of its program.
        let now = SystemTime::now();
        let is_zombie =
            |program: &Program<'_>| Life::new(program, now).process == Some(ProcessState::Zombie);
        let lives = |pid: u32, program: &Program<'_>| {
            program.process() == Some(pid) && (!program.state().has_ended() || is_zombie(program))
        };
        let publishes = |pid: u32| selected.iter().any(|program| lives(pid, program));
        let others = self.selection.pids().iter().copied().filter(|pid| !publishes(*pid));
        let others: Vec<u32> = others.collect();
        self.watcher.look_also_at(&selected, &others);
        (selected, others)
    }

    /// Shows the threads as of now.
    fn once(&mut self, observer: &Observer, output: &mut Output) -> io::Result<Frame> {
        let (programs, others) = self.look(observer);
        let now = SystemTime::now();
        let reports = self.watcher.reports();
        let (of_programs, of_processes) = reports.split_at(programs.len().min(reports.len()));
        let (processes, found): (Vec<&Report>, Vec<u32>) = of_processes
            .iter()
            .zip(&others)
            .filter(|(report, _)| report.process.is_some())
            .map(|(report, pid)| (report, *pid))
            .unzip();
        let shown = programs.iter().map(Some).zip(of_programs);
        let shown: Vec<Reported<'_, '_>> =
            shown.chain(processes.into_iter().map(|report| (None, report))).collect();
        print(self.args, &shown, now, output)?;
        let waits = self.args.watch.is_on() && self.selection.takes_later_ones();
        let missing = match self.is_first {
            true if waits => WhenMissing::Wait,
            true => WhenMissing::Found(&found),
            false => WhenMissing::Ignore,
        };
        problems::report_named(observer, missing, &Paths::default(), output);
        problems::report_incomplete(&programs, output);
        let is_over = self.args.watch.is_on() && !waits && shown.is_empty();
        if shown.is_empty() && waits && self.is_first && !problems::has_missing(observer) {
            output.note(&format!("waiting for a program{}", problems::in_directories(observer)));
        } else if shown.is_empty() && !waits && !output.has_failed() && self.is_first {
            let looked = Looked::from_arguments(self.selection.is_empty());
            output.fail(&nothing(observer, looked, Some("--all")));
        }
        if self.is_first {
            let left_out = self.left_out.iter().flatten();
            left_out.for_each(|left_out| output.note(&format!("{left_out}: --all")));
        }
        self.is_first = false;
        let selected: Vec<&Program<'_>> = programs.iter().collect();
        let news = self.watched.news(&selected, &observer.programs(), waits);
        Ok(Frame { news, is_over })
    }
}

fn print(
    args: &Threads,
    shown: &[Reported<'_, '_>],
    now: SystemTime,
    output: &mut Output,
) -> io::Result<()> {
    let screen = args.form.screen(output);
    if args.json {
        return json::write(shown, now, output);
    }
    for (at, (program, report)) in shown.iter().enumerate() {
        let head = program.map(|program| Head::from_program(program, now));
        if !screen.is_terminal() {
            for line in threads::plain(head.as_ref(), report) {
                writeln!(output, "{line}")?;
            }
            continue;
        }
        if at > 0 {
            writeln!(output)?;
        }
        let fields = program.map_or(&[][..], |program| program.files());
        let fields = fields.iter().flat_map(|file| file.fields());
        let texts = fields.filter(|field| threads::is_text_of_thread(field.properties()));
        let texts: Vec<&str> = texts.map(|field| field.label()).collect();
        for line in threads::section(head.as_ref(), report, &texts, screen.width(), now) {
            writeln!(output, "{}", line.render(usize::MAX))?;
        }
    }
    Ok(())
}
