//! Looks at programs, from the sampler's thread or from elsewhere.

use std::time::SystemTime;

use mmstats_observe::{Completeness, Identity, Total};

use crate::clock::Moment;
use crate::events::Line;
use crate::history::History;
use crate::program::{Condition, Program, ProgramKey};

/// State of a program at one look, without its fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProgramLook {
    /// The program.
    pub key: ProgramKey,
    /// Values of the standard fields.
    pub identity: Identity,
    /// Id of its process.
    pub process: Option<u32>,
    /// User id of the owner of its files.
    pub owner: Option<u32>,
    /// Whether its files exist, and their state.
    pub condition: Condition,
    /// Parts of the program that the files lack.
    pub completeness: Completeness,
    /// Whether the ledger of its application already contains its sums: then they are left out of totals.
    pub superseded: bool,
    /// Time of the last modification of its files.
    pub modified: Option<SystemTime>,
    /// Lines of events that are new since the previous look.
    pub lines: Vec<Line>,
    /// Number of fields that the recorder left out for want of memory.
    pub unrecorded: usize,
}

impl ProgramLook {
    /// A look with this key and state, other members empty.
    #[must_use]
    pub fn new(key: ProgramKey, condition: Condition) -> Self {
        Self {
            key,
            identity: Identity::default(),
            process: None,
            owner: None,
            condition,
            completeness: Completeness::default(),
            superseded: false,
            modified: None,
            lines: Vec::new(),
            unrecorded: 0,
        }
    }
}

/// One look at all programs, passed to [`OnFrame`](crate::OnFrame).
#[derive(Debug)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// The moment of the look.
    pub at: Moment,
    /// All programs, with the readings of this look; unchanged readings are the same [`Arc`](std::sync::Arc).
    pub history: &'a History,
    /// Lines of events that are new since the previous look, by program.
    pub lines: &'a [(ProgramKey, Vec<Line>)],
}

impl History {
    /// Records a look that was made elsewhere; `fields` are all fields of the program with their values, or
    /// `None` to keep those of the previous look. Looks must be recorded in order of time.
    pub fn record(&mut self, at: Moment, look: ProgramLook, fields: Option<&[Total]>) {
        let mut room = self.room();
        self.add(at, look, fields, &mut room);
    }

    /// Records that a recording does not have the programs that are not `recorded`, from `at` on: nothing is known
    /// of them, and their fields have no values. Those that have ended stay so.
    pub fn record_absence(&mut self, at: Moment, recorded: impl Fn(ProgramKey) -> bool) {
        let is_absent =
            |program: &&mut Program| !program.condition().has_ended() && !recorded(program.key);
        for program in self.programs_mut().filter(is_absent) {
            program.set_condition(at, Condition::Unrecorded);
            program.fields_mut().for_each(|field| field.end(at));
        }
    }

    pub(crate) fn add(
        &mut self,
        at: Moment,
        look: ProgramLook,
        fields: Option<&[Total]>,
        room: &mut usize,
    ) -> &mut Program {
        let program = self.program_at(look.key, at);
        program.identity = look.identity;
        program.process = look.process;
        program.owner = look.owner;
        program.completeness = look.completeness;
        program.superseded = look.superseded;
        program.modified = look.modified;
        program.unrecorded = look.unrecorded;
        program.set_condition(at, look.condition);
        program.lines.add(look.lines);
        match fields {
            Some(fields) => program.record(at, fields, room),
            None => program.last = at,
        }
        program
    }
}
