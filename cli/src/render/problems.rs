//! Messages about files and fields that cannot be read.

use std::collections::HashSet;
use std::hash::Hash;
use std::path::PathBuf;
use std::time::Duration;

use mmstats_observe::{Completeness, Observer, Problem, Program, ProgramId};

use super::missing;
use super::paths::Paths;
#[cfg(feature = "record")]
use super::program::head_title;
use super::program::title;
#[cfg(feature = "record")]
use crate::model::head::Head;
use crate::output::Output;
use crate::text::escape;

/// Maximum number of damaged fields that are reported of one file.
pub(crate) const MAX_DAMAGED: usize = 10;

/// Maximum number of unnamed files, and of programs, that are reported: others can make many.
const MAX_REPORTS: usize = 1_000;

/// Whether the sums of applications may be wrong, because the look did not come to an end.
pub(crate) fn is_unsettled(observer: &Observer) -> bool {
    observer.problems().any(|problem| problem.code == "unsettled")
}

/// Reports unreadable files and damaged fields: errors if the file was named, else notes. The exit
/// code becomes 3 if the sums of applications may be wrong.
pub(crate) fn report(observer: &Observer, output: &mut Output) {
    report_waiting(observer, false, output);
}

/// As [`report`]; if `waits`, a process or program that is not found is no error, because it may
/// still come.
pub(crate) fn report_waiting(observer: &Observer, waits: bool, output: &mut Output) {
    let missing = if waits { WhenMissing::Wait } else { WhenMissing::Fail };
    report_named(observer, missing, &Paths::default(), output);
}

/// Report about a process id or name that is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenMissing<'a> {
    /// An error.
    Fail,
    /// A note: it may still come.
    Wait,
    /// Nothing: it was reported before.
    Ignore,
    /// Nothing for these processes, which were found elsewhere; an error for others.
    #[cfg_attr(not(feature = "threads"), expect(dead_code))] // the only user
    Found(&'a [u32]),
}

/// As [`report_waiting`], with other names for paths.
pub(crate) fn report_named(
    observer: &Observer,
    when_missing: WhenMissing<'_>,
    paths: &Paths,
    output: &mut Output,
) {
    if is_unsettled(observer) {
        output.set_incomplete();
    }
    let mut unnamed = 0_usize;
    for problem in observer.problems() {
        let is_found =
            |found: &[u32]| found.iter().any(|pid| problem.path.as_os_str() == &*pid.to_string());
        match when_missing {
            WhenMissing::Ignore if is_missing(problem) => continue,
            WhenMissing::Found(found) if is_missing(problem) && is_found(found) => continue,
            _ => {}
        }
        if is_missing(problem) && when_missing == WhenMissing::Wait {
            output.note(&format!("waiting: {}", problem_text(problem, paths)));
            if let Some(help) = missing::help(problem, observer) {
                output.note(&help);
            }
            continue;
        }
        unnamed += usize::from(!problem.named);
        if problem.named || unnamed <= MAX_REPORTS {
            write(problem.named, &problem_text(problem, paths), output);
            if let Some(help) = missing::help(problem, observer) {
                output.note(&help);
            }
        }
    }
    if unnamed > MAX_REPORTS {
        output.note(&format!("and {} more files like these", unnamed - MAX_REPORTS));
    }
    for file in observer.files() {
        let path = paths.shown(file.path());
        let damaged = file.fields().filter_map(|field| field.damage().map(|d| (field, d)));
        for (reported, (field, damage)) in damaged.enumerate() {
            if reported == MAX_DAMAGED {
                write(file.named(), &format!("{path}: and more damaged fields"), output);
                break;
            }
            let (index, code, offset) = (field.index(), damage.code, damage.offset);
            let text = format!("{path}: field {index} is damaged ({code} at byte {offset})");
            write(file.named(), &text, output);
        }
    }
}

/// Whether a process or program that was asked for was not found.
pub(crate) fn has_missing(observer: &Observer) -> bool {
    observer.problems().any(is_missing)
}

/// Notes what might help about problems that are reported in other words.
pub(crate) fn report_help(observer: &Observer, output: &mut Output) {
    observer.problems().filter_map(|p| missing::help(p, observer)).for_each(|h| output.note(&h));
}

/// Whether a process or program was not found.
fn is_missing(problem: &Problem) -> bool {
    problem.not_found.is_some()
}

/// The problem, escaped.
pub(crate) fn problem_text(problem: &Problem, paths: &Paths) -> String {
    let place = problem.offset.map_or_else(String::new, |at| format!(" at byte {at}"));
    let (path, message) = (paths.shown(&problem.path), escape::text(&problem.message));
    format!("{path}: {message} ({}{place})", problem.code)
}

/// Reports what the files of programs do not have; the exit code becomes 3.
pub(crate) fn report_incomplete<'a>(
    programs: impl IntoIterator<Item = &'a Program<'a>>,
    output: &mut Output,
) {
    let mut count = 0_usize;
    for program in programs {
        let Some(text) = incomplete(program) else { continue };
        output.set_incomplete();
        count += 1;
        if count <= MAX_REPORTS {
            output.note(&text);
        }
    }
    if count > MAX_REPORTS {
        output.note(&format!("and {} more incomplete programs", count - MAX_REPORTS));
    }
}

