//! A report as JSON: a program of `mmstats threads --json`, and of a recording.

use std::borrow::Cow;
use std::time::Duration;

use mmstats_json::rfc_3339;
use serde::{Deserialize, Serialize};

use crate::finding::{BUSY, Finding};
use crate::locks::{Link, Lock};
use crate::published::{Activity, Panic};
use crate::report::{Report, Thread};
use crate::system::Process;

/// Maximum number of activities of a thread, of findings, of deadlocks and of the lines of a panic in a recording.
const MAX_STACK: usize = 32;
const MAX_FINDINGS: usize = 20;
const MAX_DEADLOCKS: usize = 20;
const MAX_LINES: usize = 5;
/// Minimum number of links of a deadlock that are kept: those that a finding names.
const MIN_LINKS: usize = 8;
/// Maximum length of a text in a recording, in characters, and that of a finding or a line of a panic.
const MAX_TEXT: usize = 200;
const MAX_LINE: usize = 500;

/// A report as JSON: the members of a program of `mmstats threads --json`, without `file`.
///
/// In a recording it has times instead of ages, and further members to restore the report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportDocument<'a> {
    /// `null` if the process has ended or cannot be seen.
    pub(crate) system: Option<ProcessDocument<'a>>,
    pub(crate) findings: Vec<FindingDocument<'a>>,
    pub(crate) threads: Vec<ThreadDocument<'a>>,
    pub(crate) threads_left_out: u64,
    pub(crate) quiet_seconds: Option<f64>,
    /// Of a recording: whether values changed since the previous look.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) changes: bool,
    /// Of a recording: the last change of values, in seconds since 1970; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quiet_since: Option<f64>,
    /// Activities of the whole program.
    pub(crate) activities: Vec<ActivityDocument<'a>>,
    pub(crate) activities_left_out: u64,
    pub(crate) locks: Vec<LockDocument<'a>>,
    pub(crate) locks_left_out: u64,
    pub(crate) publishes: PublishesDocument,
    /// Of a recording: the deadlocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) deadlocks: Vec<Vec<LinkDocument>>,
    /// Of a recording.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) panics: Vec<PanicDocument<'a>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PublishesDocument {
    pub(crate) thread_ids: bool,
    pub(crate) activities: bool,
    pub(crate) locks: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ProcessDocument<'a> {
    pub(crate) pid: u32,
    pub(crate) name: Cow<'a, str>,
    pub(crate) state: Cow<'a, str>,
    pub(crate) processors: Option<f64>,
    pub(crate) processors_in_life: Option<f64>,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) threads: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FindingDocument<'a> {
    code: Cow<'a, str>,
    text: Cow<'a, str>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ThreadDocument<'a> {
    pub(crate) tid: Option<u64>,
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) state: Option<Cow<'a, str>>,
    pub(crate) processors: Option<f64>,
    pub(crate) processors_in_life: Option<f64>,
    pub(crate) waits_in: Option<Cow<'a, str>>,
    pub(crate) quiet_seconds: Option<f64>,
    /// Whether nothing changed since the first look.
    pub(crate) quiet_from_first: bool,
    /// Of a recording: whether values changed since the previous look.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) changes: bool,
    /// Of a recording: the last change of values, in seconds since 1970; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quiet_since: Option<f64>,
    pub(crate) activities: Vec<ActivityDocument<'a>>,
    pub(crate) wait: Option<WaitDocument<'a>>,
    /// Numbers of locks.
    pub(crate) holds: Cow<'a, [u64]>,
    pub(crate) more_holds: u64,
    /// Of a recording: whether the program has a lane of the thread.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) published: bool,
    /// Of a recording: part of the time in which a busy thread ran or waited for a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ready: Option<f64>,
    /// Of a recording: whether the thread waited for a device in the previous look too.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) stays_in_disk: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ActivityDocument<'a> {
    pub(crate) label: Cow<'a, str>,
    pub(crate) text: Cow<'a, str>,
    pub(crate) cut: bool,
    pub(crate) since: Option<String>,
    pub(crate) age_seconds: Option<f64>,
    pub(crate) number: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WaitDocument<'a> {
    pub(crate) name: Cow<'a, str>,
    /// Number of the lock; for a condition, of its mutex.
    pub(crate) lock: Option<u64>,
    /// Whether the thread waits for a condition.
    pub(crate) condition: bool,
    pub(crate) since: Option<String>,
    pub(crate) age_seconds: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LockDocument<'a> {
    pub(crate) number: u64,
    pub(crate) name: Cow<'a, str>,
    pub(crate) holder: Option<u64>,
    pub(crate) readers: Cow<'a, [u64]>,
    pub(crate) acquired: u64,
    pub(crate) held_since_at_least: Option<String>,
    pub(crate) waiting: Cow<'a, [u64]>,
}

