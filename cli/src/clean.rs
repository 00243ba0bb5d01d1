//! `mmstats clean`: removing what dead programs left behind.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

use crate::backend::directory::Directory;
use crate::backend::{Removal, SweepOptions, remove_if_dead, sweep};
use mmstats_observe::{File, Observer, Sources, State};

use crate::args::Clean;
use crate::escape;
use crate::output::{Line, Output, Screen, style};
use crate::targets::{complain, places};

/// What becomes of a file, and why.
struct Verdict {
    path: PathBuf,
    fate: Fate,
    why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Removed,
    WouldRemove,
    Kept,
    /// It should have been removed, but that went wrong.
    Failed,
}

pub(crate) fn run(args: &Clean, output: &mut Output) -> io::Result<()> {
    let sources = args.targets.iter().fold(Sources::new(), Sources::path);
    let mut observer = Observer::new(sources);
    observer.refresh();
    let spared = newest(observer.files(), args.keep);
    // Windows removes no file that somebody has mapped, and the observer has them all.
    let later = args.dry_run || cfg!(windows);
    let mut verdicts: Vec<Verdict> = observer
        .files()
        .iter()
        .map(|file| judge(file, spared.contains(file.path()), later))
        .collect();
    complain(&observer, output);
    let (directories, places) = (observer.directories().to_vec(), places(&observer));
    drop(observer);
    if !args.dry_run {
        verdicts.iter_mut().filter(|v| v.fate == Fate::WouldRemove).for_each(carry_out);
    }
    for directory in &directories {
        verdicts.extend(temporaries(directory, args.dry_run));
    }
    let screen = output.screen();
    for verdict in &verdicts {
        print(verdict, screen, output)?;
    }
    for verdict in verdicts.iter().filter(|v| v.fate == Fate::Failed) {
        output.fail(&format!("{}: {}", escape::path(&verdict.path), verdict.why));
    }
    if verdicts.is_empty() && !output.has_failed() {
        output.note(&format!("nothing to clean{places}"));
    }
    Ok(())
}

/// The dead files that `--keep` spares: the newest of each directory. Those modified in the
/// future, that is, before the clock was set back, are counted apart, as in [`sweep`].
fn newest(files: &[File], keep: usize) -> HashSet<PathBuf> {
    let now = SystemTime::now();
    let group = |file: &File| (file.path().parent().map(PathBuf::from), file.modified() > now);
    let mut dead: Vec<&File> = files.iter().filter(|file| is_over(file.state())).collect();
    dead.sort_by_cached_key(|file| (group(file), Reverse(file.modified())));
    dead.chunk_by(|a, b| group(a) == group(b))
        .flat_map(|files| files.iter().take(keep))
        .map(|file| file.path().to_owned())
        .collect()
}

const fn is_over(state: State) -> bool {
    matches!(state, State::Dead | State::Closed)
}

fn judge(file: &File, spared: bool, dry_run: bool) -> Verdict {
    let kept = |why: &str| (Fate::Kept, why.to_owned());
    let (fate, why) = match file.state() {
        State::Dead | State::Closed if spared => kept("among the newest, which are kept"),
        State::Dead if still_runs(file) => kept(
            "its process still runs, though nobody holds its lock: a copy, or from before an exec",
        ),
        State::Dead | State::Closed => remove_observed(file, dry_run),
        State::Live => kept("its program lives"),
        State::Building => kept("it is not complete yet"),
        State::Damaged => kept("it is damaged, so nothing proves whose it is"),
        State::Foreign => kept("it is no mmstats file"),
        _ => kept("nothing proves that its program is dead"),
    };
    Verdict { path: file.path().to_owned(), fate, why }
}

/// Whether the process that the file names is there: then a free lock proves nothing. A copy
/// of a live file has none, for instance, nor has what a program left behind that went on to
/// execute another one.
fn still_runs(file: &File) -> bool {
    let identity = file.identity();
    let (Some(pid), Some(start), Some(boot)) =
        (identity.pid, identity.start_time, &identity.boot_id)
    else {
        return false;
    };
    // Containers that start together have the same process ids and times.
    let elsewhere = |ours| identity.pid_ns.is_some_and(|theirs| theirs != ours);
    if OUR_NAMESPACE.is_some_and(elsewhere) {
        return false;
    }
    crate::backend::process::is_running(pid, start, boot) == Some(true)
}

