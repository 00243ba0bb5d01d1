//! Thread of the sampler: its looks at programs.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use mmstats_observe::{FieldKey, Observer, Program, Totals};

use crate::clock::Moment;
use crate::events::LineReader;
use crate::field::LaneReading;
use crate::history::{History, Problems};
use crate::look::{Frame, ProgramLook};
use crate::program::{Condition, ProgramKey};
use crate::shared::{Options, Shared, lock};
use crate::watch::{Group, LaneWatch, Watch, groups};

/// Maximum number of kept problems: other users can cause any number.
const MAX_PROBLEMS: usize = 100;

/// The state of the thread.
pub(crate) struct Looker {
    shared: Arc<Shared>,
    options: Options,
    observer: Observer,
    programs: HashMap<ProgramKey, Known>,
    groups: Vec<Group>,
    lanes: LaneWatch,
    version: u64,
}

/// State of a program that is kept between looks.
#[derive(Default)]
struct Known {
    totals: Totals,
    lines: LineReader,
    /// Whether its totals were recorded before a ledger contained its sums.
    recorded: bool,
}

/// Result of a look at a program, without its totals.
struct Look {
    program: ProgramLook,
    /// Whether to record the totals: false if they were recorded and a ledger now contains the sums.
    is_counted: bool,
    lanes: Vec<(FieldKey, Vec<LaneReading>)>,
}

impl Looker {
    pub(crate) fn new(shared: Arc<Shared>, mut options: Options) -> Self {
        options.every = options.every.max(Duration::from_millis(10));
        let observer = Observer::new(options.sources.clone());
        let (programs, groups, lanes) = (HashMap::new(), Vec::new(), LaneWatch::new(&[]));
        Self { shared, options, observer, programs, groups, lanes, version: 0 }
    }

    pub(crate) fn run(mut self) {
        let mut next = Instant::now();
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.take_list();
            if Instant::now() >= next {
                self.look_at_all();
                advance(&mut next, self.options.every, Instant::now());
            }
            self.look_at_watched();
            let due = self.groups.iter().map(|group| group.next).fold(next, Instant::min);
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::park_timeout(wait);
            }
        }
        self.shared.looked.notify_all();
    }

    /// Applies a changed list of watched fields.
    fn take_list(&mut self) {
        let list: Vec<Watch> = {
            let watched = lock(&self.shared.watched);
            if watched.version == self.version {
                return;
            }
            self.version = watched.version;
            watched.fields.clone()
        };
        let mut history = lock(&self.shared.history);
        for group in &mut self.groups {
            group.catch_up(&mut history);
        }
        self.groups = groups(&list, Instant::now());
        self.lanes = LaneWatch::new(&list);
        self.lanes.mark(&list, &mut history);
    }

    fn look_at_all(&mut self) {
        self.observer.refresh();
        let at = self.shared.clock.now();
        self.shared.clock.take_time(at);
        let mut looks = Vec::new();
        let mut seen = HashSet::new();
        // Files are read before the lock is taken: consumers never wait for a file.
        let programs = self.observer.programs();
        let selected = self.options.select.as_ref().map(|select| select.select(&programs));
        let mut taken: Vec<(ProgramKey, &Program<'_>)> = Vec::new();
        for program in &programs {
            let key = ProgramKey::of(program);
            let is_selected = selected.as_ref().is_none_or(|selected| selected.contains(&key));
            if (is_selected || self.programs.contains_key(&key)) && seen.insert(key) {
                let known = self.programs.entry(key).or_default();
                looks.push(known.look(key, program, &self.lanes));
                taken.push((key, program));
            }
        }
        if let Some(on_look) = &self.options.on_look {
            on_look.call(&taken, at);
        }
        self.programs.retain(|key, _| seen.contains(key));
        let mut problems = self.observer.problems();
        let first = problems.by_ref().take(MAX_PROBLEMS).cloned().collect();
        let problems = Problems { first, more: problems.count() };
        let mut history = lock(&self.shared.history);
        for group in &mut self.groups {
            group.catch_up(&mut history);
        }
        let mut room = history.room();
        let mut lines = Vec::new();
        for look in looks {
            let key = look.program.key;
            let Some(known) = self.programs.get(&key) else { continue };
            if self.options.on_frame.is_some() && !look.program.lines.is_empty() {
                lines.push((key, look.program.lines.clone()));
            }
            let totals = look.is_counted.then(|| known.totals.fields());
            let program = history.add(at, look.program, totals, &mut room);
            if look.is_counted {
                program.record_lanes(at, look.lanes);
            }
        }
        history.set_problems(problems);
        history.end_others(at, &seen);
        history.fit();
        if let Some(on_frame) = &self.options.on_frame {
            on_frame.call(&Frame { at, history: &history, lines: &lines });
        }
        self.shared.looks.fetch_add(1, Ordering::Relaxed);
        self.shared.looked.notify_all();
    }

    /// Looks at the groups of watched fields that are due.
    fn look_at_watched(&mut self) {
        let now = Instant::now();
        if self.groups.iter().all(|group| group.next > now) {
            return;
        }
        let programs = self.observer.programs();
        for group in self.groups.iter_mut().filter(|group| group.next <= now) {
            let at = self.shared.clock.now();
            group.look(&programs);
            match self.shared.history.try_lock() {
                Ok(mut history) => group.record(at, &mut history),
                Err(TryLockError::Poisoned(held)) => group.record(at, &mut held.into_inner()),
                Err(TryLockError::WouldBlock) if group.is_full() => {
                    let history = self.shared.history.lock();
                    let mut history = history.unwrap_or_else(PoisonError::into_inner);
                    group.record(at, &mut history);
                }
                Err(TryLockError::WouldBlock) => group.wait(at),
            }
            self.shared.watched_looks.fetch_add(1, Ordering::Relaxed);
            let missed = advance(&mut group.next, group.every, Instant::now());
            self.shared.missed.fetch_add(missed, Ordering::Relaxed);
        }
    }
}

