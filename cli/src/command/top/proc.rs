//! Processes and threads in the /proc of Linux.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use procfs::process::Stat;

use super::process::{Process, Target, Thread};

/// Process, thread (0 for all of a process), and when it was started.
type Key = (u32, u32, u64);

/// Processor time of the last looks.
#[derive(Debug, Default)]
pub(super) struct System {
    before: HashMap<Key, (Instant, f64)>,
    now: HashMap<Key, (Instant, f64)>,
    /// Inode of the pid namespace of this process.
    namespace: Option<u64>,
}

impl System {
    /// Begins a look: what the one before did not see is forgotten.
    pub(super) fn next_look(&mut self) {
        self.before = std::mem::take(&mut self.now);
        self.namespace = std::fs::metadata("/proc/self/ns/pid").map(|own| own.ino()).ok();
    }

    /// The process of a program; `None` if it has ended, is in another pid namespace, or another
    /// process has its id now.
    pub(super) fn process(&mut self, target: &Target) -> Option<Process> {
        let (pid, stat) = self.open(target)?;
        Some(Process {
            state: stat.state,
            processors: self.processors((pid, 0, stat.starttime), &stat),
            memory: Some(stat.rss.saturating_mul(procfs::page_size())),
            threads: u32::try_from(stat.num_threads).ok(),
        })
    }

    /// The threads of the process of a program, `max` at most.
    pub(super) fn threads(&mut self, target: &Target, max: usize) -> Vec<Thread> {
        let Some((pid, _)) = self.open(target) else { return Vec::new() };
        let process = i32::try_from(pid).ok().map(procfs::process::Process::new);
        let Some(Ok(process)) = process else { return Vec::new() };
        let Ok(tasks) = process.tasks() else { return Vec::new() };
        let mut threads = Vec::new();
        for task in tasks.filter_map(Result::ok).take(max) {
            let (Ok(stat), Ok(id)) = (task.stat(), u32::try_from(task.tid)) else { continue };
            let waits_in = std::fs::read_to_string(format!("/proc/{pid}/task/{id}/wchan"));
            threads.push(Thread {
                id,
                processors: self.processors((pid, id, stat.starttime), &stat),
                state: stat.state,
                name: stat.comm,
                waits_in: waits_in.ok().filter(|name| !name.is_empty() && name != "0"),
            });
        }
        threads
    }

    /// Processors in use since the look before.
    fn processors(&mut self, key: Key, stat: &Stat) -> Option<f32> {
        #[allow(clippy::cast_precision_loss)] // Ticks of a process are far below 2^53.
        let used = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        let now = Instant::now();
        self.now.insert(key, (now, used));
        let (then, before) = self.before.get(&key)?;
        let time = now.duration_since(*then).as_secs_f64();
        #[allow(clippy::cast_possible_truncation)] // Shown with three digits.
        (time > 0.0).then(|| ((used - before) / time).max(0.0) as f32)
    }

    fn open(&self, target: &Target) -> Option<(u32, Stat)> {
        // Process ids of the program mean the same here in its own namespace only.
        let is_own = target.pid_namespace.is_none() || target.pid_namespace == self.namespace;
        let pid = target.process.or(target.pid.filter(|_| is_own))?;
        let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
        let stat = process.stat().ok()?;
        // A pid that was used again is not this program.
        (target.start_time == Some(stat.starttime)).then_some((pid, stat))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mmstats_history::ProgramKey;

    use super::*;

    fn this_process() -> Target {
        let stat = procfs::process::Process::myself().unwrap().stat().unwrap();
        Target {
            key: ProgramKey::File(0, 0),
            process: None,
            pid: Some(std::process::id()),
            start_time: Some(stat.starttime),
            pid_namespace: None,
            is_gone: false,
            has_ended: false,
        }
    }

    #[test]
    fn threads_of_this_process_have_names() {
        let mut target = this_process();
        let mut system = System::default();
        system.next_look();
        let process = system.process(&target).unwrap();
        assert!(process.memory > Some(0) && process.processors.is_none());
        let named = std::thread::Builder::new().name("for a test".to_owned());
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = named.spawn(move || receiver.recv()).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        // The thread sets its name itself.
        let found = loop {
            system.next_look();
            let threads = system.threads(&target, 1_000);
            let found = threads.iter().find(|thread| thread.name == "for a test");
            if let Some(found) = found {
                break found.clone();
            }
            assert!(Instant::now() < end, "{threads:?}");
        };
        assert!(found.id != std::process::id(), "{found:?}");
        drop(sender);
        let _ = thread.join().unwrap();
        target.start_time = target.start_time.map(|time| time + 1);
        assert_eq!(system.process(&target), None, "another process with its id");
    }

    #[test]
    fn looks_forget_what_is_not_seen_any_more() {
        let target = this_process();
        let mut system = System::default();
        system.next_look();
        system.process(&target).unwrap();
        system.threads(&target, 1_000);
        system.next_look();
        assert!(system.process(&target).unwrap().processors.is_some());
        system.next_look();
        assert_eq!(system.before.len(), 1, "the process without its threads");
        system.next_look();
        assert!(system.before.is_empty() && system.now.is_empty());
    }
}
