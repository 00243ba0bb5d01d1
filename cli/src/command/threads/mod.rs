//! `mmstats threads`: what the threads of programs do.

mod json;

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::{Observer, Program};
use mmstats_threads::{Report, Watcher};

use super::args::{Form, TRY_DEMO, exit_codes, program, selecting};
use super::watch::Watch;
use crate::model::selection::Selection;
use crate::model::watched::Watched;
use crate::output::Output;
use crate::render::paths::Paths;
use crate::render::problems::{self, WhenMissing};
use crate::render::threads;

/// Time between two looks, of which the second is shown: shares of processors, deadlocks.
const BETWEEN: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "First what is unusual: deadlocks, threads that are stopped, busy or wait for a lock, what is in\n",
    "progress in no thread, panics, no change for long. Then a line for each thread:\n",
    "  TID       its id, as the program sees it\n",
    "  STATE     running, sleeping, disk (waits for a device), stopped, traced, zombie\n",
    "  CPU       processors in use in the last 0.3 s; with --watch since the time before\n",
    "  QUIET     time since the last change of what it publishes; > since the first look\n",
    "  WAITS IN  function of the kernel in which it waits, where that is to be known\n",
    "  DOING     its activities, oldest first, each with its age; the lock it waits for and who holds\n",
    "            it; the locks it holds\n",
    "\nState, processors and kernel come from the system, the rest from what the program publishes:\n",
    "activities, tracing spans (mmstats-tracing), named locks (mmstats::sync). A process that publishes\n",
    "nothing is shown as the system knows it; of a dead one what it did last.\n",
    "\nPlain, a line is PID TAB finding TAB CODE TAB TEXT; PID TAB thread TAB TID TAB NAME TAB STATE TAB\n",
    "CPU TAB QUIET TAB WAITS_IN TAB DOING; or PID TAB activity TAB SECONDS TAB LABEL TAB TEXT.\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats threads web\n",
    "  mmstats why 1234\n",
    "  mmstats threads --watch web\n",
    "  mmstats threads --json web | jq '.programs[].findings'\n"
))]
pub(crate) struct Threads {
    /// Show dead and closed programs too.
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Print one JSON document; with --watch one each time.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) form: Form,

    #[command(flatten)]
    pub(crate) watch: Watch,

    /// Process ids, names of programs, files or directories [default: all live programs of this user].
    #[arg(value_name = "PID|NAME|PATH", value_parser = program())]
    pub(crate) programs: Vec<OsString>,
}

pub(crate) fn run(args: &Threads, output: &mut Output) -> io::Result<()> {
    let selection = Selection::parse(&args.programs);
    let mut observer = Observer::new(selection.sources.clone());
    let mut shown = Shown { args, selection, watcher: Watcher::new(), watched: Watched::default() };
    observer.refresh();
    shown.look(&observer);
    std::thread::sleep(BETWEEN);
    if args.watch.is_on() {
        return args.watch.repeat(
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

/// What is shown, once or again and again.
struct Shown<'s> {
    args: &'s Threads,
    selection: Selection,
    watcher: Watcher,
    watched: Watched,
}

/// A program with its report, or the report of a process that publishes nothing.
type Reported<'r, 'a> = (Option<&'r Program<'a>>, &'r Report);

impl Shown<'_> {
    /// Looks at the selected programs, and at the processes that publish nothing.
    fn look<'a>(&mut self, observer: &'a Observer) -> (Vec<Program<'a>>, Vec<u32>) {
        let all = observer.programs();
        let is_of =
            |pid: u32| all.iter().any(|p| [p.process(), p.identity().pid].contains(&Some(pid)));
        let others = self.selection.pids().iter().copied().filter(|pid| !is_of(*pid));
        let others: Vec<u32> = others.collect();
        let selected = self.selection.select(&all, self.args.all).into_iter().cloned();
        // The sums of ended programs have no threads.
        let selected: Vec<_> = selected.filter(|program| program.ledger().is_none()).collect();
        self.watcher.look_also_at(&selected, &others);
        (selected, others)
    }

    /// Shows the threads as of now. Returns what has happened since the time before.
    fn once(&mut self, observer: &Observer, output: &mut Output) -> io::Result<Vec<String>> {
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
        problems::report_named(observer, WhenMissing::Found(&found), &Paths::default(), output);
        problems::report_incomplete(&programs, output);
        if shown.is_empty() && !output.has_failed() {
            let places = problems::in_directories(observer);
            output.fail(&format!("no live program{places}{TRY_DEMO}"));
        }
        let selected: Vec<&Program<'_>> = programs.iter().collect();
        Ok(self.watched.news(&selected, &observer.programs(), true))
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
        if !screen.is_terminal() {
            for line in threads::plain(*program, report) {
                writeln!(output, "{line}")?;
            }
            continue;
        }
        if at > 0 {
            writeln!(output)?;
        }
        for line in threads::section(*program, report, screen.width(), now) {
            writeln!(output, "{}", line.render(usize::MAX))?;
        }
    }
    Ok(())
}
