//! Number of reads that met a writer in the middle of its work.

use std::time::{Duration, Instant};

/// Meetings that a reader needs.
const MEETINGS: u32 = 2_000;
/// Longest time that it waits for them.
const LIMIT: Duration = Duration::from_secs(120);

/// Counter of reads that met a writer at work.
pub(crate) struct Meetings {
    begin: Instant,
    number: u32,
}

impl Meetings {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), number: 0 }
    }

    /// Counts a read; returns whether more are needed.
    pub(crate) fn go_on(&mut self, met: bool) -> bool {
        self.number += u32::from(met);
        assert!(self.begin.elapsed() < LIMIT, "only {} meetings", self.number);
        self.number < MEETINGS
    }
}