impl Known {
    fn look(&mut self, key: ProgramKey, program: &Program<'_>, lanes: &LaneWatch) -> Look {
        self.totals.update(program.files().iter().copied(), None);
        let mut lines = Vec::new();
        self.lines.keep(program.files());
        for file in program.files() {
            self.lines.read(file, &mut lines);
        }
        let superseded = program.is_superseded();
        let is_counted = !superseded || !self.recorded;
        self.recorded |= !superseded;
        Look {
            program: ProgramLook {
                identity: program.identity().clone(),
                process: program.process(),
                owner: program.owner(),
                completeness: program.completeness(),
                superseded,
                modified: modified(program),
                lines,
                ..ProgramLook::new(key, Condition::Seen(program.state()))
            },
            is_counted,
            lanes: lanes.look(key, program.files()),
        }
    }
}

/// Time of the last modification: see [`crate::Program::modified`].
fn modified(program: &Program<'_>) -> Option<SystemTime> {
    let modified = program.files().iter().map(|file| file.modified()).max();
    // An image that is no file has no time.
    modified.filter(|modified| *modified > SystemTime::UNIX_EPOCH)
}

/// Sets the time of the next look. Times in the past, or less than a quarter of `every` ahead, are skipped: a late
/// look and the next one would be at almost the same time. Returns the number of skipped times.
fn advance(next: &mut Instant, every: Duration, now: Instant) -> u64 {
    *next += every;
    let behind = (now + every / 4).saturating_duration_since(*next);
    let missed = behind.as_nanos().div_ceil(every.as_nanos().max(1));
    let missed = u32::try_from(missed).unwrap_or(u32::MAX);
    *next += every.saturating_mul(missed);
    missed.into()
}

impl History {
    /// Marks the programs without files as gone; their last values are kept.
    fn end_others(&mut self, at: Moment, seen: &HashSet<ProgramKey>) {
        for program in self.programs_mut().filter(|program| !seen.contains(&program.key)) {
            let condition = program.condition();
            if !condition.is_gone() {
                program.last = at;
                program.set_condition(at, Condition::Gone(condition.state()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advance_leaves_out_times_that_have_passed() {
        let every = Duration::from_millis(100);
        let start = Instant::now();
        let mut next = start;
        assert_eq!(advance(&mut next, every, start), 0);
        assert_eq!(next, start + every);
        let Some(long_ago) = start.checked_sub(Duration::from_millis(350)) else { return };
        let mut next = long_ago;
        // Due 350 ms ago; 250, 150 and 50 ms ago were missed.
        assert_eq!(advance(&mut next, every, start), 3);
        assert_eq!(next, long_ago + 4 * every);
        let Some(late) = start.checked_sub(Duration::from_millis(90)) else { return };
        let mut next = late;
        // The next one would come in 10 ms.
        assert_eq!(advance(&mut next, every, start), 1);
        assert_eq!(next, late + 2 * every);
    }
}
