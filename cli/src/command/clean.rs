//! `mmstats clean`: removes the files of dead programs.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::{File, FileState, Observer, Sources};

use super::args::exit_codes;
use crate::backend::directory::Directory;
use crate::backend::{self, Removal, SweepOptions, remove_if_dead, sweep};
use crate::output::{Line, Output, Screen, style};
use crate::render::problems;
use crate::text::escape;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A file is removed only if it belongs to this user and its program is proven dead: the lock\n",
    "of the file is free; for format 1, which has no lock, no process has the file's process id.\n",
    "All other files are kept, and the reason is printed.\n",
    "\nExamples:\n",
    "  mmstats clean --dry-run\n",
    "  mmstats clean --keep 3\n",
    "  mmstats clean /srv/stats\n"
))]
pub(crate) struct Clean {
    /// Remove nothing; print which files would be removed.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,

    /// Keep the newest N of the dead files of each directory.
    #[arg(short, long, value_name = "N", default_value = "0")]
    pub(crate) keep: usize,

    /// Files or directories [default: the directories of this user].
    #[arg(value_name = "PATH")]
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

pub(crate) fn run(args: &Clean, output: &mut Output) -> io::Result<()> {
    let sources = args.paths.iter().fold(Sources::new(), Sources::path);
    let mut observer = Observer::new(sources);
    observer.refresh();
    let spared = newest_dead(observer.files(), args.keep);
    // Windows removes no file that is mapped, and the observer maps them all.
    let postpone = args.dry_run || cfg!(windows);
    let mut decisions: Vec<Decision> = observer
        .files()
        .iter()
        .map(|file| match kept_by_application(file, observer.files()) {
            Some(reason) => {
                let path = file.path().to_owned();
                Decision { path, action: Action::Kept, reason: reason.to_owned() }
            }
            None => decide(file, spared.contains(file.path()), postpone),
        })
        .collect();
    problems::report(&observer, output);
    let directories = observer.directories().to_vec();
    let places = problems::in_directories(&observer);
    drop(observer);
    if !args.dry_run {
        decisions.iter_mut().filter(|d| d.action == Action::WouldRemove).for_each(carry_out);
    }
    for directory in &directories {
        decisions.extend(unfinished(directory, args.dry_run));
    }
    let screen = output.screen();
    for decision in &decisions {
        print(decision, screen, output)?;
    }
    for decision in decisions.iter().filter(|d| d.action == Action::Failed) {
        output.fail(&format!("{}: {}", escape::path(&decision.path), decision.reason));
    }
    if decisions.is_empty() && !output.has_failed() {
        output.note(&format!("nothing to clean{places}"));
    }
    Ok(())
}

/// The dead files that `--keep` spares: the newest of each directory. Files modified in the
/// future (the clock was set back) are counted apart, as in [`sweep`].
fn newest_dead(files: &[File], keep: usize) -> HashSet<PathBuf> {
    let now = SystemTime::now();
    let group = |file: &File| (file.path().parent().map(PathBuf::from), file.modified() > now);
    let mut dead: Vec<&File> = files.iter().filter(|file| is_over(file.state())).collect();
    dead.sort_by_cached_key(|file| (group(file), Reverse(file.modified())));
    dead.chunk_by(|a, b| group(a) == group(b))
        .flat_map(|files| files.iter().take(keep))
        .map(|file| file.path().to_owned())
        .collect()
}

const fn is_over(state: FileState) -> bool {
    matches!(state, FileState::Dead | FileState::Closed)
}

/// Why a file stays for the sums of its application, of which programs live; `None` if it need not.
fn kept_by_application(file: &File, files: &[File]) -> Option<&'static str> {
    let application = file.identity().application.as_ref()?;
    let lives = |other: &File| {
        let member = other.identity().application.as_ref() == Some(application)
            || other.instance().is_some_and(|instance| instance.to_string() == *application);
        member && other.owner() == file.owner() && other.state() == FileState::Live
    };
    if !files.iter().any(lives) {
        return None;
    }
    if file.ledger().is_some() {
        return Some("it has the sums of an application of which programs live");
    }
    let open = is_over(file.state()) && !file.is_superseded();
    open.then_some("its sums are not yet in the ledger of its application")
}

