//! Sampled fields: threads of their own call their callbacks, so no update waits for one.
//!
//! One thread watches: it calls the library's own callbacks, publishes which ones are late, and
//! starts the threads that call those of the program. A thread whose callback does not return is
//! replaced by another one, so it delays the others once.
//!
//! All values are in one lane, which these threads share: each field is written by one thread at a
//! time. Two of them may change a word of presence bits at once, while one is replaced; a bit that
//! is lost then is set or cleared again at the next interval.

mod lateness;
mod task;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use mmstats_core as core;

use self::lateness::{Late, Lateness};
use self::task::{Outcome, Running, Task};
use crate::claim::Keep;
use crate::error::Error;
use crate::files::Files;
use crate::files::shared::SharedLanes;
use crate::handles::kinds::nanos;
use crate::lock::Mutex;
use crate::schema::declaration::{Field, FieldName};
use crate::schema::key::Key;
use crate::thread::local::Alive;

/// Maximum number of threads that call callbacks: callbacks that do not return keep one each.
const MAX_CALLERS: usize = 32;
/// Bounds of the time after which a callback is late.
const LATE_AFTER: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

/// The callbacks of a publisher.
#[derive(Default)]
pub(crate) struct Sampler {
    state: Mutex<State>,
    /// The lane of the sampled fields in each segment.
    lanes: SharedLanes,
    /// Number of callbacks that panicked, and are not called again.
    panics: AtomicU64,
}

#[derive(Default)]
struct State {
    tasks: Vec<Task>,
    /// To wake the thread that watches. A condition variable would lock without the fork guard of
    /// [`Mutex`].
    watcher: Option<Thread>,
    /// Threads that call callbacks, and whether each of them does so now.
    callers: Vec<(u64, Thread, bool)>,
    next_caller: u64,
    closed: bool,
}

impl State {
    fn wake(&self) {
        let idle = self.callers.iter().filter(|(_, _, calls)| !calls).map(|(_, thread, _)| thread);
        self.watcher.iter().chain(idle).for_each(Thread::unpark);
    }

    fn idle_callers(&self) -> usize {
        self.callers.iter().filter(|(_, _, calls)| !calls).count()
    }

    /// Index and due time of the task that is due first.
    fn next(&self, is_own: bool) -> Option<(usize, Instant)> {
        let tasks = self.tasks.iter().enumerate();
        let waiting = tasks.filter(|(_, task)| task.is_own == is_own && task.is_waiting());
        waiting.map(|(index, task)| (index, task.due)).min_by_key(|(_, due)| *due)
    }

    /// Takes the first task that is due.
    fn begin(&mut self, is_own: bool, now: Instant) -> Option<(usize, usize, Running)> {
        let (index, _) = self.next(is_own).filter(|(_, due)| *due <= now)?;
        let task = &mut self.tasks[index];
        Some((index, task.address.segment as usize, task.begin(now)?))
    }
}

/// State that the threads of a sampler share: it keeps neither the files nor the publisher alive.
#[derive(Clone)]
struct Context {
    sampler: Arc<Sampler>,
    files: Weak<Files>,
    alive: Weak<Alive>,
    every: Duration,
}

impl Sampler {
    /// Ends the threads.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.wake();
    }

    /// Whether this thread holds the lock.
    pub(crate) fn is_mine(&self) -> bool {
        self.state.is_mine()
    }

    /// Whether a field has a callback.
    pub(crate) fn has<H>(&self, key: Key<H>) -> bool {
        self.state.lock().tasks.iter().any(|task| task.address == key.address)
    }

    /// Number of callbacks that panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Adds a callback, to be called with the handle of `key` at every interval. The first one
    /// starts the thread that watches. `fields` is the number of fields from that of the key on.
    pub(crate) fn add<H: Field + 'static>(
        self: &Arc<Self>,
        files: &Arc<Files>,
        alive: &Arc<Alive>,
        (key, name, fields): (Key<H>, FieldName, u32),
        is_own: bool,
        callback: impl FnMut(&H) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let task = Task::new(name, key, fields, is_own, callback);
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        if state.watcher.is_none() {
            let context = Context {
                sampler: Arc::clone(self),
                files: Arc::downgrade(files),
                alive: Arc::downgrade(alive),
                every: files.settings.sample_every,
            };
            let watch = Box::new(move || context.watch());
            let thread = crate::backend::thread::spawn("mmstats-sample", watch);
            let thread = thread.map_err(|error| Error::Thread(error.kind()))?;
            state.watcher = Some(thread.thread().clone());
        }
        state.tasks.push(task);
        state.wake();
        Ok(())
    }

    /// The lane of the sampled fields in a segment.
    fn lane(&self, files: &Arc<Files>, segment: usize) -> Result<core::Lane<Keep>, Error> {
        files.sampled_lane(&self.lanes, segment)?.open()
    }
}

impl Context {
    /// The time after which a callback is late.
    fn late_after(&self) -> Duration {
        let [least, most] = LATE_AFTER;
        self.every.clamp(least, most)
    }

    /// Whether the publisher was closed, or its last clone was dropped.
    fn has_ended(&self, state: &State) -> bool {
        state.closed || self.alive.strong_count() == 0
    }

