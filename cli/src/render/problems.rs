//! Messages about files and fields that cannot be read.

use std::collections::HashSet;
use std::path::PathBuf;

use mmstats_observe::Observer;

use crate::output::Output;
use crate::text::escape;

/// Maximum number of damaged fields that are reported of one file.
pub(crate) const MAX_DAMAGED: usize = 10;

/// Reports unreadable files and damaged fields: errors if the file was named, else notes.
pub(crate) fn report(observer: &Observer, output: &mut Output) {
    for problem in observer.problems() {
        write(problem.named, &problem.to_string(), output);
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

/// Writes an error if the file was named on the command line, else a note.
pub(crate) fn write(named: bool, text: &str, output: &mut Output) {
    if named { output.fail(text) } else { output.note(text) }
}

/// Reports problems that appear while a command runs, once per file.
pub(crate) struct ProblemLog {
    reported: HashSet<PathBuf>,
}

impl ProblemLog {
    /// Takes the present problems as reported.
    pub(crate) fn new(observer: &Observer) -> Self {
        Self { reported: observer.problems().map(|problem| problem.path.clone()).collect() }
    }

    /// Reports those that were not reported yet.
    pub(crate) fn report_new(&mut self, observer: &Observer, output: &mut Output) {
        for problem in observer.problems() {
            if self.reported.insert(problem.path.clone()) {
                write(problem.named, &problem.to_string(), output);
            }
        }
    }
}

/// ` in DIR or DIR`: the directories that were searched, for messages.
pub(crate) fn in_directories(observer: &Observer) -> String {
    let names: Vec<String> = observer.directories().iter().map(|d| escape::path(d)).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" or ")) }
}
