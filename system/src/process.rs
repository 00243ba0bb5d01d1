//! Properties of a process.

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
