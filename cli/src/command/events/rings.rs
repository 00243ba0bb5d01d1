//! The events fields of all programs, and their new lines.

use std::collections::HashMap;
use std::rc::Rc;

use mmstats_observe::{
    Event, FieldRef, File, FileId, FileState, Kind, Observer, OwnedValue, Program,
};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::json::{JsonPath, number};
use crate::model::is_active;
use crate::model::pattern::Pattern;
use crate::model::selection::Selection;
use crate::render::program::own_user;

/// The ring of an events field in one lane.
#[derive(Debug, Serialize)]
pub(crate) struct Ring {
    pub(crate) pid: Option<u32>,
    pub(crate) command: Option<String>,
    #[serde(skip)]
    pub(crate) state: FileState,
    pub(crate) path: JsonPath,
    pub(crate) label: String,
    #[serde(skip_serializing_if = "is_first")]
    pub(crate) part: u32,
    pub(crate) lane: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference.
const fn is_first(part: &u32) -> bool {
    *part == 0
}

/// A line of output; as JSON, the document of `mmstats events --json`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    /// Nanoseconds since 1970; in JSON with its digits.
    #[serde(flatten, serialize_with = "time_and_digits")]
    pub(crate) time: u64,
    #[serde(flatten)]
    pub(crate) ring: Rc<Ring>,
    /// Number of the line in its ring, from 1.
    pub(crate) number: u32,
    #[serde(flatten)]
    pub(crate) content: Content,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn time_and_digits<S: Serializer>(time: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let mut s = serializer.serialize_map(None)?;
    number(&mut s, "time", Some(&OwnedValue::Unsigned((*time).into())))?;
    s.end()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Content {
    Line {
        text: String,
        /// Whether the writer truncated it.
        cut: bool,
    },
    /// The line breaks a rule of the format; its text is null in JSON.
    Damaged { text: (), code: &'static str },
    /// The number of lines that were overwritten before they were read; the time is that of the
    /// next line.
    Lost { lost: u32 },
}

/// A line of a ring.
struct RingLine {
    number: u32,
    time: u64,
    content: Content,
}

impl RingLine {
    fn from_event(event: Event) -> Self {
        let content = match event.line {
            Ok(line) => Content::Line { text: line.text, cut: line.cut },
            Err(damage) => Content::Damaged { text: (), code: damage.code },
        };
        Self { number: event.number, time: event.time, content }
    }
}

/// Sorts by time; entries of the same time keep their order.
pub(crate) fn sort_by_time(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| entry.time);
}

/// File, field and lane.
type RingKey = (FileId, usize, u32);

/// Whether a file may still get lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileProgress {
    Active,
    /// Its program ended, and it was read after that.
    Finished,
}

/// The lines of all rings that were read.
pub(crate) struct Rings {
    selection: Selection,
    filter: Vec<Pattern>,
    /// Whether programs that ended are included.
    ended: bool,
    /// Number of the newest line that was read.
    newest: HashMap<RingKey, u32>,
    files: HashMap<FileId, FileProgress>,
    /// Whether all rings were read once.
    started: bool,
    overwritten: u64,
    /// Approximate memory of the lines of this reading, in bytes.
    bytes: usize,
    /// Bytes of files that this reading may still look at.
    left: u64,
    /// Files whose rings were not read, because there were too many bytes.
    unread: usize,
}

impl Rings {
    pub(crate) fn new(selection: Selection, filter: Vec<Pattern>, ended: bool) -> Self {
        let (newest, files) = (HashMap::new(), HashMap::new());
        Self {
            selection,
            filter,
            ended,
            newest,
            files,
            started: false,
            overwritten: 0,
            bytes: 0,
            left: 0,
            unread: 0,
        }
    }

    /// Whether no ring was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// Number of lines that were overwritten before the first reading.
    pub(crate) const fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// Number of files that were left out since the last call, because the files with events are too
    /// large.
    pub(crate) const fn take_unread(&mut self) -> usize {
        std::mem::replace(&mut self.unread, 0)
    }

