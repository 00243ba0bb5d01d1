//! A program with its fields.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use mmstats_observe::{Completeness, FieldKey, FileState, Identity, Number, ProgramId, Total};

use crate::clock::Moment;
use crate::events::Lines;
use crate::field::{Field, LaneReading};
use crate::numbers::Numbers;

/// Identity of a program in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProgramKey {
    /// A publisher of format 3.
    Program(ProgramId),
    /// A file without an instance: its device and file number.
    File(u64, u64),
}

impl ProgramKey {
    /// The key of a program.
    #[must_use]
    pub fn of(program: &mmstats_observe::Program<'_>) -> Self {
        program.id().map_or_else(
            || {
                let id = program.files().first().map(|file| file.id());
                id.map_or(Self::File(0, 0), |id| Self::File(id.device, id.index))
            },
            Self::Program,
        )
    }
}

/// State of a program at the last look, and its past.
#[derive(Debug)]
#[non_exhaustive]
pub struct Program {
    /// Its key.
    pub key: ProgramKey,
    /// Values of the standard fields.
    pub identity: Identity,
    /// Id of its process, as this process sees it; see [`mmstats_observe::Program::process`].
    pub process: Option<u32>,
    /// User id of the owner of its files; `None` on systems without user ids.
    pub owner: Option<u32>,
    /// Parts of the program that the files lack.
    pub completeness: Completeness,
    /// Whether the ledger of its application already contains its sums: then they are left out of totals. Its fields
    /// keep their last values.
    pub superseded: bool,
    /// Time of the last modification of its files: once a minute while it lives.
    pub modified: Option<SystemTime>,
    /// The first look that found it.
    pub first: Moment,
    /// The last look that found it.
    pub last: Moment,
    /// The last lines of its events.
    pub lines: Lines,
    /// Number of fields that changed, by look.
    pub changes: Numbers,
    /// Number of fields that a recorder left out for want of memory.
    pub unrecorded: usize,
    /// Each change of the state, by time.
    states: Vec<(Moment, Condition)>,
    fields: Vec<Field>,
    by_key: HashMap<FieldKey, usize>,
    left_out: usize,
    /// What the look before covered, if it had fields.
    covered: Option<Completeness>,
}

/// Whether the files of a program exist, and their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Its files exist.
    Seen(FileState),
    /// Its files are gone; the last values are kept. With the last state.
    Gone(FileState),
    /// A recording does not have it: nothing is known of it; the last values are kept.
    Unrecorded,
}

impl Condition {
    /// The state. A program whose files are gone ended cleanly, unless it was seen dead: one that dies leaves
    /// its files.
    #[must_use]
    pub const fn state(self) -> FileState {
        match self {
            Self::Seen(state) => state,
            Self::Gone(FileState::Live | FileState::Building | FileState::Unknown) => {
                FileState::Closed
            }
            Self::Gone(state) => state,
            Self::Unrecorded => FileState::Unknown,
        }
    }

    /// Whether the files are gone.
    #[must_use]
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Gone(_))
    }

    /// Whether no value changes any more, as far as is known.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        self.is_gone() || self.is_unrecorded() || self.state().has_ended()
    }

    /// Whether nothing is known of it: a recording does not have it.
    #[must_use]
    pub const fn is_unrecorded(self) -> bool {
        matches!(self, Self::Unrecorded)
    }
}

/// Maximum number of changes of the state that are kept.
const MAX_STATES: usize = 64;

impl Program {
    pub(crate) fn new(key: ProgramKey, at: Moment) -> Self {
        Self {
            key,
            identity: Identity::default(),
            process: None,
            owner: None,
            completeness: Completeness::default(),
            superseded: false,
            modified: None,
            first: at,
            last: at,
            lines: Lines::default(),
            changes: Numbers::default(),
            unrecorded: 0,
            states: Vec::new(),
            fields: Vec::new(),
            by_key: HashMap::new(),
            left_out: 0,
            covered: None,
        }
    }

    /// The fields, in the order in which they were first found.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field with this key.
    #[must_use]
    pub fn field(&self, key: &FieldKey) -> Option<&Field> {
        self.fields.get(*self.by_key.get(key)?)
    }

