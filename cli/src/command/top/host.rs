//! Processor time and memory of processes and threads, from the system, with their recent past.

use std::collections::{HashMap, VecDeque};

use mmstats_history::{History, Moment, Program, ProgramKey};

/// Maximum number of looks that are kept of all processes.
const MAX_LOOKS: usize = 100_000;
/// Number of looks that are kept of the threads of one process.
const THREAD_LOOKS: usize = 600;
/// Maximum number of threads of a process.
const MAX_THREADS: usize = 1_000;

/// Properties of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Other systems have no /proc.
pub(super) struct Process {
    /// State as in `ps`: R running, S sleeping, D waiting for a device, T stopped, t traced, Z ended.
    pub(super) state: char,
    /// Processors in use since the look before; `None` without one.
    pub(super) processors: Option<f32>,
    /// Resident memory in bytes.
    pub(super) memory: u64,
    pub(super) threads: u32,
}

/// Properties of a thread.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Other systems have no /proc.
pub(super) struct Thread {
    pub(super) id: u32,
    pub(super) name: String,
    /// As of a process.
    pub(super) state: char,
    /// As of a process.
    pub(super) processors: Option<f32>,
    /// Function of the kernel in which it waits.
    pub(super) waits_in: Option<String>,
}

/// The processes of programs, and the threads of one.
#[derive(Debug, Default)]
pub(super) struct Processes {
    past: HashMap<ProgramKey, VecDeque<(Moment, Option<Process>)>>,
    threads: VecDeque<(Moment, Vec<Thread>)>,
    threads_of: Option<ProgramKey>,
    #[cfg(target_os = "linux")] // Other systems have no /proc.
    system: linux::System,
}

impl Processes {
    /// Looks at the processes of all programs, and at the threads of one.
    pub(super) fn look(&mut self, history: &History, at: Moment, threads_of: Option<ProgramKey>) {
        let kept = (MAX_LOOKS / history.programs().len().max(1)).max(60);
        for program in history.programs() {
            let ended = program.condition().has_ended();
            let process = if ended { None } else { self.process(program) };
            let past = self.past.entry(program.key).or_default();
            if ended && past.back().is_none_or(|(_, last)| last.is_none()) {
                continue;
            }
            past.push_back((at, process));
            while past.len() > kept {
                past.pop_front();
            }
        }
        self.past.retain(|key, _| history.program(*key).is_some());
        if self.threads_of != threads_of {
            (self.threads_of, self.threads) = (threads_of, VecDeque::new());
        }
        if let Some(program) = threads_of.and_then(|key| history.program(key))
            && !program.condition().has_ended()
        {
            let threads = self.threads_now(program);
            self.threads.push_back((at, threads));
            if self.threads.len() > THREAD_LOOKS {
                self.threads.pop_front();
            }
        }
    }

    /// The process, by the last look at or before `at`; `None` if there was none, or if it is in
    /// another pid namespace.
    pub(super) fn at(&self, key: ProgramKey, at: Moment) -> Option<Process> {
        let past = self.past.get(&key)?;
        let after = past.partition_point(|(then, _)| *then <= at);
        past.get(after.checked_sub(1)?)?.1
    }

    /// The threads, by the last look at or before `at`, and when that was.
    pub(super) fn threads_at(&self, at: Moment) -> Option<(Moment, &[Thread])> {
        let after = self.threads.partition_point(|(then, _)| *then <= at);
        let (then, threads) = self.threads.get(after.checked_sub(1)?)?;
        Some((*then, threads))
    }

    #[cfg(target_os = "linux")] // Other systems have no /proc.
    fn process(&mut self, program: &Program) -> Option<Process> {
        self.system.process(program.process, &program.identity)
    }

    #[cfg(target_os = "linux")] // Other systems have no /proc.
    fn threads_now(&mut self, program: &Program) -> Vec<Thread> {
        self.system.threads(program.process, &program.identity, MAX_THREADS)
    }

    /// No process: this system has no /proc.
    #[cfg(not(target_os = "linux"))] // Other systems have no /proc.
    #[allow(clippy::unused_self)] // As on Linux.
    const fn process(&mut self, _program: &Program) -> Option<Process> {
        None
    }

    /// No threads: this system has no /proc.
    #[cfg(not(target_os = "linux"))] // Other systems have no /proc.
    #[allow(clippy::unused_self)] // As on Linux.
    const fn threads_now(&mut self, _program: &Program) -> Vec<Thread> {
        let _ = MAX_THREADS;
        Vec::new()
    }
}

