//! Looks at the threads of programs, one after the other.

use std::collections::{HashMap, HashSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mmstats_observe::{FileState, Program, ProgramId};

use crate::findings;
use crate::locks::{Edge, cycles, edges};
use crate::published::Published;
use crate::report::Report;
use crate::system::System;

/// Looks at programs again and again, and keeps what it needs of the look before.
#[derive(Debug, Default)]
pub struct Watcher {
    system: System,
    before: HashMap<Key, Before>,
    reports: Vec<Report>,
}

/// A program, or a process that publishes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Program(ProgramId),
    Process(u32),
}

/// What is kept of a look at a program.
#[derive(Debug, Default)]
struct Before {
    /// Threads that waited for others.
    edges: HashSet<Edge>,
    /// By thread id: the values of its lanes, since when they are so, and whether that was the first look.
    values: HashMap<u64, (u64, Instant, bool)>,
}

impl Watcher {
    /// Without a look.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at programs. Refresh their observer before.
    ///
    /// Shares of processors, times since the last change, and deadlocks of live programs need two looks, at
    /// least some milliseconds apart: a deadlock is what two looks find unchanged.
    pub fn look(&mut self, programs: &[Program<'_>]) {
        self.look_also_at(programs, &[]);
    }

    /// As [`look`](Self::look), and at processes that publish nothing, by id.
    pub fn look_also_at(&mut self, programs: &[Program<'_>], processes: &[u32]) {
        let mut before = std::mem::take(&mut self.before);
        self.reports.clear();
        for program in programs {
            let published = Published::new(program);
            let at = now();
            let has_process = matches!(program.state(), FileState::Live | FileState::Unknown);
            let system = has_process
                .then(|| self.system.look(program.process(), Some(program.identity())))
                .flatten();
            let report = Report::new(at, Some((program.id(), program.state(), published)), system);
            let key = program.id().map(Key::Program);
            self.add(report, key, key.and_then(|key| before.remove(&key)));
        }
        for process in processes {
            let system = self.system.look(Some(*process), None);
            let key = Key::Process(*process);
            self.add(Report::new(now(), None, system), Some(key), before.remove(&key));
        }
        self.system.end_look();
    }

    fn add(&mut self, mut report: Report, key: Option<Key>, before: Option<Before>) {
        let edges = edges(&report.locks, &report.waits);
        let is_live = report.state == Some(FileState::Live);
        // Nothing moves in a dead program: one look is enough.
        let certain: Vec<Edge> = match &before {
            _ if !is_live => edges.clone(),
            Some(before) => edges.iter().copied().filter(|e| before.edges.contains(e)).collect(),
            None => Vec::new(),
        };
        let values = quiet(&mut report, before.as_ref());
        report.findings = findings::of(&report, &cycles(&certain));
        self.reports.push(report);
        if let Some(key) = key {
            self.before.insert(key, Before { edges: edges.into_iter().collect(), values });
        }
    }

    /// What the last look found: first of the programs, in their order, then of the processes.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }
}

/// Sets the times since the last changes.
fn quiet(report: &mut Report, before: Option<&Before>) -> HashMap<u64, (u64, Instant, bool)> {
    let now = Instant::now();
    let is_live = report.state == Some(FileState::Live);
    let mut all = HashMap::new();
    for thread in report.threads.iter_mut().filter(|thread| thread.published) {
        let Some(id) = thread.id else { continue };
        let known = before.and_then(|before| before.values.get(&id));
        let entry = match known {
            Some(known) if known.0 == thread.values => *known,
            known => (thread.values, now, known.is_none()),
        };
        if before.is_some() && is_live {
            thread.quiet = Some(now.duration_since(entry.1));
            thread.quiet_from_first = entry.2;
        }
        all.insert(id, entry);
    }
    all
}

/// Nanoseconds since 1970-01-01 UTC.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