    /// The programs whose lines are read.
    pub(crate) fn selected<'p, 'a>(&self, programs: &'p [Program<'a>]) -> Vec<&'p Program<'a>> {
        self.selection.select(programs, self.ended)
    }

    /// The lines since the last call, by time.
    pub(crate) fn new_entries(&mut self, observer: &Observer) -> Vec<Entry> {
        let mut entries = Vec::new();
        let programs = observer.programs();
        let mut selected = self.selected(&programs);
        // Files of other users cannot use up the time for one's own.
        let own = own_user();
        selected.sort_by_key(|program| {
            program.owner() != own && program.owner() != Some(0) && own.is_some()
        });
        (self.bytes, self.left) = (0, MAX_READ);
        for file in selected.iter().flat_map(|program| program.files()) {
            if self.files.get(&file.id()) != Some(&FileProgress::Finished) {
                // One that was not read is tried again.
                let finished = self.file(file, &mut entries) && !is_active(file.state());
                let progress = if finished { FileProgress::Finished } else { FileProgress::Active };
                self.files.insert(file.id(), progress);
            }
        }
        self.started = true;
        sort_by_time(&mut entries);
        self.drop_oldest(&mut entries);
        entries
    }

    /// Keeps the newest entries, at most [`MAX_LINES`] and [`MAX_BYTES`].
    fn drop_oldest(&mut self, entries: &mut Vec<Entry>) {
        let mut bytes = 0_usize;
        let fit = entries.iter().rev().take(MAX_LINES).take_while(|entry| {
            bytes = bytes.saturating_add(memory(entry));
            bytes <= MAX_BYTES
        });
        let cut = entries.len() - fit.count();
        entries.drain(..cut);
        self.overwritten += cut as u64;
    }

    /// The last lines of files that were removed, as a program does that ends cleanly.
    pub(crate) fn final_entries(&mut self, vanished: &[File]) -> Vec<Entry> {
        (self.bytes, self.left) = (0, MAX_READ);
        let mut entries = Vec::new();
        for file in vanished {
            if self.files.remove(&file.id()) == Some(FileProgress::Active) {
                self.file(file, &mut entries);
            }
            // A later file may have the same id.
            self.newest.retain(|(id, ..), _| *id != file.id());
        }
        entries
    }

    /// Reads the new lines of a file; false if it is left out.
    fn file(&mut self, file: &File, entries: &mut Vec<Entry>) -> bool {
        let filter = &self.filter;
        let is_selected = |field: &FieldRef<'_>| {
            field.properties().kind() == Some(Kind::Events)
                && (filter.is_empty() || filter.iter().any(|one| one.matches_ref(field)))
        };
        let fields: Vec<_> = file.fields().filter(is_selected).collect();
        if fields.is_empty() {
            return true;
        }
        let Some(left) = self.left.checked_sub(file.size()) else {
            self.unread += 1;
            return false;
        };
        self.left = left;
        for field in fields {
            for lane in 0..file.lanes().used {
                let key = (file.id(), field.index(), lane);
                let newest = self.newest.get(&key).copied();
                let Some(events) = file.events(field.index(), lane, newest.unwrap_or(0)) else {
                    continue;
                };
                if newest.is_some() && events.is_empty() {
                    continue;
                }
                let ring = Ring {
                    command: file.identity().command.clone(),
                    pid: file.identity().pid,
                    state: file.state(),
                    label: field.label().to_owned(),
                    part: file.part(),
                    lane,
                    path: JsonPath::new(file.path()),
                };
                let lines = events.into_iter().map(RingLine::from_event).collect();
                let before = entries.len();
                self.ring(key, &Rc::new(ring), lines, entries);
                self.bytes += entries[before..].iter().map(memory).sum::<usize>();
                if entries.len() > 2 * MAX_LINES || self.bytes > 2 * MAX_BYTES {
                    sort_by_time(entries);
                    self.drop_oldest(entries);
                    self.bytes = entries.iter().map(memory).sum();
                }
            }
        }
        true
    }

    /// Adds the new ones of the lines of a ring, which are in order.
    fn ring(
        &mut self,
        key: RingKey,
        ring: &Rc<Ring>,
        lines: Vec<RingLine>,
        entries: &mut Vec<Entry>,
    ) {
        let gone = lines.first().map_or(0, |line| line.number.wrapping_sub(1));
        let (mut newest, mut lost) = match self.newest.get(&key) {
            Some(newest) => (*newest, 0),
            None if self.started => (gone, gone),
            None => {
                self.overwritten += u64::from(gone);
                (gone, 0)
            }
        };
        for line in lines {
            // Numbers wrap around after 2^32 lines.
            let ahead = line.number.wrapping_sub(newest);
            if ahead == 0 || ahead > u32::MAX / 2 {
                continue;
            }
            lost += ahead - 1;
            let entry = |content| {
                let (ring, time, number) = (Rc::clone(ring), line.time, line.number);
                Entry { ring, time, number, content }
            };
            if lost > 0 {
                entries.push(entry(Content::Lost { lost }));
            }
            entries.push(entry(line.content));
            (newest, lost) = (line.number, 0);
        }
        self.newest.insert(key, newest);
    }
}

