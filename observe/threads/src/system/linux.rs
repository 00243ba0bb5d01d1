//! Data of the system from `/proc`.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use mmstats_observe::Identity;
use procfs::Current as _;
use procfs::process::{Schedstat, Stat};

use super::{Known, Process, State, SystemThread};

/// Reader of `/proc`, with the processor times of the last look.
#[derive(Debug, Default)]
pub(crate) struct System {
    /// Times by process and thread; thread 0 is the whole process.
    before: HashMap<(u32, u64), Used>,
    now: HashMap<(u32, u64), Used>,
}

/// Processor time that was used until a moment.
#[derive(Debug, Clone, Copy)]
struct Used {
    at: Instant,
    seconds: f64,
    /// Time spent waiting for a processor, if known.
    waited: Option<f64>,
    /// Start in clock ticks since boot: distinguishes processes that had the same id.
    start: u64,
}

impl System {
    /// The process and at most `max` of its threads, by id. `None` if it has ended; with `identity` also if another
    /// process has its id now, or its id here is unknown.
    pub(crate) fn look(
        &mut self,
        process: Option<u32>,
        identity: Option<&Identity>,
        max: usize,
    ) -> Option<Known> {
        let (id, open, stat) = open(process, identity)?;
        let up = procfs::Uptime::current().ok().map(|up| up.uptime);
        let is_foreign = identity.is_some_and(|identity| !is_own_namespace(identity));
        let mut threads = Vec::new();
        let mut tasks = open.tasks().into_iter().flatten().filter_map(Result::ok);
        for task in tasks.by_ref().take(max) {
            let (Ok(stat), Ok(thread)) = (task.stat(), u64::try_from(task.tid)) else { continue };
            let Shares { processors, in_life, ready } =
                self.shares((id, thread), &stat, task.schedstat().ok(), up);
            let inner = || task.status().ok()?.nspid?.last().copied()?.try_into().ok();
            threads.push(SystemThread {
                id: thread,
                own_id: is_foreign.then(inner).flatten().unwrap_or(thread),
                state: State::from_letter(stat.state),
                processors,
                processors_in_life: in_life,
                ready,
                waits_in: waits_in(id, thread),
                name: stat.comm,
            });
        }
        let are_all = tasks.next().is_none();
        let process = self.process(id, stat, up);
        Some(Known { process, threads, are_all })
    }

    /// As [`look`](Self::look), without threads: their times stay those of the previous look.
    pub(crate) fn look_at_process(
        &mut self,
        process: Option<u32>,
        identity: Option<&Identity>,
    ) -> Option<Process> {
        let (id, _, stat) = open(process, identity)?;
        let up = procfs::Uptime::current().ok().map(|up| up.uptime);
        let process = self.process(id, stat, up);
        let used = self.now.remove(&(id, 0));
        self.before.extend(used.map(|used| ((id, 0), used)));
        Some(process)
    }

    fn process(&mut self, id: u32, stat: Stat, up: Option<f64>) -> Process {
        // `schedstat` of a process counts its first thread only.
        let Shares { processors, in_life, .. } = self.shares((id, 0), &stat, None, up);
        Process {
            id,
            state: State::from_letter(stat.state),
            processors,
            processors_in_life: in_life,
            memory: stat.rss.saturating_mul(procfs::page_size()),
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
            name: stat.comm,
        }
    }

