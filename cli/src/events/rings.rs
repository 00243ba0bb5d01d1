//! The rings of all programs, and what is new in them.

use std::collections::HashMap;
use std::rc::Rc;

use globset::GlobSet;
use mmstats_observe::{Event, File, FileId, Kind, Observer, State};

use crate::render::document::PathText;
use crate::targets::{Targets, is_active};

/// Where lines come from: one field of one lane.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) command: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) state: State,
    pub(crate) label: String,
    pub(crate) part: u32,
    pub(crate) lane: u32,
    pub(crate) path: PathText,
}

/// Something to be printed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) ring: Rc<Ring>,
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    /// Of the line in its ring, from 1.
    pub(crate) number: u32,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Line {
        text: String,
        /// Whether the writer cut it to fit.
        cut: bool,
    },
    /// A rule of the format is broken.
    Damaged { code: &'static str },
    /// So many lines were overwritten before anybody saw them; the time is of the next one.
    Lost(u32),
}

/// One line of a ring.
struct Line {
    number: u32,
    time: u64,
    what: What,
}

impl Line {
    fn of(event: Event) -> Self {
        let what = match event.line {
            Ok(line) => What::Line { text: line.text, cut: line.cut },
            Err(damage) => What::Damaged { code: damage.code },
        };
        Self { number: event.number, time: event.time, what }
    }
}

/// By time; what has the same time stays in the order of its ring.
pub(crate) fn in_order(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| entry.time);
}

type Key = (FileId, usize, u32);

/// Whether a file may still say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Active,
    /// It ended, and was read after that.
    Done,
}

/// What was seen of all rings.
pub(crate) struct Rings {
    targets: Targets,
    filter: Option<GlobSet>,
    /// Also those of programs that ended.
    ended: bool,
    /// The number of the newest line seen.
    seen: HashMap<Key, u32>,
    files: HashMap<FileId, Known>,
    looked: bool,
    overwritten: u64,
}

impl Rings {
    pub(crate) fn new(targets: Targets, filter: Option<GlobSet>, ended: bool) -> Self {
        let (seen, files) = (HashMap::new(), HashMap::new());
        Self { targets, filter, ended, seen, files, looked: false, overwritten: 0 }
    }

    /// Whether there never was one.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// How many lines were gone when first looked.
    pub(crate) const fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// What is new since the last look, in order.
    pub(crate) fn look(&mut self, observer: &Observer) -> Vec<Entry> {
        let mut entries = Vec::new();
        let programs = observer.programs();
        for program in &programs {
            if !self.targets.wants(program, self.ended, &programs) {
                continue;
            }
            for file in program.files() {
                if self.files.get(&file.id()) != Some(&Known::Done) {
                    self.file(file, &mut entries);
                    let active = is_active(file.state());
                    let known = if active { Known::Active } else { Known::Done };
                    self.files.insert(file.id(), known);
                }
            }
        }
        self.looked = true;
        in_order(&mut entries);
        self.forget(&mut entries);
        entries
    }

    /// Leaves the newest lines, if there are more than anybody reads.
    fn forget(&mut self, entries: &mut Vec<Entry>) {
        let cut = entries.len().saturating_sub(MOST);
        entries.drain(..cut);
        self.overwritten += cut as u64;
    }

    /// What is new in files whose names are gone: the end of a program that tidied up.
    pub(crate) fn last_words(&mut self, vanished: &[File]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for file in vanished {
            if self.files.remove(&file.id()) == Some(Known::Active) {
                self.file(file, &mut entries);
            }
            // Another file may get the same id.
            self.seen.retain(|(id, ..), _| *id != file.id());
        }
        entries
    }