/// Maximum number of lines of one reading: the hole of a sparse file may have any number.
const MAX_LINES: usize = 500_000;
/// Approximate maximum of memory for the lines of one reading, in bytes.
const MAX_BYTES: usize = 128 << 20;

/// Maximum size of the files with events that one reading looks at, in bytes.
const MAX_READ: u64 = 8 << 30;

/// Approximate memory of an entry, in bytes.
fn memory(entry: &Entry) -> usize {
    let own = match &entry.content {
        Content::Line { text, .. } => text.len(),
        Content::Damaged { .. } | Content::Lost { .. } => 0,
    };
    own + size_of::<Entry>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rings() -> Rings {
        Rings::new(Selection::default(), Vec::new(), true)
    }

    fn ring() -> Rc<Ring> {
        Rc::new(Ring {
            command: None,
            pid: None,
            state: FileState::Live,
            label: "log".into(),
            part: 0,
            lane: 0,
            path: JsonPath::Text(String::new()),
        })
    }

    fn lines(numbers: impl IntoIterator<Item = u32>) -> Vec<RingLine> {
        let content = || Content::Line { text: String::new(), cut: false };
        let line = |number| RingLine { number, time: 5, content: content() };
        numbers.into_iter().map(line).collect()
    }

    /// The numbers of lines; lost lines as a negative count.
    fn take(rings: &mut Rings, file: u64, numbers: impl IntoIterator<Item = u32>) -> Vec<i64> {
        let mut entries = Vec::new();
        let key = (FileId { device: 0, index: file }, 0, 0);
        rings.ring(key, &ring(), lines(numbers), &mut entries);
        let number = |entry: Entry| match entry.content {
            Content::Lost { lost } => -i64::from(lost),
            _ => entry.number.into(),
        };
        entries.into_iter().map(number).collect()
    }

    #[test]
    fn ring_yields_each_line_once_and_counts_lost_ones() {
        let mut rings = rings();
        assert_eq!(take(&mut rings, 1, 41..=43), [41, 42, 43]);
        assert_eq!(rings.overwritten(), 40);
        rings.started = true;
        assert_eq!(take(&mut rings, 1, 42..=43), [0; 0]);
        assert_eq!(take(&mut rings, 1, 42..=44), [44]);
        assert_eq!(take(&mut rings, 1, 48..=49), [-3, 48, 49]);
        // A new ring whose first lines are overwritten.
        assert_eq!(take(&mut rings, 2, 3..=4), [-2, 3, 4]);
        assert_eq!(rings.overwritten(), 40);
    }

    #[test]
    fn ring_numbers_wrap_around() {
        let mut rings = rings();
        take(&mut rings, 1, [u32::MAX]);
        assert_eq!(take(&mut rings, 1, [u32::MAX, 0, 1]), [0, 1]);
    }
}
