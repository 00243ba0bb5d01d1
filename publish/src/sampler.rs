//! Fields whose values live elsewhere: asked for by a thread of their own, never on the way of
//! an update.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::fields::{Counter, Field};
use crate::lane::Lane;
use crate::parts::{Closer, Fallback, Shared};
use crate::schema::{FieldOptions, Key};
use crate::sync::{Guard, Mutex};

/// The field with the number of panics.
const PANICS: &str = "sys.sampling_panics";

/// A callback with its handle, made on the thread that calls it.
type Task = Box<dyn FnMut()>;
/// Makes the task of one field.
type Make = Box<dyn FnOnce(&Lane) -> Result<Task, Error> + Send>;

/// The callbacks of a publisher.
#[derive(Default)]
pub(crate) struct Sampler {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Not yet with the thread.
    new: Vec<Make>,
    running: bool,
    /// To wake it; a condition would take the lock again behind the back of [`Mutex`].
    thread: Option<Thread>,
    closed: bool,
    /// How often a callback panicked, and was removed.
    panics: u64,
}

impl State {
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").finish_non_exhaustive()
    }
}

impl Sampler {
    fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake();
    }

    /// How often a callback panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.lock().panics
    }

    /// Has `callback` called with the handle of `key` at every interval. Starts the thread
    /// with the first.
    pub(crate) fn add<H: Field + 'static>(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        closer: &Arc<Closer>,
        every: Duration,
        key: Key<H>,
        mut callback: impl FnMut(&H) + Send + 'static,
    ) -> Result<(), Error> {
        let make: Make = Box::new(move |lane| {
            let handle = lane.attach(key)?;
            Ok(Box::new(move || callback(&handle)))
        });
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        state.new.push(make);
        if !std::mem::replace(&mut state.running, true) {
            let (this, shared, closer) =
                (Arc::clone(self), Arc::downgrade(shared), Arc::downgrade(closer));
            let thread = std::thread::Builder::new().name("mmstats-sample".to_owned());
            match thread.spawn(move || this.run(&shared, &closer, every)) {
                Ok(started) => state.thread = Some(started.thread().clone()),
                Err(error) => {
                    state.running = false;
                    state.new.pop();
                    return Err(Error::Thread(error.kind()));
                }
            }
        }
        state.wake();
        Ok(())
    }

    /// Calls all callbacks, at every interval, until the publisher is closed.
    fn run(&self, shared: &Weak<Shared>, closer: &Weak<Closer>, every: Duration) {
        // The lane keeps the memory of the files, but not the publisher: it can end meanwhile.
        let claimed = shared.upgrade().map(|shared| Lane::claim(&shared, Fallback::Always));
        let Some(Ok(lane)) = claimed else {
            self.lock().running = false;
            return;
        };
        let mut tasks: Vec<Task> = Vec::new();
        let mut shown = None;
        let mut next = Instant::now();
        loop {
            let new = loop {
                let mut state = self.lock();
                // A publisher whose last clone has gone is closed.
                if state.closed || closer.strong_count() == 0 {
                    return;
                }
                let left = next.saturating_duration_since(Instant::now());
                if left.is_zero() || !state.new.is_empty() {
                    break std::mem::take(&mut state.new);
                }
                drop(state);
                // Who has news after that has left a token, with which this returns at once.
                std::thread::park_timeout(left);
            };
            // New ones at once, the others when it is their time.
            let due = Instant::now() >= next;
            if due {
                tasks = tasks.into_iter().filter_map(|task| self.call(task)).collect();
            }
            for make in new {
                match make(&lane) {
                    Ok(task) => tasks.extend(self.call(task)),
                    Err(error) => {
                        if let Some(shared) = shared.upgrade() {
                            shared.report(error);
                        }
                    }
                }
            }
            shown = self.show(shown, shared, &lane);
            if due {
                // What took longer than the interval is not made up for.
                next = (next + every).max(Instant::now());
            }
        }
    }

    /// Publishes the number of panics, in a field that is added with the first.
    fn show(&self, shown: Option<Counter>, shared: &Weak<Shared>, lane: &Lane) -> Option<Counter> {
        let panics = self.panics();
        if panics == 0 {
            return None;
        }
        let shown = shown.or_else(|| {
            let help = "Callbacks of sampled fields that panicked, and are not called again.";
            let item = Counter::item(PANICS.to_owned(), FieldOptions::new().help(help));
            // Without room for it `Publisher::sampling_panics` has to do.
            let address = shared.upgrade()?.add(item).ok()?;
            lane.attach(Key::new(address)).ok()
        });
        if let Some(shown) = &shown {
            shown.set(panics);
        }
        shown
    }

    /// Calls a callback, and gives it back to be called again: not after a panic.
    fn call(&self, mut task: Task) -> Option<Task> {
        if catch_unwind(AssertUnwindSafe(&mut task)).is_ok() {
            return Some(task);
        }
        self.lock().panics += 1;
        // What it holds may panic too when it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
        None
    }
}
