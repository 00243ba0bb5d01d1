//! Processes and threads of programs, and their recent past, in bounded memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use mmstats_history::{Moment, Program, ProgramKey};
use mmstats_observe::Identity;
use mmstats_threads::{Finding, Process, Report, Snapshot, State, Watcher};

use super::odd::{Odd, odd};
#[cfg(feature = "record")]
use super::recorded_threads::RecordedThreads;

/// Maximum number of threads of a process that are looked at.
const MAX_THREADS: usize = 1_000;
/// Processes, findings and reports get 1/`PART` of the memory budget each.
const PART: usize = 16;

/// A program about which the system is asked.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) key: ProgramKey,
    /// See [`Program::process`].
    pub(crate) process: Option<u32>,
    pub(crate) identity: Identity,
    /// Whether its files are gone.
    pub(crate) is_gone: bool,
    /// Whether it has ended. Its process may be a zombie.
    pub(crate) has_ended: bool,
}

impl Target {
    pub(crate) fn new(program: &Program) -> Self {
        let condition = program.condition();
        Self {
            key: program.key,
            process: program.process,
            identity: program.identity.clone(),
            is_gone: condition.is_gone(),
            has_ended: condition.has_ended(),
        }
    }
}

/// Past of the processes of programs and of findings about their threads, with reports of open programs.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    programs: HashMap<ProgramKey, Past>,
    /// Reports by time.
    reports: VecDeque<Kept>,
    report_bytes: usize,
    /// Source of a replay, in place of the members above.
    #[cfg(feature = "record")]
    recorded: Option<RecordedThreads>,
}

/// The past of one program.
#[derive(Debug)]
struct Past {
    watcher: Watcher,
    processes: VecDeque<(Moment, Option<Process>)>,
    findings: VecDeque<Findings>,
    finding_bytes: usize,
}

/// The findings of a look.
#[derive(Debug)]
struct Findings {
    at: Moment,
    /// Whether the program had ended: earlier findings are no longer true then.
    has_ended: bool,
    all: Vec<Odd>,
}

/// The report of a look.
#[derive(Debug)]
struct Kept {
    key: ProgramKey,
    at: Moment,
    report: Arc<Report>,
    bytes: usize,
}

impl Processes {
    /// The processes of a recording.
    #[cfg(feature = "record")]
    pub(crate) fn recorded(threads: RecordedThreads) -> Self {
        Self { recorded: Some(threads), ..Self::default() }
    }

    /// Looks at the processes of all programs, and joins the snapshots in `taken` with data of the system. Reports of
    /// `open` programs are kept. The past takes parts of `budget` bytes.
    pub(crate) fn look(
        &mut self,
        targets: &[Target],
        mut taken: HashMap<ProgramKey, (Moment, Snapshot)>,
        at: Moment,
        open: &HashSet<ProgramKey>,
        budget: usize,
    ) {
        let share = budget / PART / targets.len().max(1);
        for target in targets {
            let past = self.programs.entry(target.key).or_insert_with(Past::new);
            let process = match taken.remove(&target.key) {
                Some((then, snapshot)) => {
                    let has_ended = snapshot.state().has_ended();
                    past.watcher.look_at([snapshot], &[]);
                    let report = past.watcher.take_reports().pop();
                    let process = report.as_ref().and_then(|report| report.process.clone());
                    if let Some(report) = report {
                        past.add_findings(then, has_ended, &report.findings, share);
                        if open.contains(&target.key) {
                            let bytes = size_of::<Kept>() + report.bytes();
                            self.report_bytes += bytes;
                            self.reports.push_back(Kept {
                                key: target.key,
                                at: then,
                                report: report.into(),
                                bytes,
                            });
                        }
                    }
                    process
                }
                None if target.is_gone => None,
                None => past.watcher.look_at_process(target.process, &target.identity),
            };
            // If the program has ended, only its zombie.
            past.add_process(at, process.filter(|p| !target.has_ended || is_zombie(p)), share);
        }
        let keys: HashSet<ProgramKey> = targets.iter().map(|target| target.key).collect();
        self.programs.retain(|key, _| keys.contains(key));
        while let Some(first) = self.reports.front()
            && (!keys.contains(&first.key)
                || (self.reports.len() > 1 && self.report_bytes > budget / PART))
        {
            self.report_bytes -= first.bytes;
            self.reports.pop_front();
        }
    }

    /// The process found by the last look at or before `at`; `None` if it found none, or one in another pid
    /// namespace.
    pub(crate) fn at(&self, key: ProgramKey, at: Moment) -> Option<Process> {
        #[cfg(feature = "record")]
        if let Some(recorded) = &self.recorded {
            return recorded.process_at(key, at);
        }
        let past = &self.programs.get(&key)?.processes;
        let after = past.partition_point(|(then, _)| *then <= at);
        past.get(after.checked_sub(1)?)?.1.clone()
    }

    /// Findings about the threads by the last look at or before `at`, most important first.
    pub(crate) fn findings_at(&self, key: ProgramKey, at: Moment, has_ended: bool) -> Vec<Odd> {
        #[cfg(feature = "record")]
        if let Some(recorded) = &self.recorded {
            return recorded.findings_at(key, at, has_ended);
        }
        let find = || {
            let past = &self.programs.get(&key)?.findings;
            let after = past.partition_point(|findings| findings.at <= at);
            past.get(after.checked_sub(1)?).filter(|findings| findings.has_ended == has_ended)
        };
        find().map_or_else(Vec::new, |findings| findings.all.clone())
    }

