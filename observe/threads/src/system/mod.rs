//! Data of the system about processes and their threads.

#[cfg(target_os = "linux")] // has /proc
mod linux;
#[cfg(not(target_os = "linux"))] // other systems have no /proc
mod none;

#[cfg(target_os = "linux")] // has /proc
pub(crate) use linux::System;
#[cfg(not(target_os = "linux"))] // other systems have no /proc
pub(crate) use none::System;

/// Data of the system about a process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) process: Process,
    pub(crate) threads: Vec<SystemThread>,
    /// Whether `threads` are all threads of the process.
    pub(crate) are_all: bool,
}

impl Known {
    /// Number of threads that were not looked at.
    pub(crate) fn not_looked_at(&self) -> u64 {
        let looked_at = u64::try_from(self.threads.len()).unwrap_or(u64::MAX);
        if self.are_all { 0 } else { self.process.threads.saturating_sub(looked_at).max(1) }
    }
}

/// State of a process or thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Runs, or waits for a processor.
    Running,
    /// Sleeps: it waits for an event.
    Sleeping,
    /// Waits for a device, uninterruptible by signals.
    Disk,
    /// A signal stopped it.
    Stopped,
    /// A debugger stopped it.
    Traced,
    /// Has ended, and its parent has not waited for it.
    Zombie,
    /// Unknown letter.
    Other(char),
}

impl State {
    /// From the letter in `/proc`.
    #[must_use]
    pub const fn from_letter(letter: char) -> Self {
        match letter {
            'R' => Self::Running,
            'S' | 'I' => Self::Sleeping,
            'D' => Self::Disk,
            'T' => Self::Stopped,
            't' => Self::Traced,
            'Z' | 'X' | 'x' => Self::Zombie,
            other => Self::Other(other),
        }
    }

    /// From the name in JSON.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let all =
            [Self::Running, Self::Sleeping, Self::Disk, Self::Stopped, Self::Traced, Self::Zombie];
        all.into_iter().find(|state| state.name() == name).unwrap_or(Self::Other('?'))
    }

    /// The name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Disk => "disk",
            Self::Stopped => "stopped",
            Self::Traced => "traced",
            Self::Zombie => "zombie",
            Self::Other(_) => "unknown",
        }
    }
}

/// A process.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Process {
    /// Its id, as this process sees it.
    pub id: u32,
    /// Its name in the system.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Processors in use since the previous look; `None` at the first.
    pub processors: Option<f64>,
    /// Processors in use over its life.
    pub processors_in_life: Option<f64>,
    /// Resident memory in bytes.
    pub memory: u64,
    /// Number of threads.
    pub threads: u64,
}

/// A thread.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SystemThread {
    /// Its id, as this process sees it.
    pub id: u64,
    /// Its id in the pid namespace of the program.
    pub own_id: u64,
    /// Its name in the system, cut at 15 bytes.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Processors in use since the previous look; `None` at the first.
    pub processors: Option<f64>,
    /// Processors in use over its life.
    pub processors_in_life: Option<f64>,
    /// Part of the time since the previous look in which it ran or waited for a processor; `None` at the first.
    pub ready: Option<f64>,
    /// Function of the kernel in which it waits; `None` if it does not wait, or without permission.
    pub waits_in: Option<String>,
}

#[cfg(test)]
impl SystemThread {
    /// A thread with these shares.
    pub(crate) fn for_test(id: u64, state: State, processors: f64, ready: Option<f64>) -> Self {
        Self {
            id,
            own_id: id,
            name: String::new(),
            state,
            processors: Some(processors),
            processors_in_life: None,
            ready,
            waits_in: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_from_letter_has_its_name() {
        let names = ['R', 'S', 'I', 'D', 'T', 't', 'Z', '?'].map(|l| State::from_letter(l).name());
        let wanted =
            ["running", "sleeping", "sleeping", "disk", "stopped", "traced", "zombie", "unknown"];
        assert_eq!(names, wanted);
        assert_eq!(wanted.map(|name| State::from_name(name).name()), wanted);
    }
}
