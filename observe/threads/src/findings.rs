//! What is unusual about the threads of a program, most important first.

use std::collections::HashSet;
use std::time::Duration;

use mmstats_observe::FileState;

use crate::finding::{Finding, Step};
use crate::locks::Edge;
use crate::report::{Report, Thread};
use crate::system::State;

/// Part of the time that a thread runs, or waits for a processor, from which it is busy.
const BUSY: f64 = 0.9;
/// Processors that a busy thread uses at least: one that runs rarely may have waited for its turn once.
const SOME: f64 = 0.05;
/// Time from which it is said that a thread waits for a lock.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// Time from which it is said that something is in progress in no thread.
const LONG_ACTIVITY: Duration = Duration::from_secs(10);
/// Time without a change from which a program is said to be quiet.
const QUIET: Duration = Duration::from_secs(60);
/// Maximum number of findings of one kind.
const MAX_OF_A_KIND: usize = 20;

/// The findings of a report; `deadlocks` are the cycles that are certain.
pub(crate) fn of(report: &Report, deadlocks: &[Vec<Edge>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    match report.state {
        Some(FileState::Dead) => findings.push(Finding::Died),
        Some(FileState::Closed) => findings.push(Finding::Ended),
        _ => {}
    }
    findings.extend(
        report
            .panics
            .iter()
            .rev()
            .take(MAX_OF_A_KIND)
            .map(|(time, text)| Finding::Panicked { age: report.age(*time), text: text.clone() }),
    );
    let deadlock = |cycle: &Vec<Edge>| Finding::Deadlock(steps(report, cycle));
    findings.extend(deadlocks.iter().take(MAX_OF_A_KIND).map(deadlock));
    let is_live = report.state == Some(FileState::Live);
    match report.process.as_ref().map(|process| process.state) {
        Some(State::Stopped) => findings.push(Finding::Stopped),
        Some(State::Traced) => findings.push(Finding::Traced),
        // That of a live program has other threads; the first one has ended.
        Some(State::Zombie) if !is_live => findings.push(Finding::Zombie),
        _ => {}
    }
    let in_disk =
        |thread: &&Thread| thread.system.as_ref().is_some_and(|system| system.state == State::Disk);
    let disk: Vec<String> =
        report.threads.iter().filter(in_disk).map(|t| title(report, t)).collect();
    if !disk.is_empty() {
        findings.push(Finding::Disk(disk));
    }
    findings.extend(report.threads.iter().filter_map(|t| busy(report, t)).take(MAX_OF_A_KIND));
    let locked: HashSet<u64> = deadlocks.iter().flatten().map(|edge| edge.thread).collect();
    findings.extend(long_waits(report, &locked).take(MAX_OF_A_KIND));
    findings.extend(in_no_thread(report).take(MAX_OF_A_KIND));
    let quiet = report.quiet.filter(|quiet| is_live && *quiet >= QUIET);
    findings.extend(quiet.map(Finding::Quiet));
    findings
}

fn title(report: &Report, thread: &Thread) -> String {
    match thread.id {
        Some(id) => report.title(id),
        None => thread.name.clone().unwrap_or_else(|| "a thread".to_owned()),
    }
}

fn steps(report: &Report, cycle: &[Edge]) -> Vec<Step> {
    let step = |edge: &Edge| {
        let wait = report.waits.iter().find(|(thread, _)| *thread == edge.thread);
        let since = wait.and_then(|(_, wait)| wait.since);
        Step {
            thread: report.title(edge.thread),
            lock: report.lock(edge.lock).map_or_else(String::new, |lock| lock.name.clone()),
            holder: report.title(edge.holder),
            age: since.map(|since| report.age(since)),
        }
    };
    cycle.iter().map(step).collect()
}

fn busy(report: &Report, thread: &Thread) -> Option<Finding> {
    let system = thread.system.as_ref()?;
    // On a busy machine it waits for a processor.
    let processors = system.processors?;
    let ready = system.ready.map_or(processors, |ready| ready.max(processors));
    if ready < BUSY || processors < SOME {
        return None;
    }
    let activity = thread.activities.last();
    let since = |since| report.age(since);
    let activity = activity.map(|newest| (newest.text.clone(), newest.since.map(since)));
    Some(Finding::Busy { thread: title(report, thread), processors, ready, activity })
}

/// The locks that threads wait for, without those that all belong to a deadlock.
fn long_waits<'a>(
    report: &'a Report,
    locked: &'a HashSet<u64>,
) -> impl Iterator<Item = Finding> + 'a {
    let of_thread = |id: u64| report.waits.iter().find(move |(thread, _)| *thread == id);
    report.locks.iter().filter_map(move |lock| {
        let waited = |id: u64| Some(report.age(of_thread(id)?.1.since?));
        let long = |id: &u64| waited(*id).is_none_or(|waited| waited >= LONG_WAIT);
        let threads: Vec<_> = lock
            .waiting
            .iter()
            .filter(|id| long(id) && !locked.contains(id))
            .map(|id| (report.title(*id), waited(*id)))
            .collect();
        let holder = lock.holder.or_else(|| lock.readers.first().copied());
        let held = lock.held_since.map(|since| report.age(since));
        (!threads.is_empty()).then(|| Finding::Waiting {
            lock: lock.name.clone(),
            holder: holder.map(|holder| (report.title(holder), held)),
            threads,
        })
    })
}

/// What is in progress for long, and not in the stack of any thread.
fn in_no_thread(report: &Report) -> impl Iterator<Item = Finding> + '_ {
    report.in_no_thread().into_iter().filter_map(move |(activity, count, of)| {
        let age = report.age(activity.since?);
        (age >= LONG_ACTIVITY).then(|| Finding::InNoThread {
            label: activity.label.clone(),
            text: activity.text.clone(),
            age,
            count,
            of,
        })
    })
}
