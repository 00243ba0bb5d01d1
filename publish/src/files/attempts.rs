//! The rate at which a publisher looks for its files, and makes those that the system refused.

use std::thread::Thread;
use std::time::{Duration, Instant};

use super::family::Pause;
use crate::error::Error;

/// Minimum time between two looks for the names of all files.
pub(super) const CHECK: Duration = Duration::from_millis(500);
/// Time after which the time of the files is set again: stores through a mapping need not change it.
pub(super) const TOUCH: Duration = Duration::from_secs(60);

/// State of the upkeep of a publisher: the last look and the last attempt.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// The last look for the names of all files.
    pub(super) checked: Option<Instant>,
    /// Whether a thread looks for them. No other one looks meanwhile.
    pub(super) looks: bool,
    /// When the time of the files was set.
    pub(super) touched: Option<Instant>,
    pub(super) pause: Pause,
    /// Why observers do not see some memory.
    pub(super) failure: Option<Error>,
    /// The thread, while it runs.
    pub(super) thread: Option<Thread>,
    /// Why the thread did not start.
    pub(super) no_thread: Option<Error>,
}

impl Attempts {
    /// The next look is due.
    pub(crate) const fn expire(&mut self) {
        self.checked = None;
        self.pause = Pause::NONE;
    }

    /// The system refused a file: the next attempt comes after a pause.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failure = Some(error);
        if !self.pause.lasts() {
            self.pause = Pause::begin();
        }
    }

    /// The error of the last attempt, during the pause after it.
    pub(crate) fn refusal(&self) -> Option<Error> {
        self.failure.clone().filter(|_| self.pause.lasts())
    }

    /// Wakes the thread.
    pub(crate) fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}
