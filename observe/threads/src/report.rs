//! Report about the threads of a program: published data joined with data of the system.

use std::collections::HashMap;
use std::time::Duration;

use mmstats_observe::{FileState, ProgramId};

use crate::finding::Finding;
use crate::locks::{Link, Lock, Wait};
use crate::published::{Activity, Panic};
use crate::system::{Process, SystemThread};

/// State of the threads of a program at one look.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// The program; `None` if the process has no readable files.
    pub program: Option<ProgramId>,
    /// State of its files; `None` without files.
    pub state: Option<FileState>,
    /// Data of the system about the process; `None` if it has ended, is not visible from here, or the system has none.
    pub process: Option<Process>,
    /// Time of the look in nanoseconds since 1970-01-01 UTC. All ages are relative to it, also those of activities
    /// in progress when the program died.
    pub at: u64,
    /// Findings, most important first.
    pub findings: Vec<Finding>,
    /// The threads, by id.
    pub threads: Vec<Thread>,
    /// Number of threads of the process, and of lanes, left out beyond the maximum.
    pub threads_left_out: u64,
    /// Time since the last change of a published value; `None` at the first look.
    pub quiet: Option<Duration>,
    /// Activities in progress in the whole program, oldest first.
    pub activities: Vec<Activity>,
    /// Number of activities that could not be read, or were left out beyond the maximum.
    pub activities_left_out: u64,
    /// The published locks, by number.
    pub locks: Vec<Lock>,
    /// Number of locks not published or left out, beyond the maximum.
    pub locks_left_out: u64,
    /// Kinds of data that the program publishes; others are unknown.
    pub publishes: Publishes,
    /// The deadlocks that are certain.
    pub(crate) deadlocks: Vec<Vec<Link>>,
    /// The last panics, oldest first.
    pub(crate) panics: Vec<Panic>,
    /// Hash of all values of all lanes.
    pub(crate) values: u64,
}

/// Kinds of data about threads that a program publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Publishes {
    /// Ids of threads: `sys.tid`.
    pub thread_ids: bool,
    /// Fields of kind activity.
    pub activities: bool,
    /// Locks: `sys.lock.*`.
    pub locks: bool,
}

/// A thread.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Thread {
    /// Its id in the pid namespace of the program; `None` if not published.
    pub id: Option<u64>,
    /// Its name.
    pub name: Option<String>,
    /// Its name, with the id if others have the same; `thread ID` without a name.
    pub title: String,
    /// Data of the system about it.
    pub system: Option<SystemThread>,
    /// Whether the program has a lane of the thread.
    pub published: bool,
    /// Its activities, oldest first.
    pub activities: Vec<Activity>,
    /// The lock or condition that it waits for.
    pub wait: Option<Wait>,
    /// Numbers of the locks that it holds.
    pub holds: Vec<u64>,
    /// Number of further locks that it holds for reading, whose numbers are not published.
    pub more_holds: u64,
    /// Time since the last change of its lanes; a lower bound if `quiet_from_first`.
    pub quiet: Option<Duration>,
    /// Whether nothing has changed since the first look.
    pub quiet_from_first: bool,
    /// Whether it waited for a device in the previous look too.
    pub(crate) stays_in_disk: bool,
    /// Hash of all values of its lanes.
    pub(crate) values: u64,
}

/// Activities of the program with the same label and text.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct InProgress<'a> {
    /// The oldest.
    pub oldest: &'a Activity,
    /// Their number.
    pub count: usize,
    /// Number of them in no thread; `None` if the program does not publish the spans of its threads.
    pub in_no_thread: Option<usize>,
}