    fn file(&mut self, file: &File, entries: &mut Vec<Entry>) {
        for field in file.fields() {
            let wanted = field.kind() == Some(Kind::Events)
                && self.filter.as_ref().is_none_or(|filter| filter.is_match(field.label()));
            if !wanted {
                continue;
            }
            for lane in 0..file.lanes().used {
                let key = (file.id(), field.index(), lane);
                let seen = self.seen.get(&key).copied();
                let Some(events) = file.events(field.index(), lane, seen.unwrap_or(0)) else {
                    continue;
                };
                if seen.is_some() && events.is_empty() {
                    continue;
                }
                let ring = Ring {
                    command: file.identity().command.clone(),
                    pid: file.identity().pid,
                    state: file.state(),
                    label: field.label().to_owned(),
                    part: file.part(),
                    lane,
                    path: PathText::new(file.path()),
                };
                let lines = events.into_iter().map(Line::of).collect();
                self.ring(key, &Rc::new(ring), lines, entries);
                if entries.len() > 2 * MOST {
                    in_order(entries);
                    self.forget(entries);
                }
            }
        }
    }

    /// Takes the lines of one ring, the oldest first, that were not seen before.
    fn ring(&mut self, key: Key, ring: &Rc<Ring>, lines: Vec<Line>, entries: &mut Vec<Entry>) {
        let gone = lines.first().map_or(0, |line| line.number.wrapping_sub(1));
        let (mut seen, mut lost) = match self.seen.get(&key) {
            Some(seen) => (*seen, 0),
            None if self.looked => (gone, gone),
            None => {
                self.overwritten += u64::from(gone);
                (gone, 0)
            }
        };
        for line in lines {
            // Numbers come round after 2^32 lines.
            let ahead = line.number.wrapping_sub(seen);
            if ahead == 0 || ahead > u32::MAX / 2 {
                continue;
            }
            lost += ahead - 1;
            let entry = |what| {
                let (ring, time, number) = (Rc::clone(ring), line.time, line.number);
                Entry { ring, time, number, what }
            };
            if lost > 0 {
                entries.push(entry(What::Lost(lost)));
            }
            entries.push(entry(line.what));
            (seen, lost) = (line.number, 0);
        }
        self.seen.insert(key, seen);
    }
}

/// Most lines of one look, the newest: in the hole of a sparse file there are any number.
const MOST: usize = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn rings() -> Rings {
        Rings::new(Targets::default(), None, true)
    }

    fn ring() -> Rc<Ring> {
        Rc::new(Ring {
            command: None,
            pid: None,
            state: State::Live,
            label: "log".into(),
            part: 0,
            lane: 0,
            path: PathText::Text(String::new()),
        })
    }

    fn lines(numbers: impl IntoIterator<Item = u32>) -> Vec<Line> {
        let what = || What::Line { text: String::new(), cut: false };
        let line = |number| Line { number, time: 5, what: what() };
        numbers.into_iter().map(line).collect()
    }

    /// The numbers of lines, and of lost ones as negative counts.
    fn take(rings: &mut Rings, file: u64, numbers: impl IntoIterator<Item = u32>) -> Vec<i64> {
        let mut entries = Vec::new();
        let key = (FileId { device: 0, index: file }, 0, 0);
        rings.ring(key, &ring(), lines(numbers), &mut entries);
        let number = |entry: Entry| match entry.what {
            What::Lost(count) => -i64::from(count),
            _ => entry.number.into(),
        };
        entries.into_iter().map(number).collect()
    }

    #[test]
    fn each_line_comes_once_and_lost_ones_are_counted() {
        let mut rings = rings();
        assert_eq!(take(&mut rings, 1, 41..=43), [41, 42, 43]);
        assert_eq!(rings.overwritten(), 40);
        rings.looked = true;
        assert_eq!(take(&mut rings, 1, 42..=43), [0; 0]);
        assert_eq!(take(&mut rings, 1, 42..=44), [44]);
        assert_eq!(take(&mut rings, 1, 48..=49), [-3, 48, 49]);
        // A ring that came meanwhile was not seen from its beginning.
        assert_eq!(take(&mut rings, 2, 3..=4), [-2, 3, 4]);
        assert_eq!(rings.overwritten(), 40);
    }

    #[test]
    fn numbers_come_round() {
        let mut rings = rings();
        take(&mut rings, 1, [u32::MAX]);
        assert_eq!(take(&mut rings, 1, [u32::MAX, 0, 1]), [0, 1]);
    }
}
