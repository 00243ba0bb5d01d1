//! Sampler: the interface for its consumers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::history::History;
use crate::looker::Looker;
use crate::shared::{Options, Shared, lock};
use crate::watch::Watch;

/// Looks at all programs at regular intervals, in a thread of its own, until dropped.
///
/// All consumers share one history, so they show the same values.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system cannot create a thread.
    pub fn start(options: Options) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(
            Clock::start(),
            History::new(options.budget).with_past(options.past),
        ));
        let looker = Looker::new(Arc::clone(&shared), options);
        let thread = std::thread::Builder::new().name("mmstats-sampler".into());
        let thread = Some(thread.spawn(move || looker.run())?);
        Ok(Self { shared, thread })
    }

    /// A sampler without a thread, for the history of a recording; `clock` stands still at its end.
    #[must_use]
    pub fn still(history: History, clock: Clock) -> Self {
        let shared = Shared::new(clock, history);
        shared.looks.store(1, Ordering::Relaxed);
        Self { shared: Arc::new(shared), thread: None }
    }

    /// Whether it was made by [`still`](Self::still), without a thread.
    #[must_use]
    pub const fn is_still(&self) -> bool {
        self.thread.is_none()
    }

    /// The clock of the looks.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Calls `read` with the history. Meanwhile looks at all fields wait, and looks at watched fields are
    /// recorded later.
    pub fn read<T>(&self, read: impl FnOnce(&mut History) -> T) -> T {
        read(&mut lock(&self.shared.history))
    }

    /// Number of looks at all fields.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.shared.looks.load(Ordering::Relaxed)
    }

    /// Number of looks at watched fields.
    #[must_use]
    pub fn watched_looks(&self) -> u64 {
        self.shared.watched_looks.load(Ordering::Relaxed)
    }

    /// Number of looks skipped because the previous one took too long.
    #[must_use]
    pub fn missed_looks(&self) -> u64 {
        self.shared.missed.load(Ordering::Relaxed)
    }

    /// Whether its thread runs, or it has none: false only after a panic.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_none_or(|thread| !thread.is_finished())
    }

    /// Waits, for at most `timeout`, until there were more than `seen` looks at all fields. Returns their
    /// number.
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let guard = lock(&self.shared.history);
        let waiting = |_: &mut History| self.looks() <= seen;
        if self.is_still() {
            return self.looks();
        }
        drop(self.shared.looked.wait_timeout_while(guard, timeout, waiting));
        self.looks()
    }

    /// Replaces the list of fields that are looked at more often and kept longer.
    pub fn watch(&self, fields: Vec<Watch>) {
        let mut watched = lock(&self.shared.watched);
        watched.fields = fields;
        watched.version += 1;
        drop(watched);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The panic hook has printed a panic of the thread.
            let _ = thread.join();
        }
    }
}
