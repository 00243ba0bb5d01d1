//! What a program publishes of its threads, joined with what the system knows.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use mmstats_observe::{FileState, ProgramId};

use crate::finding::Finding;
use crate::locks::{Lock, Wait, locks};
use crate::published::{Activity, Published, PublishedThread, WAITS};
use crate::system::{Known, Process, SystemThread};

/// What the threads of a program do, as of one look.
#[derive(Debug, Clone)]
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
    /// What is unusual, most important first.
    pub findings: Vec<Finding>,
    /// The threads, by id.
    pub threads: Vec<Thread>,
    /// Whether the process has more threads than were looked at: see [`crate::Watcher::limit_threads`].
    pub has_more_threads: bool,
    /// What is in progress in the program and belongs to no thread, oldest first.
    pub activities: Vec<Activity>,
    /// Number of activities that had no room, or could not be read.
    pub activities_left_out: u64,
    /// The published locks, by number.
    pub locks: Vec<Lock>,
    /// Number of locks that are not published, because there are too many.
    pub locks_refused: u64,
    /// Time since the last change of anything that a live program publishes: at least this, and since the first
    /// look if nothing has changed since then.
    pub quiet: Option<Duration>,
    /// Whether the lanes have thread ids, whether there are fields of kind activity, and whether locks are
    /// published: what is not published is not known.
    pub publishes: Publishes,
    /// The last panics with their times, oldest first.
    pub(crate) panics: Vec<(u64, String)>,
    /// The locks waited for, by thread.
    pub(crate) waits: Vec<(u64, Wait)>,
    /// Hash of all values.
    pub(crate) values: u64,
}

/// What a program publishes.
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
    /// What the system knows of it.
    pub system: Option<SystemThread>,
    /// Whether the program has a lane of it.
    pub published: bool,
    /// What it does, oldest first.
    pub activities: Vec<Activity>,
    /// What it waits for.
    pub wait: Option<Wait>,
    /// Numbers of the locks that it holds.
    pub holds: Vec<u64>,
    /// Time since the last change of its lanes: at least this, and since the first look if `quiet_from_first`.
    pub quiet: Option<Duration>,
    /// Whether nothing changed since the first look, so that `quiet` is only a lower bound.
    pub quiet_from_first: bool,
    /// Hash of all values of its lanes.
    pub(crate) values: u64,
}