/// A thread that waits for a lock of another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LinkDocument {
    pub(crate) tid: u64,
    pub(crate) lock: u64,
    pub(crate) holder: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PanicDocument<'a> {
    pub(crate) time: Option<String>,
    /// Message, then activities of the thread.
    pub(crate) lines: Vec<Cow<'a, str>>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The form that serde calls.
const fn is_false(is: &bool) -> bool {
    !*is
}

impl<'a> ReportDocument<'a> {
    /// The report with ages at its look.
    #[must_use]
    pub fn new(report: &'a Report) -> Self {
        Self {
            system: report.process.as_ref().map(process),
            findings: report.findings.iter().map(finding).collect(),
            threads: report.threads.iter().map(|one| thread(report, one)).collect(),
            threads_left_out: report.threads_left_out,
            quiet_seconds: report.quiet.map(|quiet| quiet.as_secs_f64()),
            activities: report.activities.iter().map(|one| activity(report, one)).collect(),
            activities_left_out: report.activities_left_out,
            locks: report.locks.iter().map(lock).collect(),
            locks_left_out: report.locks_left_out,
            publishes: PublishesDocument {
                thread_ids: report.publishes.thread_ids,
                activities: report.publishes.activities,
                locks: report.publishes.locks,
            },
            ..Self::default()
        }
    }

    /// The report for a recording: times instead of ages, and shares cut to hundredths, so that an unchanged state has
    /// an unchanged document. At most `limit` threads (active and waiting ones first), activities of the program and
    /// locks, and shorter texts; the rest is counted as left out.
    #[must_use]
    pub fn recorded(report: &'a Report, limit: usize) -> Self {
        let left_out = |all: usize, kept: usize| count(all.saturating_sub(kept));
        let mut document = Self::new(report);
        document.quiet_seconds = None;
        (document.changes, document.quiet_since) = quiet(report.at, report.quiet);
        if let Some(process) = &mut document.system {
            cut_shares([&mut process.processors, &mut process.processors_in_life]);
        }
        document.findings.truncate(MAX_FINDINGS);
        for finding in &mut document.findings {
            shorten(&mut finding.text, MAX_LINE);
        }
        let (kept, more) = most_telling(report, limit);
        document.threads = kept.iter().map(|one| recorded_thread(report, one, limit)).collect();
        document.threads_left_out = document.threads_left_out.saturating_add(more);
        let deeper = kept.iter().map(|one| left_out(one.activities.len(), MAX_STACK)).sum();
        let more = left_out(document.activities.len(), limit).saturating_add(deeper);
        document.activities_left_out = document.activities_left_out.saturating_add(more);
        let activities = report.activities.iter().take(limit);
        document.activities = activities.map(recorded_activity).collect();
        let used = |lock: &LockDocument<'_>| {
            lock.holder.is_some() || !lock.readers.is_empty() || !lock.waiting.is_empty()
        };
        if document.locks.len() > limit {
            document.locks.sort_by_key(|lock| !used(lock));
            let more = left_out(document.locks.len(), limit);
            document.locks_left_out = document.locks_left_out.saturating_add(more);
            document.locks.truncate(limit);
            document.locks.sort_by_key(|lock| lock.number);
        }
        for lock in &mut document.locks {
            let since = report.lock(lock.number).and_then(|lock| lock.held_since);
            // Rounded up: a lower bound of the age must stay one.
            lock.held_since_at_least = whole(since.map(|since| since.saturating_add(999_999)));
            shorten(&mut lock.name, MAX_TEXT);
            first(&mut lock.readers, limit);
            first(&mut lock.waiting, limit);
        }
        let circle = |links: &Vec<Link>| {
            links.iter().take(limit.max(MIN_LINKS)).map(link).collect::<Vec<_>>()
        };
        document.deadlocks = report.deadlocks.iter().take(MAX_DEADLOCKS).map(circle).collect();
        document.panics = report.panics.iter().map(panic).collect();
        document
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn process(process: &Process) -> ProcessDocument<'_> {
    ProcessDocument {
        pid: process.id,
        name: Cow::Borrowed(&process.name),
        state: process.state.name().into(),
        processors: process.processors,
        processors_in_life: process.processors_in_life,
        memory: process.memory,
        threads: process.threads,
    }
}

