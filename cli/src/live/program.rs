//! State, busiest counter and sparklines of a program.

use std::time::Duration;

use mmstats_history::{Condition, Field, Moment, Program};
use mmstats_observe::{FileState, Kind, Number};
use mmstats_threads::{Process, State};

use super::processes::{Processes, is_zombie};
use crate::backend::ProcessState;
#[cfg(feature = "top")]
use crate::model::life::word;
#[cfg(feature = "top")]
use crate::text::escape;

/// The command of a program, escaped.
#[cfg(feature = "top")]
pub(crate) fn command(program: &Program) -> String {
    let application = program.identity.application.as_deref();
    let name = match (program.identity.command.as_deref(), application) {
        (Some(command), _) => command,
        (None, Some(application)) => application,
        (None, None) => "?",
    };
    escape::text(name).into_owned()
}

/// The process of a program at a moment. One that has ended has none but its zombie: a recording may have a look
/// at its threads from before the end.
pub(crate) fn process_at(processes: &Processes, program: &Program, at: Moment) -> Option<Process> {
    let (_, condition) = program.condition_at(at)?;
    let process = processes.at(program.key, at)?;
    (!condition.has_ended() || is_zombie(&process)).then_some(process)
}

/// The state of the process; `None` if the system does not tell.
pub(crate) fn process_state(
    condition: Condition,
    process: Option<&Process>,
) -> Option<ProcessState> {
    match (condition, process) {
        // The lock is held, so the process lives. The system reports a zombie if its first thread has ended.
        (Condition::Seen(FileState::Live), Some(process)) => Some(match process.state {
            State::Stopped | State::Traced => ProcessState::Stopped,
            _ => ProcessState::Running,
        }),
        (Condition::Seen(FileState::Dead), Some(process)) if is_zombie(process) => {
            Some(ProcessState::Zombie)
        }
        _ => None,
    }
}

/// The state of a program in the words of `mmstats ls`.
#[cfg(feature = "top")]
pub(crate) fn state(condition: Condition, process: Option<&Process>) -> &'static str {
    word(condition.state(), process_state(condition, process))
}

/// The counter that grows fastest, and its rate.
pub(crate) fn busiest(program: &Program, at: Moment) -> Option<(usize, f64)> {
    let is_over = program.condition_at(at).is_none_or(|(_, condition)| condition.has_ended());
    let fields = program.fields().iter().enumerate().filter(|_| !is_over);
    let counters = fields.filter(|(_, field)| field.info.properties.kind() == Some(Kind::Counter));
    let rates = counters.filter_map(|(index, field)| {
        let rate = field.rate(at, Duration::from_secs(1)).filter(|rate| *rate > 0.0)?;
        Some((index, rate))
    });
    rates.max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// Whether sparklines and charts show the rate of a field instead of its value.
pub(crate) fn shows_rate(field: &Field) -> bool {
    field.numbers().is_none() || field.info.properties.kind() == Some(Kind::Counter)
}

/// The past of a field in `width` steps: rates of counters and counts, values of other fields.
pub(crate) fn spark(
    (program, field): (&Program, &Field),
    at: Moment,
    span: Duration,
    width: usize,
) -> Vec<Option<f64>> {
    let width = width.max(1);
    let step = span / u32::try_from(width).unwrap_or(u32::MAX);
    let back =
        |steps: usize| at.before(step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)));
    let is_rate = shows_rate(field);
    let value = |at: Moment| {
        if is_rate {
            field.rate(at, step.max(Duration::from_secs(1)))
        } else {
            field.numbers().and_then(|numbers| numbers.at(at)).map(Number::as_f64)
        }
    };
    // Time stops at the start of the clock: nothing is known before. A program that has ended, or is not
    // recorded, has no value later.
    let has_value = |at: Moment| {
        let then = program.condition_at(at);
        then.is_none_or(|(since, condition)| at <= since || !condition.has_ended())
    };
    let known = |at: &Moment| *at > Moment::default() && has_value(*at);
    (0..width).rev().map(|steps| Some(back(steps)).filter(known).and_then(value)).collect()
}
