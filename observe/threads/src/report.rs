//! Report about the threads of a program: published data joined with those of the system.

use std::collections::HashMap;
use std::time::Duration;

use mmstats_observe::{FileState, ProgramId};

use crate::finding::Finding;
use crate::locks::{Link, Lock, Wait};
use crate::published::{Activity, Panic};
use crate::system::{Process, SystemThread};

/// State of the threads of a program, as of one look.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// The program; `None` if the process publishes nothing that can be read.
    pub program: Option<ProgramId>,
    /// Its state; `None` if it publishes nothing.
    pub state: Option<FileState>,
    /// The process, as the system knows it; `None` if it has ended, if it is not to be seen from here, or if
    /// the system does not tell.
    pub process: Option<Process>,
    /// Time of the look in nanoseconds since 1970-01-01 UTC. Ages are as of then, also those of what was in
    /// progress when the program died.
    pub at: u64,
    /// Findings, most important first.
    pub findings: Vec<Finding>,
    /// The threads, by id.
    pub threads: Vec<Thread>,
    /// Number of threads of the process, or of lanes, that were not looked at, because there are too many.
    pub threads_left_out: u64,
    /// Time since the last change of anything that the program publishes; `None` at the first look.
    pub quiet: Option<Duration>,
    /// Activities in progress in the whole program, oldest first.
    pub activities: Vec<Activity>,
    /// Number of activities that could not be read, or are left out because there are too many.
    pub activities_left_out: u64,
    /// The published locks, by number.
    pub locks: Vec<Lock>,
    /// Number of locks that are not published or left out, because there are too many.
    pub locks_left_out: u64,
    /// Sources of information that the program publishes: others are unknown.
    pub publishes: Publishes,
    /// The deadlocks that are certain.
    pub(crate) deadlocks: Vec<Vec<Link>>,
    /// The last panics, oldest first.
    pub(crate) panics: Vec<Panic>,
    /// Hash of all values of all lanes.
    pub(crate) values: u64,
}

/// Sources of information that a program publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Publishes {
    /// `sys.tid`.
    pub thread_ids: bool,
    /// Fields of kind activity.
    pub activities: bool,
    /// `sys.lock.*`.
    pub locks: bool,
}

/// A thread.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Thread {
    /// Its id, as the program sees it; `None` if the program does not publish it.
    pub id: Option<u64>,
    /// Its name.
    pub name: Option<String>,
    /// Its name, with the id if others have the same; `thread ID` without a name.
    pub title: String,
    /// Data of the system about it.
    pub system: Option<SystemThread>,
    /// Whether the program has a lane of it.
    pub published: bool,
    /// What it does, oldest first.
    pub activities: Vec<Activity>,
    /// What it waits for.
    pub wait: Option<Wait>,
    /// Numbers of the locks that it holds.
    pub holds: Vec<u64>,
    /// Number of further locks that it holds for reading, which the program does not name.
    pub more_holds: u64,
    /// Time since the last change of its lanes: at least this, and since the first look if `quiet_from_first`.
    pub quiet: Option<Duration>,
    /// Whether nothing changed since the first look, so that `quiet` is only a lower bound.
    pub quiet_from_first: bool,
    /// Whether it waited for a device in the look before too.
    pub(crate) stays_in_disk: bool,
    /// Hash of all values of its lanes.
    pub(crate) values: u64,
}

/// Activities of the program with one text.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct InProgress<'a> {
    /// The oldest.
    pub oldest: &'a Activity,
    /// Their number.
    pub count: usize,
    /// The number that is in no thread now; `None` where the program does not say which thread is in which.
    pub in_no_thread: Option<usize>,
}

impl Report {
    /// Memory in bytes, nearly, for those who keep reports.
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

    /// The time from `since`, in nanoseconds since 1970, to the look.
    #[must_use]
    pub fn age(&self, since: u64) -> Duration {
        Duration::from_nanos(self.at.saturating_sub(since))
    }

    /// Whether the program has ended: how long anything had lasted then is not known.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.is_some_and(FileState::has_ended)
    }

    /// For how long at least a lock is held; `None` if that is not known, as of a program that has ended.
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

    /// How a thread is called: [`Thread::title`], also of one that is not among the threads.
    #[must_use]
    pub fn title(&self, id: u64) -> String {
        let knows_all = self.process.is_some() && self.threads_left_out == 0;
        match self.thread(id) {
            Some(thread) => thread.title.clone(),
            // The program does not know its threads' ids.
            None if id == u64::MAX => "a thread".to_owned(),
            None if knows_all => format!("thread {id}, which has ended"),
            None => format!("thread {id}"),
        }
    }

    /// Activities in progress in the program, oldest first, except spans that are all in threads. Open spans of
    /// `mmstats-tracing` (`LABEL.open`) are in a thread if its stack (`LABEL`) has one of the same text.
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
            // Removed, so that each text comes once.
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
