//! The thread that looks for the files of all publishers of the process.
//!
//! A program that only updates handles calls nothing that would notice that a file lost its name:
//! a session that ended, a cleaner, a directory that was removed.

use std::sync::Weak;
use std::thread::Thread;
use std::time::Duration;

use crate::backend::fork;
use crate::sync::Mutex;

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
    /// The thread, while it runs.
    thread: Option<Thread>,
}

static WATCH: Mutex<Watch> =
    Mutex::new(Watch { process: (0, 0), publishers: Vec::new(), thread: None });

/// Looks after a publisher until it is closed. The first one of a process starts the thread; without
/// a thread, other calls look for the files.
pub(super) fn begin(files: Weak<dyn Watched>) {
    if WATCH.is_mine() {
        return; // Called by the allocator of the program.
    }
    let process = (std::process::id(), fork::generation());
    let mut watch = WATCH.lock();
    if watch.process != process {
        *watch = Watch { process, publishers: Vec::new(), thread: None };
    }
    watch.publishers.push(files);
    if watch.thread.is_none() {
        // Tried again by the next publisher.
        let started = crate::backend::thread::spawn("mmstats-watch", Box::new(run)).ok();
        watch.thread = started.map(|started| started.thread().clone());
    }
}

/// Ends the thread if no other publisher is left.
pub(super) fn end(files: &dyn Watched) {
    if WATCH.is_mine() {
        return; // The thread finds out.
    }
    let mut watch = WATCH.lock();
    watch.publishers.retain(|other| !std::ptr::addr_eq(other.as_ptr(), files));
    if let (true, Some(thread)) = (watch.publishers.is_empty(), &watch.thread) {
        thread.unpark();
    }
}

fn run() {
    while let Some(publishers) = publishers() {
        for files in publishers {
            // The publisher can end meanwhile.
            if let Some(files) = files.upgrade() {
                files.look_after(PERIOD);
            }
        }
        std::thread::park_timeout(PERIOD);
    }
}

/// The publishers; `None` if none is left, and the thread ends.
fn publishers() -> Option<Vec<Weak<dyn Watched>>> {
    let mut watch = WATCH.lock();
    watch.publishers.retain(|files| files.strong_count() > 0);
    if watch.publishers.is_empty() {
        watch.thread = None;
        return None;
    }
    Some(watch.publishers.clone())
}
