//! The rows of the start screen, one for each program.

use mmstats_history::{History, Moment, Program};
use mmstats_observe::Number;
use mmstats_threads::Process;

use super::app::{App, Order};
use super::format;
use super::row::Row;
use crate::live::findings;
use crate::live::program::{busiest, command, process_at, spark, state};
use crate::text::human;

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
                Order::State => a.state.cmp(b.state),
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

/// `None` before the program was seen.
fn row(app: &App, program: &Program, at: Moment, width: usize) -> Option<Row> {
    let (since, condition) = program.condition_at(at)?;
    let now = app.sampler.clock().time_of_day(at);
    let process = process_at(&app.processes, program, at);
    let busiest = busiest(program, at);
    let busiest = busiest.and_then(|(index, rate)| Some((rate, program.fields().get(index)?)));
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

/// `0.12`: processors in use, in five columns.
pub(super) fn processors(share: Option<f64>) -> String {
    human::or_dash(share.map(|share| match share {
        ..99.9 => format!("{share:.2}"),
        _ => format!("{share:.0}"),
    }))
}

#[allow(clippy::cast_precision_loss)] // Shown with three digits.
pub(super) fn memory(process: Option<&Process>) -> String {
    human::or_dash(process.map(|process| human::size(process.memory as f64)))
}
