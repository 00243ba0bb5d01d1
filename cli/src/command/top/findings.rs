//! What is unusual about a program, most important first.

use std::time::Duration;

use mmstats_history::{Condition, Moment, Program};
use mmstats_observe::{FileState, Verdict};

use super::host::Process;
use crate::text::human;

/// Time without a change from which a live program is reported.
const QUIET: Duration = Duration::from_secs(60);
/// Processors in use from which a program is busy.
const BUSY: f32 = 0.9;

/// The findings at a moment; `condition` is that of the program then, and since when it is so.
pub(super) fn of(
    program: &Program,
    process: Option<&Process>,
    (since, condition): (Moment, Condition),
    at: Moment,
) -> Vec<String> {
    let mut findings = Vec::new();
    // First, so that a small screen shows it.
    if !program.completeness.is_complete() {
        findings.push(format!("incomplete: {}", program.completeness));
    }
    // What was so at the first look has been so for an unknown time.
    let ago = || {
        let is_known = since > program.first;
        if is_known { format!(" {} ago", human::age(at.since(since))) } else { String::new() }
    };
    match condition {
        Condition::Seen(FileState::Dead) | Condition::Gone(FileState::Dead) => {
            findings.push(format!("died{}: these are its last values", ago()));
        }
        Condition::Gone(_) => findings.push(format!("ended{}: these are its last values", ago())),
        Condition::Seen(FileState::Damaged) => findings.push("its file is damaged".to_owned()),
        Condition::Seen(FileState::Building) => {
            findings.push("it has not begun to publish".to_owned());
        }
        _ => {}
    }
    let state = process.map(|process| process.state);
    let is_live = condition == Condition::Seen(FileState::Live);
    match state {
        Some('T') => findings.push("stopped (SIGSTOP)".to_owned()),
        Some('t') => findings.push("stopped by a debugger".to_owned()),
        Some('D') => findings.push("waits for a device".to_owned()),
        Some('Z' | 'X') => findings.push("ended, and its parent has not noticed".to_owned()),
        _ => {}
    }
    if is_live && let Some(quiet) = quiet(program, at) {
        let quiet = human::age(quiet);
        match process.and_then(|process| process.processors) {
            Some(share) if share >= BUSY => {
                findings.push(format!("busy ({share:.1} processors), no change for {quiet}"));
            }
            _ => findings.push(format!("no change for {quiet}")),
        }
    }
    let damaged = program
        .fields()
        .iter()
        .filter(|field| field.present && matches!(field.reading.verdict, Verdict::Damaged(_)));
    match damaged.count() {
        0 => {}
        1 => findings.push("1 damaged value".to_owned()),
        count => findings.push(format!("{count} damaged values")),
    }
    match program.completeness.samples_refused {
        0 => {}
        count => findings.push(format!("{} samples refused", human::grouped(&count.to_string()))),
    }
    match program.left_out() {
        0 => {}
        count => findings.push(format!("{count} fields left out for want of memory: --memory")),
    }
    findings
}

/// How long nothing has changed, if that is long. Constants never change.
fn quiet(program: &Program, at: Moment) -> Option<Duration> {
    let fields = || program.fields().iter().filter(|field| field.present && !field.info.constant);
    let newest = fields().map(|field| field.changed(at).unwrap_or(field.first)).max()?;
    Some(at.since(newest)).filter(|quiet| *quiet >= QUIET)
}