fn decide(file: &File, spared: bool, dry_run: bool) -> Decision {
    let kept = |reason: &str| (Action::Kept, reason.to_owned());
    let (action, reason) = match file.state() {
        FileState::Dead | FileState::Closed if spared => kept("among the newest, which are kept"),
        FileState::Dead if still_runs(file) => {
            kept("its process runs but holds no lock: a copy, or from before an exec")
        }
        FileState::Dead | FileState::Closed | FileState::Ledger => remove_observed(file, dry_run),
        FileState::Live => kept("its program lives"),
        FileState::Building => kept("it is not complete yet"),
        FileState::Damaged => kept("it is damaged, so its program is unknown"),
        FileState::Foreign => kept("it is not an mmstats file"),
        _ => kept("nothing proves that its program is dead"),
    };
    Decision { path: file.path().to_owned(), action, reason }
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

/// Removes a file of a program that ended.
fn remove_observed(file: &File, dry_run: bool) -> (Action, String) {
    let cause = match (file.state(), file.format(), file.identity().pid) {
        (FileState::Closed, ..) => "its program ended cleanly".to_owned(),
        (FileState::Ledger, ..) => "no program of its application lives".to_owned(),
        (_, Some(1), Some(pid)) => format!("no process has its id {pid}"),
        (_, _, Some(pid)) => format!("pid {pid} died, its lock is free"),
        _ => "its program died, its lock is free".to_owned(),
    };
    remove(file.path(), cause, dry_run)
}

/// Removes a file after the decision.
fn carry_out(decision: &mut Decision) {
    let cause = std::mem::take(&mut decision.reason);
    (decision.action, decision.reason) = remove(&decision.path, cause, false);
}

/// Removes a file. The backend checks again under the lock: the owner, the lock, and that the
/// name still refers to the same file.
fn remove(path: &Path, cause: String, dry_run: bool) -> (Action, String) {
    match remove_if_dead(path, dry_run) {
        Ok(removal) => outcome(removal, cause),
        Err(error) => (Action::Failed, error.to_string()),
    }
}

fn outcome(removal: Removal, cause: String) -> (Action, String) {
    let kept = |reason: String| (Action::Kept, reason);
    match removal {
        Removal::Removed => (Action::Removed, cause),
        Removal::WouldRemove => (Action::WouldRemove, cause),
        Removal::Kept => kept("among the newest, which are kept".to_owned()),
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
fn unfinished(directory: &Path, dry_run: bool) -> Vec<Decision> {
    let options = SweepOptions { dry_run, time: Duration::MAX, ..SweepOptions::default() };
    // An unreadable directory is reported already.
    let Ok(directory) = Directory::open(directory) else { return Vec::new() };
    let Ok(swept) = sweep(&directory, &options, None) else { return Vec::new() };
    let decisions = swept.files.into_iter().map(|swept| {
        let (action, reason) = outcome(swept.removal, "it was never finished".to_owned());
        Decision { path: swept.path, action, reason }
    });
    decisions.filter(|decision| decision.action != Action::Kept).collect()
}

/// `removed FILE: pid 17 died, its lock is free`.
fn print(decision: &Decision, screen: Screen, output: &mut Output) -> io::Result<()> {
    let (style, word) = match decision.action {
        Action::Removed => (style::GOOD, "removed"),
        Action::WouldRemove => (style::ODD, "would remove"),
        Action::Kept => (style::DIM, "kept"),
        Action::Failed => return Ok(()),
    };
    let path = escape::path(&decision.path);
    // On a terminal the reason matters more than the directory.
    let rest = word.len() + 3 + escape::width(&decision.reason);
    let path = escape::clip_front(&path, screen.width().saturating_sub(rest).max(20));
    let mut line = Line::new();
    line.push(style, word);
    line.plain(format!(" {path}: {}", decision.reason));
    writeln!(output, "{}", line.render(screen.width()))
}
