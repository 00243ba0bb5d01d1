//! Findings about the threads of a program, most important first.

use std::collections::HashSet;
use std::time::Duration;

use mmstats_observe::FileState;

use crate::finding::{BUSY, Finding, Holder, Step, Waiter};
use crate::locks::{Link, Lock};
use crate::report::{Report, Thread};
use crate::system::State;

/// Minimum share of a processor of a busy thread: a thread that runs rarely may only have waited for its turn once.
const SOME: f64 = 0.05;
/// Minimum wait for a lock that makes a finding.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// Minimum age of a span in no thread that makes a finding.
const LONG_OPEN: Duration = Duration::from_secs(10);
/// Minimum time without a change that makes a finding.
const QUIET: Duration = Duration::from_secs(60);
/// Maximum number of findings of one kind.
const MAX_OF_A_KIND: usize = 20;
/// Maximum number of threads named by a finding.
const MAX_NAMES: usize = 8;
/// Maximum number of lines of the context of a panic.
const MAX_CONTEXT: usize = 4;

/// The findings of a report; `deadlocks` are the certain ones.
pub(crate) fn of(report: &Report, deadlocks: &[Vec<Link>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    match report.state {
        Some(FileState::Dead) => findings.push(Finding::Died),
        Some(FileState::Closed) => findings.push(Finding::Ended),
        _ => {}
    }
    let deadlock = |circle: &Vec<Link>| {
        let (shown, more) = first(circle);
        Finding::Deadlock { steps: shown.iter().map(|link| step(report, link)).collect(), more }
    };
    findings.extend(deadlocks.iter().take(MAX_OF_A_KIND).map(deadlock));
    match report.process.as_ref().map(|process| process.state) {
        Some(State::Stopped) => findings.push(Finding::Stopped),
        Some(State::Traced) => findings.push(Finding::Traced),
        // The zombie of a live program is its first thread; others run.
        Some(State::Zombie) if report.state != Some(FileState::Live) => {
            findings.push(Finding::Zombie);
        }
        _ => {}
    }
    findings.extend(disk(report));
    findings.extend(report.threads.iter().filter_map(|t| busy(report, t)).take(MAX_OF_A_KIND));
    let locked: HashSet<u64> = deadlocks.iter().flatten().map(|link| link.thread).collect();
    let waiting = report.locks.iter().filter_map(|lock| waiting(report, lock, &locked));
    findings.extend(waiting.take(MAX_OF_A_KIND));
    findings.extend(in_no_thread(report).take(MAX_OF_A_KIND));
    findings.extend(panics(report));
    let quiet = report.quiet.filter(|quiet| *quiet >= QUIET);
    findings.extend(quiet.map(Finding::Quiet));
    findings
}

/// The first `MAX_NAMES` items, and the number of others.
fn first<T>(all: &[T]) -> (&[T], usize) {
    let shown = all.get(..MAX_NAMES).unwrap_or(all);
    (shown, all.len() - shown.len())
}

fn step(report: &Report, link: &Link) -> Step {
    Step {
        thread: report.title(link.thread),
        lock: report.lock(link.lock).map_or_else(String::new, |lock| lock.name.clone()),
        holder: report.title(link.holder),
        waited: waited(report, link.thread),
    }
}

/// Time that a thread has waited; `None` if unknown, as in a program that has ended.
fn waited(report: &Report, thread: u64) -> Option<Duration> {
    let since = report.thread(thread)?.wait.as_ref()?.since?;
    (!report.has_ended()).then(|| report.age(since))
}

fn disk(report: &Report) -> Option<Finding> {
    let stays = report.threads.iter().filter(|thread| thread.stays_in_disk);
    let all: Vec<&Thread> = stays.collect();
    let (shown, more) = first(&all);
    let threads: Vec<String> = shown.iter().map(|thread| thread.title.clone()).collect();
    (!threads.is_empty()).then_some(Finding::Disk { threads, more })
}

fn busy(report: &Report, thread: &Thread) -> Option<Finding> {
    let system = thread.system.as_ref()?;
    // On a busy machine a busy thread also waits for a processor.
    let processors = system.processors?;
    let ready = system.ready.map_or(processors, |ready| ready.max(processors));
    if ready < BUSY || processors < SOME {
        return None;
    }
    let activity = thread.activities.last();
    let since = |since| report.age(since);
    let activity = activity.map(|newest| (newest.text.clone(), newest.since.map(since)));
    Some(Finding::Busy { thread: thread.title.clone(), processors, ready, activity })
}

/// The threads that have waited for a lock for long, without those of a deadlock. If the program has ended, all waiting
/// threads: the length of their waits is unknown.
fn waiting(report: &Report, lock: &Lock, locked: &HashSet<u64>) -> Option<Finding> {
    let is_long =
        |id: &u64| report.has_ended() || waited(report, *id).is_some_and(|time| time >= LONG_WAIT);
    let all: Vec<u64> =
        lock.waiting.iter().copied().filter(|id| !locked.contains(id) && is_long(id)).collect();
    let (shown, more) = first(&all);
    let waiter = |id: &u64| Waiter { thread: report.title(*id), waited: waited(report, *id) };
    let threads: Vec<Waiter> = shown.iter().map(waiter).collect();
    let held = report.held(lock);
    let by = |id: u64, more| Holder { thread: report.title(id), more, held };
    let holder = match (lock.holder, lock.readers.as_slice()) {
        (Some(holder), readers) => Some(by(holder, readers.len())),
        (None, [reader, more @ ..]) => Some(by(*reader, more.len())),
        (None, []) => None,
    };
    (!threads.is_empty()).then(|| Finding::Waiting {
        lock: lock.name.clone(),
        holder,
        threads,
        more,
    })
}

/// Spans that have been open for long in no thread; none if the program has ended.
fn in_no_thread(report: &Report) -> impl Iterator<Item = Finding> + '_ {
    let all = report.in_progress().into_iter().filter(|_| !report.has_ended());
    all.filter_map(move |open| {
        let age = report.age(open.oldest.since?);
        let count = open.in_no_thread?;
        (age >= LONG_OPEN).then(|| Finding::InNoThread {
            label: open.oldest.label.clone(),
            text: open.oldest.text.clone(),
            age,
            count,
            of: open.count,
        })
    })
}

