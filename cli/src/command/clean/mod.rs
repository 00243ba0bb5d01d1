//! `mmstats clean`: removes the files of dead programs.

mod directories;
mod legacy;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::{File, FileState, Observer, Program, Sources};

use self::directories::{Directories, parent};
use self::legacy::Mapped;
use super::args::{exit_codes, image, long_duration, programs};
use crate::backend::directory::Directory;
use crate::backend::{
    self, DeadProgram, Judged, ProcessState, Removal, SweepOptions, kept_programs, remove_judged,
    sweep,
};
use crate::model::life::{self, Life};
use crate::output::{Line, Output, Screen, style};
use crate::render::missing::{Looked, elsewhere, file_help};
use crate::render::problems;
use crate::render::program::{end_text, own_user};
use crate::text::{escape, human};

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "All files of a program are removed, or none. They are removed only if they belong to this user\n",
    "and the program is proven dead: the locks of its files are free; for format 1, which has no\n",
    "lock, no process has the file's process id, and none of any container has it mapped, which is\n",
    "proven only on Linux outside containers. All other files are kept, and the reason is printed. A\n",
    "file that changes or moves meanwhile is kept.\n",
    "\nPrograms are counted by command and directory, so that one that crashes again and again does\n",
    "not displace the last words of another. At most 16 times N are kept of all commands.\n",
    "\nA program died, for --keep and --older-than, when its files were modified last: their time is\n",
    "set once a minute while it lives. Of a file that was copied without its time (`cp`, not `cp -p`)\n",
    "that is the time of the copy, before which the program died; the reason says so.\n",
    "\nExamples:\n",
    "  mmstats clean --dry-run\n",
    "  mmstats clean --keep 3\n",
    "  mmstats clean --older-than 7d\n",
    "  mmstats clean /srv/stats\n"
))]
pub(crate) struct Clean {
    /// Remove nothing; print which files would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Keep the N dead programs of each command that died last.
    #[arg(short, long, value_name = "N", default_value = "0", value_parser = programs)]
    pub(crate) keep: usize,

    /// Keep programs that died less than this time ago: 90s, 15m, 12h, 7d or 2w.
    #[arg(long, value_name = "DURATION", value_parser = long_duration)]
    pub(crate) older_than: Option<Duration>,

    /// Files or directories [default: the directories of this user].
    #[arg(value_name = "PATH", value_parser = image())]
    pub(crate) paths: Vec<PathBuf>,
}

/// The decision about a file.
struct Decision {
    path: PathBuf,
    action: Action,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Removed,
    WouldRemove,
    Kept,
    /// Removing it failed.
    Failed,
}

/// The decision about a program, with its reason.
struct Plan {
    /// Its files; part 0 is removed last, so that what is left says that it is incomplete.
    files: Vec<Target>,
    /// Why they are removed, or why they are kept.
    decision: Result<String, String>,
}

/// A file as it was judged.
struct Target {
    path: PathBuf,
    name: OsString,
    judged: Judged,
}

/// Maximum number of rounds: each looks at files for which there was no memory before.
const ROUNDS: usize = 1_000;

pub(crate) fn run(args: &Clean, output: &mut Output) -> io::Result<()> {
    let sources = args.paths.iter().fold(Sources::new(), Sources::path);
    let mut directories = Directories::default();
    let mut count = 0;
    for round in 0..ROUNDS {
        let mut observer = Observer::new(sources.clone());
        if round == 0 {
            // The files of silent file systems are left out; then the directories are opened.
            observer.refresh();
            open_directories(&observer, &mut directories);
        }
        observer.refresh();
        let plans = plans(args, &observer);
        let more = observer.left_out() > 0 && !args.dry_run;
        if round == 0 {
            problems::report(&observer, output);
            // It takes directories too.
            args.paths
                .iter()
                .filter(|path| !path.is_dir())
                .filter_map(|path| file_help(path))
                .for_each(|help| output.note(&help));
        }
        let (searched, places) =
            (observer.directories().to_vec(), problems::in_directories(&observer));
        // Windows removes no file that is mapped, and the observer maps many.
        drop(observer);
        let mut decisions: Vec<Decision> = plans
            .into_iter()
            .flat_map(|plan| carry_out(plan, &directories, args.dry_run))
            .collect();
        let removed = decisions.iter().any(|decision| decision.action == Action::Removed);
        // Another round may find room for files that were left out.
        let again = more && removed;
        if !again {
            let unfinished =
                |path: &PathBuf| Some(unfinished(directories.get(path)?, args.dry_run));
            decisions.extend(searched.iter().filter_map(unfinished).flatten());
        }
        count += decisions.len();
        report(&decisions, again, output)?;
        if !again {
            if count == 0 && !output.has_failed() {
                let looked = Looked::from_arguments(args.paths.is_empty());
                let mut parts = vec![format!("nothing to clean{places}")];
                parts.extend(elsewhere(looked));
                output.note(&parts.join("; "));
            }
            break;
        }
    }
    Ok(())
}

