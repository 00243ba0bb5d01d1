//! The thread that looks for the files of all publishers of the process.
//!
//! A program that only updates handles calls nothing that would notice that a file lost its name:
//! a session that ended, a cleaner, a directory that was removed.

use std::sync::Weak;
use std::time::Duration;

use crate::backend::fork;
use crate::lock::Mutex;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// The files of a publisher.
pub(super) trait Watched: Send + Sync {
    /// Looks for the files, unless that was done within `period`.
    fn look_after(&self, period: Duration);
}

/// The publishers that the thread looks after.
struct Watch {
    /// The process that it belongs to, and its number of forks: a child inherits no thread.
    process: (u32, u64),
    publishers: Vec<Weak<dyn Watched>>,
    /// Whether the thread runs.
    runs: bool,
}

static WATCH: Mutex<Watch> =
    Mutex::new(Watch { process: (0, 0), publishers: Vec::new(), runs: false });

/// Looks after a publisher until it is closed. The first one of a process starts the thread; without
/// a thread, other calls look for the files.
pub(super) fn begin(files: Weak<dyn Watched>) {
    if WATCH.is_mine() {
        return; // Called by the allocator of the program.
    }
    let process = (std::process::id(), fork::generation());
    let mut watch = WATCH.lock();
    if watch.process != process {
        *watch = Watch { process, publishers: Vec::new(), runs: false };
    }
    watch.publishers.push(files);
    if !watch.runs {
        // Tried again by the next publisher.
        watch.runs = crate::backend::thread::spawn("mmstats-watch", Box::new(run)).is_ok();
    }
}

/// Ends the watch over a publisher. The thread ends at its next look if no other one is left: a program
/// that publishes again and again does not start a thread each time.
pub(super) fn end(files: &dyn Watched) {
    if WATCH.is_mine() {
        return; // The thread finds out.
    }
    let mut watch = WATCH.lock();
    watch.publishers.retain(|other| !std::ptr::addr_eq(other.as_ptr(), files));
}

fn run() {
    while let Some(publishers) = publishers() {
        for files in publishers {
            // The publisher can end meanwhile.
            if let Some(files) = files.upgrade() {
                files.look_after(PERIOD);
            }
        }
        std::thread::sleep(PERIOD);
    }
}

/// The publishers; `None` if none is left, and the thread ends.
fn publishers() -> Option<Vec<Weak<dyn Watched>>> {
    let mut watch = WATCH.lock();
    watch.publishers.retain(|files| files.strong_count() > 0);
    if watch.publishers.is_empty() {
        watch.runs = false;
        return None;
    }
    Some(watch.publishers.clone())
}
