//! Messages about files and fields that cannot be read.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use mmstats_observe::{Observer, Problem, Program, ProgramId};

use super::program::title;
use crate::output::Output;
use crate::text::escape;

/// Maximum number of damaged fields that are reported of one file.
pub(crate) const MAX_DAMAGED: usize = 10;

/// Maximum number of unnamed files, and of programs, that are reported: others can make many.
const MAX_REPORTS: usize = 1_000;

/// Reports unreadable files and damaged fields: errors if the file was named, else notes.
pub(crate) fn report(observer: &Observer, output: &mut Output) {
    let mut unnamed = 0_usize;
    for problem in observer.problems() {
        unnamed += usize::from(!problem.named);
        if problem.named || unnamed <= MAX_REPORTS {
            write(problem.named, &problem_text(problem), output);
        }
    }
    if unnamed > MAX_REPORTS {
        output.note(&format!("and {} more files like these", unnamed - MAX_REPORTS));
    }
    for file in observer.files() {
        let path = escape::path(file.path());
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

/// The problem, escaped.
fn problem_text(problem: &Problem) -> String {
    let place = problem.offset.map_or_else(String::new, |at| format!(" at byte {at}"));
    let (path, message) = (escape::path(&problem.path), escape::text(&problem.message));
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

/// `web 1234: incomplete: part 1 of 3 missing`.
fn incomplete(program: &Program<'_>) -> Option<String> {
    let completeness = program.completeness();
    let pid = program.identity().pid.map_or_else(String::new, |pid| format!(" {pid}"));
    let name = || format!("{}{pid}", title(program));
    (!completeness.is_complete()).then(|| format!("{}: incomplete: {completeness}", name()))
}

/// Writes an error if the file was named on the command line, else a note.
pub(crate) fn write(named: bool, text: &str, output: &mut Output) {
    if named { output.fail(text) } else { output.note(text) }
}

/// Reports problems that appear while a command runs, once per file.
pub(crate) struct ProblemLog {
    reported: HashSet<PathBuf>,
    /// What was missing of programs.
    incomplete: HashMap<ProgramId, String>,
}

impl ProblemLog {
    /// Takes the present problems as reported.
    pub(crate) fn new(observer: &Observer) -> Self {
        let reported = observer.problems().map(|problem| problem.path.clone()).collect();
        Self { reported, incomplete: HashMap::new() }
    }

    /// Reports what the files of programs do not have, if it was not reported yet. The exit code
    /// becomes 3.
    pub(crate) fn report_incomplete<'a>(
        &mut self,
        programs: impl IntoIterator<Item = &'a Program<'a>>,
        output: &mut Output,
    ) {
        for program in programs {
            let (Some(id), Some(text)) = (program.id(), incomplete(program)) else { continue };
            output.set_incomplete();
            let known = self.incomplete.get(&id) == Some(&text);
            if !known && self.incomplete.len() < MAX_REPORTS {
                output.note(&text);
                self.incomplete.insert(id, text);
            }
        }
    }

    /// Reports those that were not reported yet.
    pub(crate) fn report_new(&mut self, observer: &Observer, output: &mut Output) {
        for problem in observer.problems() {
            if self.reported.insert(problem.path.clone()) {
                write(problem.named, &problem_text(problem), output);
            }
        }
    }
}

/// ` in DIR or DIR`: the directories that were searched, for messages.
pub(crate) fn in_directories(observer: &Observer) -> String {
    let names: Vec<String> = observer.directories().iter().map(|d| escape::path(d)).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" or ")) }
}