/// Prints decisions; those that are made again in the next round only if they are final.
fn report(decisions: &[Decision], again: bool, output: &mut Output) -> io::Result<()> {
    let screen = output.screen();
    let is_final = |decision: &&Decision| !again || decision.action == Action::Removed;
    for decision in decisions.iter().filter(is_final) {
        print(decision, screen, output)?;
    }
    for decision in decisions.iter().filter(|d| d.action == Action::Failed && !again) {
        output.fail(&format!("{}: {}", escape::path(&decision.path), decision.reason));
    }
    Ok(())
}

/// Opens the directories of all files.
fn open_directories(observer: &Observer, directories: &mut Directories) {
    observer.directories().iter().for_each(|path| directories.open(path));
    for file in observer.files() {
        directories.open(parent(file.path()));
    }
}

/// The decision about each program.
fn plans(args: &Clean, observer: &Observer) -> Vec<Plan> {
    let programs = observer.programs();
    let mapped: LazyLock<Mapped> = LazyLock::new(Mapped::look);
    let live = LiveApplications::new(&programs);
    let now = SystemTime::now();
    let lives: Vec<Life> = programs.iter().map(|program| Life::new(program, now)).collect();
    let decide = |(program, life): (&Program<'_>, &Life)| match live.needs(program) {
        Some(reason) => Err(reason.to_owned()),
        None => decide(program, life, &mapped),
    };
    let mut decisions: Vec<_> = programs.iter().zip(&lives).map(decide).collect();
    spare(args, &programs, now, &mut decisions);
    let plan = |((program, life), decision): ((&Program<'_>, &Life), Result<String, String>)| {
        // The words of `ls` stand before the reason.
        let with_word = |reason: String| format!("{}: {reason}", life.word());
        Plan {
            files: program.files().iter().rev().map(|file| Target::new(file)).collect(),
            decision: decision.map(with_word).map_err(with_word),
        }
    };
    programs.iter().zip(&lives).zip(decisions).map(plan).collect()
}

impl Target {
    fn new(file: &File) -> Self {
        Self {
            path: file.path().to_owned(),
            name: file.path().file_name().unwrap_or_default().to_owned(),
            judged: Judged { id: file.id(), start: file.start().to_vec() },
        }
    }
}

/// The applications of which programs live, each with its owner.
struct LiveApplications(HashSet<(String, Option<u32>)>);

impl LiveApplications {
    fn new(programs: &[Program<'_>]) -> Self {
        let live = programs.iter().filter(|program| program.state() == FileState::Live);
        let names = live.flat_map(|program| {
            let instance = program.instance().map(|instance| instance.to_string());
            let names = program.identity().application.clone().into_iter().chain(instance);
            names.map(|name| (name, program.owner()))
        });
        Self(names.collect())
    }

    /// Why a program stays for the sums of its application; `None` if it need not.
    fn needs(&self, program: &Program<'_>) -> Option<&'static str> {
        let application = program.identity().application.clone()?;
        if !self.0.contains(&(application, program.owner())) {
            return None;
        }
        let first = program.files().first()?;
        if first.ledger().is_some() {
            return Some("it has the sums of an application of which programs live");
        }
        let open = program.state().has_ended() && !first.is_superseded();
        open.then_some("its sums are not yet in the ledger of its application")
    }
}

/// Why a program is removed, or why it is kept.
fn decide(program: &Program<'_>, life: &Life, mapped: &LazyLock<Mapped>) -> Result<String, String> {
    let kept = |reason: &str| Err(reason.to_owned());
    let Some(first) = program.files().first() else { return kept("it has no file") };
    match program.state() {
        FileState::Dead if life.process == Some(ProcessState::Zombie) => {
            kept("its parent has not asked for its exit code yet")
        }
        FileState::Dead if still_runs(first) => {
            kept("its process runs but holds no lock: a copy, or from before an exec")
        }
        FileState::Dead if first.format() == Some(1) && !mapped.proves_dead(first) => {
            kept("nothing proves that no process of a container writes it")
        }
        FileState::Dead | FileState::Closed | FileState::Ledger => Ok(cause(life, first)),
        FileState::Live => kept("its program lives"),
        FileState::Building => kept("it is not complete yet"),
        FileState::Damaged => kept("it is damaged, so its program is unknown"),
        FileState::Foreign => kept("it is not an mmstats file"),
        _ => kept("nothing proves that its program is dead"),
    }
}

/// The way in which the program of a file ended.
fn cause(life: &Life, file: &File) -> String {
    let died = life.end().and_then(end_text);
    let died = died.map_or_else(String::new, |died| format!(" {died}"));
    match (file.state(), file.format(), file.identity().pid) {
        (FileState::Closed, ..) => "its program ended cleanly".to_owned(),
        (FileState::Ledger, ..) => "no program of its application lives".to_owned(),
        (_, Some(1), Some(pid)) => format!("no process has its id {pid}, or has it mapped"),
        (_, _, Some(pid)) => format!("pid {pid} died{died}, its lock is free"),
        _ => format!("its program died{died}, its lock is free"),
    }
}

/// Keeps the programs that `--keep` and `--older-than` spare. Those of other users do not count.
fn spare(
    args: &Clean,
    programs: &[Program<'_>],
    now: SystemTime,
    decisions: &mut [Result<String, String>],
) {
    let own = own_user();
    let mut dead: Vec<(usize, &Path, DeadProgram<'_>)> = Vec::new();
    for (index, (program, decision)) in programs.iter().zip(decisions.iter_mut()).enumerate() {
        let Some(first) = program.files().first() else { continue };
        if decision.is_err() || (own.is_some() && program.owner() != own) {
            continue;
        }
        let died = life::modified(program).unwrap_or(now);
        let age = now.duration_since(died).unwrap_or_default();
        if args.older_than.is_some_and(|least| age < least) {
            let word = if program.state() == FileState::Dead { "died" } else { "ended" };
            let ago = human::about(age);
            *decision = Err(format!("it {word} {ago} ago, which --older-than keeps"));
        }
        if program.state() == FileState::Ledger {
            continue;
        }
        let command = program.identity().command.as_deref();
        let name = first.path().file_name().unwrap_or_default();
        dead.push((index, parent(first.path()), DeadProgram { command, died, name }));
    }
    // Stable, so that the programs of a directory keep their order.
    dead.sort_by_key(|(_, directory, _)| *directory);
    for group in dead.chunk_by(|a, b| a.1 == b.1) {
        let programs: Vec<_> = group.iter().map(|(.., program)| *program).collect();
        for (kept, (index, ..)) in kept_programs(&programs, args.keep, None).iter().zip(group) {
            if *kept && let Some(decision) = decisions.get_mut(*index) {
                *decision = Err("among the last of its command, which are kept".to_owned());
            }
        }
    }
}

/// Whether the process that the file names is running. A free lock proves nothing then: a copy
/// of a live file has no lock, nor has the file of a program before it executed another one.
fn still_runs(file: &File) -> bool {
    let identity = file.identity();
    let (Some(pid), Some(start), Some(boot)) =
        (identity.pid, identity.start_time, &identity.boot_id)
    else {
        return false;
    };
    // Containers that start together share process ids and start times.
    let elsewhere = |ours| identity.pid_ns.is_some_and(|theirs| theirs != ours);
    if OUR_NAMESPACE.is_some_and(elsewhere) {
        return false;
    }
    backend::process::is_running(pid, start, boot) == Some(true)
}

/// Process id namespace of this process.
static OUR_NAMESPACE: LazyLock<Option<u64>> = LazyLock::new(|| backend::process::facts().pid_ns);

/// Removes all files of a program, or none if one of them must stay.
fn carry_out(plan: Plan, directories: &Directories, dry_run: bool) -> Vec<Decision> {
    let decision = |target: &Target, (action, reason): (Action, String)| Decision {
        path: target.path.clone(),
        action,
        reason,
    };
    let cause = match plan.decision {
        Ok(cause) => cause,
        Err(reason) => {
            let kept = |target| decision(target, (Action::Kept, reason.clone()));
            return plan.files.iter().map(kept).collect();
        }
    };
    let remove = |target: &Target, dry_run| {
        let Some(directory) = directories.get(parent(&target.path)) else {
            return (Action::Kept, "its directory cannot be opened".to_owned());
        };
        let removal = remove_judged(directory, &target.name, &target.judged, dry_run);
        outcome(removal, cause.clone())
    };
    let first: Vec<_> = plan.files.iter().map(|target| remove(target, true)).collect();
    let stays = first.iter().any(|(action, _)| *action != Action::WouldRemove);
    if stays || dry_run {
        let with_reason = |(target, (action, reason)): (&Target, (Action, String))| {
            if stays && action == Action::WouldRemove {
                let reason = "another file of its program must stay".to_owned();
                return decision(target, (Action::Kept, reason));
            }
            decision(target, (action, reason))
        };
        return plan.files.iter().zip(first).map(with_reason).collect();
    }
    plan.files.iter().map(|target| decision(target, remove(target, false))).collect()
}

fn outcome(removal: Removal, cause: String) -> (Action, String) {
    let kept = |reason: String| (Action::Kept, reason);
    match removal {
        Removal::Removed => (Action::Removed, cause),
        Removal::WouldRemove => (Action::WouldRemove, cause),
        Removal::Kept => kept("among the last of its command, which are kept".to_owned()),
        Removal::Live => kept("its lock is held".to_owned()),
        Removal::TooYoung => kept("it is being created, or was a moment ago".to_owned()),
        Removal::NotOurs { owner } => kept(format!("it belongs to user {owner}")),
        Removal::NotRegular(found) => kept(format!("it is {found}")),
        Removal::Vanished => kept("it was removed or replaced meanwhile".to_owned()),
        Removal::Failed(error) => (Action::Failed, error.to_string()),
        _ => kept("unknown".to_owned()),
    }
}

/// Decisions about files that were never finished; kept ones are left out.
fn unfinished(directory: &Directory, dry_run: bool) -> Vec<Decision> {
    let options =
        SweepOptions { dry_run, time: Duration::from_secs(10), ..SweepOptions::default() };
    let Ok(swept) = sweep(directory, &options, None) else { return Vec::new() };
    let decisions = swept.files.into_iter().map(|swept| {
        let (action, reason) = outcome(swept.removal, "it was never finished".to_owned());
        Decision { path: swept.path, action, reason }
    });
    decisions.filter(|decision| decision.action != Action::Kept).collect()
}

/// `removed FILE: dead: pid 17 died about 2026-11-29 21:35 UTC, its lock is free`.
fn print(decision: &Decision, screen: Screen, output: &mut Output) -> io::Result<()> {
    let (style, word) = match decision.action {
        Action::Removed => (style::GOOD, "removed"),
        Action::WouldRemove => (style::ODD, "would remove"),
        Action::Kept => (style::DIM, "kept"),
        Action::Failed => return Ok(()),
    };
    let mut line = Line::new();
    line.push(style, word);
    line.plain(format!(" {}: {}", escape::path(&decision.path), decision.reason));
    for row in line.wrapped(screen.width(), 4) {
        writeln!(output, "{}", row.render(usize::MAX))?;
    }
    Ok(())
}
