//! Watched fields: fields that are looked at more often than others.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use mmstats_observe::{FieldInfo, FieldKey, FieldRef, File, Total, Totals};

use crate::clock::Moment;
use crate::field::LaneReading;
use crate::history::History;
use crate::program::ProgramKey;

/// Minimum time between two looks.
const FASTEST: Duration = Duration::from_millis(1);
/// Maximum number of looks queued while the history is being read.
const MAX_WAITING: usize = 1_000;

/// A field that is looked at more often than all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The program.
    pub program: ProgramKey,
    /// The field.
    pub field: FieldKey,
    /// Label of the field.
    pub label: String,
    /// Time between looks, at least 1 ms.
    pub every: Duration,
    /// Whether its values by lane are kept too, at looks at all fields.
    pub lanes: bool,
}

/// Fields with the same interval.
pub(crate) struct Group {
    pub(crate) every: Duration,
    pub(crate) next: Instant,
    programs: HashMap<ProgramKey, Watched>,
    waiting: Vec<(Moment, ProgramKey, Vec<Total>)>,
}

struct Watched {
    totals: Totals,
    /// Indices of the totals in the history at the previous look.
    guesses: Vec<usize>,
}

/// The fields of a list by interval, the shortest first. `now` is the time of their first look.
pub(crate) fn groups(list: &[Watch], now: Instant) -> Vec<Group> {
    let mut intervals: Vec<Duration> = list.iter().map(|watch| watch.every.max(FASTEST)).collect();
    intervals.sort_unstable();
    intervals.dedup();
    let group = |every: Duration| {
        let mut fields: HashMap<ProgramKey, Filter> = HashMap::new();
        for watch in list.iter().filter(|watch| watch.every.max(FASTEST) == every) {
            let filter = fields.entry(watch.program).or_default();
            filter.labels.insert(watch.label.clone());
            filter.keys.insert(watch.field.clone());
        }
        let programs = fields.into_iter().map(|(program, filter)| {
            let totals = Totals::filtered(move |field| filter.accepts(field));
            (program, Watched { totals, guesses: Vec::new() })
        });
        Group { every, next: now, programs: programs.collect(), waiting: Vec::new() }
    };
    intervals.into_iter().map(group).collect()
}

#[derive(Default)]
struct Filter {
    labels: HashSet<String>,
    keys: HashSet<FieldKey>,
}

impl Filter {
    /// Compares labels first: a key is made only if they are equal.
    fn accepts(&self, field: &FieldRef<'_>) -> bool {
        self.labels.contains(field.label()) && self.keys.contains(&FieldInfo::from(field).key())
    }
}

impl Group {
    /// Reads the values of the files of each program.
    pub(crate) fn look(&mut self, programs: &[mmstats_observe::Program<'_>]) {
        for program in programs {
            if let Some(watched) = self.programs.get_mut(&ProgramKey::of(program)) {
                watched.totals.update(program.files().iter().copied(), None);
            }
        }
    }

    /// Whether the queue is full, so that the next look must wait for the reader of the history.
    pub(crate) const fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Queues the values of the last look.
    pub(crate) fn wait(&mut self, at: Moment) {
        for (program, watched) in &self.programs {
            self.waiting.push((at, *program, watched.totals.fields().to_vec()));
        }
    }

    /// Records the queued values, and those of the last look.
    pub(crate) fn record(&mut self, at: Moment, history: &mut History) {
        self.catch_up(history);
        for (key, watched) in &mut self.programs {
            if let Some(program) = history.program_mut(*key) {
                program.record_some(at, watched.totals.fields(), &mut watched.guesses);
            }
        }
    }

    /// Records the queued values.
    pub(crate) fn catch_up(&mut self, history: &mut History) {
        for (at, key, totals) in self.waiting.drain(..) {
            if let (Some(program), Some(watched)) =
                (history.program_mut(key), self.programs.get_mut(&key))
            {
                program.record_some(at, &totals, &mut watched.guesses);
            }
        }
    }
}

/// The readings of watched lanes, by program.
pub(crate) struct LaneWatch {
    fields: HashMap<ProgramKey, HashSet<FieldKey>>,
}

impl LaneWatch {
    pub(crate) fn new(list: &[Watch]) -> Self {
        let mut fields: HashMap<ProgramKey, HashSet<FieldKey>> = HashMap::new();
        for watch in list.iter().filter(|watch| watch.lanes) {
            fields.entry(watch.program).or_default().insert(watch.field.clone());
        }
        Self { fields }
    }

    /// The watched fields of a program, each with its lanes in all files.
    pub(crate) fn look(
        &self,
        key: ProgramKey,
        files: &[&File],
    ) -> Vec<(FieldKey, Vec<LaneReading>)> {
        let Some(wanted) = self.fields.get(&key) else { return Vec::new() };
        let mut found: HashMap<FieldKey, Vec<LaneReading>> = HashMap::new();
        for file in files {
            let is_wanted = |field: FieldRef<'_>| {
                let key = FieldInfo::from(&field).key();
                wanted.contains(&key).then(|| (field.index(), key))
            };
            let fields: Vec<(usize, FieldKey)> = file.fields().filter_map(is_wanted).collect();
            if fields.is_empty() {
                continue;
            }
            let (thread, name) = (file.find("sys.tid"), file.find("sys.thread"));
            for lane in 0..file.lanes().used {
                let readings = file.lane_values(lane);
                let value = |field: &Option<FieldRef<'_>>| {
                    readings.get(field.as_ref()?.index())?.value.clone()
                };
                let id = value(&thread).and_then(|value| match value {
                    mmstats_observe::OwnedValue::Unsigned(id) => u64::try_from(id).ok(),
                    _ => None,
                });
                let name = value(&name).and_then(|value| match value {
                    mmstats_observe::OwnedValue::Text { text, .. } => Some(text),
                    _ => None,
                });
                for (index, key) in &fields {
                    let Some(reading) = readings.get(*index) else { continue };
                    found.entry(key.clone()).or_default().push(LaneReading {
                        part: file.part(),
                        lane,
                        thread: id,
                        name: name.clone().filter(|name| !name.is_empty()),
                        reading: reading.clone(),
                    });
                }
            }
        }
        found.into_iter().collect()
    }

    /// Marks the watched fields of the history, whose pasts are kept longer; forgets lanes of fields no
    /// longer watched.
    pub(crate) fn mark(&self, list: &[Watch], history: &mut History) {
        for program in history.programs_mut() {
            let lanes = self.fields.get(&program.key);
            for field in program.fields_mut() {
                field.watched = false;
                if !field.lanes.is_empty()
                    && lanes.is_none_or(|fields| !fields.contains(&field.info.key()))
                {
                    field.lanes = Vec::new();
                }
            }
        }
        for watch in list {
            let program = history.program_mut(watch.program);
            if let Some(field) = program.and_then(|program| program.field_mut(&watch.field)) {
                field.watched = true;
            }
        }
    }
}
