//! Snapshots of threads, taken at the looks of a sampler.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mmstats_history::{Moment, OnLook, ProgramKey};
use mmstats_observe::Program;
use mmstats_threads::Snapshot;

/// Minimum time between two looks at the threads of a program: a little less than the second between looks.
const EVERY: Duration = Duration::from_millis(950);
/// A look takes snapshots of 1/`PART` of the programs, and of the open ones.
const PART: usize = 4;
/// Minimum number of snapshots of a look, beside the open ones.
const FEW: usize = 8;

/// Snapshots of threads, kept until taken.
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
    /// Callback for the options of a sampler.
    pub(crate) fn on_look(&self) -> OnLook {
        let looks = self.clone();
        OnLook::new(move |programs, at| looks.look(programs, at))
    }

    /// Sets the open programs, whose threads are looked at each second.
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
            // Unlocked meanwhile: the screen must not wait for lanes.
            let snapshot = Snapshot::new(program);
            let mut state = self.lock();
            state.last.insert(key, (at, snapshot.state().has_ended()));
            state.taken.insert(key, (at, snapshot));
        }
    }

    /// Locks, also if a holder panicked: snapshots are valid one by one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The programs to look at: the open ones and those with the oldest looks.
    fn due<'a, 'p>(
        &mut self,
        programs: &[(ProgramKey, &'a Program<'p>)],
        at: Moment,
    ) -> Vec<(ProgramKey, &'a Program<'p>)> {
        let keys: HashSet<ProgramKey> = programs.iter().map(|(key, _)| *key).collect();
        self.last.retain(|key, _| keys.contains(key));
        self.taken.retain(|key, _| keys.contains(key));
        // A ledger, the sums of ended programs, has no threads.
        let programs = programs.iter().copied().filter(|(_, program)| program.ledger().is_none());
        let is_due = |(key, program): &(ProgramKey, &Program<'_>)| match self.last.get(key) {
            None => true,
            // After its end only ages change, which are shown only of open programs.
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
