//! Findings about a program, most important first.

use std::time::{Duration, SystemTime};

use mmstats_history::{Condition, Moment, Program};
use mmstats_observe::{FileState, Verdict};

use super::odd::Odd;
use super::processes::Processes;
use crate::model::unrecorded;
use crate::text::{human, time};

/// The findings at the moment `at`, with the time of day `now`. `condition` is the state of the program then,
/// and `since` the look that first found it.
pub(crate) fn of(
    processes: &Processes,
    program: &Program,
    (since, condition): (Moment, Condition),
    (at, now): (Moment, SystemTime),
) -> Vec<Odd> {
    let mut findings = Vec::new();
    match condition {
        Condition::Unrecorded => {
            let time = human::age(at.since(since));
            findings.push(Odd::new(
                "not-recorded",
                format!("the recording has nothing of it for {time}"),
            ));
        }
        Condition::Seen(FileState::Dead) | Condition::Gone(FileState::Dead) => {
            let ended = program.ended().filter(|ended| *ended <= at).unwrap_or(since);
            let gone = if condition.is_gone() { ", and its file is gone" } else { "" };
            let when = when(program, ended, at, now);
            findings
                .push(Odd::new("died", format!("died {when}{gone}: these are its last values")));
        }
        Condition::Gone(_) => {
            let when = when(program, since, at, now);
            findings.push(Odd::new("ended", format!("ended {when}: these are its last values")));
        }
        Condition::Seen(FileState::Damaged) => {
            findings.push(Odd::new("damaged", "its file is damaged"));
        }
        Condition::Seen(FileState::Building) => {
            findings.push(Odd::new("building", "it has not begun to publish"));
        }
        _ => {}
    }
    // Findings about its threads.
    let of_threads = processes.findings_at(program.key, at, condition.has_ended());
    findings.extend(of_threads);
    if !program.completeness.is_complete() {
        let text = format!("incomplete: {}", program.completeness);
        findings.push(Odd::new("incomplete", text));
    }
    if program.superseded {
        let text = "its sums are in the ledger of its application";
        findings.push(Odd::new("superseded", text));
    }
    let damaged = program
        .fields()
        .iter()
        .filter(|field| field.present && matches!(field.reading.verdict, Verdict::Damaged(_)));
    match damaged.count() {
        0 => {}
        1 => findings.push(Odd::new("damaged-values", "1 damaged value")),
        count => findings.push(Odd::new("damaged-values", format!("{count} damaged values"))),
    }
    match program.completeness.samples_refused {
        0 => {}
        count => {
            let text = format!("{} samples refused", human::grouped(&count.to_string()));
            findings.push(Odd::new("samples-refused", text));
        }
    }
    if let Some(text) = unrecorded(program.unrecorded) {
        findings.push(Odd::new("unrecorded", text));
    }
    match program.left_out() {
        0 => {}
        count => {
            let text = format!("{count} fields left out for want of memory: --memory");
            findings.push(Odd::new("left-out", text));
        }
    }
    findings
}

/// Time of the end: `12s ago`. If the program ended before the first look, the last sign of life, at most a
/// minute earlier: `~21:35 UTC, 3h 12m ago`.
pub(crate) fn when(program: &Program, ended: Moment, at: Moment, now: SystemTime) -> String {
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

/// Last sign of life: the newer of the time of the files and of the last line of events. Times in the future are
/// ignored.
pub(crate) fn last_sign(program: &Program, now: SystemTime) -> Option<SystemTime> {
    let line = program.lines.iter().next_back().map(|line| line.time);
    let line = line.and_then(|time| SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(time)));
    program.modified.max(line.filter(|line| *line <= now)).filter(|sign| *sign <= now)
}