/// As [`incomplete`].
#[cfg(feature = "record")]
pub(crate) fn incomplete_head(head: &Head<'_>) -> Option<String> {
    let pid = head.identity.pid.map_or_else(String::new, |pid| format!(" {pid}"));
    let text = || format!("{}{pid}: incomplete: {}", head_title(head), head.completeness);
    (!head.completeness.is_complete()).then(text)
}

/// `web 1234: incomplete: part 1 of 3 missing`.
fn incomplete(program: &Program<'_>) -> Option<String> {
    incomplete_text(program, &program.completeness())
}

fn incomplete_text(program: &Program<'_>, completeness: &Completeness) -> Option<String> {
    let pid = program.identity().pid.map_or_else(String::new, |pid| format!(" {pid}"));
    let name = || format!("{}{pid}", title(program));
    (!completeness.is_complete()).then(|| format!("{}: incomplete: {completeness}", name()))
}

/// Writes an error if the file was named on the command line, else a note.
pub(crate) fn write(named: bool, text: &str, output: &mut Output) {
    if named { output.fail(text) } else { output.note(text) }
}

/// Reports problems that appear while a command runs, each once.
pub(crate) struct ProblemLog {
    reported: Reported<(PathBuf, &'static str)>,
    /// Missing parts of programs, without ages.
    incomplete: Reported<(ProgramId, String)>,
}

/// Reported problems, at most [`MAX_REPORTS`], because other users can cause any number.
struct Reported<T> {
    known: HashSet<T>,
    /// Whether it was said that no more is reported.
    is_full: bool,
}

impl<T: Eq + Hash> Reported<T> {
    fn new() -> Self {
        Self { known: HashSet::new(), is_full: false }
    }

    /// Whether to report `item` now; the first time that there is no room, says so.
    fn is_new(&mut self, item: T, noun: &str, output: &mut Output) -> bool {
        if self.known.contains(&item) {
            return false;
        }
        if self.known.len() < MAX_REPORTS {
            return self.known.insert(item);
        }
        if !self.is_full {
            self.is_full = true;
            output.note(&format!("{MAX_REPORTS} {noun} were reported; further ones are not"));
        }
        false
    }
}

/// Key under which a problem is reported once. A file that is truncated breaks other rules at the next look.
fn key(problem: &Problem) -> (PathBuf, &'static str) {
    let code = match problem.code {
        "file-size" | "too-short" => "truncated",
        code => code,
    };
    (problem.path.clone(), code)
}

impl ProblemLog {
    /// Takes the present problems as reported.
    pub(crate) fn new(observer: &Observer) -> Self {
        let mut log = Self { reported: Reported::new(), incomplete: Reported::new() };
        log.reported.known = observer.problems().map(key).take(MAX_REPORTS).collect();
        log
    }

    /// Reports what the files of programs do not have, if it was not reported yet. The exit code
    /// becomes 3.
    pub(crate) fn report_incomplete<'a>(
        &mut self,
        programs: impl IntoIterator<Item = &'a Program<'a>>,
        output: &mut Output,
    ) {
        for program in programs {
            let mut completeness = program.completeness();
            let Some(text) = incomplete_text(program, &completeness) else { continue };
            output.set_incomplete();
            // The age of values grows all the time.
            completeness.mirror_age = completeness.mirror_age.map(|_| Duration::MAX);
            let Some(id) = program.id() else { continue };
            if self.incomplete.is_new((id, completeness.to_string()), "incomplete programs", output)
            {
                output.note(&text);
            }
        }
    }

    /// Reports those that were not reported yet. The exit code becomes 3 if the sums of
    /// applications may be wrong.
    pub(crate) fn report_new(&mut self, observer: &Observer, output: &mut Output) {
        if is_unsettled(observer) {
            output.set_incomplete();
        }
        // A program that was found at first may end.
        for problem in observer.problems().filter(|problem| !is_missing(problem)) {
            if self.reported.is_new(key(problem), "problems", output) {
                write(problem.named, &problem_text(problem, &Paths::default()), output);
            }
        }
    }
}

/// Says which directories of other users could not be searched.
pub(crate) fn report_closed(observer: &Observer, output: &mut Output) {
    if let Some(text) = missing::closed(observer) {
        output.note(&format!("{text}: sudo mmstats ls"));
    }
}

/// ` in DIR or DIR`: the directories that were searched, for messages.
pub(crate) fn in_directories(observer: &Observer) -> String {
    missing::in_directories(observer.directories())
}

#[cfg(test)]
mod tests {
    use anstream::ColorChoice;

    use super::*;

    #[test]
    fn reported_takes_each_once_and_says_once_that_there_are_more() {
        let (mut output, _) = Output::capture(ColorChoice::Never, None);
        let mut reported = Reported::new();
        let mut is_new = |item| reported.is_new(item, "problems", &mut output);
        assert!(is_new((0, "a")) && is_new((0, "b")) && !is_new((0, "a")));
        assert_eq!((1..2 * MAX_REPORTS).filter(|n| is_new((*n, "a"))).count(), MAX_REPORTS - 2);
        assert!(!is_new((0, "a")) && !is_new((0, "c")));
        assert!(reported.is_full && reported.known.len() == MAX_REPORTS);
    }
}