/// Panics, newest first.
fn panics(report: &Report) -> impl Iterator<Item = Finding> + '_ {
    report.panics.iter().rev().filter_map(|panic| {
        let (message, context) = panic.lines.split_first()?;
        let context = context.iter().take(MAX_CONTEXT).cloned().collect();
        Some(Finding::Panicked { age: report.age(panic.time), message: message.clone(), context })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::Wait;
    use crate::published::{Activity, Panic};
    use crate::system::SystemThread;

    const NOW: u64 = 100_000_000_000;

    fn thread(id: u64) -> Thread {
        Thread { id: Some(id), title: format!("t{id}"), ..Thread::default() }
    }

    fn activity(label: &str, text: &str, seconds: u64) -> Activity {
        let since = Some(NOW - seconds * 1_000_000_000);
        Activity { label: label.to_owned(), text: text.to_owned(), cut: false, since, number: 1 }
    }

    fn live(threads: Vec<Thread>) -> Report {
        Report { state: Some(FileState::Live), at: NOW, threads, ..Report::default() }
    }

    fn texts(report: &Report) -> Vec<String> {
        of(report, &[]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn thread_is_busy_if_it_runs_or_would() {
        let with = |processors, ready| {
            let system = SystemThread::for_test(1, State::Running, processors, ready);
            let mut thread = Thread { system: Some(system), ..thread(1) };
            thread.activities = vec![activity("spans", "outer", 50), activity("spans", "in", 41)];
            texts(&live(vec![thread]))
        };
        let doing = "; in \"in\" for 41s";
        assert_eq!(with(1.0, Some(1.0)), [format!("busy: t1 uses 1.00 processors{doing}")]);
        let waits = format!("busy: t1 uses 0.20 processors and waits for one{doing}");
        assert_eq!(with(0.2, Some(0.95)), [waits]);
        assert_eq!(with(0.02, Some(0.95)), [""; 0], "it waited for its turn once");
        assert_eq!(with(0.5, None), [""; 0]);
    }

    #[test]
    fn long_waits_are_said_and_without_times_of_a_program_that_ended() {
        let wait = |id, seconds: u64| Thread {
            wait: Some(Wait {
                name: "a".to_owned(),
                lock: Some(1),
                condition: false,
                since: Some(NOW - seconds * 1_000_000_000),
                number: 1,
            }),
            ..thread(id)
        };
        let lock = Lock {
            number: 1,
            name: "a".to_owned(),
            holder: Some(9),
            readers: vec![],
            acquired: 7,
            held_since: Some(NOW - 30_000_000_000),
            waiting: vec![2, 1, 3],
        };
        let mut report = live(vec![wait(1, 2), wait(2, 20), wait(3, 0), thread(9)]);
        report.locks = vec![lock];
        let wanted = "t2 (20s), t1 (2s) wait for \"a\", held by t9 for at least 30s";
        assert_eq!(texts(&report), [wanted]);
        report.state = Some(FileState::Closed);
        assert_eq!(texts(&report), ["ended", "t2, t1, t3 wait for \"a\", held by t9"]);
    }

    #[test]
    fn span_in_no_thread_is_one_without_a_stack_of_its_text() {
        let mut report = live(vec![Thread {
            activities: vec![activity("spans", "in", 20), activity("other", "lost", 20)],
            ..thread(1)
        }]);
        report.activities = vec![
            activity("jobs", "lost", 60),
            activity("spans.open", "in", 20),
            activity("spans.open", "in", 19),
            activity("spans.open", "lost", 12),
            activity("spans.open", "new", 2),
        ];
        let wanted = [
            "open for 20s, in no thread: \"in\" (spans.open, 1 of 2)",
            "open for 12s, in no thread: \"lost\" (spans.open)",
        ];
        assert_eq!(texts(&report), wanted);
    }

    #[test]
    fn panic_is_one_finding_after_what_holds_now() {
        let mut report = live(vec![]);
        let lines = ["thread 'x': no", "spans: a › b"].map(str::to_owned).to_vec();
        report.panics = vec![Panic { time: NOW - 3_000_000_000, lines }];
        report.quiet = Some(QUIET);
        let wanted = ["panic 3s ago: thread 'x': no; spans: a › b", "no change for 1m 00s"];
        assert_eq!(texts(&report), wanted);
    }
}