    /// The current state.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.states.last().map_or(Condition::Seen(FileState::Unknown), |(_, condition)| *condition)
    }

    /// The first look after its end; `None` while it publishes, and where a recording has nothing of it.
    #[must_use]
    pub fn ended(&self) -> Option<Moment> {
        let has_ended = |condition: &Condition| condition.has_ended() && !condition.is_unrecorded();
        let ended = self.states.iter().rev().take_while(|(_, condition)| has_ended(condition));
        ended.last().map(|(since, _)| *since)
    }

    /// The states, each with the look that found it.
    #[must_use]
    pub fn states(&self) -> &[(Moment, Condition)] {
        &self.states
    }

    /// The state found by the last look at or before `at`, with the look that first found it; `None` before
    /// the first look.
    #[must_use]
    pub fn condition_at(&self, at: Moment) -> Option<(Moment, Condition)> {
        let after = self.states.partition_point(|(since, _)| *since <= at);
        self.states.get(after.checked_sub(1)?).copied()
    }

    /// Number of fields left out of the last look for want of memory.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// Sets whether the past of a field is kept longer than others.
    pub fn prefer(&mut self, key: &FieldKey, preferred: bool) {
        if let Some(field) = self.field_mut(key) {
            field.preferred = preferred;
        }
    }

    pub(crate) fn field_mut(&mut self, key: &FieldKey) -> Option<&mut Field> {
        self.fields.get_mut(*self.by_key.get(key)?)
    }

    pub(crate) fn fields_mut(&mut self) -> impl Iterator<Item = &mut Field> {
        self.fields.iter_mut()
    }

    pub(crate) fn set_condition(&mut self, at: Moment, condition: Condition) {
        if self.states.last().is_none_or(|(_, last)| *last != condition) {
            if self.states.len() == MAX_STATES {
                self.states.remove(0);
            }
            self.states.push((at, condition));
        }
    }

    /// Records a look at all fields. `totals` are usually in the order of the previous look. New fields are added
    /// while `room`, in bytes, suffices.
    pub(crate) fn record(&mut self, at: Moment, totals: &[Total], room: &mut usize) {
        self.last = at;
        self.left_out = 0;
        let before = self.covered.replace(self.completeness.clone());
        let comparable = before.is_none_or(|before| leads_to(&before, &self.completeness));
        for field in &mut self.fields {
            field.present = false;
        }
        let mut changes = 0_u32;
        for (guess, total) in totals.iter().enumerate() {
            let Some(index) = self.index(guess, total, at, room) else {
                self.left_out += 1;
                continue;
            };
            if let Some(field) = self.fields.get_mut(index) {
                field.present = true;
                let changed = field.record(at, &total.reading, comparable);
                // Looks at watched fields may have found the change earlier.
                let before = std::mem::take(&mut field.changed_between);
                changes += u32::from(changed || before);
            }
        }
        self.changes.record(at, Some(Number::Unsigned(changes.into())));
        for field in self.fields.iter_mut().filter(|field| !field.present) {
            field.end(at);
        }
    }

    /// Records a look at some fields; `guesses` are their indices at the previous look.
    pub(crate) fn record_some(&mut self, at: Moment, totals: &[Total], guesses: &mut Vec<usize>) {
        guesses.resize(totals.len(), usize::MAX);
        for (total, guess) in totals.iter().zip(guesses) {
            let Some(index) = self.index(*guess, total, at, &mut 0) else { continue };
            *guess = index;
            if let Some(field) = self.fields.get_mut(index) {
                let changed = field.record(at, &total.reading, true);
                field.changed_between |= changed;
            }
        }
    }

    pub(crate) fn record_lanes(&mut self, at: Moment, lanes: Vec<(FieldKey, Vec<LaneReading>)>) {
        for (key, readings) in lanes {
            if let Some(field) = self.field_mut(&key) {
                field.record_lanes(at, readings);
            }
        }
    }

    /// Index of a field, probably `guess`. A new field is added if `room` suffices.
    fn index(
        &mut self,
        guess: usize,
        total: &Total,
        at: Moment,
        room: &mut usize,
    ) -> Option<usize> {
        if self.fields.get(guess).is_some_and(|field| *field.info == total.field) {
            return Some(guess);
        }
        let key = total.field.key();
        if let Some(index) = self.by_key.get(&key) {
            // Help or level now come from another file.
            if let Some(field) = self.fields.get_mut(*index)
                && *field.info != total.field
            {
                field.info = Arc::new(total.field.clone());
            }
            return Some(*index);
        }
        let field = Field::new(&total.field, &total.reading, at);
        *room = room.checked_sub(field.fixed_bytes())?;
        self.by_key.insert(key, self.fields.len());
        self.fields.push(field);
        Some(self.fields.len() - 1)
    }

    /// Approximate memory without the pasts of the fields and the lines of events, in bytes.
    pub(crate) fn fixed_bytes(&self) -> usize {
        let fields = self.fields.iter().map(Field::fixed_bytes).sum::<usize>();
        size_of::<Self>() + self.changes.bytes() + fields
    }
}

