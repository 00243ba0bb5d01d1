//! Threads as JSON.

use std::io;
use std::time::{Duration, SystemTime};

use mmstats_observe::Program;
use mmstats_threads::{Activity, Finding, Lock, Process, Report, Thread};
use serde::Serialize;

use crate::json::{self, FileHead};
use crate::model::life::Life;
use crate::output::Output;
use crate::text::time;

#[derive(Serialize)]
struct Document<'a> {
    /// In seconds since 1970.
    time: f64,
    programs: Vec<ProgramDocument<'a>>,
}

#[derive(Serialize)]
struct ProgramDocument<'a> {
    /// Absent for a process that publishes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileHead<'a>>,
    /// `null` if it has ended or cannot be seen.
    system: Option<ProcessDocument<'a>>,
    findings: Vec<FindingDocument>,
    threads: Vec<ThreadDocument<'a>>,
    /// Of the whole program.
    activities: Vec<ActivityDocument<'a>>,
    activities_left_out: u64,
    locks: Vec<LockDocument<'a>>,
    locks_refused: u64,
    publishes: PublishesDocument,
}

#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools)] // each is a question of its own
struct PublishesDocument {
    thread_ids: bool,
    activities: bool,
    locks: bool,
}

#[derive(Serialize)]
struct ProcessDocument<'a> {
    pid: u32,
    name: &'a str,
    state: &'static str,
    processors: Option<f64>,
    processors_in_life: Option<f64>,
    /// In bytes.
    memory: u64,
    threads: u64,
}

#[derive(Serialize)]
struct FindingDocument {
    code: &'static str,
    text: String,
}

#[derive(Serialize)]
struct ThreadDocument<'a> {
    tid: Option<u64>,
    name: Option<&'a str>,
    state: Option<&'static str>,
    processors: Option<f64>,
    processors_in_life: Option<f64>,
    waits_in: Option<&'a str>,
    quiet_seconds: Option<f64>,
    /// Whether nothing changed since the first look.
    quiet_from_first: bool,
    activities: Vec<ActivityDocument<'a>>,
    wait: Option<WaitDocument<'a>>,
    /// Numbers of locks.
    holds: &'a [u64],
}

#[derive(Serialize)]
struct ActivityDocument<'a> {
    label: &'a str,
    text: &'a str,
    cut: bool,
    since: Option<String>,
    age_seconds: Option<f64>,
    number: u64,
}

#[derive(Serialize)]
struct WaitDocument<'a> {
    name: &'a str,
    /// Number of the lock; of a condition that of its lock.
    lock: Option<u64>,
    /// Whether it waits for a condition.
    condition: bool,
    since: Option<String>,
    age_seconds: Option<f64>,
}

#[derive(Serialize)]
struct LockDocument<'a> {
    number: u64,
    name: &'a str,
    holder: Option<u64>,
    readers: &'a [u64],
    acquired: u64,
    held_since_at_least: Option<String>,
    waiting: &'a [u64],
}

pub(super) fn write(
    shown: &[(Option<&Program<'_>>, &Report)],
    now: SystemTime,
    output: &mut Output,
) -> io::Result<()> {
    let programs = shown.iter().map(|(program, report)| document(*program, report, now)).collect();
    json::write_line(output, &Document { time: json::seconds(now), programs })
}

fn document<'a>(
    program: Option<&'a Program<'a>>,
    report: &'a Report,
    now: SystemTime,
) -> ProgramDocument<'a> {
    let finding =
        |finding: &Finding| FindingDocument { code: finding.code(), text: finding.to_string() };
    ProgramDocument {
        file: program
            .and_then(|program| FileHead::from_program(program, Life::new(program, now).process)),
        system: report.process.as_ref().map(process),
        findings: report.findings.iter().map(finding).collect(),
        threads: report.threads.iter().map(|one| thread(report, one)).collect(),
        activities: report.activities.iter().map(|one| activity(report, one)).collect(),
        activities_left_out: report.activities_left_out,
        locks: report.locks.iter().map(lock).collect(),
        locks_refused: report.locks_refused,
        publishes: PublishesDocument {
            thread_ids: report.publishes.thread_ids,
            activities: report.publishes.activities,
            locks: report.publishes.locks,
        },
    }
}

fn process(process: &Process) -> ProcessDocument<'_> {
    ProcessDocument {
        pid: process.id,
        name: &process.name,
        state: process.state.name(),
        processors: process.processors,
        processors_in_life: process.processors_in_life,
        memory: process.memory,
        threads: process.threads,
    }
}

fn thread<'a>(report: &'a Report, thread: &'a Thread) -> ThreadDocument<'a> {
    let system = thread.system.as_ref();
    let wait = thread.wait.as_ref().map(|wait| WaitDocument {
        name: &wait.name,
        lock: wait.lock,
        condition: wait.condition,
        since: moment(wait.since),
        age_seconds: age(report, wait.since),
    });
    ThreadDocument {
        tid: thread.id,
        name: thread.name.as_deref(),
        state: system.map(|system| system.state.name()),
        processors: system.and_then(|system| system.processors),
        processors_in_life: system.and_then(|system| system.processors_in_life),
        waits_in: system.and_then(|system| system.waits_in.as_deref()),
        quiet_seconds: thread.quiet.map(|quiet| quiet.as_secs_f64()),
        quiet_from_first: thread.quiet_from_first,
        activities: thread.activities.iter().map(|one| activity(report, one)).collect(),
        wait,
        holds: &thread.holds,
    }
}

fn activity<'a>(report: &Report, activity: &'a Activity) -> ActivityDocument<'a> {
    ActivityDocument {
        label: &activity.label,
        text: &activity.text,
        cut: activity.cut,
        since: moment(activity.since),
        age_seconds: age(report, activity.since),
        number: activity.number,
    }
}

fn lock(lock: &Lock) -> LockDocument<'_> {
    LockDocument {
        number: lock.number,
        name: &lock.name,
        holder: lock.holder,
        readers: &lock.readers,
        acquired: lock.acquired,
        held_since_at_least: moment(lock.held_since),
        waiting: &lock.waiting,
    }
}

/// RFC 3339, from nanoseconds since 1970.
fn moment(since: Option<u64>) -> Option<String> {
    time::rfc_3339(since?.into())
}

fn age(report: &Report, since: Option<u64>) -> Option<f64> {
    since.map(|since| report.age(since)).map(|age: Duration| age.as_secs_f64())
}