impl Report {
    /// Approximate memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let activity = |activity: &Activity| {
            size_of::<Activity>() + activity.label.len() + activity.text.len()
        };
        let thread = |thread: &Thread| {
            let system = thread.system.as_ref();
            size_of::<Thread>()
                + text(&thread.name)
                + thread.title.len()
                + system.map_or(0, |system| system.name.len() + text(&system.waits_in))
                + thread.activities.iter().map(activity).sum::<usize>()
                + thread.wait.as_ref().map_or(0, |wait| wait.name.len())
                + size_of_val(thread.holds.as_slice())
        };
        let lock = |lock: &Lock| {
            let threads = lock.readers.len() + lock.waiting.len();
            size_of::<Lock>() + lock.name.len() + threads * size_of::<u64>()
        };
        let panic = |panic: &Panic| {
            let lines = panic.lines.iter().map(|line| size_of::<String>() + line.len());
            size_of::<Panic>() + lines.sum::<usize>()
        };
        size_of::<Self>()
            + self.findings.iter().map(Finding::bytes).sum::<usize>()
            + self.threads.iter().map(thread).sum::<usize>()
            + self.activities.iter().map(activity).sum::<usize>()
            + self.locks.iter().map(lock).sum::<usize>()
            + self.panics.iter().map(panic).sum::<usize>()
            + self.deadlocks.iter().map(|links| size_of_val(links.as_slice())).sum::<usize>()
    }

    /// Time from `since`, in nanoseconds since 1970, to the look.
    #[must_use]
    pub fn age(&self, since: u64) -> Duration {
        Duration::from_nanos(self.at.saturating_sub(since))
    }

    /// Whether the program has ended: durations until its end are unknown.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.is_some_and(FileState::has_ended)
    }

    /// Lower bound of the time that a lock is held; `None` if unknown, as in a program that has ended.
    #[must_use]
    pub fn held(&self, lock: &Lock) -> Option<Duration> {
        lock.held_since.filter(|_| !self.has_ended()).map(|since| self.age(since))
    }

    /// The thread with this id.
    #[must_use]
    pub fn thread(&self, id: u64) -> Option<&Thread> {
        let at = self.threads.binary_search_by_key(&Some(id), |thread| thread.id).ok()?;
        self.threads.get(at)
    }

    /// Title of a thread: [`Thread::title`], or a text with the id if it is not among the threads.
    #[must_use]
    pub fn title(&self, id: u64) -> String {
        let knows_all = self.process.is_some() && self.threads_left_out == 0;
        match self.thread(id) {
            Some(thread) => thread.title.clone(),
            // The program has no thread ids.
            None if id == u64::MAX => "a thread".to_owned(),
            None if knows_all => format!("thread {id}, which has ended"),
            None => format!("thread {id}"),
        }
    }

    /// Activities in progress in the program, oldest first, without spans that are in a thread. A span of
    /// `mmstats-tracing` (`LABEL.open`) is in a thread whose stack (`LABEL`) has an activity of the same text.
    #[must_use]
    pub fn in_progress(&self) -> Vec<InProgress<'_>> {
        let mut stacks: HashMap<(&str, &str), usize> = HashMap::new();
        for activity in self.threads.iter().flat_map(|thread| &thread.activities) {
            *stacks.entry((&activity.label, &activity.text)).or_default() += 1;
        }
        let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
        for activity in &self.activities {
            *counts.entry((&activity.label, &activity.text)).or_default() += 1;
        }
        let all = self.activities.iter().filter_map(|oldest| {
            // Removed: each text is listed once.
            let count = counts.remove(&(&*oldest.label, &*oldest.text))?;
            let in_no_thread = oldest.label.strip_suffix(".open").map(|stack| {
                let inside = stacks.get(&(stack, &*oldest.text)).copied().unwrap_or(0);
                count.saturating_sub(inside)
            });
            (in_no_thread != Some(0)).then_some(InProgress { oldest, count, in_no_thread })
        });
        all.collect()
    }

    /// The lock with this number.
    #[must_use]
    pub fn lock(&self, number: u64) -> Option<&Lock> {
        let at = self.locks.binary_search_by_key(&number, |lock| lock.number).ok()?;
        self.locks.get(at)
    }
}