fn finding(finding: &Finding) -> FindingDocument<'_> {
    FindingDocument { code: finding.code().into(), text: finding.to_string().into() }
}

fn thread<'a>(report: &Report, thread: &'a Thread) -> ThreadDocument<'a> {
    let system = thread.system.as_ref();
    let wait = thread.wait.as_ref().map(|wait| WaitDocument {
        name: Cow::Borrowed(&wait.name),
        lock: wait.lock,
        condition: wait.condition,
        since: moment(wait.since),
        age_seconds: age(report, wait.since),
    });
    ThreadDocument {
        tid: thread.id,
        name: thread.name.as_deref().map(Cow::Borrowed),
        state: system.map(|system| system.state.name().into()),
        processors: system.and_then(|system| system.processors),
        processors_in_life: system.and_then(|system| system.processors_in_life),
        waits_in: system.and_then(|system| system.waits_in.as_deref()).map(Cow::Borrowed),
        quiet_seconds: thread.quiet.map(|quiet| quiet.as_secs_f64()),
        quiet_from_first: thread.quiet_from_first,
        activities: thread.activities.iter().map(|one| activity(report, one)).collect(),
        wait,
        holds: Cow::Borrowed(&thread.holds),
        more_holds: thread.more_holds,
        ..ThreadDocument::default()
    }
}

fn recorded_thread<'a>(report: &Report, one: &'a Thread, limit: usize) -> ThreadDocument<'a> {
    let mut document = thread(report, one);
    document.quiet_seconds = None;
    (document.changes, document.quiet_since) = quiet(report.at, one.quiet);
    cut_shares([&mut document.processors, &mut document.processors_in_life]);
    document.name.iter_mut().for_each(|name| shorten(name, MAX_TEXT));
    let deeper = one.activities.len().saturating_sub(MAX_STACK);
    document.activities = one.activities.iter().skip(deeper).map(recorded_activity).collect();
    if let (Some(wait), Some(since)) = (&mut document.wait, one.wait.as_ref().map(|w| w.since)) {
        (wait.age_seconds, wait.since) = (None, whole(since));
        shorten(&mut wait.name, MAX_TEXT);
    }
    first(&mut document.holds, limit);
    document.published = one.published;
    document.ready = one.system.as_ref().and_then(|system| system.ready);
    document.ready = document.ready.filter(|ready| *ready >= BUSY);
    cut_shares([&mut document.ready]);
    document.stays_in_disk = one.stays_in_disk;
    document
}

fn activity<'a>(report: &Report, activity: &'a Activity) -> ActivityDocument<'a> {
    ActivityDocument {
        label: Cow::Borrowed(&activity.label),
        text: Cow::Borrowed(&activity.text),
        cut: activity.cut,
        since: moment(activity.since),
        age_seconds: age(report, activity.since),
        number: activity.number,
    }
}

