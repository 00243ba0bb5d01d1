//! The last lines of the events of a program.

use std::collections::{HashMap, VecDeque};

use mmstats_observe::{File, Kind};

/// Maximum number of kept lines of a program.
const MAX_LINES: usize = 1_000;

/// A line of events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Nanoseconds since 1970-01-01 UTC.
    pub time: u64,
    /// Label of the field.
    pub label: String,
    /// The text; for a damaged line, the code of the broken rule.
    pub text: Result<String, &'static str>,
}

impl Line {
    /// A line.
    #[must_use]
    pub const fn new(time: u64, label: String, text: Result<String, &'static str>) -> Self {
        Self { time, label, text }
    }
}

/// Reads the lines of a program that are new since the previous look.
#[derive(Debug, Default)]
pub struct LineReader {
    /// Number of the newest line read, by file, field and lane.
    newest: HashMap<(u64, usize, u32), u32>,
}

impl LineReader {
    /// Forgets all files except these.
    pub fn keep(&mut self, files: &[&File]) {
        self.newest.retain(|(index, ..), _| files.iter().any(|file| file.id().index == *index));
    }

    /// Adds the new lines of a file, at most the last thousand of each ring.
    pub fn read(&mut self, file: &File, new: &mut Vec<Line>) {
        for field in file.fields().filter(|field| field.properties().kind() == Some(Kind::Events)) {
            for lane in 0..file.lanes().used {
                let key = (file.id().index, field.index(), lane);
                let seen = self.newest.get(&key).copied().unwrap_or(0);
                let Some(events) = file.events(field.index(), lane, seen) else { continue };
                let Some(last) = events.last() else { continue };
                self.newest.insert(key, last.number);
                let first = events.len().saturating_sub(MAX_LINES);
                new.extend(events.into_iter().skip(first).map(|event| Line {
                    time: event.time,
                    label: field.label().to_owned(),
                    text: event.line.map(|line| line.text).map_err(|damage| damage.code),
                }));
            }
        }
    }
}

/// The last lines of all events fields of a program, by time.
#[derive(Debug, Default)]
pub struct Lines {
    lines: VecDeque<Line>,
    bytes: usize,
}

impl Lines {
    pub(crate) fn add(&mut self, mut new: Vec<Line>) {
        if new.is_empty() {
            return;
        }
        new.sort_by_key(|line| line.time);
        let drop = new.len().saturating_sub(MAX_LINES);
        self.lines.extend(new.into_iter().skip(drop));
        // Lanes are read one after the other, so lines of two looks may overlap in time.
        self.lines.make_contiguous().sort_by_key(|line| line.time);
        self.bytes = self.lines.iter().map(size).sum();
        while self.lines.len() > MAX_LINES {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= size(&line);
        }
    }

    /// Drops the oldest lines until the others take at most `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if self.bytes <= bytes {
            return;
        }
        while self.bytes > bytes {
            self.pop();
        }
        self.lines.shrink_to_fit();
    }

    /// The kept lines, by time.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Line> + ExactSizeIterator {
        self.lines.iter()
    }

    /// Memory of the lines, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Memory of a line, in bytes.
fn size(line: &Line) -> usize {
    size_of::<Line>() + line.label.len() + line.text.as_ref().map_or(0, String::len)
}
