//! Systems without `/proc`.

use mmstats_observe::Identity;

use super::{Known, Process};

/// Data of the system: none.
#[derive(Debug, Default)]
pub(crate) struct System;

impl System {
    /// No process.
    #[allow(clippy::unused_self)] // as on Linux
    pub(crate) const fn look(
        &mut self,
        _process: Option<u32>,
        _identity: Option<&Identity>,
        _max: usize,
    ) -> Option<Known> {
        None
    }

    /// No process.
    #[allow(clippy::unused_self)] // as on Linux
    pub(crate) const fn look_at_process(
        &mut self,
        _process: Option<u32>,
        _identity: Option<&Identity>,
    ) -> Option<Process> {
        None
    }

    /// Nothing to forget.
    #[allow(clippy::unused_self)] // as on Linux
    pub(crate) const fn end_look(&mut self) {}
}
