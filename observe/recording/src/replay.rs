//! A recording that is replayed: its fields as a history, and the threads of its programs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mmstats_history::{Moment, ProgramKey, ProgramLook, Sampler};
use mmstats_threads::Report;

use crate::error::Error;
use crate::recording::{Place, Recording};
use crate::threads::{LastLook, Threads};

/// A recording that is replayed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Replay {
    /// The fields of all programs; it stands still.
    pub sampler: Sampler,
    /// What the threads of the programs did, at the moments of the sampler.
    pub threads: PastThreads,
}

/// What the threads of programs did, at each moment of a recording. They are read when they are asked for: memory is
/// taken by those of one segment alone, about a minute.
#[derive(Debug)]
pub struct PastThreads {
    recording: Recording,
    /// With the moments of their first looks.
    segments: Vec<(Moment, Place)>,
    read: Option<Segment>,
}

/// Maximum memory of the reports of a segment, in bytes.
const MAX_MEMORY: usize = 512 << 20;

/// The segment that was read last.
#[derive(Debug, Default)]
struct Segment {
    number: usize,
    /// The programs of each look, in the order of time: only looks at which something changed.
    programs: HashMap<ProgramKey, Vec<Then>>,
    /// Whether threads are recorded.
    has_threads: bool,
    problem: Option<String>,
}

/// A program at a look.
#[derive(Debug)]
struct Then {
    at: Moment,
    /// The time of day of the look.
    time: SystemTime,
    program: ProgramLook,
    last: Option<LastLook>,
    /// Made when it is asked for.
    report: Option<Arc<Report>>,
}

impl Recording {
    /// The looks from `from` to `to`: a sampler that stands still at the end, whose past takes `budget` bytes, and what
    /// the threads of the programs did.
    ///
    /// # Errors
    ///
    /// If a segment cannot be read.
    pub fn replay(
        self,
        budget: usize,
        from: Option<SystemTime>,
        to: Option<SystemTime>,
    ) -> Result<Replay, Error> {
        let (sampler, segments) = self.sampler_and_segments(budget, from, to)?;
        let threads = PastThreads { recording: self, segments, read: None };
        Ok(Replay { sampler, threads })
    }
}

impl PastThreads {
    /// What the threads of a program did at a moment of the sampler, by the last look at them.
    pub fn at(&mut self, program: ProgramKey, at: Moment) -> Threads {
        let number = self.segments.partition_point(|(begin, _)| *begin <= at).saturating_sub(1);
        let Some(place) = self.segments.get(number).copied() else { return Threads::NotRecorded };
        if self.read.as_ref().is_none_or(|read| read.number != number) {
            self.read = Some(Segment::read(&self.recording, number, place));
        }
        let Some(segment) = &mut self.read else { return Threads::NotRecorded };
        segment.at(program, at)
    }
}

impl Segment {
    fn read(recording: &Recording, number: usize, (begin, place): (Moment, Place)) -> Self {
        let mut segment = Self { number, ..Self::default() };
        let mut frames = recording.threads_of(place, begin);
        let mut memory = 0_usize;
        loop {
            let found = match frames.next() {
                Ok(Some(_)) => frames.place() == place,
                Ok(None) => false,
                Err(error) => {
                    segment.problem = Some(error.to_string());
                    false
                }
            };
            if !found {
                return segment;
            }
            let state = frames.state();
            segment.has_threads = state.threads_every().is_some();
            for program in state.programs() {
                let last = program.threads.as_ref();
                let all = segment.programs.entry(program.look().key).or_default();
                let is_same = |then: &Then| {
                    let same = match (&then.last, last) {
                        (Some(then), Some(last)) => then.is_same(last),
                        (None, None) => true,
                        _ => false,
                    };
                    same && then.program.condition == program.look().condition
                };
                if !all.last().is_some_and(is_same) {
                    let kept = last.map(LastLook::kept);
                    let before = all.last().and_then(|then| then.last.as_ref());
                    let is_new = |kept: &&LastLook| !before.is_some_and(|one| one.shares(kept));
                    let more = kept.as_ref().filter(is_new).map_or(0, |kept| kept.memory);
                    memory += size_of::<Then>() + program.head().len() + more;
                    all.push(Then {
                        at: state.at(),
                        time: state.time(),
                        program: program.look().clone(),
                        last: kept,
                        report: None,
                    });
                }
            }
            if memory > MAX_MEMORY {
                segment.programs.clear();
                let most = MAX_MEMORY >> 20;
                let problem = format!("the threads of a segment take more than {most} MiB");
                segment.problem = Some(problem);
                return segment;
            }
        }
    }

    fn at(&mut self, program: ProgramKey, at: Moment) -> Threads {
        let missing = match (&self.problem, self.has_threads) {
            (Some(problem), _) => Threads::Unreadable(problem.clone()),
            (None, true) => Threads::NotLooked,
            (None, false) => Threads::NotRecorded,
        };
        let Some(all) = self.programs.get_mut(&program) else { return missing };
        let found = all.partition_point(|then| then.at <= at);
        let (earlier, later) = all.split_at_mut(found.saturating_sub(1));
        let Some(then) = later.first_mut().filter(|_| found > 0) else { return missing };
        let Some(last) = &then.last else { return missing };
        let before = earlier
            .iter_mut()
            .rev()
            .find(|before| before.last.as_ref().is_some_and(|before| before.time < last.time));
        let before = before.and_then(|before| before.report(before.at));
        let left_out = last.left_out;
        match then.report(at) {
            Some(report) => Threads::Looked { report, before, left_out },
            None => missing,
        }
    }
}

impl Then {
    /// The report; of a program that has ended as of `at`.
    fn report(&mut self, at: Moment) -> Option<Arc<Report>> {
        let has_ended = self.program.condition.has_ended();
        if let Some(report) = self.report.as_ref().filter(|_| !has_ended) {
            return Some(Arc::clone(report));
        }
        let last = self.last.as_ref()?;
        let late: Duration = self.time.duration_since(last.time).unwrap_or_default();
        let report = Arc::new(last.report(&self.program, late + at.since(self.at)));
        self.report = Some(Arc::clone(&report));
        Some(report)
    }
}