impl Report {
    /// Without findings.
    pub(crate) fn new(
        at: u64,
        published: Option<(Option<ProgramId>, FileState, Published)>,
        system: Option<Known>,
    ) -> Self {
        let has_more_threads = system.as_ref().is_some_and(|known| !known.are_all);
        let (process, mut known) =
            system.map_or((None, Vec::new()), |known| (Some(known.process), known.threads));
        let (program, state, mut published) = match published {
            Some((program, state, published)) => (program, Some(state), published),
            None => (None, None, Published::default()),
        };
        known.sort_by_key(|thread| thread.own_id);
        let mut threads: Vec<Thread> = Vec::new();
        let of_system: HashMap<u64, usize> =
            known.iter().enumerate().map(|(at, thread)| (thread.own_id, at)).collect();
        let is_known =
            |thread: &PublishedThread| thread.id.is_some_and(|id| of_system.contains_key(&id));
        // Ids of another pid namespace may not be known: then none is.
        let has_system =
            process.is_some() && !has_more_threads && published.threads.iter().any(is_known);
        let mut joined = HashSet::new();
        let mut waits = Vec::new();
        for thread in std::mem::take(&mut published.threads) {
            let at = thread.id.and_then(|id| of_system.get(&id)).copied();
            // A lane that its thread has not handed back, as of a thread that was cancelled.
            if has_system && thread.id.is_some() && at.is_none() {
                published.threads.push(thread);
                continue;
            }
            joined.extend(at);
            let wait = thread
                .activities
                .iter()
                .rev()
                .find_map(|activity| Wait::new(activity, &published.locks));
            waits.extend(thread.id.zip(wait.clone()));
            let mut activities = thread.activities.clone();
            activities.retain(|activity| activity.label != WAITS);
            threads.push(Thread {
                id: thread.id,
                name: thread.name.clone(),
                system: at.and_then(|at| known.get(at).cloned()),
                published: true,
                activities,
                wait,
                values: thread.values,
                ..Thread::default()
            });
            published.threads.push(thread);
        }
        for (at, thread) in known.into_iter().enumerate() {
            if !joined.contains(&at) {
                let (id, name) = (Some(thread.own_id), None);
                threads.push(Thread { id, name, system: Some(thread), ..Thread::default() });
            }
        }
        for thread in &mut threads {
            // A thread may have got its name after its lane.
            let system = thread.system.as_ref().map(|system| system.name.clone());
            let is_cut = |long: &String| {
                system.as_ref().is_some_and(|short| short.len() == 15 && long.starts_with(short))
            };
            if system.is_some() && !thread.name.as_ref().is_some_and(is_cut) {
                thread.name = system;
            }
        }
        threads.sort_by_key(|thread| thread.id);
        let locks = locks(&published, &waits);
        for thread in &mut threads {
            let Some(id) = thread.id else { continue };
            let holds = |lock: &&Lock| lock.holder == Some(id) || lock.readers.contains(&id);
            thread.holds = locks.iter().filter(holds).map(|lock| lock.number).collect();
        }
        let publishes = Publishes {
            thread_ids: published.has_thread_ids,
            activities: published.has_activities,
            locks: published.has_locks,
        };
        Self {
            program,
            state,
            process,
            at,
            findings: Vec::new(),
            threads,
            has_more_threads,
            quiet: None,
            activities: published.activities,
            activities_left_out: published.activities_left_out,
            locks,
            locks_refused: published.locks_refused,
            publishes,
            panics: published.panics,
            waits,
            values: published.values,
        }
    }

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
                + system.map_or(0, |system| system.name.len() + text(&system.waits_in))
                + thread.activities.iter().map(activity).sum::<usize>()
                // Twice: it stands in the list of waits too.
                + thread.wait.as_ref().map_or(0, |wait| 2 * (size_of::<Wait>() + wait.name.len()))
                + size_of_val(thread.holds.as_slice())
        };
        let lock = |lock: &Lock| {
            let threads = lock.readers.len() + lock.waiting.len();
            size_of::<Lock>() + lock.name.len() + threads * size_of::<u64>()
        };
        let panic = |(_, text): &(u64, String)| size_of::<(u64, String)>() + text.len();
        // About the length of each text.
        let findings = self.findings.len() * (size_of::<Finding>() + 100);
        size_of::<Self>()
            + findings
            + self.threads.iter().map(thread).sum::<usize>()
            + self.activities.iter().map(activity).sum::<usize>()
            + self.locks.iter().map(lock).sum::<usize>()
            + self.panics.iter().map(panic).sum::<usize>()
    }

    /// The time from `since`, in nanoseconds since 1970, to the look.
    #[must_use]
    pub fn age(&self, since: u64) -> Duration {
        Duration::from_nanos(self.at.saturating_sub(since))
    }

    /// How a thread is called: its name, with the id if others have the same; `thread ID` without a name.
    #[must_use]
    pub fn title(&self, id: u64) -> String {
        let thread = self.threads.iter().find(|thread| thread.id == Some(id));
        match thread.and_then(|thread| thread.name.as_deref()).filter(|name| !name.is_empty()) {
            Some(name) => {
                let same = self.threads.iter().filter(|other| other.name.as_deref() == Some(name));
                if same.count() > 1 { format!("{name} ({id})") } else { name.to_owned() }
            }
            // The program does not know its threads' ids.
            None if id == u64::MAX => "a thread".to_owned(),
            None => format!("thread {id}"),
        }
    }

    /// The activities of the program that are not in the stack of a thread, oldest first: the oldest of each text,
    /// the number with this text that are in no thread, and the number with this text. The text tells: which of
    /// several with one text are in threads is not known.
    #[must_use]
    pub fn in_no_thread(&self) -> Vec<(&Activity, usize, usize)> {
        let mut in_threads: HashMap<&str, usize> = HashMap::new();
        for activity in self.threads.iter().flat_map(|thread| &thread.activities) {
            *in_threads.entry(&activity.text).or_default() += 1;
        }
        let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
        for activity in &self.activities {
            *counts.entry((&activity.label, &activity.text)).or_default() += 1;
        }
        let oldest = self.activities.iter().filter_map(|activity| {
            let of = counts.remove(&(&*activity.label, &*activity.text))?;
            let inside = in_threads.get(&*activity.text).copied().unwrap_or(0);
            (of > inside).then(|| (activity, of - inside, of))
        });
        oldest.collect()
    }

    /// The lock with this number.
    #[must_use]
    pub fn lock(&self, number: u64) -> Option<&Lock> {
        let at = self.locks.binary_search_by_key(&number, |lock| lock.number).ok()?;
        self.locks.get(at)
    }
}
