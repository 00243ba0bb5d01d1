//! Hints for a process or program that was not found.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use mmstats_observe::{File, FileState, NotFound, Observer, Problem, Sources};

use crate::backend::directory::environment;
use crate::backend::process::{all, status};
use crate::model::similar;
use crate::text::escape;

/// Maximum number of names or processes in a suggestion.
const MAX_SUGGESTIONS: usize = 3;

/// Advice about a process, a program or a place that was not found; `None` about other problems.
pub(super) fn help(problem: &Problem, observer: &Observer) -> Option<String> {
    let advice = match (problem.not_found, problem.path.to_str()) {
        (Some(NotFound::NoProgram), Some(name)) => name_advice(name, observer)?,
        (Some(kind), Some(pid)) => process_advice(pid.parse().ok()?, kind),
        (None, _) if is_set_by_environment(&problem.path) => match problem.code {
            "not-a-directory" => {
                format!("MMSTATS_PATH names it, and has to be a directory: {ELSEWHERE}")
            }
            _ => format!("MMSTATS_PATH names it: {ELSEWHERE}"),
        },
        _ => return None,
    };
    Some(format!("help: {advice}"))
}

/// Advice for a directory set by MMSTATS_PATH.
const ELSEWHERE: &str = "`env -u MMSTATS_PATH mmstats ls` looks in all other places";
const LISTED: &str = "`mmstats ls` lists the programs that were found, dead ones too";

/// `mmstats ls` without the directory that MMSTATS_PATH sets, in backquotes.
fn ls_elsewhere() -> &'static str {
    if environment().is_explicit() { "`env -u MMSTATS_PATH mmstats ls`" } else { "`mmstats ls`" }
}

/// Where programs were looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// In all places.
    Everywhere,
    /// In the directories of this user, or that in MMSTATS_PATH.
    Own,
    /// In what was named.
    Named,
}

impl Looked {
    /// By the arguments of a command that is about the programs of this user without them.
    pub(crate) const fn from_arguments(are_none: bool) -> Self {
        if are_none { Self::Own } else { Self::Named }
    }
}

/// Why there is nothing to show: where was looked, and what might help. `all` is the option that shows programs
/// that ended.
pub(crate) fn nothing(observer: &Observer, looked: Looked, all: Option<&str>) -> String {
    let ended = observer.programs().len();
    let what = if ended > 0 { "no live program" } else { "no program publishes" };
    let mut parts = vec![format!("{what}{}", in_directories(observer.directories()))];
    parts.extend(
        all.filter(|_| ended > 0).map(|all| format!("{all} shows the {ended} that ended too")),
    );
    parts.extend(elsewhere(looked));
    if cfg!(feature = "demo") && ended == 0 && looked != Looked::Named {
        parts.push("try `mmstats demo`".to_owned());
    }
    parts.join("; ")
}

/// Which directories are not there, and what lists other places.
pub(crate) fn elsewhere(looked: Looked) -> impl Iterator<Item = String> {
    let is_all = looked == Looked::Everywhere && !environment().is_explicit();
    let ls = (!is_all).then(|| format!("{} lists other places", ls_elsewhere()));
    absent_directories().into_iter().chain(ls).filter(move |_| looked != Looked::Named)
}

/// `no program publishes in DIR`: as [`nothing`], for a screen that keeps looking.
#[cfg(feature = "top")] // its screen
pub(crate) fn nothing_yet() -> String {
    let directories: Vec<_> =
        environment().candidates().into_iter().map(|candidate| candidate.path).collect();
    let demo = if cfg!(feature = "demo") { "; try `mmstats demo` in another terminal" } else { "" };
    format!("no program publishes{}{demo}", in_directories(&directories))
}

/// ` in DIR or DIR`. The only one may be there because of MMSTATS_PATH.
pub(super) fn in_directories(directories: &[PathBuf]) -> String {
    let names: Vec<String> = directories.iter().map(|directory| escape::path(directory)).collect();
    let why = match directories {
        [only] if is_set_by_environment(only) => ", the value of MMSTATS_PATH",
        _ => "",
    };
    if names.is_empty() { String::new() } else { format!(" in {}{why}", names.join(" or ")) }
}

