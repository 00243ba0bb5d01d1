//! The end of a publisher, with the parts that end with it.

use std::sync::Arc;

use super::panics::Panics;
use super::sampler::Sampler;
use crate::files::Files;
use crate::files::shared::SharedLane;
use crate::thread::local::Alive;

/// Closes the files when the last clone of the publisher is dropped, even if lanes still exist.
pub(crate) struct Closer {
    files: Arc<Files>,
    pub(crate) alive: Arc<Alive>,
    pub(crate) sampler: Arc<Sampler>,
    pub(crate) panics: Panics,
    /// Keeps the values of shared gauges while no thread has a handle of them.
    _shared: Option<SharedLane>,
}

impl Closer {
    pub(crate) fn new(files: Arc<Files>, shared: Option<SharedLane>) -> Self {
        Self {
            files,
            alive: Arc::new(Alive),
            sampler: Arc::default(),
            panics: Panics::default(),
            _shared: shared,
        }
    }

    /// Closes the files.
    pub(crate) fn close(&self) {
        self.close_as(false);
    }

    /// Closes the files, or leaves them as after a crash while a panic unwinds the thread: they
    /// show the last values of a program that dies of a panic.
    pub(crate) fn end(&self) {
        self.close_as(std::thread::panicking());
    }

    fn close_as(&self, crashed: bool) {
        self.sampler.close();
        self.files.close(crashed);
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.end();
    }
}
