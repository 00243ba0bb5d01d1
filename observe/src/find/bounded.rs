//! Work on file systems that may not answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Time without progress after which a file system counts as silent: a disk under load may take seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum time between two looks at the progress.
const LOOK: Duration = Duration::from_millis(100);

/// Counts the steps of work that another thread does.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// One system call was answered.
    pub(super) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn steps(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Work that was given up; its thread still waits for the file system.
#[derive(Debug)]
pub(super) struct Silent<T> {
    pub(super) path: PathBuf,
    receiver: Receiver<T>,
}

impl<T> Silent<T> {
    /// Whether the file system has answered meanwhile.
    pub(super) fn has_answered(&self) -> bool {
        !matches!(self.receiver.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty))
    }
}

/// Does `work` about `path` in another thread, which is left behind when it makes no progress.
pub(super) fn run<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Progress) -> T + Send + 'static,
) -> Result<T, Silent<T>> {
    run_for(PATIENCE, path, work)
}

fn run_for<T: Send + 'static>(
    patience: Duration,
    path: PathBuf,
    work: impl FnOnce(&Progress) -> T + Send + 'static,
) -> Result<T, Silent<T>> {
    let (sender, receiver) = channel();
    let progress = Progress::default();
    let theirs = progress.clone();
    let job = move || {
        // The receiver is gone if the work was given up for good.
        let _ = sender.send(work(&theirs));
    };
    // Without threads the work is lost: its sender is dropped, which counts as silence.
    let started = thread::Builder::new().name("mmstats-find".to_owned()).spawn(job);
    drop(started);
    let (mut steps, mut since) = (0, Instant::now());
    loop {
        match receiver.recv_timeout(LOOK.min(patience)) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Disconnected) => return Err(Silent { path, receiver }),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = progress.steps();
        if now != steps {
            (steps, since) = (now, Instant::now());
        } else if since.elapsed() >= patience {
            return Err(Silent { path, receiver });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_returns_result_of_slow_work_with_progress() {
        let short = Duration::from_millis(200);
        let slow = run_for(short, PathBuf::new(), move |progress| {
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(50));
                progress.step();
            }
            7
        });
        assert_eq!(slow.ok(), Some(7));
    }

    #[test]
    fn run_gives_up_silent_work_and_knows_when_it_answered() {
        let (answer, wait) = channel::<()>();
        let patience = Duration::from_millis(50);
        let silent = run_for(patience, PathBuf::from("x"), move |_| wait.recv().is_ok());
        let silent = silent.unwrap_err();
        assert_eq!(silent.path, PathBuf::from("x"));
        assert!(!silent.has_answered());
        answer.send(()).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while !silent.has_answered() {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
    }
}
