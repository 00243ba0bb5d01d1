//! Reports of recordings.

use std::time::Duration;

use mmstats_json::nanoseconds;
use mmstats_observe::{FileState, ProgramId};

use crate::document::{
    ActivityDocument, LockDocument, ProcessDocument, ReportDocument, ThreadDocument,
};
use crate::findings;
use crate::join::set_titles;
use crate::locks::{Link, Lock, Wait};
use crate::published::{Activity, Panic};
use crate::report::{Publishes, Report, Thread};
use crate::system::{Process, State, SystemThread};

impl Report {
    /// Restores a report from a recording, made by [`ReportDocument::recorded`], of a program in this `state`. Ages are
    /// those at `at`, in nanoseconds since 1970-01-01 UTC.
    ///
    /// If the program has ended since, data of the system is left out; the last activities of its threads stay.
    #[must_use]
    pub fn from_document(
        document: &ReportDocument<'_>,
        program: Option<ProgramId>,
        state: Option<FileState>,
        at: u64,
    ) -> Self {
        let mut report = Self {
            program,
            state,
            process: document.system.as_ref().map(process),
            at,
            threads: document.threads.iter().map(|one| thread(one, at)).collect(),
            threads_left_out: document.threads_left_out,
            quiet: quiet(document.changes, document.quiet_since, at),
            activities: document.activities.iter().map(activity).collect(),
            activities_left_out: document.activities_left_out,
            locks: document.locks.iter().map(lock).collect(),
            locks_left_out: document.locks_left_out,
            publishes: Publishes {
                thread_ids: document.publishes.thread_ids,
                activities: document.publishes.activities,
                locks: document.publishes.locks,
            },
            ..Self::default()
        };
        let links = document.deadlocks.iter().map(|links| {
            let link = links.iter().map(|link| Link {
                thread: link.tid,
                lock: link.lock,
                holder: link.holder,
            });
            link.collect()
        });
        report.deadlocks = links.collect();
        let panics = document.panics.iter().filter_map(|panic| {
            let lines = panic.lines.iter().map(|line| line.clone().into_owned()).collect();
            Some(Panic { time: moment(panic.time.as_deref())?, lines })
        });
        report.panics = panics.collect();
        report.threads.sort_by_key(|thread| thread.id);
        report.locks.sort_by_key(|lock| lock.number);
        set_titles(&mut report.threads);
        if report.has_ended() {
            report.process = report.process.filter(|process| process.state == State::Zombie);
            report.quiet = None;
            for thread in &mut report.threads {
                thread.system = None;
                (thread.quiet, thread.stays_in_disk) = (None, false);
            }
        }
        report.findings = findings::of(&report, &report.deadlocks);
        report
    }
}

fn process(document: &ProcessDocument<'_>) -> Process {
    Process {
        id: document.pid,
        name: document.name.clone().into_owned(),
        state: State::from_name(&document.state),
        processors: document.processors,
        processors_in_life: document.processors_in_life,
        memory: document.memory,
        threads: document.threads,
    }
}

fn thread(document: &ThreadDocument<'_>, at: u64) -> Thread {
    let id = document.tid.unwrap_or(0);
    let system = document.state.as_ref().map(|state| SystemThread {
        id,
        own_id: id,
        name: document.name.clone().unwrap_or_default().into_owned(),
        state: State::from_name(state),
        processors: document.processors,
        processors_in_life: document.processors_in_life,
        ready: document.ready,
        waits_in: document.waits_in.clone().map(Into::into),
    });
    let wait = document.wait.as_ref().map(|wait| Wait {
        name: wait.name.clone().into_owned(),
        lock: wait.lock,
        condition: wait.condition,
        since: moment(wait.since.as_deref()),
        number: 0,
    });
    Thread {
        id: document.tid,
        name: document.name.clone().map(Into::into),
        system,
        published: document.published,
        activities: document.activities.iter().map(activity).collect(),
        wait,
        holds: document.holds.to_vec(),
        more_holds: document.more_holds,
        quiet: quiet(document.changes, document.quiet_since, at),
        quiet_from_first: document.quiet_from_first,
        stays_in_disk: document.stays_in_disk,
        ..Thread::default()
    }
}

fn activity(document: &ActivityDocument<'_>) -> Activity {
    Activity {
        label: document.label.clone().into_owned(),
        text: document.text.clone().into_owned(),
        cut: document.cut,
        since: moment(document.since.as_deref()),
        number: document.number,
    }
}

fn lock(document: &LockDocument<'_>) -> Lock {
    Lock {
        number: document.number,
        name: document.name.clone().into_owned(),
        holder: document.holder,
        readers: document.readers.to_vec(),
        acquired: document.acquired,
        held_since: moment(document.held_since_at_least.as_deref()),
        waiting: document.waiting.to_vec(),
    }
}

