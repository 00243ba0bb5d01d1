//! Sampled fields: a thread of their own calls their callbacks, so no update waits for one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::files::Files;
use crate::files::settings::Fallback;
use crate::handles::Counter;
use crate::schema::declaration::Field;
use crate::schema::key::Key;
use crate::schema::options::FieldOptions;
use crate::sync::Mutex;
use crate::thread::Lane;
use crate::thread::local::Alive;

/// Label of the field with the number of panics.
const PANICS: &str = "sys.sampling_panics";

/// A callback with its handle, made on the thread that calls it.
type Task = Box<dyn FnMut()>;
/// Makes the task of one field.
type Make = Box<dyn FnOnce(&Lane) -> Result<Task, Error> + Send>;

/// The callbacks of a publisher.
#[derive(Default)]
pub(crate) struct Sampler {
    state: Mutex<SamplerState>,
}

#[derive(Default)]
struct SamplerState {
    /// Callbacks that the thread has not taken yet.
    new: Vec<Make>,
    running: bool,
    /// To wake the thread. A condition variable would lock without the fork guard of [`Mutex`].
    thread: Option<Thread>,
    closed: bool,
    /// Number of callbacks that panicked, and were removed.
    panics: u64,
}

impl SamplerState {
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

impl Sampler {
    /// Ends the thread.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.wake();
    }

    /// Whether this thread holds the lock.
    pub(crate) fn is_mine(&self) -> bool {
        self.state.is_mine()
    }

    /// Number of callbacks that panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.state.lock().panics
    }

    /// Adds a callback, to be called with the handle of `key` at every interval. The first one
    /// starts the thread.
    pub(crate) fn add<H: Field + 'static>(
        self: &Arc<Self>,
        files: &Arc<Files>,
        alive: &Arc<Alive>,
        key: Key<H>,
        mut callback: impl FnMut(&H) + Send + 'static,
    ) -> Result<(), Error> {
        let make: Make = Box::new(move |lane| {
            let handle = lane.attach(key)?;
            Ok(Box::new(move || callback(&handle)))
        });
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        state.new.push(make);
        if !std::mem::replace(&mut state.running, true) {
            let (this, every) = (Arc::clone(self), files.settings.sample_every);
            let (files, alive) = (Arc::downgrade(files), Arc::downgrade(alive));
            let run = Box::new(move || this.run(&files, &alive, every));
            match crate::backend::thread::spawn("mmstats-sample", run) {
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
    fn run(&self, files: &Weak<Files>, alive: &Weak<Alive>, every: Duration) {
        // The lane keeps the memory of the files but not the publisher, which can end meanwhile.
        let claimed = files.upgrade().map(|files| Lane::claim(&files, Fallback::Always));
        let Some(Ok(lane)) = claimed else {
            self.state.lock().running = false;
            return;
        };
        let mut tasks: Vec<Task> = Vec::new();
        let mut shown = None;
        let mut next = Instant::now();
        loop {
            let new = loop {
                let mut state = self.state.lock();
                // The publisher was closed, or its last clone was dropped.
                if state.closed || alive.strong_count() == 0 {
                    return;
                }
                let left = next.saturating_duration_since(Instant::now());
                if left.is_zero() || !state.new.is_empty() {
                    break std::mem::take(&mut state.new);
                }
                drop(state);
                // An unpark after this point makes `park_timeout` return at once.
                std::thread::park_timeout(left);
            };
            let due = Instant::now() >= next;
            if due {
                tasks = tasks.into_iter().filter_map(|task| self.call(task)).collect();
            }
            for make in new {
                match make(&lane) {
                    Ok(task) => tasks.extend(self.call(task)),
                    Err(error) => {
                        if let Some(files) = files.upgrade() {
                            files.report(error);
                        }
                    }
                }
            }
            shown = self.publish_panics(shown, files, &lane);
            if due {
                // Missed intervals are skipped.
                next = (next + every).max(Instant::now());
            }
        }
    }

    /// Publishes the number of panics, in a field that is added after the first one.
    fn publish_panics(
        &self,
        shown: Option<Counter>,
        files: &Weak<Files>,
        lane: &Lane,
    ) -> Option<Counter> {
        let panics = self.panics();
        if panics == 0 {
            return None;
        }
        let shown = shown.or_else(|| {
            let help = "Callbacks of sampled fields that panicked, and are not called again.";
            let options = FieldOptions::<Counter>::new().help(help);
            let declaration = Counter::declaration(PANICS.to_owned(), options.any);
            // Without room for the field only `Publisher::sampling_panics` has the number.
            let address = files.upgrade()?.add(declaration).ok()?;
            lane.attach(Key::new(address)).ok()
        });
        if let Some(shown) = &shown {
            shown.set(panics);
        }
        shown
    }

    /// Calls a callback; returns it, unless it panicked.
    fn call(&self, mut task: Task) -> Option<Task> {
        if catch_unwind(AssertUnwindSafe(&mut task)).is_ok() {
            return Some(task);
        }
        self.state.lock().panics += 1;
        // Dropping the captured values may panic too.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
        None
    }
}
