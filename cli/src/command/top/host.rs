//! The processes of programs and their recent past, in bounded memory.

use std::collections::{HashMap, HashSet, VecDeque};

use mmstats_history::{Moment, ProgramKey};

#[cfg(not(target_os = "linux"))] // No /proc.
use super::no_proc::System;
#[cfg(target_os = "linux")] // /proc.
use super::proc::System;
use super::process::{Process, Target, Thread};

/// Maximum number of threads of a process.
pub(super) const MAX_THREADS: usize = 1_000;
/// Part of the memory budget for the processes, and again for the threads: one of so many.
const PART: usize = 16;

/// The processes of programs, and the threads of one.
#[derive(Debug, Default)]
pub(super) struct Processes {
    past: HashMap<ProgramKey, VecDeque<(Moment, Option<Process>)>>,
    threads: VecDeque<Threads>,
    threads_of: Option<ProgramKey>,
    system: System,
}

/// The threads at one look.
#[derive(Debug)]
struct Threads {
    at: Moment,
    threads: Vec<Thread>,
    /// Memory, in bytes.
    bytes: usize,
}

impl Processes {
    /// Looks at the processes of all programs, and at the threads of one. The past takes a part of
    /// `budget` bytes.
    pub(super) fn look(
        &mut self,
        targets: &[Target],
        at: Moment,
        threads_of: Option<ProgramKey>,
        budget: usize,
    ) {
        self.system.next_look();
        let entry = size_of::<(Moment, Option<Process>)>();
        let kept = (budget / PART / entry / targets.len().max(1)).max(2);
        for target in targets {
            let process = if target.is_gone { None } else { self.system.process(target) };
            // Of a program that has ended: its zombie.
            let process = process.filter(|process| !target.has_ended || process.is_zombie());
            let past = self.past.entry(target.key).or_default();
            if process.is_none() && past.back().is_none_or(|(_, last)| last.is_none()) {
                continue;
            }
            past.push_back((at, process));
            while past.len() > kept {
                past.pop_front();
            }
        }
        let keys: HashSet<ProgramKey> = targets.iter().map(|target| target.key).collect();
        self.past.retain(|key, _| keys.contains(key));
        if self.threads_of != threads_of {
            (self.threads_of, self.threads) = (threads_of, VecDeque::new());
        }
        let target = targets.iter().find(|target| Some(target.key) == threads_of);
        if let Some(target) = target.filter(|target| !target.has_ended) {
            let threads = self.system.threads(target, MAX_THREADS);
            // The process has just ended: those of the look before are its last ones.
            if !threads.is_empty() {
                let bytes = size_of::<Threads>() + threads.iter().map(Thread::bytes).sum::<usize>();
                self.threads.push_back(Threads { at, threads, bytes });
            }
        }
        while self.threads.len() > 1 && self.thread_bytes() > budget / PART {
            self.threads.pop_front();
        }
    }

    /// The process, by the last look at or before `at`; `None` if there was none, or if it is in
    /// another pid namespace.
    pub(super) fn at(&self, key: ProgramKey, at: Moment) -> Option<Process> {
        let past = self.past.get(&key)?;
        let after = past.partition_point(|(then, _)| *then <= at);
        past.get(after.checked_sub(1)?)?.1
    }

    /// The threads, by the last look at or before `at` that found any.
    pub(super) fn threads_at(&self, at: Moment) -> Option<&[Thread]> {
        let after = self.threads.partition_point(|look| look.at <= at);
        Some(&self.threads.get(after.checked_sub(1)?)?.threads)
    }

    /// Memory of the past, in bytes, nearly.
    pub(super) fn bytes(&self) -> usize {
        let looks: usize = self.past.values().map(VecDeque::capacity).sum();
        looks * size_of::<(Moment, Option<Process>)>() + self.thread_bytes()
    }

    fn thread_bytes(&self) -> usize {
        self.threads.iter().map(|look| look.bytes).sum()
    }
}

#[cfg(all(test, target_os = "linux"))] // /proc.
mod tests {
    use super::*;

    #[test]
    fn look_keeps_the_past_within_its_part_of_the_budget() {
        let stat = procfs::process::Process::myself().unwrap().stat().unwrap();
        let target = Target {
            key: ProgramKey::File(0, 0),
            process: Some(std::process::id()),
            pid: None,
            start_time: Some(stat.starttime),
            pid_namespace: None,
            is_gone: false,
            has_ended: false,
        };
        let mut processes = Processes::default();
        let at = Moment::from_milliseconds;
        for look in 0..500 {
            processes.look(&[target], at(look), Some(target.key), 64 << 10);
            assert!(processes.bytes() <= 20 << 10, "{}", processes.bytes());
        }
        assert!(processes.at(target.key, at(499)).is_some());
        assert!(processes.threads_at(at(499)).is_some_and(|threads| !threads.is_empty()));
        // The threads of the last look before the end stay.
        let ended = Target { has_ended: true, ..target };
        processes.look(&[ended], at(500), Some(target.key), 64 << 10);
        assert_eq!(processes.at(target.key, at(500)), None);
        assert!(processes.threads_at(at(500)).is_some());
        processes.look(&[], at(501), None, 64 << 10);
        assert_eq!(processes.bytes(), 0);
    }
}
