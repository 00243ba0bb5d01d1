//! Processes on systems without the /proc of Linux.

use super::process::{Process, Target, Thread};
use crate::backend::ProcessState;
use crate::backend::process::status;

/// The processes of this system.
#[derive(Debug, Default)]
pub(super) struct System;

impl System {
    #[allow(clippy::unused_self)] // As on Linux.
    pub(super) const fn next_look(&mut self) {}

    /// What the system says of the process of a program.
    #[allow(clippy::unused_self)] // As on Linux.
    pub(super) fn process(&mut self, target: &Target) -> Option<Process> {
        let state = match status(target.process?)?.state {
            ProcessState::Stopped => 'T',
            ProcessState::Zombie => 'Z',
            _ => 'R',
        };
        Some(Process { state, processors: None, memory: None, threads: None })
    }

    /// No threads.
    #[allow(clippy::unused_self)] // As on Linux.
    pub(super) const fn threads(&mut self, _target: &Target, _max: usize) -> Vec<Thread> {
        Vec::new()
    }
}
