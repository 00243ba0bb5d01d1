//! Properties of a process.

use std::path::PathBuf;
use std::time::SystemTime;

/// Values of the `sys.*` fields; `None` where the system does not provide one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Facts {
    /// `sys.pid`: process id in its own namespace.
    pub pid: u32,
    /// `sys.uid`: effective user id; on Windows the last number of the security identifier.
    pub uid: Option<u32>,
    /// `sys.gid`: effective group id; on Windows as `uid`.
    pub gid: Option<u32>,
    /// `sys.created`: current time.
    pub created: SystemTime,
    /// `sys.boot_id`: identity of this boot of the machine.
    pub boot_id: Option<String>,
    /// `sys.start_time`: start of the process in clock ticks since boot; on Windows in units of
    /// 100 ns since 1601.
    pub start_time: Option<u64>,
    /// `sys.pid_ns`: inode of the pid namespace.
    pub pid_ns: Option<u64>,
    /// `sys.command`: base name of the program.
    pub command: Option<String>,
    /// `sys.host`: host name.
    pub host: Option<String>,
}

impl Facts {
    /// Facts with `pid` and `created` only.
    #[must_use]
    pub const fn new(pid: u32, created: SystemTime) -> Self {
        Self {
            pid,
            uid: None,
            gid: None,
            created,
            boot_id: None,
            start_time: None,
            pid_ns: None,
            command: None,
            host: None,
        }
    }
}

/// Status of a process, as the system tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessStatus {
    /// Whether it can do anything.
    pub state: ProcessState,
    /// Process id of its parent.
    pub parent: u32,
    /// Start in clock ticks since boot: `sys.start_time`.
    pub start_time: u64,
    /// Name of its first thread; at most 15 bytes.
    pub command: String,
}

impl ProcessStatus {
    /// A status.
    #[must_use]
    pub const fn new(state: ProcessState, parent: u32, start_time: u64, command: String) -> Self {
        Self { state, parent, start_time, command }
    }
}

/// Whether a process can do anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessState {
    /// It runs, or waits for something.
    Running,
    /// It was stopped by a signal or a debugger.
    Stopped,
    /// It ended, and its parent has not asked for its exit code yet.
    Zombie,
}

impl ProcessState {
    /// The state in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Zombie => "zombie",
        }
    }
}

/// The published files that a process has mapped to write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MappedFiles {
    /// Paths by which this process can open the files.
    pub paths: Vec<PathBuf>,
    /// Paths of files whose name was removed, as the process sees them.
    pub removed: Vec<PathBuf>,
}