/// The directories of this user, if none of them is there: nothing of this user has published.
fn absent_directories() -> Option<String> {
    let environment = environment();
    let candidates = environment.candidates();
    if environment.is_explicit() || candidates.iter().any(|candidate| candidate.path.exists()) {
        return None;
    }
    let names: Vec<String> = candidates.iter().map(|c| escape::path(&c.path)).collect();
    Some(format!("there is no directory {} yet", names.join(" or ")))
}

fn is_set_by_environment(path: &Path) -> bool {
    environment().explicit.is_some_and(|explicit| Path::new(&explicit) == path)
}

/// Advice about an argument that is no file: the files of the directory, process or program that it may mean.
/// Of commands that take files alone.
pub(crate) fn file_help(path: &Path) -> Option<String> {
    if path.is_dir() {
        return Some(directory_help(path));
    }
    #[cfg(feature = "record")] // else no command reads one
    if let Some(readers) = crate::model::recorded::readers(path) {
        return Some(format!("help: {readers}"));
    }
    let word = path.to_str().filter(|word| !word.contains('/'))?;
    if word.is_empty() || path.symlink_metadata().is_ok() {
        return None;
    }
    let (sources, subject) = match word.parse() {
        Ok(pid) => (Sources::new().pid(pid), format!("process {pid}")),
        Err(_) => (Sources::new().name(word), format!("the program {}", escape::text(word))),
    };
    let mut observer = Observer::new(sources);
    observer.refresh();
    // Those that live, and the newest, first.
    let mut files: Vec<&File> = observer.files().iter().collect();
    files.sort_by_key(|file| (file.state() != FileState::Live, Reverse(file.modified())));
    let more = files.len().saturating_sub(MAX_SUGGESTIONS);
    let shown = files.iter().take(MAX_SUGGESTIONS).map(|file| escape::path(file.path()));
    let shown: Vec<_> = shown.collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| format!("help: {subject} has {}{more}", shown.join(", ")))
}

fn directory_help(path: &Path) -> String {
    let mut observer = Observer::new(Sources::new().path(path));
    observer.refresh();
    let shown = escape::path(path);
    let separator = if shown.ends_with(std::path::MAIN_SEPARATOR) { "" } else { "/" };
    let suffixes = ["mmst", "mmstats"].map(OsStr::new);
    let count = |suffix: &OsStr| {
        observer.files().iter().filter(|file| file.path().extension() == Some(suffix)).count()
    };
    let globs = suffixes.map(|suffix| (count(suffix), suffix.to_string_lossy()));
    let globs = globs.iter().filter(|(count, _)| *count > 0);
    let globs: Vec<_> = globs.map(|(_, suffix)| format!("{shown}{separator}*.{suffix}")).collect();
    if globs.is_empty() {
        return "help: this takes files, and the directory has none of mmstats".to_owned();
    }
    format!("help: this takes files; those of the directory are {}", globs.join(" "))
}

fn process_advice(pid: u32, kind: NotFound) -> String {
    if kind == NotFound::Denied {
        if environment().user == 0 {
            return format!("the system refuses process {pid} even to root: a sandbox, perhaps");
        }
        let owner = owner(pid).map_or_else(String::new, |owner| format!(" of user {owner}"));
        return format!(
            "process {pid}{owner} can be looked at by that user and by root: sudo mmstats show {pid}"
        );
    }
    let Some(process) = status(pid) else { return LISTED.to_owned() };
    let command = escape::text(&process.command).into_owned();
    if kind == NotFound::Nameless {
        return format!("{command} goes on with a new file within seconds, if it can make one");
    }
    let publishers = descendants(pid);
    let count = publishers.len();
    let shown: Vec<&str> = publishers.iter().take(MAX_SUGGESTIONS).map(String::as_str).collect();
    match count {
        0 => format!(
            "{command} publishes nothing, or began with other settings: {} lists what publishes",
            ls_elsewhere()
        ),
        _ => format!("processes that {command} started publish: {}", shown.join(", ")),
    }
}

