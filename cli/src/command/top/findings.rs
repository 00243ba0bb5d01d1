//! What is unusual about a program, most important first.

use std::time::{Duration, SystemTime};

use mmstats_history::{Condition, Moment, Program};
use mmstats_observe::{FileState, Verdict};

use super::process::Process;
use crate::text::{human, time};

/// Time without a change from which a live program is reported.
const QUIET: Duration = Duration::from_secs(60);
/// Processors in use from which a program is busy.
const BUSY: f32 = 0.9;

/// The findings at a moment, at which the time of day was `now`; `condition` is that of the program
/// then, and since when it is so.
pub(super) fn of(
    program: &Program,
    process: Option<&Process>,
    (since, condition): (Moment, Condition),
    (at, now): (Moment, SystemTime),
) -> Vec<String> {
    let mut findings = Vec::new();
    // First, so that a small screen shows it.
    if !program.completeness.is_complete() {
        findings.push(format!("incomplete: {}", program.completeness));
    }
    match condition {
        Condition::Seen(FileState::Dead) | Condition::Gone(FileState::Dead) => {
            let ended = program.ended().filter(|ended| *ended <= at).unwrap_or(since);
            let gone = if condition.is_gone() { ", and its file is gone" } else { "" };
            let when = when(program, ended, at, now);
            findings.push(format!("died {when}{gone}: these are its last values"));
        }
        Condition::Gone(_) => {
            let when = when(program, since, at, now);
            findings.push(format!("ended {when}: these are its last values"));
        }
        Condition::Seen(FileState::Damaged) => findings.push("its file is damaged".to_owned()),
        Condition::Seen(FileState::Building) => {
            findings.push("it has not begun to publish".to_owned());
        }
        _ => {}
    }
    if program.superseded {
        findings.push("its sums are in the ledger of its application".to_owned());
    }
    let state = process.map(|process| process.state);
    let is_live = condition == Condition::Seen(FileState::Live);
    match state {
        Some('T') => findings.push("stopped (SIGSTOP)".to_owned()),
        Some('t') => findings.push("stopped by a debugger".to_owned()),
        Some('D') => findings.push("waits for a device".to_owned()),
        Some('Z' | 'X') => {
            findings.push("a zombie: its parent has not asked for its end".to_owned());
        }
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

/// `12s ago`; of a program that had ended before the first look, by the last sign of life, which is
/// within a minute of its end: `~21:35 UTC, 3h 12m ago`.
pub(super) fn when(program: &Program, ended: Moment, at: Moment, now: SystemTime) -> String {
    if ended > program.first {
        return format!("{} ago", human::age(at.since(ended)));
    }
    last_sign(program, now).map_or_else(
        || "at an unknown time".to_owned(),
        |sign| {
            let ago = human::about(now.duration_since(sign).unwrap_or_default());
            let zone = time::zone(now).unwrap_or_default();
            format!("{} {zone}, {ago} ago", time::short(sign, now).unwrap_or_default())
        },
    )
}

/// The time of the files, or of the last line of events. A time in the future is no sign.
fn last_sign(program: &Program, now: SystemTime) -> Option<SystemTime> {
    let line = program.lines.iter().next_back().map(|line| line.time);
    let line = line.and_then(|time| SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(time)));
    program.modified.max(line.filter(|line| *line <= now)).filter(|sign| *sign <= now)
}

/// How long nothing has changed, if that is long. Constants never change.
fn quiet(program: &Program, at: Moment) -> Option<Duration> {
    let fields = || program.fields().iter().filter(|field| field.present && !field.info.constant);
    let newest = fields().map(|field| field.changed(at).unwrap_or(field.first)).max()?;
    Some(at.since(newest)).filter(|quiet| *quiet >= QUIET)
}
