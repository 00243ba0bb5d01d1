//! A sampled field: its callback, and when it last answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

use mmstats_core as core;
use mmstats_core::{AttachError, FieldId};

use crate::claim::Keep;
use crate::error::Error;
use crate::schema::declaration::{Field, FieldName};
use crate::schema::key::{Address, Key};

/// Attaches the handle in the lane of the sampled fields, and calls the callback with it. Any thread
/// can do that, one at a time. `false`: there is no value now.
type Call = Box<dyn FnMut(&core::Lane<Keep>) -> Result<bool, AttachError> + Send>;

/// A sampled field.
pub(super) struct Task {
    pub(super) name: FieldName,
    pub(super) address: Address,
    /// Number of its fields, from that at the address on.
    fields: u32,
    /// Whether it is the library's own, so that it neither hangs nor panics.
    pub(super) is_own: bool,
    /// `None` while it runs, and after a panic.
    call: Option<Call>,
    /// When it is called next.
    pub(super) due: Instant,
    /// Start of the call that runs.
    pub(super) running: Option<Instant>,
    /// End of the last call.
    pub(super) answered: Option<SystemTime>,
    /// When the last call ended, or the field was added.
    heard: Instant,
    pub(super) has_panicked: bool,
}

impl Task {
    pub(super) fn new<H: Field + 'static>(
        name: FieldName,
        key: Key<H>,
        fields: u32,
        is_own: bool,
        mut callback: impl FnMut(&H) -> bool + Send + 'static,
    ) -> Self {
        let (address, now) = (key.address, Instant::now());
        let call = move |lane: &core::Lane<Keep>| {
            if callback(&H::attach(lane, address.id)?) {
                return Ok(true);
            }
            ids(address, fields).try_for_each(|id| lane.clear(id))?;
            Ok(false)
        };
        Self {
            name,
            address,
            fields,
            is_own,
            call: Some(Box::new(call)),
            due: now,
            running: None,
            answered: None,
            heard: now,
            has_panicked: false,
        }
    }

    /// Numbers of its fields.
    pub(super) fn ids(&self) -> impl Iterator<Item = FieldId> + use<> {
        ids(self.address, self.fields)
    }

    /// Whether it waits to be called.
    pub(super) const fn is_waiting(&self) -> bool {
        self.call.is_some()
    }

    /// Takes the callback out, to be called at the time `now`.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Running> {
        let call = self.call.take()?;
        self.running = Some(now);
        Some(Running(call))
    }

    /// Takes the callback back after a call, to be called again at the next multiple of `every`
    /// after the last due time. Missed ones are skipped.
    pub(super) fn end(&mut self, outcome: Outcome, every: Duration) {
        self.running = None;
        let now = Instant::now();
        match outcome {
            Outcome::Answered(running) => {
                self.call = Some(running.0);
                self.answered = Some(SystemTime::now());
                self.heard = now;
                self.due = (self.due + every).max(now);
            }
            Outcome::Panicked => self.has_panicked = true,
            Outcome::Refused(running, _) => {
                self.call = Some(running.0);
                self.due = now + every;
            }
        }
    }

    /// Counts the time `lost`, in which the process did not run, neither as that of a call nor as waiting
    /// for one.
    pub(super) fn forgive(&mut self, lost: Duration, now: Instant) {
        let later = |moment: Instant| if moment < now { (moment + lost).min(now) } else { moment };
        if self.is_waiting() {
            self.due = later(self.due);
        }
        self.heard = later(self.heard);
        self.running = self.running.map(later);
    }

    /// Whether a call has run for longer than `after`, the last one panicked, or no thread is there that
    /// could call it.
    pub(super) fn is_late(&self, now: Instant, after: Duration) -> bool {
        let runs = |begin| now.saturating_duration_since(begin) > after;
        // A thread for it starts after that time.
        let waits = self.is_waiting() && now.saturating_duration_since(self.due) > after * 2;
        self.has_panicked || waits || self.running.is_some_and(runs)
    }

    /// Whether its value is too old to be shown as the present one: older than three intervals.
    pub(super) fn is_stale(&self, now: Instant, every: Duration, after: Duration) -> bool {
        let age = now.saturating_duration_since(self.heard);
        self.has_panicked || (self.is_late(now, after) && age > (every * 3).max(after * 3))
    }
}