/// The programs that were started by a process, directly or not, and publish: `web (1234)`.
fn descendants(pid: u32) -> Vec<String> {
    let mut observer = Observer::new(Sources::new().everywhere());
    observer.refresh();
    let mut found = Vec::new();
    for program in observer.programs() {
        let Some(process) = program.process() else { continue };
        let mut at = process;
        // Bounded, should ids be reused meanwhile.
        for _ in 0..64 {
            match status(at) {
                Some(status) if status.parent == pid => {
                    let command = program.identity().command.as_deref().unwrap_or("?");
                    found.push(format!("{process} ({})", escape::text(command)));
                    break;
                }
                Some(status) if status.parent > 1 => at = status.parent,
                _ => break,
            }
        }
    }
    found
}

/// `None` if the problem of a directory has the same advice.
fn name_advice(name: &str, observer: &Observer) -> Option<String> {
    if Path::new(name).exists() {
        return Some(format!("for the file or directory write ./{}", escape::text(name)));
    }
    let mut everything = Observer::new(everything());
    everything.refresh();
    let programs = everything.programs();
    let identities = || programs.iter().map(mmstats_observe::Program::identity);
    let mut names: Vec<&str> = identities()
        .flat_map(|identity| [identity.command.as_deref(), identity.application.as_deref()])
        .flatten()
        .collect();
    names.sort_unstable();
    names.dedup();
    let names = similar::names(name, &names);
    if !names.is_empty() {
        return Some(format!("there is {}", names.shown()));
    }
    let running = all().into_iter().filter(|pid| status(*pid).is_some_and(|s| s.command == name));
    let mut running: Vec<u32> = running.collect();
    running.sort_unstable();
    if let Some(advice) = named_process_advice(&running) {
        return Some(advice);
    }
    if environment().is_explicit() {
        let is_told = observer.problems().any(|problem| is_set_by_environment(&problem.path));
        return (!is_told).then(|| ELSEWHERE.to_owned());
    }
    Some(match (closed(observer), absent_directories()) {
        (Some(closed), _) => format!("{closed}: sudo mmstats show {}", escape::text(name)),
        (None, Some(absent)) => format!("{absent}; {LISTED}"),
        (None, None) => LISTED.to_owned(),
    })
}

/// Advice about the processes that have the name which no program has that was found.
fn named_process_advice(pids: &[u32]) -> Option<String> {
    let first = *pids.first()?;
    let mut is_denied = false;
    for pid in pids.iter().take(MAX_SUGGESTIONS) {
        let mut observer = Observer::new(Sources::new().pid(*pid));
        observer.refresh();
        if !observer.files().is_empty() {
            return Some(format!(
                "process {pid} has this name, and its files elsewhere: `mmstats show {pid}`"
            ));
        }
        let kinds = observer.problems().filter_map(|problem| problem.not_found);
        is_denied |= *pid == first && kinds.into_iter().any(|kind| kind == NotFound::Denied);
    }
    Some(match is_denied {
        true => {
            format!("process {first} has this name; {}", process_advice(first, NotFound::Denied))
        }
        false => format!(
            "process {first} has this name and publishes nothing that was found: `mmstats show {first}` tells \
             why, `mmstats why {first}` what it does"
        ),
    })
}

/// `/dev/shm/mmstats-0 is closed to user 1000`: the directories of other users that could not be
/// searched; `None` if all could.
pub(super) fn closed(observer: &Observer) -> Option<String> {
    let (first, more) = observer.closed_directories().split_first()?;
    let user = environment().user;
    let first = escape::path(first);
    Some(match more.len() {
        0 => format!("{first} is closed to user {user}"),
        1 => format!("{first} and another directory are closed to user {user}"),
        more => format!("{first} and {more} other directories are closed to user {user}"),
    })
}

/// The sources that names are looked for in, without the names.
fn everything() -> Sources {
    if environment().is_explicit() { Sources::new() } else { Sources::new().everywhere() }
}

#[cfg(unix)] // has user ids
fn owner(pid: u32) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(format!("/proc/{pid}")).ok().map(|metadata| metadata.uid())
}

#[cfg(not(unix))] // has no /proc
const fn owner(_pid: u32) -> Option<u32> {
    None
}