    /// The report of the last look at or before `at`, and the previous one. Of open programs only, except in a
    /// recording.
    pub(crate) fn report_at(
        &self,
        key: ProgramKey,
        at: Moment,
    ) -> Option<(Arc<Report>, Option<Arc<Report>>)> {
        #[cfg(feature = "record")]
        if let Some(recorded) = &self.recorded {
            return recorded.report_at(key, at);
        }
        let after = self.reports.partition_point(|kept| kept.at <= at);
        let mut reports = self.reports.range(..after).rev().filter(|kept| kept.key == key);
        let report = Arc::clone(&reports.next()?.report);
        Some((report, reports.next().map(|kept| Arc::clone(&kept.report))))
    }

    /// Reason why a recording has no report at `at`; `None` without a recording.
    #[cfg(feature = "record")]
    pub(crate) fn missing_at(&self, key: ProgramKey, at: Moment) -> Option<String> {
        self.recorded.as_ref().map(|recorded| recorded.missing_at(key, at))
    }

    /// `None`: no recordings in this build.
    #[cfg(not(feature = "record"))]
    #[allow(clippy::unused_self)] // With recordings it is used.
    pub(crate) const fn missing_at(&self, _: ProgramKey, _: Moment) -> Option<String> {
        None
    }

    /// Approximate memory of the past, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let of_program = |past: &Past| {
            past.processes.len() * size_of_process() + past.finding_bytes + size_of::<Past>()
        };
        self.programs.values().map(of_program).sum::<usize>() + self.report_bytes
    }
}

impl Past {
    fn new() -> Self {
        let mut watcher = Watcher::new();
        watcher.limit_threads(MAX_THREADS);
        let (processes, findings) = (VecDeque::new(), VecDeque::new());
        Self { watcher, processes, findings, finding_bytes: 0 }
    }

    fn add_process(&mut self, at: Moment, process: Option<Process>, budget: usize) {
        if process.is_none() && self.processes.back().is_none_or(|(_, last)| last.is_none()) {
            return;
        }
        self.processes.push_back((at, process));
        while self.processes.len() > (budget / size_of_process()).max(2) {
            self.processes.pop_front();
        }
    }

    fn add_findings(&mut self, at: Moment, has_ended: bool, found: &[Finding], budget: usize) {
        let all = odd(found);
        let is_same = |last: &Findings| last.has_ended == has_ended && last.all == all;
        if self.findings.back().is_some_and(is_same) {
            return;
        }
        let findings = Findings { at, has_ended, all };
        self.finding_bytes += findings.bytes();
        self.findings.push_back(findings);
        while self.findings.len() > 1 && self.finding_bytes > budget {
            self.finding_bytes -= self.findings.pop_front().map_or(0, |first| first.bytes());
        }
    }
}

impl Findings {
    fn bytes(&self) -> usize {
        let all = self.all.iter().map(|odd| size_of::<Odd>() + odd.text.len());
        size_of::<Self>() + all.sum::<usize>()
    }
}

/// Whether a process has ended, and its parent has not waited for it.
pub(crate) fn is_zombie(process: &Process) -> bool {
    process.state == State::Zombie
}

/// Memory of a look at a process, in bytes, with its name of at most 15 bytes.
const fn size_of_process() -> usize {
    size_of::<(Moment, Option<Process>)>() + 16
}

#[cfg(all(test, target_os = "linux"))] // /proc.
mod tests {
    use mmstats_observe::{Observer, Sources};

    use super::*;

    #[test]
    fn look_keeps_the_past_within_its_part_of_the_budget() {
        let directory = tempfile::tempdir().unwrap();
        let options = mmstats::Options::new().directory(directory.path());
        let publisher = options.start::<mmstats::Lane>().unwrap();
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.refresh();
        let programs = observer.programs();
        let key = ProgramKey::of(&programs[0]);
        let target = Target {
            key,
            process: Some(std::process::id()),
            identity: programs[0].identity().clone(),
            is_gone: false,
            has_ended: false,
        };
        let mut processes = Processes::default();
        let open = HashSet::from([key]);
        let at = Moment::from_milliseconds;
        let budget = 256 << 10;
        for look in 0..500 {
            // Lanes are read at every second look.
            let taken = (look % 2 == 0).then(|| (key, (at(look), Snapshot::new(&programs[0]))));
            let taken = taken.into_iter().collect();
            processes.look(std::slice::from_ref(&target), taken, at(look), &open, budget);
            assert!(processes.bytes() <= budget / 4, "{}", processes.bytes());
        }
        assert!(processes.at(key, at(499)).is_some_and(|process| process.processors.is_some()));
        let (report, before) = processes.report_at(key, at(499)).unwrap();
        assert!(!report.threads.is_empty() && before.is_some());
        assert!(processes.report_at(key, at(0)).is_none(), "dropped");
        // The threads of the last look before the end stay.
        let ended = Target { has_ended: true, ..target };
        processes.look(&[ended], HashMap::new(), at(500), &open, budget);
        assert_eq!(processes.at(key, at(500)), None);
        assert!(processes.report_at(key, at(500)).is_some());
        processes.look(&[], HashMap::new(), at(501), &HashSet::new(), budget);
        assert_eq!(processes.bytes(), 0);
        drop(publisher);
    }
}
