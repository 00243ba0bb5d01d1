//! What is unusual about a program, most important first.

use std::time::{Duration, SystemTime};

use mmstats_history::{Condition, Moment, Program};
use mmstats_observe::{FileState, Verdict};

use super::host::Processes;
use crate::text::{human, time};

/// The findings at a moment, at which the time of day was `now`; `condition` is that of the program
/// then, and since when it is so.
pub(super) fn of(
    processes: &Processes,
    program: &Program,
    (since, condition): (Moment, Condition),
    (at, now): (Moment, SystemTime),
) -> Vec<String> {
    let mut findings = Vec::new();
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
    // What its threads do, or did last.
    let of_threads = processes.findings_at(program.key, at, condition.has_ended());
    findings.extend(of_threads.iter().cloned());
    if !program.completeness.is_complete() {
        findings.push(format!("incomplete: {}", program.completeness));
    }
    if program.superseded {
        findings.push("its sums are in the ledger of its application".to_owned());
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