fn quiet(changes: bool, since: Option<f64>, at: u64) -> Option<Duration> {
    if changes {
        return Some(Duration::ZERO);
    }
    // Rounded to whole milliseconds: the float of the seconds is not exact.
    let since = Duration::try_from_secs_f64(since? + 0.0005).ok()?;
    let since = Duration::from_millis(u64::try_from(since.as_millis()).ok()?);
    Some(Duration::from_nanos(at).saturating_sub(since))
}

fn moment(text: Option<&str>) -> Option<u64> {
    u64::try_from(nanoseconds(text?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_323_045_123_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn waits(id: u64, name: &str, lock: u64) -> Thread {
        let wait = Wait {
            name: format!("lock {lock}"),
            lock: Some(lock),
            condition: false,
            since: Some(NOW - 5 * SECOND),
            number: 3,
        };
        Thread { id: Some(id), name: Some(name.to_owned()), wait: Some(wait), ..Thread::default() }
    }

    fn held(number: u64, holder: u64) -> Lock {
        Lock {
            number,
            name: format!("lock {number}"),
            holder: Some(holder),
            readers: vec![],
            acquired: u64::MAX,
            held_since: None,
            waiting: vec![3 - holder],
        }
    }

    /// Two threads in a deadlock, and a busy one.
    fn report() -> Report {
        let mut busy = Thread { id: Some(3), name: Some("spin".to_owned()), ..Thread::default() };
        busy.system = Some(SystemThread::for_test(3, State::Running, 0.999, Some(1.0)));
        busy.activities = vec![Activity {
            label: "doing".to_owned(),
            text: "x\u{1b}[2J".to_owned(),
            cut: true,
            since: Some(NOW - 2 * SECOND),
            number: 7,
        }];
        busy.quiet = Some(Duration::from_secs(4));
        busy.published = true;
        let mut report = Report {
            state: Some(FileState::Live),
            at: NOW,
            threads: vec![waits(1, "a", 2), waits(2, "b", 1), busy],
            locks: vec![held(1, 1), held(2, 2)],
            quiet: Some(Duration::ZERO),
            ..Report::default()
        };
        set_titles(&mut report.threads);
        report.panics =
            vec![Panic { time: NOW - 9 * SECOND, lines: vec!["no".to_owned(), "in x".to_owned()] }];
        let link = |thread, lock| Link { thread, lock, holder: 3 - thread };
        report.deadlocks = vec![vec![link(1, 2), link(2, 1)]];
        report.findings = findings::of(&report, &report.deadlocks);
        report
    }

    fn read(text: &str, state: FileState, at: u64) -> Report {
        let document: ReportDocument<'_> = serde_json::from_str(text).unwrap();
        Report::from_document(&document, None, Some(state), at)
    }

    fn texts(report: &Report) -> Vec<String> {
        report.findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn recorded_report_is_made_again_with_the_ages_of_its_time() {
        let report = report();
        let text = mmstats_json::to_text(&ReportDocument::recorded(&report, 500));
        let again = read(&text, FileState::Live, NOW);
        assert_eq!((again.threads.len(), &again.locks), (3, &report.locks));
        let wanted = [
            "deadlock: a waits for \"lock 2\" held by b (5s), which waits for \"lock 1\" held by a (5s)",
            "busy: spin uses 0.99 processors; in \"x\u{1b}[2J\" for 2s",
            "panic 9s ago: no; in x",
        ];
        assert_eq!(texts(&again), wanted);
        assert_eq!(again.threads[2].activities, report.threads[2].activities);
        assert_eq!(again.threads[2].quiet, Some(Duration::from_secs(4)));
        assert_eq!(again.quiet, Some(Duration::ZERO));
        let later = read(&text, FileState::Live, NOW + 60 * SECOND);
        assert!(texts(&later)[0].contains("held by b (1m 05s)"), "{:?}", texts(&later));
        let dead = read(&text, FileState::Dead, NOW);
        let wanted = [
            "died: this is what it did last",
            "deadlock: a waits for \"lock 2\" held by b, which waits for \"lock 1\" held by a",
            "panic 9s ago: no; in x",
        ];
        assert_eq!(texts(&dead), wanted);
        assert_eq!(dead.threads[2].system, None);
    }

    #[test]
    fn recorded_report_that_is_too_large_counts_what_it_leaves_out() {
        let mut report = report();
        let idle = |id| Thread { id: Some(id), ..Thread::default() };
        report.threads.splice(0..0, (10..30).map(idle));
        report.activities = vec![report.threads[22].activities[0].clone(); 9];
        report.activities[0].text = "é".repeat(1_000);
        let text = mmstats_json::to_text(&ReportDocument::recorded(&report, 3));
        let again = read(&text, FileState::Live, NOW);
        let ids: Vec<_> = again.threads.iter().map(|thread| thread.id).collect();
        assert_eq!(ids, [Some(1), Some(2), Some(3)]);
        assert_eq!((again.threads_left_out, again.activities_left_out), (20, 6));
        let first = &again.activities[0];
        assert_eq!((first.text.chars().count(), first.cut), (200, true));
    }
}
