//! The result of a condition for a program.

use std::time::SystemTime;

use mmstats_observe::FileState;

use super::condition::{Condition, Function, Test};
use super::group::Group;
use super::threshold::Known;
use crate::backend::ProcessState;
use crate::model::is_active;
use crate::model::life::process_state;
use crate::model::rates::subject::Subject;
use crate::text::escape;

/// The result of a condition for a field of a program.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// Number of the condition.
    pub(super) condition: usize,
    pub(super) subject: Subject,
    /// `web[1234]`, escaped.
    pub(super) program: String,
    pub(super) pid: Option<u32>,
    /// State of its process, as the system tells it.
    pub(super) process: Option<ProcessState>,
    /// `rate(http.errors)`, escaped; that of the condition where no field has a value.
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) is_counter: bool,
    pub(super) known: Option<Known>,
    /// `None` if it is not known.
    pub(super) holds: Option<bool>,
    /// Why it is not known, or more about it, escaped.
    pub(super) reason: Option<String>,
    /// Whether the condition can never be judged: its field is of another kind.
    pub(super) never: bool,
    /// Whether the program has nothing that the condition is about.
    pub(super) is_missing: bool,
}

impl Finding {
    /// The result of condition number `number` for a group.
    pub(super) fn new(
        group: &Group<'_, '_>,
        number: usize,
        condition: &Condition,
        found: Found,
    ) -> Self {
        let (program, pid) = (group.name(), group.pid());
        let (mut holds, mut reason, mut known) = (found.holds, found.reason, found.known);
        let mut never = found.never;
        let mut title = escape::text(&condition.text).into_owned();
        if let Test::Field(comparison) = &condition.test {
            let field = match found.field.is_empty() {
                true => comparison.pattern.shown(),
                false => found.field.clone(),
            };
            title = comparison.name(&field);
            let unit = if comparison.function == Function::Age { "ns" } else { &*found.unit };
            match comparison.threshold.in_unit(unit) {
                Some(threshold) => {
                    holds = known.and_then(|known| comparison.operator.holds(known, threshold));
                    if holds.is_none() && reason.is_none() {
                        let why = group.incomplete.clone();
                        reason =
                            Some(why.unwrap_or_else(|| "it could not be read whole".to_owned()));
                    }
                }
                None if found.is_missing => {}
                None => {
                    let unit = if unit.is_empty() { "no unit" } else { unit };
                    let why =
                        format!("the field has {}, not that of the condition", escape::text(unit));
                    (known, reason, never) = (None, Some(why), true);
                }
            }
        }
        Self {
            condition: number,
            subject: group.subject.clone(),
            program,
            pid,
            process: group.process(),
            name: title,
            unit: found.unit,
            is_counter: found.is_counter,
            known,
            holds,
            reason,
            never,
            is_missing: found.is_missing,
        }
    }
}

/// A value, or why there is none.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The field, escaped; empty for the condition itself.
    pub(super) field: String,
    pub(super) unit: String,
    pub(super) is_counter: bool,
    pub(super) known: Option<Known>,
    /// Of conditions without a number.
    pub(super) holds: Option<bool>,
    pub(super) reason: Option<String>,
    /// See [`Finding::never`].
    pub(super) never: bool,
    pub(super) is_missing: bool,
}

impl Found {
    pub(super) fn missing(reason: String) -> Self {
        Self { reason: Some(reason), is_missing: true, ..Self::default() }
    }

    pub(super) fn told(holds: Option<bool>, reason: String) -> Self {
        Self { holds, reason: Some(reason), ..Self::default() }
    }

    /// Whether the program died. One that ended cleanly did not.
    pub(super) fn dead(group: &Group<'_, '_>, now: SystemTime) -> Self {
        let mut states = group.programs.iter().map(|program| program.state());
        let died = group.has_ended && states.any(|state| state == FileState::Dead);
        let reason = died.then(|| group.ended(now));
        Self { holds: Some(died), reason, ..Self::default() }
    }

    /// Whether a signal or a debugger has stopped the program, or one of an application.
    pub(super) fn stopped(group: &Group<'_, '_>) -> Self {
        let living = group.programs.iter().filter(|program| is_active(program.state()));
        let states: Vec<_> = living.map(|program| process_state(program)).collect();
        if states.contains(&Some(ProcessState::Stopped)) {
            return Self { holds: Some(true), ..Self::default() };
        }
        if states.contains(&None) {
            return Self::told(None, "the system does not tell what its process does".to_owned());
        }
        Self { holds: Some(false), ..Self::default() }
    }
}