    /// Calls the library's own callbacks and watches the others, until the publisher is closed.
    fn watch(&self) {
        let mut lateness = Lateness::default();
        let tick = self.every.min(self.late_after());
        let mut next = Instant::now();
        loop {
            while self.call_next(true) {}
            let now = Instant::now();
            if now >= next {
                self.publish(&mut lateness, now);
                next = now + tick;
            }
            let until = {
                let mut state = self.sampler.state.lock();
                if self.has_ended(&state) {
                    state.wake();
                    return;
                }
                self.start_caller(&mut state, now);
                let own = state.next(true).map(|(_, due)| due);
                own.map_or(next, |own| own.min(next))
            };
            let begin = Instant::now();
            let wait = until.saturating_duration_since(begin);
            // An unpark after this point makes `park_timeout` return at once.
            std::thread::park_timeout(wait);
            let now = Instant::now();
            // A wait was longer: the process did not run (a stop signal, a freezer, a debugger), or not
            // enough. That time says nothing of callbacks; this thread's own work does not count.
            let lost = now.saturating_duration_since(begin).saturating_sub(wait);
            if !lost.is_zero() {
                let mut state = self.sampler.state.lock();
                state.tasks.iter_mut().for_each(|task| task.forgive(lost, now));
            }
        }
    }

    /// Starts a thread for callbacks if one is due and all threads are in one that is late.
    fn start_caller(&self, state: &mut State, now: Instant) {
        let Some((_, due)) = state.next(false).filter(|(_, due)| *due <= now) else { return };
        let is_urgent = state.callers.is_empty() || now - due > self.late_after();
        if state.idle_callers() > 0 || !is_urgent || state.callers.len() >= MAX_CALLERS {
            return;
        }
        let (context, id) = (self.clone(), state.next_caller);
        state.next_caller += 1;
        match crate::backend::thread::spawn("mmstats-call", Box::new(move || context.call(id))) {
            Ok(thread) => state.callers.push((id, thread.thread().clone(), false)),
            // Tried again at the next tick.
            Err(error) => {
                if let Some(files) = self.files.upgrade() {
                    files.report(Error::Thread(error.kind()));
                }
            }
        }
    }

    /// Calls callbacks of the program when they are due, until the publisher is closed or another
    /// thread does it.
    fn call(&self, id: u64) {
        loop {
            self.set_calls(id, true);
            while self.call_next(false) {}
            self.set_calls(id, false);
            let until = {
                let mut state = self.sampler.state.lock();
                // This thread was replaced while a callback kept it.
                if self.has_ended(&state) || state.idle_callers() > 1 {
                    state.callers.retain(|(known, _, _)| *known != id);
                    return;
                }
                state.next(false).map(|(_, due)| due)
            };
            match until {
                Some(due) => {
                    std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
                }
                None => std::thread::park(),
            }
        }
    }

    fn set_calls(&self, id: u64, calls: bool) {
        let mut state = self.sampler.state.lock();
        if let Some(caller) = state.callers.iter_mut().find(|(known, _, _)| *known == id) {
            caller.2 = calls;
        }
    }

    /// Calls the callback that is due first. `false` if none is, and after the end.
    fn call_next(&self, is_own: bool) -> bool {
        let (index, segment, running) = {
            let mut state = self.sampler.state.lock();
            if self.has_ended(&state) {
                return false;
            }
            let Some(begun) = state.begin(is_own, Instant::now()) else { return false };
            begun
        };
        // The lane keeps the memory of the files but not the publisher, which can end meanwhile.
        let lane = self.files.upgrade().map(|files| self.sampler.lane(&files, segment));
        let outcome = match lane {
            Some(Ok(lane)) => running.call(&lane),
            Some(Err(error)) => Outcome::Refused(running, Some(error)),
            None => Outcome::Refused(running, None),
        };
        if let (Outcome::Refused(_, Some(error)), Some(files)) = (&outcome, self.files.upgrade()) {
            files.report(error.clone());
        }
        if matches!(outcome, Outcome::Panicked) {
            self.sampler.panics.fetch_add(1, Ordering::Relaxed);
        }
        let mut state = self.sampler.state.lock();
        state.tasks[index].end(outcome, self.every);
        true
    }

    /// Publishes the callbacks that are late, and removes the values of those that are stale.
    fn publish(&self, lateness: &mut Lateness, now: Instant) {
        let Some(files) = self.files.upgrade() else { return };
        let after = self.late_after();
        let (late, stale) = {
            let state = self.sampler.state.lock();
            let late = state.tasks.iter().filter(|task| task.is_late(now, after));
            let late = late.map(|task| Late {
                name: task.name.clone(),
                address: task.address,
                answered: task.answered.map(nanos),
            });
            let stale = state.tasks.iter().filter(|task| task.is_stale(now, self.every, after));
            let stale = stale.map(|task| (task.address.segment as usize, task.ids()));
            (late.collect::<Vec<_>>(), stale.collect::<Vec<_>>())
        };
        // A program that claims no lane and adds no field notices lost files here.
        files.copy(&mut files.attend());
        for (segment, ids) in stale {
            if let Ok(lane) = self.sampler.lane(&files, segment) {
                ids.for_each(|id| {
                    let _ = lane.clear(id);
                });
            }
        }
        let open = |segment| self.sampler.lane(&files, segment);
        if let Err(error) = lateness.publish(&files, &open, self.sampler.panics(), &late) {
            files.report(error);
        }
    }
}