fn recorded_activity(activity: &Activity) -> ActivityDocument<'_> {
    let mut document = ActivityDocument {
        label: Cow::Borrowed(&activity.label),
        text: Cow::Borrowed(&activity.text),
        cut: activity.cut || activity.text.chars().nth(MAX_TEXT).is_some(),
        since: whole(activity.since),
        age_seconds: None,
        number: activity.number,
    };
    shorten(&mut document.label, MAX_TEXT);
    shorten(&mut document.text, MAX_TEXT);
    document
}

fn lock(lock: &Lock) -> LockDocument<'_> {
    LockDocument {
        number: lock.number,
        name: Cow::Borrowed(&lock.name),
        holder: lock.holder,
        readers: Cow::Borrowed(&lock.readers),
        acquired: lock.acquired,
        held_since_at_least: moment(lock.held_since),
        waiting: Cow::Borrowed(&lock.waiting),
    }
}

const fn link(link: &Link) -> LinkDocument {
    LinkDocument { tid: link.thread, lock: link.lock, holder: link.holder }
}

fn panic(panic: &Panic) -> PanicDocument<'_> {
    let line = |line: &'_ String| {
        let mut line = Cow::Owned(line.clone());
        shorten(&mut line, MAX_LINE);
        line
    };
    let lines = panic.lines.iter().take(MAX_LINES).map(line).collect();
    PanicDocument { time: whole(Some(panic.time)), lines }
}

/// At most `limit` threads by id, active and waiting ones preferred, and the number of those left out.
fn most_telling(report: &Report, limit: usize) -> (Vec<&Thread>, u64) {
    let mut all: Vec<&Thread> = report.threads.iter().collect();
    if all.len() > limit {
        let is_idle = |thread: &Thread| {
            let runs = |share: f64| share >= 0.01;
            let runs = thread.system.as_ref().and_then(|s| s.processors).is_some_and(runs);
            thread.activities.is_empty()
                && thread.wait.is_none()
                && thread.holds.is_empty()
                && !runs
        };
        all.sort_by_key(|thread| is_idle(thread));
        all.truncate(limit);
        all.sort_by_key(|thread| thread.id);
    }
    let more = report.threads.len() - all.len();
    (all, count(more))
}

/// Whether values changed since the previous look, and else the time of the last change, in seconds with three digits.
fn quiet(at: u64, quiet: Option<Duration>) -> (bool, Option<f64>) {
    let Some(quiet) = quiet else { return (false, None) };
    if quiet.is_zero() {
        return (true, None);
    }
    let since = Duration::from_nanos(at).saturating_sub(quiet);
    let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    #[allow(clippy::cast_precision_loss)] // Far below 2^53.
    let seconds = milliseconds as f64 / 1e3;
    (false, Some(seconds))
}

/// Cut, not rounded: a thread below the limit of busy ones stays below.
fn cut_shares<const N: usize>(shares: [&mut Option<f64>; N]) {
    for share in shares {
        *share = share.map(|share| ((share * 100.0 + 1e-6).floor() / 100.0).max(0.0));
    }
}

/// Cuts a text to at most `max` characters.
fn shorten(text: &mut Cow<'_, str>, max: usize) {
    if let Some((end, _)) = text.char_indices().nth(max) {
        text.to_mut().truncate(end);
    }
}

fn first(numbers: &mut Cow<'_, [u64]>, max: usize) {
    if numbers.len() > max {
        numbers.to_mut().truncate(max);
    }
}

/// As [`moment`], cut to milliseconds, to save memory in a recording.
fn whole(since: Option<u64>) -> Option<String> {
    since.and_then(|since| moment(Some(since - since % 1_000_000)))
}

/// RFC 3339, from nanoseconds since 1970.
fn moment(since: Option<u64>) -> Option<String> {
    rfc_3339(since?.into())
}

fn age(report: &Report, since: Option<u64>) -> Option<f64> {
    since.map(|since| report.age(since)).map(|age: Duration| age.as_secs_f64())
}
