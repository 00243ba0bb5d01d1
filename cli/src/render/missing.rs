//! What might help if a process or a program was not found.

use std::cmp::Reverse;
use std::path::Path;

use mmstats_observe::{File, FileState, NotFound, Observer, Problem, Sources};

use crate::backend::directory::environment;
use crate::backend::process::{all, status};
use crate::text::escape;

/// Maximum number of names or processes in a suggestion.
const MAX_SUGGESTIONS: usize = 3;

/// Advice about a process, a program or a place that was not found; `None` about other problems.
pub(super) fn help(problem: &Problem, observer: &Observer) -> Option<String> {
    let advice = match (problem.not_found, problem.path.to_str()) {
        (Some(NotFound::NoProgram), Some(name)) => name_advice(name, observer),
        (Some(kind), Some(pid)) => process_advice(pid.parse().ok()?, kind),
        (None, _) if problem.code == "not-found" && is_set_by_environment(&problem.path) => {
            format!("MMSTATS_PATH names it: {ELSEWHERE}")
        }
        _ => return None,
    };
    Some(format!("help: {advice}"))
}

/// The way out of a directory that MMSTATS_PATH names.
const ELSEWHERE: &str = "`env -u MMSTATS_PATH mmstats ls` looks in all other places";
const LISTED: &str = "`mmstats ls` lists the programs that were found, dead ones too";

fn is_set_by_environment(path: &Path) -> bool {
    environment().explicit.is_some_and(|explicit| Path::new(&explicit) == path)
}

/// Advice about an argument that is no file: the files of the process or program that it may mean. Of
/// commands that take files alone.
pub(crate) fn file_help(path: &Path) -> Option<String> {
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
            "{command} publishes nothing, or began with other settings: `mmstats ls` lists what publishes"
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
    let mut names: Vec<&str> = programs
        .iter()
        .filter_map(|program| program.identity().command.as_deref())
        .filter(|other| strsim::normalized_damerau_levenshtein(name, other) >= 0.5)
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MAX_SUGGESTIONS);
    if !names.is_empty() {
        let names: Vec<_> = names.into_iter().map(escape::text).collect();
        return format!("there is {}", names.join(", "));
    }
    let running = all().into_iter().filter(|pid| status(*pid).is_some_and(|s| s.command == name));
    if let Some(pid) = running.min() {
        return format!(
            "process {pid} has this name: `mmstats show {pid}` tells why it is not found"
        );
    }
    if environment().is_explicit() {
        return ELSEWHERE.to_owned();
    }
    match closed(observer) {
        Some(closed) => format!("{closed}: sudo mmstats show {}", escape::text(name)),
        None => LISTED.to_owned(),
    }
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