fn ids(address: Address, fields: u32) -> impl Iterator<Item = FieldId> {
    let first = address.id.index();
    (first..first.saturating_add(fields)).map(FieldId::from_index)
}

/// A callback that is being called.
pub(super) struct Running(Call);

/// The end of a call.
pub(super) enum Outcome {
    Answered(Running),
    /// The callback is gone.
    Panicked,
    /// There is no handle; the error, unless the publisher has ended.
    Refused(Running, Option<Error>),
}

impl Running {
    /// Calls the callback. Nothing that it panics with stops the thread.
    pub(super) fn call(mut self, lane: &core::Lane<Keep>) -> Outcome {
        match catch_unwind(AssertUnwindSafe(|| (self.0)(lane))) {
            Ok(Ok(_)) => Outcome::Answered(self),
            Ok(Err(error)) => Outcome::Refused(self, Some(Error::Attach(error))),
            Err(payload) => {
                // Dropping the payload, or the captured values, may panic too.
                std::mem::forget(payload);
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(self)));
                std::mem::forget(dropped);
                Outcome::Panicked
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(1);

    fn task() -> Task {
        let key = Key::<crate::Counter>::new(Address::lasting(0, FieldId::from_index(3)));
        Task::new(("depth".to_owned(), Vec::new()), key, 2, false, |_: &crate::Counter| true)
    }

    #[test]
    fn task_that_runs_for_long_is_late_then_stale() {
        let mut task = task();
        let begin = task.due;
        assert!(task.ids().eq([3, 4].map(FieldId::from_index)));
        assert!(!task.is_late(begin + EVERY * 2, EVERY), "a thread for it starts");
        assert!(task.is_late(begin + EVERY * 3, EVERY), "all threads hang");
        assert!(task.is_stale(begin + EVERY * 4, EVERY, EVERY));
        let _running = task.begin(begin).unwrap();
        assert!(!task.is_waiting() && task.begin(begin).is_none());
        assert!(!task.is_late(begin + EVERY, EVERY));
        let late = begin + EVERY + Duration::from_millis(1);
        assert!(task.is_late(late, EVERY) && !task.is_stale(late, EVERY, EVERY));
        assert!(task.is_stale(begin + EVERY * 4, EVERY, EVERY));
    }

    #[test]
    fn time_in_which_the_process_was_stopped_makes_no_task_late() {
        let (mut waits, mut runs) = (task(), task());
        let stop = EVERY * 100;
        let _running = runs.begin(runs.due).unwrap();
        let now = waits.due.max(runs.due) + EVERY / 2 + stop;
        for task in [&mut waits, &mut runs] {
            assert!(task.is_late(now, EVERY));
            task.forgive(stop, now);
            assert!(!task.is_late(now, EVERY));
            // From then on it is late as any other one.
            assert!(
                task.is_late(now + EVERY * 2, EVERY)
                    && task.is_stale(now + EVERY * 3, EVERY, EVERY)
            );
        }
        // A task that is due later is called then, and none is due after this moment.
        let mut later = task();
        later.due = now + EVERY;
        later.forgive(stop, now);
        assert_eq!(later.due, now + EVERY);
        waits.forgive(stop, now);
        assert_eq!(waits.due, now);
    }

    #[test]
    fn task_that_panicked_is_stale_and_not_called_again() {
        let mut task = task();
        drop(task.begin(task.due));
        task.end(Outcome::Panicked, EVERY);
        assert!(task.is_stale(Instant::now(), EVERY, EVERY) && !task.is_waiting());
    }
}
