//! A program with its fields.

use std::collections::HashMap;
use std::sync::Arc;

use mmstats_observe::{Completeness, FieldKey, FileState, Identity, Number, ProgramId, Total};

use crate::clock::Moment;
use crate::events::Lines;
use crate::field::{Field, LaneReading};
use crate::numbers::Numbers;

/// Identity of a program among all that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProgramKey {
    /// A publisher of format 3.
    Program(ProgramId),
    /// A file without an instance: device and number.
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

/// A program, as of the last look at it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Program {
    /// Its identity.
    pub key: ProgramKey,
    /// Values of the standard fields.
    pub identity: Identity,
    /// Id of its process, as this process sees it; see [`mmstats_observe::Program::process`].
    pub process: Option<u32>,
    /// What of it the files do not have.
    pub completeness: Completeness,
    /// The first look that saw it.
    pub first: Moment,
    /// The last look that saw it.
    pub last: Moment,
    /// The last lines of its events.
    pub lines: Lines,
    /// Number of fields that changed, by look.
    pub changes: Numbers,
    /// Each change of the state, by time.
    states: Vec<(Moment, Condition)>,
    fields: Vec<Field>,
    by_key: HashMap<FieldKey, usize>,
    left_out: usize,
}

/// Whether a program publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Its files are there.
    Seen(FileState),
    /// Its files are gone; the last values are kept. The state before that.
    Gone(FileState),
}

impl Condition {
    /// The state, as far as the last look at the files knew it.
    #[must_use]
    pub const fn state(self) -> FileState {
        match self {
            Self::Seen(state) | Self::Gone(state) => state,
        }
    }

    /// Whether the files are gone.
    #[must_use]
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Gone(_))
    }

    /// Whether no value changes any more.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        self.is_gone() || self.state().has_ended()
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
            completeness: Completeness::default(),
            first: at,
            last: at,
            lines: Lines::default(),
            changes: Numbers::default(),
            states: Vec::new(),
            fields: Vec::new(),
            by_key: HashMap::new(),
            left_out: 0,
        }
    }

    /// The fields, in the order in which they were first seen.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field with this key.
    #[must_use]
    pub fn field(&self, key: &FieldKey) -> Option<&Field> {
        self.fields.get(*self.by_key.get(key)?)
    }

    /// The state now.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.states.last().map_or(Condition::Seen(FileState::Unknown), |(_, condition)| *condition)
    }

    /// The state found by the last look at or before `at`, and since when; `None` before the first.
    #[must_use]
    pub fn condition_at(&self, at: Moment) -> Option<(Moment, Condition)> {
        let after = self.states.partition_point(|(since, _)| *since <= at);
        self.states.get(after.checked_sub(1)?).copied()
    }

    /// Number of fields of the last look that found no room.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// Keeps the past of a field longest, or no longer.
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

    /// Records a look at all fields. `totals` are usually in the order of the look before. New fields
    /// are added while there is `room` for them, in bytes.
    pub(crate) fn record(&mut self, at: Moment, totals: &[Total], room: &mut usize) {
        self.last = at;
        self.left_out = 0;
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
                changes += u32::from(field.record(at, &total.reading));
            }
        }
        self.changes.record(at, Some(Number::Unsigned(changes.into())));
        for field in self.fields.iter_mut().filter(|field| !field.present) {
            field.end(at);
        }
    }

    /// Records a look at some fields; `guesses` are their indices, as of the look before.
    pub(crate) fn record_some(&mut self, at: Moment, totals: &[Total], guesses: &mut Vec<usize>) {
        guesses.resize(totals.len(), usize::MAX);
        for (total, guess) in totals.iter().zip(guesses) {
            let Some(index) = self.index(*guess, total, at, &mut 0) else { continue };
            *guess = index;
            if let Some(field) = self.fields.get_mut(index) {
                field.record(at, &total.reading);
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

    /// The index of a field, which is probably `guess`; added if it is new and there is room.
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
            // Another file gives the help or the level now.
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

    /// Memory without the pasts of the fields, in bytes, nearly.
    pub(crate) fn fixed_bytes(&self) -> usize {
        let fields = self.fields.iter().map(Field::fixed_bytes).sum::<usize>();
        size_of::<Self>() + self.lines.bytes() + self.changes.bytes() + fields
    }
}
