//! Which programs have their threads looked at, and what their lanes said then.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mmstats_history::{Moment, OnLook, ProgramKey};
use mmstats_observe::Program;
use mmstats_threads::Snapshot;

/// Least time between two looks at the threads of a program, a little less than a second.
const EVERY: Duration = Duration::from_millis(950);
/// Part of the programs, beside the open ones, whose threads a look takes: one of so many.
const PART: usize = 4;
/// Minimum of that number.
const FEW: usize = 8;

/// Snapshots of threads by the looks of a sampler, until they are taken.
#[derive(Debug, Default, Clone)]
pub(crate) struct Looks(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    open: HashSet<ProgramKey>,
    /// The last look at each program, and whether the program had ended.
    last: HashMap<ProgramKey, (Moment, bool)>,
    taken: HashMap<ProgramKey, (Moment, Snapshot)>,
}

impl Looks {
    /// For the options of a sampler.
    pub(crate) fn on_look(&self) -> OnLook {
        let looks = self.clone();
        OnLook::new(move |programs, at| looks.look(programs, at))
    }

    /// The programs whose threads are looked at each second.
    pub(crate) fn open(&self, programs: impl IntoIterator<Item = ProgramKey>) {
        let programs: HashSet<ProgramKey> = programs.into_iter().collect();
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.open, programs);
        let State { open, last, .. } = &mut *state;
        for key in open.iter().filter(|key| !before.contains(key)) {
            last.remove(key);
        }
    }

    /// The snapshots since the last call, each with the moment of its look.
    pub(crate) fn take(&self) -> HashMap<ProgramKey, (Moment, Snapshot)> {
        std::mem::take(&mut self.lock().taken)
    }

    fn look(&self, programs: &[(ProgramKey, &Program<'_>)], at: Moment) {
        let due = self.lock().due(programs, at);
        for (key, program) in due {
            // Not while the state is locked: the screen does not wait for lanes.
            let snapshot = Snapshot::new(program);
            let mut state = self.lock();
            state.last.insert(key, (at, snapshot.state().has_ended()));
            state.taken.insert(key, (at, snapshot));
        }
    }

    /// A lock whose holder panicked protects nothing but values of looks.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The open programs and those that have waited longest.
    fn due<'a, 'p>(
        &mut self,
        programs: &[(ProgramKey, &'a Program<'p>)],
        at: Moment,
    ) -> Vec<(ProgramKey, &'a Program<'p>)> {
        let keys: HashSet<ProgramKey> = programs.iter().map(|(key, _)| *key).collect();
        self.last.retain(|key, _| keys.contains(key));
        self.taken.retain(|key, _| keys.contains(key));
        // The sums of ended programs have no threads.
        let programs = programs.iter().copied().filter(|(_, program)| program.ledger().is_none());
        let is_due = |(key, program): &(ProgramKey, &Program<'_>)| match self.last.get(key) {
            None => true,
            // Only its ages still change, and they are shown only when it is open.
            Some((_, true)) if program.state().has_ended() && !self.open.contains(key) => false,
            Some((last, _)) => at.since(*last) >= EVERY,
        };
        let mut due: Vec<_> = programs.filter(is_due).collect();
        due.sort_by_key(|(key, _)| {
            (!self.open.contains(key), self.last.get(key).map(|(last, _)| *last))
        });
        due.truncate((keys.len() / PART).max(FEW) + self.open.len());
        due
    }
}