    /// Forgets the processes and threads that were not looked at since the last call.
    pub(crate) fn end_look(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Shares of processors since the previous look, and over the life.
    fn shares(
        &mut self,
        key: (u32, u64),
        stat: &Stat,
        exact: Option<Schedstat>,
        up: Option<f64>,
    ) -> Shares {
        #[allow(clippy::cast_precision_loss)] // ticks are far below 2^53
        let ticks = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        #[allow(clippy::cast_precision_loss)] // 104 days are exact
        let nanos = |nanos: u64| nanos as f64 / 1e9;
        let exact = exact.filter(|exact| exact.sum_exec_runtime > 0);
        let used = || ticks(stat.utime.saturating_add(stat.stime));
        let seconds = exact.as_ref().map_or_else(used, |exact| nanos(exact.sum_exec_runtime));
        let waited = exact.map(|exact| nanos(exact.run_delay));
        let now = Used { at: Instant::now(), seconds, waited, start: stat.starttime };
        let before = self.before.get(&key).filter(|before| before.start == now.start);
        let share = |before: &Used, used: f64| {
            let time = now.at.duration_since(before.at).as_secs_f64();
            (time > 0.0).then(|| (used / time).max(0.0))
        };
        let processors = before.and_then(|before| share(before, seconds - before.seconds));
        let ready = before.and_then(|before| {
            let waited = now.waited? - before.waited?;
            share(before, seconds - before.seconds + waited)
        });
        self.now.insert(key, now);
        let life = up.map(|up| up - ticks(stat.starttime)).filter(|life| *life > 0.0);
        Shares { processors, in_life: life.map(|life| seconds / life), ready }
    }
}

/// Shares of processors.
struct Shares {
    /// In use since the previous look.
    processors: Option<f64>,
    /// In use over the life.
    in_life: Option<f64>,
    /// In use or waited for since the previous look.
    ready: Option<f64>,
}

/// The process, if it is still that of the program.
fn open(
    process: Option<u32>,
    identity: Option<&Identity>,
) -> Option<(u32, procfs::process::Process, Stat)> {
    let own = || identity.and_then(|i| i.pid.filter(|_| is_own_namespace(i)));
    let id = process.or_else(own)?;
    let open = procfs::process::Process::new(i32::try_from(id).ok()?).ok()?;
    let stat = open.stat().ok()?;
    // Another process may have the id now.
    let is_same = identity.and_then(|i| i.start_time).is_none_or(|start| start == stat.starttime);
    is_same.then_some((id, open, stat))
}

/// Function of the kernel in which a thread waits; `None` if it does not wait, or without permission.
fn waits_in(process: u32, thread: u64) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/wchan")).ok()?;
    Some(name).filter(|name| !name.is_empty() && name != "0")
}

/// Whether the program has the same pid namespace as this process.
fn is_own_namespace(identity: &Identity) -> bool {
    let own = std::fs::metadata("/proc/self/ns/pid").map(|own| own.ino()).ok();
    identity.pid_ns.is_none() || identity.pid_ns == own
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn look_has_threads_of_this_process() {
        let mut system = System::default();
        let (stop, stopped) = channel::<()>();
        let (say, said) = channel();
        let named = std::thread::Builder::new().name("of-a-test".to_owned());
        let thread = named.spawn(move || {
            say.send(()).unwrap();
            let _ = stopped.recv();
        });
        // The thread sets its name before it runs.
        said.recv().unwrap();
        let id = Some(std::process::id());
        let Known { process, threads, are_all } = system.look(id, None, 1_000).unwrap();
        assert!(are_all);
        assert_eq!((process.id, process.processors), (std::process::id(), None));
        assert!(process.memory > 0 && process.threads > 0);
        let found = threads.iter().find(|thread| thread.name == "of-a-test").unwrap();
        assert!(found.own_id == found.id && found.id != u64::from(process.id), "{found:?}");
        system.end_look();
        // A look at the process alone keeps the times of the threads.
        assert!(system.look_at_process(id, None).unwrap().processors.is_some());
        let Known { process, threads, .. } = system.look(id, None, 1_000).unwrap();
        assert!(process.processors.is_some() && threads.iter().any(|t| t.processors.is_some()));
        let few = system.look(id, None, 1).unwrap();
        assert!(!few.are_all && few.threads.len() == 1);
        drop(stop);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn look_of_another_process_with_the_id_finds_none() {
        let mut identity = Identity::default();
        identity.pid = Some(std::process::id());
        identity.start_time = Some(1);
        assert_eq!(System::default().look(None, Some(&identity), 1_000), None);
    }
}