/// Whether the counts of two looks may be compared: `later` covers the same, or parts that were added since. A part
/// or lane that was not seen would count from zero.
fn leads_to(before: &Completeness, later: &Completeness) -> bool {
    let is_whole = before.lanes_refused == 0 && before.fields_refused == 0;
    let same = before.parts == later.parts && before.missing_parts == later.missing_parts;
    let none_missing = before.missing_parts.is_empty() && later.missing_parts.is_empty();
    let grown = none_missing && is_whole && before.parts <= later.parts;
    (same || grown) && before.lanes_refused <= later.lanes_refused
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{
        Aggregation, DataType, FieldInfo, Kind, OwnedValue, Properties, Reading,
    };

    use super::*;

    fn total(count: u128) -> Total {
        let counter = Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum);
        let field = FieldInfo::new("hits", counter);
        Total::new(field, Reading::consistent(OwnedValue::Unsigned(count)))
    }

    fn program() -> Program {
        Program::new(ProgramKey::File(1, 1), Moment::default())
    }

    #[test]
    fn end_found_after_a_gap_is_not_the_begin_of_the_gap() {
        let at = Moment::from_milliseconds;
        let mut program = program();
        program.set_condition(at(0), Condition::Seen(FileState::Live));
        program.set_condition(at(1_000), Condition::Unrecorded);
        assert_eq!(program.ended(), None);
        program.set_condition(at(2_000), Condition::Seen(FileState::Dead));
        assert_eq!(program.ended(), Some(at(2_000)));
    }

    #[test]
    fn change_that_a_look_at_watched_fields_found_counts() {
        let at = Moment::from_milliseconds;
        let mut program = program();
        let changes = |program: &Program, time| program.changes.at(at(time));
        program.record(at(0), &[total(1)], &mut (1 << 20));
        program.record_some(at(500), &[total(2)], &mut Vec::new());
        program.record(at(1_000), &[total(2)], &mut 0);
        assert_eq!(changes(&program, 1_000), Some(Number::Unsigned(1)));
        program.record(at(2_000), &[total(2)], &mut 0);
        assert_eq!(changes(&program, 2_000), Some(Number::Unsigned(0)));
    }

    #[test]
    fn ended_is_the_first_look_that_found_the_end() {
        let at = Moment::from_milliseconds;
        let mut program = program();
        program.set_condition(at(0), Condition::Seen(FileState::Live));
        assert_eq!(program.ended(), None);
        program.set_condition(at(1_000), Condition::Seen(FileState::Dead));
        program.set_condition(at(2_000), Condition::Gone(FileState::Dead));
        assert_eq!(program.ended(), Some(at(1_000)));
    }

    /// Looks at a counter, each with the parts that were seen of two.
    fn looks(all: &[(Option<std::ops::Range<u32>>, u128)]) -> crate::history::History {
        let mut history = crate::history::History::new(1 << 20);
        for (second, (missing, count)) in (0..).zip(all) {
            let condition = Condition::Seen(FileState::Live);
            let mut look = crate::look::ProgramLook::new(ProgramKey::File(1, 1), condition);
            look.completeness.parts = 2;
            look.completeness.missing_parts.extend(missing.clone());
            history.record(Moment::from_milliseconds(second * 1_000), look, Some(&[total(*count)]));
        }
        history
    }

    fn rates(history: &crate::history::History, looks: u64) -> Vec<Option<f64>> {
        let field = &history.programs()[0].fields()[0];
        let at = |second| Moment::from_milliseconds(second * 1_000);
        (1..looks).map(|second| field.rate(at(second), std::time::Duration::from_secs(1))).collect()
    }

    #[test]
    fn rate_between_looks_at_other_parts_is_none() {
        let history = looks(&[
            (None, 1_000),
            (None, 1_010),
            (Some(1..2), 600),
            (Some(1..2), 605),
            (None, 1_040),
            (None, 1_050),
            (None, 1_060),
        ]);
        let found = rates(&history, 7);
        assert_eq!(found, [Some(10.0), None, None, None, None, Some(10.0)]);
    }

    #[test]
    fn rate_of_counter_that_went_down_is_none() {
        let history = looks(&[(None, u64::MAX.into()), (None, 4), (None, 9)]);
        assert_eq!(rates(&history, 3), [None, Some(5.0)]);
    }
}
