//! What might help if a process or a program was not found.

use mmstats_observe::{Observer, Problem, Sources};

use crate::backend::process::{all, status};
use crate::text::escape;

/// Maximum number of names or processes in a suggestion.
const MAX_SUGGESTIONS: usize = 3;

/// Advice about a process or a program that was not found; `None` about other problems.
pub(super) fn help(problem: &Problem) -> Option<String> {
    let name = problem.path.to_str()?;
    let advice = match problem.code {
        "no-such-pid" => process_advice(name.parse().ok()?, problem),
        "no-such-program" => name_advice(name),
        _ => return None,
    };
    Some(format!("help: {advice}"))
}

fn process_advice(pid: u32, problem: &Problem) -> String {
    if problem.message.contains("permission denied") {
        if crate::backend::directory::environment().user == 0 {
            return format!("the system refuses process {pid} even to root: a sandbox, perhaps");
        }
        let owner = owner(pid).map_or_else(String::new, |owner| format!(" of user {owner}"));
        return format!(
            "process {pid}{owner} can be looked at by that user and by root: sudo mmstats show {pid}"
        );
    }
    let Some(process) = status(pid) else {
        return "`mmstats ls` lists the programs that were found, dead ones too".to_owned();
    };
    let command = escape::text(&process.command).into_owned();
    if problem.message.contains("has no name any more") {
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

fn name_advice(name: &str) -> String {
    if std::path::Path::new(name).exists() {
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
    match running.min() {
        Some(pid) => {
            format!("process {pid} has this name: `mmstats show {pid}` tells why it is not found")
        }
        None if is_explicit() => {
            "`env -u MMSTATS_PATH mmstats ls` looks in all other places".to_owned()
        }
        None => "`mmstats ls` lists the programs that were found, dead ones too".to_owned(),
    }
}

fn is_explicit() -> bool {
    let environment = crate::backend::directory::environment();
    environment.explicit.is_some_and(|path| !path.is_empty())
}

/// The sources that names are looked for in, without the names.
fn everything() -> Sources {
    if is_explicit() { Sources::new() } else { Sources::new().everywhere() }
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
