//! Hints for a process or program that was not found.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::path::Path;

use mmstats_observe::{File, FileState, NotFound, Observer, Problem, Sources};
#[cfg(feature = "record")] // as its commands
use mmstats_recording::is_recording;

use crate::backend::directory::environment;
use crate::backend::process::{all, status};
use crate::model::similar;
use crate::text::escape;

/// Maximum number of names or processes in a suggestion.
const MAX_SUGGESTIONS: usize = 3;

/// Advice about a process, a program or a place that was not found; `None` about other problems.
pub(super) fn help(problem: &Problem, observer: &Observer) -> Option<String> {
    let advice = match (problem.not_found, problem.path.to_str()) {
        (Some(NotFound::NoProgram), Some(name)) => name_advice(name, observer),
        (Some(kind), Some(pid)) => process_advice(pid.parse().ok()?, kind),
        #[cfg(feature = "record")] // else no command reads one
        (None, _) if problem.named && is_recording(&problem.path) => RECORDING.to_owned(),
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
/// Advice about a recording in place of a program.
#[cfg(feature = "record")] // as its commands
const RECORDING: &str = "it is a recording of `mmstats record`: `show`, `poll`, `threads`, `diff`, `replay` and `convert` read it";
const LISTED: &str = "`mmstats ls` lists the programs that were found, dead ones too";

/// `mmstats ls` without the directory that MMSTATS_PATH sets, in backquotes.
pub(super) fn ls_elsewhere() -> &'static str {
    if environment().is_explicit() { "`env -u MMSTATS_PATH mmstats ls`" } else { "`mmstats ls`" }
}

pub(super) fn is_set_by_environment(path: &Path) -> bool {
    environment().explicit.is_some_and(|explicit| Path::new(&explicit) == path)
}

/// Advice about an argument that is no file: the files of the directory, process or program that it may mean.
/// Of commands that take files alone.
pub(crate) fn file_help(path: &Path) -> Option<String> {
    if path.is_dir() {
        return Some(directory_help(path));
    }
    #[cfg(feature = "record")] // else no command reads one
    if is_recording(path) {
        return Some(format!("help: {RECORDING}"));
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

fn name_advice(name: &str, observer: &Observer) -> String {
    if Path::new(name).exists() {
        return format!("for the file or directory write ./{}", escape::text(name));
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
        return format!("there is {}", names.shown());
    }
    let running = all().into_iter().filter(|pid| status(*pid).is_some_and(|s| s.command == name));
    let mut running: Vec<u32> = running.collect();
    running.sort_unstable();
    if let Some(advice) = named_process_advice(&running) {
        return advice;
    }
    if environment().is_explicit() {
        return ELSEWHERE.to_owned();
    }
    match closed(observer) {
        Some(closed) => format!("{closed}: sudo mmstats show {}", escape::text(name)),
        None => LISTED.to_owned(),
    }
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