/// The name of a state for people.
pub(super) const fn state_name(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' => "sleeping",
        'D' => "disk",
        'T' => "stopped",
        't' => "traced",
        'Z' | 'X' => "ended",
        'I' => "idle",
        _ => "?",
    }
}

#[cfg(target_os = "linux")] // Other systems have no /proc.
mod linux {
    use std::collections::HashMap;
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Instant;

    use mmstats_observe::Identity;
    use procfs::process::Stat;

    use super::{Process, Thread};

    /// Processor time of the last looks.
    #[derive(Debug, Default)]
    pub(super) struct System {
        /// By process and thread; thread 0 is all of a process.
        before: HashMap<(u32, u32), (Instant, f64)>,
    }

    impl System {
        /// The process of a program; `None` if it has ended, is in another pid namespace, or another
        /// process has its id now.
        pub(super) fn process(
            &mut self,
            process: Option<u32>,
            identity: &Identity,
        ) -> Option<Process> {
            let (pid, stat) = open(process, identity)?;
            Some(Process {
                state: stat.state,
                processors: self.processors((pid, 0), &stat),
                memory: stat.rss.saturating_mul(procfs::page_size()),
                threads: u32::try_from(stat.num_threads).unwrap_or(0),
            })
        }

        pub(super) fn threads(
            &mut self,
            process: Option<u32>,
            identity: &Identity,
            max: usize,
        ) -> Vec<Thread> {
            let Some((pid, _)) = open(process, identity) else { return Vec::new() };
            let process = i32::try_from(pid).ok().map(procfs::process::Process::new);
            let Some(Ok(process)) = process else { return Vec::new() };
            let Ok(tasks) = process.tasks() else { return Vec::new() };
            let mut threads = Vec::new();
            for task in tasks.filter_map(Result::ok).take(max) {
                let (Ok(stat), Ok(id)) = (task.stat(), u32::try_from(task.tid)) else { continue };
                let waits_in = std::fs::read_to_string(format!("/proc/{pid}/task/{id}/wchan"));
                threads.push(Thread {
                    id,
                    processors: self.processors((pid, id), &stat),
                    state: stat.state,
                    name: stat.comm,
                    waits_in: waits_in.ok().filter(|name| !name.is_empty() && name != "0"),
                });
            }
            self.before.retain(|(process, thread), _| {
                *process != pid || *thread == 0 || threads.iter().any(|t| t.id == *thread)
            });
            threads
        }

        /// Processors in use since the look before.
        fn processors(&mut self, key: (u32, u32), stat: &Stat) -> Option<f32> {
            #[allow(clippy::cast_precision_loss)] // Ticks of a process are far below 2^53.
            let used = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
            let now = Instant::now();
            let (then, before) = self.before.insert(key, (now, used))?;
            let time = now.duration_since(then).as_secs_f64();
            #[allow(clippy::cast_possible_truncation)] // Shown with three digits.
            (time > 0.0).then(|| ((used - before) / time).max(0.0) as f32)
        }
    }

    /// `process` is its id, if that is known from elsewhere than its own word.
    fn open(process: Option<u32>, identity: &Identity) -> Option<(u32, Stat)> {
        let pid = process.or_else(|| identity.pid.filter(|_| is_own_namespace(identity)))?;
        let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
        let stat = process.stat().ok()?;
        // A pid that was used again is not this program.
        (identity.start_time == Some(stat.starttime)).then_some((pid, stat))
    }

    /// Whether process ids of the program mean the same here.
    fn is_own_namespace(identity: &Identity) -> bool {
        let own = std::fs::metadata("/proc/self/ns/pid").map(|own| own.ino()).ok();
        identity.pid_ns.is_none() || identity.pid_ns == own
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn threads_of_this_process_have_names() {
            let mut identity = Identity::default();
            identity.pid = Some(std::process::id());
            let stat = procfs::process::Process::myself().unwrap().stat().unwrap();
            identity.start_time = Some(stat.starttime);
            let mut system = System::default();
            let process = system.process(None, &identity).unwrap();
            assert!(process.memory > 0 && process.processors.is_none());
            let named = std::thread::Builder::new().name("for a test".to_owned());
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            let thread = named.spawn(move || receiver.recv()).unwrap();
            let found = loop {
                // The thread sets its name itself.
                let threads = system.threads(None, &identity, 1_000);
                if let Some(found) = threads.into_iter().find(|thread| thread.name == "for a test")
                {
                    break found;
                }
            };
            assert!(found.id != std::process::id(), "{found:?}");
            drop(sender);
            let _ = thread.join().unwrap();
            identity.start_time = Some(stat.starttime + 1);
            assert_eq!(system.process(None, &identity), None, "another process with its id");
        }
    }
}
