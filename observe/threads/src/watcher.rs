//! Successive looks at the threads of programs.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use mmstats_observe::{FileState, Identity, Program};

use crate::deadlock::Standing;
use crate::findings;
use crate::join;
use crate::report::Report;
use crate::snapshot::{Key, Snapshot, now};
use crate::system::{Known, Process, State, System};

/// Maximum number of threads of a process that are looked at.
const MAX_THREADS: usize = 10_000;

/// Makes reports about programs, with the state of the previous look that they need.
#[derive(Debug)]
pub struct Watcher {
    system: System,
    before: HashMap<Key, Before>,
    reports: Vec<Report>,
    max_threads: usize,
}

/// State kept of the last look at a program.
#[derive(Debug, Default)]
struct Before {
    /// Holders and waiting threads of locks.
    standing: Standing,
    /// Threads that waited for a device, by id.
    in_disk: HashSet<u64>,
    /// Values of lanes by thread id.
    threads: HashMap<u64, Values>,
    /// Values of all lanes.
    all: Option<Values>,
}

/// Values of lanes, as a hash.
#[derive(Debug, Clone, Copy)]
struct Values {
    hash: u64,
    /// The look that found them.
    since: Instant,
    /// Whether that was the first look.
    is_first: bool,
}

impl Values {
    /// The earlier values if the hash is the same, else new ones.
    fn next(before: Option<&Self>, hash: u64, now: Instant) -> Self {
        match before {
            Some(before) if before.hash == hash => *before,
            before => Self { hash, since: now, is_first: before.is_none() },
        }
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Watcher {
    /// A watcher without looks.
    #[must_use]
    pub fn new() -> Self {
        let (system, before) = (System::default(), HashMap::new());
        Self { system, before, reports: Vec::new(), max_threads: MAX_THREADS }
    }

    /// Sets the maximum number of threads of a process that are looked at; 10,000 by default.
    pub const fn limit_threads(&mut self, max: usize) {
        self.max_threads = max;
    }

    /// Looks at programs. Their observer should be refreshed before.
    ///
    /// Shares of processors, times since the last change, and deadlocks of live programs need two looks at least
    /// some milliseconds apart: a deadlock is a cycle of waits that both looks find unchanged.
    pub fn look(&mut self, programs: &[Program<'_>]) {
        self.look_also_at(programs, &[]);
    }

    /// As [`look`](Self::look), and at processes that publish nothing, by id.
    pub fn look_also_at(&mut self, programs: &[Program<'_>], processes: &[u32]) {
        self.look_at(programs.iter().map(Snapshot::new), processes);
    }

    /// As [`look_also_at`](Self::look_also_at), at programs whose lanes were read before; each at most once.
    pub fn look_at(&mut self, snapshots: impl IntoIterator<Item = Snapshot>, processes: &[u32]) {
        let mut before = std::mem::take(&mut self.before);
        self.reports.clear();
        for Snapshot { key, id, process, identity, state, at, published } in snapshots {
            let system = self.system.look(process, Some(&identity), self.max_threads);
            let system = system.and_then(|known| remaining(known, state));
            let report = join::report(at, Some((id, state, published)), system);
            self.add(report, key, before.remove(&key));
        }
        for process in processes {
            let system = self.system.look(Some(*process), None, self.max_threads);
            let key = Key::Process(*process);
            self.add(join::report(now(), None, system), key, before.remove(&key));
        }
        self.system.end_look();
    }

    /// Data of the system about a process, without its threads, for use between two looks. `process` is that of
    /// [`Program::process`].
    pub fn look_at_process(
        &mut self,
        process: Option<u32>,
        identity: &Identity,
    ) -> Option<Process> {
        self.system.look_at_process(process, Some(identity))
    }

    fn add(&mut self, mut report: Report, key: Key, before: Option<Before>) {
        let standing = Standing::new(&report.threads, &report.locks);
        let deadlocks = match &before {
            // A program that has ended does not change: one look is enough.
            _ if report.has_ended() => standing.cycles(),
            Some(before) => standing.unchanged(&before.standing).cycles(),
            None => Vec::new(),
        };
        let mut next = quiet(&mut report, before.as_ref());
        next.in_disk = in_disk(&mut report, before.as_ref());
        next.standing = standing;
        report.findings = findings::of(&report, &deadlocks);
        report.deadlocks = deadlocks;
        self.reports.push(report);
        self.before.insert(key, next);
    }

    /// Reports of the last look: of the programs, in their order, then of the processes.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// Takes the reports of the last look.
    #[must_use]
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }
}

/// The process of a program in this state; if the program has ended, only its zombie.
fn remaining(mut known: Known, state: FileState) -> Option<Known> {
    if state.has_ended() {
        known.threads.clear();
        return Some(known).filter(|known| known.process.state == State::Zombie);
    }
    Some(known)
}

/// Marks threads that wait for a device in this and the previous look. Returns all that wait for one.
fn in_disk(report: &mut Report, before: Option<&Before>) -> HashSet<u64> {
    let mut all = HashSet::new();
    for thread in &mut report.threads {
        let (Some(id), Some(system)) = (thread.id, &thread.system) else { continue };
        if system.state == State::Disk {
            all.insert(id);
            thread.stays_in_disk = before.is_some_and(|before| before.in_disk.contains(&id));
        }
    }
    all
}

/// Sets the times since the last changes.
fn quiet(report: &mut Report, before: Option<&Before>) -> Before {
    let now = Instant::now();
    let may_change = !report.has_ended();
    let mut next = Before::default();
    for thread in report.threads.iter_mut().filter(|thread| thread.published) {
        let Some(id) = thread.id else { continue };
        let known = before.and_then(|before| before.threads.get(&id));
        let values = Values::next(known, thread.values, now);
        if before.is_some() && may_change {
            thread.quiet = Some(now.duration_since(values.since));
            thread.quiet_from_first = values.is_first;
        }
        next.threads.insert(id, values);
    }
    let all = Values::next(before.and_then(|before| before.all.as_ref()), report.values, now);
    if before.is_some() && may_change {
        report.quiet = Some(now.duration_since(all.since));
    }
    next.all = Some(all);
    next
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mmstats_observe::{Observer, Sources};

    use super::*;

    #[derive(mmstats::Stats)]
    struct Work {
        /// In a lane that all threads share.
        queued: mmstats::SharedGauge<u64>,
    }

    #[derive(mmstats::Stats)]
    struct Served {
        requests: mmstats::Counter,
    }

    #[test]
    fn snapshot_joined_in_another_thread_knows_the_last_change_of_shared_lanes() {
        let directory = tempfile::tempdir().unwrap();
        let options = mmstats::Options::new().directory(directory.path());
        let work = options.start::<Work>().unwrap();
        let stats = work.lane().unwrap();
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        let mut watcher = Watcher::new();
        watcher.limit_threads(1);
        let mut quiet = || {
            observer.refresh();
            let snapshot = Snapshot::new(&observer.programs()[0]);
            std::thread::scope(|scope| {
                scope.spawn(|| watcher.look_at([snapshot], &[])).join().unwrap();
            });
            let report = watcher.take_reports().remove(0);
            assert!(report.bytes() > size_of::<Report>());
            // The test harness has a thread beside that of the test.
            assert!(report.threads_left_out > 0 && report.process.is_some(), "{report:?}");
            report.quiet
        };
        assert_eq!(quiet(), None);
        let pause = Duration::from_millis(200);
        std::thread::sleep(pause);
        assert!(quiet() >= Some(pause));
        stats.queued.add(1);
        assert_eq!(quiet(), Some(Duration::ZERO));
    }

    /// Bytes that were cut off read as zero: as a program that does nothing.
    #[cfg(unix)] // Windows cuts no mapped file.
    #[test]
    fn file_truncated_since_refresh_has_no_threads() {
        let directory = tempfile::tempdir().unwrap();
        let options = mmstats::Options::new().directory(directory.path());
        let served = options.start::<Served>().unwrap();
        let lane = served.lane().unwrap();
        lane.requests.incr();
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.refresh();
        let [file] = observer.files() else { panic!("{:?}", observer.files()) };
        let path = std::fs::OpenOptions::new().write(true).open(file.path()).unwrap();
        let mut watcher = Watcher::new();
        watcher.look(&observer.programs());
        let threads = watcher.take_reports().remove(0).threads;
        assert!(threads.iter().any(|thread| thread.published));
        // Within a page: no read faults.
        path.set_len(file.size() - 8).unwrap();
        watcher.look(&observer.programs());
        let report = watcher.take_reports().remove(0);
        assert_eq!(report.state, Some(FileState::Damaged));
        assert!(!report.threads.iter().any(|thread| thread.published), "{report:?}");
        assert!(report.threads_left_out > 0);
    }
}
