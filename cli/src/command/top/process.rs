//! Processes and threads, as the system knows them.

use mmstats_history::{Program, ProgramKey};

/// A program about which the system is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) key: ProgramKey,
    /// Id of its process, if that is known from elsewhere than its own word.
    pub(super) process: Option<u32>,
    /// By its own word.
    pub(super) pid: Option<u32>,
    /// By its own word.
    pub(super) start_time: Option<u64>,
    /// By its own word.
    pub(super) pid_namespace: Option<u64>,
    /// Whether its files are gone.
    pub(super) is_gone: bool,
    /// Whether it publishes no more. Its process may be a zombie.
    pub(super) has_ended: bool,
}

impl Target {
    pub(super) fn new(program: &Program) -> Self {
        let condition = program.condition();
        Self {
            key: program.key,
            process: program.process,
            pid: program.identity.pid,
            start_time: program.identity.start_time,
            pid_namespace: program.identity.pid_ns,
            is_gone: condition.is_gone(),
            has_ended: condition.has_ended(),
        }
    }
}

/// Properties of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Process {
    /// State as in `ps`: R running, S sleeping, D waiting for a device, T stopped, t traced, Z ended.
    pub(super) state: char,
    /// Processors in use since the look before; `None` without one.
    pub(super) processors: Option<f32>,
    /// Resident memory in bytes.
    pub(super) memory: Option<u64>,
    pub(super) threads: Option<u32>,
}

impl Process {
    /// Whether it has ended, and its parent has not asked.
    pub(super) const fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Properties of a thread.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thread {
    pub(super) id: u32,
    pub(super) name: String,
    /// As of a process.
    pub(super) state: char,
    /// As of a process.
    pub(super) processors: Option<f32>,
    /// Function of the kernel in which it waits.
    pub(super) waits_in: Option<String>,
}

impl Thread {
    /// The thread after the end of its process.
    pub(super) fn ended(&self) -> Self {
        let (name, waits_in) = (self.name.clone(), self.waits_in.clone());
        Self { id: self.id, name, state: 'X', processors: None, waits_in }
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.waits_in.as_ref().map_or(0, String::len)
    }
}

/// The name of a state for people.
pub(super) const fn state_name(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' => "sleeping",
        'D' => "disk",
        'T' => "stopped",
        't' => "traced",
        'Z' | 'X' => "ended",
        'I' => "idle",
        _ => "?",
    }
}
