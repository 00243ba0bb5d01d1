//! The rows of the start screen, one for each program.

use std::time::Duration;

use mmstats_history::{Condition, Field, History, Moment, Program};
use mmstats_observe::{FileState, Kind, Number};
use mmstats_threads::{Process, State};

use super::app::{App, Order};
use super::findings;
use super::format;
use super::host::is_zombie;
use super::row::Row;
use crate::text::{escape, human};

/// The rows in their order, for sparklines of `width` columns.
pub(super) fn rows(app: &App, history: &History, at: Moment, width: usize) -> Vec<Row> {
    let matches = |program: &&Program| {
        let text = &app.filter.text;
        let pid = program.identity.pid.map_or_else(String::new, |pid| pid.to_string());
        text.is_empty() || command(program).to_lowercase().contains(text) || pid == *text
    };
    let programs = history.programs().iter().filter(matches);
    let mut rows: Vec<Row> = programs.filter_map(|program| row(app, program, at, width)).collect();
    let ended = |row: &Row| row.condition.has_ended();
    let process = |row: &Row, value: fn(&Process) -> f64| row.process.as_ref().map_or(-1.0, value);
    let share = |row: &Row| process(row, |process| process.processors.unwrap_or(0.0));
    #[allow(clippy::cast_precision_loss)] // For sorting.
    let memory = |row: &Row| process(row, |process| process.memory as f64);
    rows.sort_by(|a, b| {
        // Programs that live come first in each order.
        ended(a).cmp(&ended(b)).then_with(|| {
            let order = match app.order {
                Order::Pid => a.pid.cmp(&b.pid),
                Order::Command => a.command.cmp(&b.command),
                Order::State => a.state.cmp(&b.state),
                Order::Processors => share(b).total_cmp(&share(a)),
                Order::Memory => memory(b).total_cmp(&memory(a)),
                Order::Changes => b.changes.0.total_cmp(&a.changes.0),
                Order::Rate => b.rate.total_cmp(&a.rate),
                Order::Findings => b.findings.len().cmp(&a.findings.len()),
            };
            if app.reversed { order.reverse() } else { order }
        })
    });
    rows
}

/// The command of a program, escaped.
pub(super) fn command(program: &Program) -> String {
    let application = program.identity.application.as_deref();
    let name = match (program.identity.command.as_deref(), application) {
        (Some(command), _) => command,
        (None, Some(application)) => application,
        (None, None) => "?",
    };
    escape::text(name).into_owned()
}

/// `None` before the program was seen.
fn row(app: &App, program: &Program, at: Moment, width: usize) -> Option<Row> {
    let (since, condition) = program.condition_at(at)?;
    let now = app.sampler.clock().time_of_day(at);
    let process = app.processes.at(program.key, at);
    let second = Duration::from_secs(1);
    let counter = |field: &&Field| field.info.properties.kind() == Some(Kind::Counter);
    let rate = |field: &Field| {
        let rate = field.rate(at, second).filter(|rate| *rate > 0.0);
        rate.filter(|_| !condition.has_ended())
    };
    let busiest = program.fields().iter().filter(counter);
    let busiest = busiest.filter_map(|field| Some((rate(field)?, field)));
    let busiest = busiest.max_by(|(a, _), (b, _)| a.total_cmp(b));
    let changes = program.changes.at(at).map_or(0.0, Number::as_f64);
    let changes = if condition.has_ended() { 0.0 } else { changes };
    Some(Row {
        key: program.key,
        pid: program.identity.pid,
        command: command(program),
        condition,
        state: state(condition, process.as_ref()),
        changes: (changes, program.fields().iter().filter(|field| field.present).count()),
        busiest: busiest.map(|(rate, field)| {
            (format::name(&field.info), format::rate(Some(rate), &field.info))
        }),
        rate: busiest.map_or(0.0, |(rate, _)| rate),
        spark: busiest
            .map_or_else(Vec::new, |(_, field)| spark((program, field), at, app.span, width)),
        findings: findings::of(&app.processes, program, (since, condition), (at, now)),
        process,
    })
}

/// The command of a program, escaped, with its process id.
pub(super) fn name(program: &Program) -> String {
    let pid = program.identity.pid.map_or_else(String::new, |pid| format!(" {pid}"));
    format!("{}{pid}", command(program))
}

/// The state of the program and of its process, in the words of `mmstats ls`: `running`, `stopped`,
/// `zombie`, `dead`, `closed`; `live` if the system does not tell more; `gone` without a file.
pub(super) fn state(condition: Condition, process: Option<&Process>) -> String {
    let word = match (condition, process) {
        (Condition::Gone(_), _) => "gone",
        // It holds the lock. A process whose first thread has ended counts as a zombie.
        (Condition::Seen(FileState::Live), Some(process)) => match process.state {
            State::Stopped | State::Traced => "stopped",
            _ => "running",
        },
        (Condition::Seen(FileState::Dead), Some(process)) if is_zombie(process) => "zombie",
        (condition, _) => condition.state().name(),
    };
    word.to_owned()
}

/// Whether sparklines and charts show the rate of a field, not its value.
pub(super) fn shows_rate(field: &Field) -> bool {
    field.numbers().is_none() || field.info.properties.kind() == Some(Kind::Counter)
}

/// The past of a field in `width` steps: of counters and counts the rates, else the values.
pub(super) fn spark(
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
    // Time stops at the start of the clock: nothing is known before. A program that has ended has no
    // value later.
    let ended = program.ended();
    let known = |at: &Moment| *at > Moment::default() && ended.is_none_or(|ended| *at <= ended);
    (0..width).rev().map(|steps| Some(back(steps)).filter(known).and_then(value)).collect()
}

/// `12 %`, of one processor.
pub(super) fn processors(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

#[allow(clippy::cast_precision_loss)] // Shown with three digits.
pub(super) fn memory(process: Option<&Process>) -> String {
    human::or_dash(process.map(|process| human::size(process.memory as f64)))
}