/// The pid namespace of this process.
static OUR_NAMESPACE: LazyLock<Option<u64>> =
    LazyLock::new(|| crate::backend::process::facts().pid_ns);

/// Removes a file, or says whether it would be, and why.
fn remove_observed(file: &File, dry_run: bool) -> (Fate, String) {
    let cause = match (file.state(), file.format(), file.identity().pid) {
        (State::Closed, ..) => "its program ended cleanly".to_owned(),
        (_, Some(1), Some(pid)) => format!("no process has its id {pid}"),
        (_, _, Some(pid)) => format!("pid {pid} died, its lock is free"),
        _ => "its program died, its lock is free".to_owned(),
    };
    remove(file.path(), cause, dry_run)
}

/// Removes a file that was judged.
fn carry_out(verdict: &mut Verdict) {
    let cause = std::mem::take(&mut verdict.why);
    (verdict.fate, verdict.why) = remove(&verdict.path, cause, false);
}

/// The backend asks everything again under the lock: owner, lock, and whether the name
/// still refers to the same file.
fn remove(path: &Path, cause: String, dry_run: bool) -> (Fate, String) {
    match remove_if_dead(path, dry_run) {
        Ok(removal) => outcome(removal, cause),
        Err(error) => (Fate::Failed, error.to_string()),
    }
}

fn outcome(removal: Removal, cause: String) -> (Fate, String) {
    let kept = |why: String| (Fate::Kept, why);
    match removal {
        Removal::Removed => (Fate::Removed, cause),
        Removal::WouldRemove => (Fate::WouldRemove, cause),
        Removal::Kept => kept("among the newest, which are kept".to_owned()),
        Removal::Live => kept("somebody holds its lock".to_owned()),
        Removal::TooYoung => kept("it is being made, or was a moment ago".to_owned()),
        Removal::NotOurs { owner } => kept(format!("it belongs to user {owner}")),
        Removal::NotRegular(found) => kept(format!("it is {found}")),
        Removal::Vanished => kept("somebody else removed or replaced it".to_owned()),
        Removal::Failed(error) => (Fate::Failed, error.to_string()),
        _ => kept("unknown".to_owned()),
    }
}

/// Files that were never finished; only those which are or may be removed are worth a line.
fn temporaries(directory: &Path, dry_run: bool) -> Vec<Verdict> {
    let options = SweepOptions { dry_run, ..SweepOptions::default() };
    // That the directory cannot be read was said already.
    let Ok(directory) = Directory::open(directory) else { return Vec::new() };
    let Ok(swept) = sweep(&directory, &options, &|_name| false) else { return Vec::new() };
    let verdicts = swept.into_iter().map(|swept| {
        let (fate, why) = outcome(swept.removal, "it was never finished".to_owned());
        Verdict { path: swept.path, fate, why }
    });
    verdicts.filter(|verdict| verdict.fate != Fate::Kept).collect()
}

/// `removed FILE: pid 17 died, its lock is free`.
fn print(verdict: &Verdict, screen: Screen, output: &mut Output) -> io::Result<()> {
    let (style, word) = match verdict.fate {
        Fate::Removed => (style::GOOD, "removed"),
        Fate::WouldRemove => (style::ODD, "would remove"),
        Fate::Kept => (style::DIM, "kept"),
        Fate::Failed => return Ok(()),
    };
    let path = escape::path(&verdict.path);
    // On a terminal the reason is worth more than the directory.
    let rest = word.len() + 3 + escape::width(&verdict.why);
    let path = escape::clip_front(&path, screen.width().saturating_sub(rest).max(20));
    let mut line = Line::new();
    line.push(style, word);
    line.plain(format!(" {path}: {}", verdict.why));
    writeln!(output, "{}", line.render(screen.width()))
}
