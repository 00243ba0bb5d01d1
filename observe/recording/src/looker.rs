//! Looks at the threads of programs, at most once a second each, in bounded time and size.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use mmstats_history::{Moment, ProgramKey};
use mmstats_observe::Program;
use mmstats_threads::{Report, Snapshot, Watcher};

/// Time between two looks at the threads of a program.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// Part of it by which a look may be early: those of the sampler are not exact.
const EARLY: Duration = Duration::from_millis(50);
/// Maximum number of threads of a process about which the system is asked.
const MAX_THREADS: usize = 1_000;
/// Text of threads, in bytes a second.
const BYTES: f64 = 65_536.0;
/// Part of a processor that looks at threads take.
const SHARE: f64 = 0.1;
/// Time over which both are averages, in seconds.
const SPAN: f64 = 2.0;
/// Seconds after which an excess is forgotten.
const DEBT: f64 = 60.0;

/// Looks at the threads of programs.
#[derive(Debug)]
pub(crate) struct Looker {
    programs: HashMap<ProgramKey, Known>,
    every: Duration,
    bytes: Room,
    seconds: Room,
    refilled: Option<Moment>,
}

/// A look at the threads of a program.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) report: Report,
    /// Number of looks before it that were due and not made, for want of time or room.
    pub(crate) left_out: u64,
}

#[derive(Debug)]
struct Known {
    watcher: Watcher,
    last: Option<Moment>,
    /// Whether it had ended at the last look: then only its ages still change.
    has_ended: bool,
    /// Since when a look is due that was not made.
    waits_since: Option<Moment>,
}

/// An amount that is used up, and refilled as time goes by.
#[derive(Debug)]
struct Room {
    a_second: f64,
    left: f64,
}

impl Room {
    const fn new(a_second: f64) -> Self {
        Self { a_second, left: a_second * SPAN }
    }

    /// Afterwards there is at most the amount of a span, and that of `DEBT` is missing at most.
    fn change(&mut self, by: f64) {
        self.left = (self.left + by).clamp(-self.a_second * DEBT, self.a_second * SPAN);
    }
}

impl Looker {
    /// Of a recorder that looks each `every`.
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            programs: HashMap::new(),
            every: every.max(EVERY),
            bytes: Room::new(BYTES),
            seconds: Room::new(SHARE),
            refilled: None,
        }
    }

    /// The reports of the programs that are due. `written` is the size of the texts of those of the look before, in
    /// bytes.
    pub(crate) fn look(
        &mut self,
        programs: &[(ProgramKey, &Program<'_>)],
        at: Moment,
        written: usize,
    ) -> Vec<(ProgramKey, Looked)> {
        #[allow(clippy::cast_precision_loss)] // Far below 2^53.
        self.bytes.change(-(written as f64));
        let passed = self.refilled.map_or(0.0, |then| at.since(then).as_secs_f64());
        self.bytes.change(passed * self.bytes.a_second);
        self.seconds.change(passed * self.seconds.a_second);
        self.refilled = Some(at);
        let mut looked = Vec::new();
        for (key, program) in self.due(programs, at) {
            let known = self.programs.entry(key).or_insert_with(Known::new);
            if self.bytes.left <= 0.0 || self.seconds.left <= 0.0 {
                known.waits_since.get_or_insert(at);
                continue;
            }
            let start = processor_time();
            let snapshot = Snapshot::new(program);
            let has_ended = snapshot.state().has_ended();
            known.watcher.look_at([snapshot], &[]);
            self.seconds.change(-processor_time().saturating_sub(start).as_secs_f64());
            let Some(report) = known.watcher.take_reports().pop() else { continue };
            let waited = known.waits_since.take().map_or(Duration::ZERO, |since| at.since(since));
            let left_out = waited.as_millis() / self.every.as_millis().max(1);
            let left_out = u64::try_from(left_out).unwrap_or(u64::MAX);
            (known.last, known.has_ended) = (Some(at), has_ended);
            looked.push((key, Looked { report, left_out }));
        }
        looked
    }

    /// The programs that are due, those first that have waited longest.
    fn due<'a, 'p>(
        &mut self,
        programs: &[(ProgramKey, &'a Program<'p>)],
        at: Moment,
    ) -> Vec<(ProgramKey, &'a Program<'p>)> {
        let keys: HashSet<ProgramKey> = programs.iter().map(|(key, _)| *key).collect();
        self.programs.retain(|key, _| keys.contains(key));
        // The sums of ended programs have no threads.
        let programs = programs.iter().copied().filter(|(_, program)| program.ledger().is_none());
        let last = |key: &ProgramKey| self.programs.get(key).and_then(|known| known.last);
        let has_ended = |key: &ProgramKey| self.programs.get(key).is_some_and(|k| k.has_ended);
        let is_due = |(key, program): &(ProgramKey, &Program<'_>)| match last(key) {
            None => true,
            Some(_) if has_ended(key) && program.state().has_ended() => false,
            Some(last) => at.since(last) + EARLY >= self.every,
        };
        let mut due: Vec<_> = programs.filter(is_due).collect();
        due.sort_by_key(|(key, _)| last(key));
        due
    }
}

/// Time that this thread has used, without that in which others had its processor.
#[cfg(unix)] // counts it
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}

/// Time since the first call: the other one is not asked for.
#[cfg(not(unix))] // as above
fn processor_time() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

impl Known {
    fn new() -> Self {
        let mut watcher = Watcher::new();
        watcher.limit_threads(MAX_THREADS);
        Self { watcher, last: None, has_ended: false, waits_since: None }
    }
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Observer, Sources};

    use super::*;

    #[test]
    fn looks_are_a_second_apart_and_wait_for_room() {
        let directory = tempfile::tempdir().unwrap();
        let publisher = mmstats::Options::new().directory(directory.path());
        let publisher = publisher.start::<mmstats::Lane>().unwrap();
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.refresh();
        let programs = observer.programs();
        let programs: Vec<_> =
            programs.iter().map(|program| (ProgramKey::of(program), program)).collect();
        let mut looker = Looker::new(Duration::from_millis(100));
        let mut look = |tenth: u64, written| {
            looker.seconds.left = 1.0;
            let at = Moment::from_milliseconds(tenth * 100);
            let looked = looker.look(&programs, at, written);
            looked.into_iter().map(|(_, looked)| looked.left_out).collect::<Vec<_>>()
        };
        let looks: Vec<u64> = (0..30).filter(|tenth| look(*tenth, 100) == [0]).collect();
        assert_eq!(looks, [0, 10, 20]);
        // As much as sixteen seconds have, of which two were there: the room is there again fourteen seconds later.
        assert_eq!(look(30, 1 << 20), [0; 0]);
        let later: Vec<_> = (31..200).map(|tenth| (tenth, look(tenth, 0))).collect();
        let made: Vec<_> = later.iter().filter(|(_, looked)| !looked.is_empty()).collect();
        assert!((169..=171).contains(&made[0].0) && made[0].1[0] > 0, "{made:?}");
        assert_eq!(made[1].1, [0], "{made:?}");
        drop(publisher);
    }
}
