//! Published data about the threads of a program at one moment.

use std::time::{SystemTime, UNIX_EPOCH};

use mmstats_observe::{FileState, Identity, Program, ProgramId};

use crate::published::Published;

/// Published data about the threads of a program at one moment. Another thread can join it with data of the system, by
/// [`Watcher::look_at`](crate::Watcher::look_at).
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) key: Key,
    pub(crate) id: Option<ProgramId>,
    pub(crate) process: Option<u32>,
    pub(crate) identity: Identity,
    pub(crate) state: FileState,
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) at: u64,
    pub(crate) published: Published,
}

/// A program, or a process that publishes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Program(ProgramId),
    /// A program of one file: its device and number.
    File(u64, u64),
    Process(u32),
}

impl Snapshot {
    /// Reads the lanes of a program. Its observer should be refreshed before.
    #[must_use]
    pub fn new(program: &Program<'_>) -> Self {
        let id = program.files().first().map(|file| file.id());
        let file = || id.map_or(Key::File(0, 0), |id| Key::File(id.device, id.index));
        let at = now();
        // Before the state: a file that is found truncated is damaged.
        let published = Published::new(program);
        Self {
            key: program.id().map_or_else(file, Key::Program),
            id: program.id(),
            process: program.process(),
            identity: program.identity().clone(),
            state: program.state(),
            at,
            published,
        }
    }

    /// The state of the program.
    #[must_use]
    pub const fn state(&self) -> FileState {
        self.state
    }
}

/// Nanoseconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
