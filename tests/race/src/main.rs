//! Threads that publish and threads that read, in one process, for ThreadSanitizer:
//! `tests/race/run` builds and runs it.
//!
//! ```text
//! mmstats-race image          writers and readers of one image in memory
//! mmstats-race publisher      the same through `mmstats` and `mmstats-observe`
//! mmstats-race plain-store    the first one with a planted fault, which must be reported
//! ```
//!
//! ThreadSanitizer reports a race that happens, so the readers go on until they have met the
//! writers in the middle of their work many times.

mod image;
#[cfg(unix)]
mod publisher;

use std::time::{Duration, Instant};

/// How often a reader must have met a writer at work.
const MEETINGS: u32 = 2_000;
/// The longest that it waits for that.
const LIMIT: Duration = Duration::from_secs(120);

/// Counts meetings, until there are enough.
struct Meetings {
    begin: Instant,
    number: u32,
}

impl Meetings {
    fn new() -> Self {
        Self { begin: Instant::now(), number: 0 }
    }

    /// Counts one, if it is one; whether there are not enough yet.
    fn go_on(&mut self, met: bool) -> bool {
        self.number += u32::from(met);
        assert!(self.begin.elapsed() < LIMIT, "only {} meetings", self.number);
        self.number < MEETINGS
    }
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("image") => image::run(false),
        Some("plain-store") => image::run(true),
        #[cfg(unix)] // its files have a backend here
        Some("publisher") => publisher::run(),
        other => panic!("image, publisher or plain-store, not {other:?}"),
    }
    println!("done");
}
