//! Work on file systems that may not answer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
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

/// Maximum number of threads that wait for silent file systems of others.
const MAX_SILENT: usize = 4;

/// The places whose file systems do not answer, each with the thread that still waits.
#[derive(Debug, Default)]
pub(super) struct SilentPlaces(Vec<Silent>);

/// Work that was given up.
#[derive(Debug)]
struct Silent {
    place: PathBuf,
    /// Whether the thread has ended.
    over: Arc<AtomicBool>,
}

impl SilentPlaces {
    /// Does `work` about a place in another thread, which is left behind when it makes no progress;
    /// `None` then. There is no second thread for a place; for one that is not the caller's `own`, or
    /// named by it, there is none beside [`MAX_SILENT`] that wait. Without a thread the work is done
    /// here.
    pub(super) fn ask<T: Send + 'static>(
        &mut self,
        place: &Path,
        own: bool,
        work: impl FnOnce(&Progress) -> T + Send + 'static,
    ) -> Option<T> {
        self.0.retain(|silent| !silent.over.load(Ordering::Relaxed));
        if !own && self.0.len() >= MAX_SILENT {
            return None;
        }
        self.ask_for(PATIENCE, spawn, place, work)
    }

    fn ask_for<T: Send + 'static>(
        &mut self,
        patience: Duration,
        spawn: impl FnOnce(Job) -> io::Result<()>,
        place: &Path,
        work: impl FnOnce(&Progress) -> T + Send + 'static,
    ) -> Option<T> {
        self.0.retain(|silent| !silent.over.load(Ordering::Relaxed));
        if self.0.iter().any(|silent| silent.place == place) {
            return None;
        }
        let (sender, receiver) = channel();
        let (progress, over) = (Progress::default(), Arc::new(AtomicBool::new(false)));
        let (there, over_there) = (progress.clone(), Arc::clone(&over));
        let work = Arc::new(Mutex::new(Some(work)));
        let shared = Arc::clone(&work);
        let started = spawn(Box::new(move || {
            let work = shared.lock().ok().and_then(|mut work| work.take());
            // The receiver is gone if the work was given up.
            let _ = work.map(|work| sender.send(work(&there)));
            over_there.store(true, Ordering::Relaxed);
        }));
        if started.is_err() {
            let work = work.lock().ok().and_then(|mut work| work.take());
            return work.map(|work| work(&progress));
        }
        let (mut steps, mut since) = (0, Instant::now());
        loop {
            match receiver.recv_timeout(LOOK.min(patience)) {
                Ok(result) => return Some(result),
                // It panicked.
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = progress.steps();
            if now != steps {
                (steps, since) = (now, Instant::now());
            } else if since.elapsed() >= patience {
                self.0.push(Silent { place: place.to_owned(), over });
                return None;
            }
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

fn spawn(job: Job) -> io::Result<()> {
    thread::Builder::new().name("mmstats-find".to_owned()).spawn(job).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn ask_returns_result_of_slow_work_with_progress() {
        let slow = |progress: &Progress| {
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(50));
                progress.step();
            }
            7
        };
        let mut places = SilentPlaces::default();
        let patience = Duration::from_millis(200);
        assert_eq!(places.ask_for(patience, spawn, Path::new("x"), slow), Some(7));
        assert!(places.0.is_empty());
    }

    #[test]
    fn ask_without_thread_does_work_here() {
        let refuse = |_| Err(io::ErrorKind::WouldBlock.into());
        let mut places = SilentPlaces::default();
        assert_eq!(places.ask_for(SHORT, refuse, Path::new("x"), |_| 7), Some(7));
    }

    #[test]
    fn ask_of_silent_place_is_refused_until_it_answers() {
        let never = |_| -> io::Result<()> { panic!("a thread is started") };
        let mut places = SilentPlaces::default();
        let mut answers = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let (answer, wait) = channel::<()>();
            answers.push(answer);
            let silent =
                places.ask_for(SHORT, spawn, Path::new(name), move |_| wait.recv().is_ok());
            assert_eq!(silent, None);
            assert_eq!(places.ask_for(SHORT, never, Path::new(name), |_| 7), None);
        }
        // Another user's places wait; the caller's own do not.
        assert_eq!(places.ask(Path::new("e"), false, |_| 7), None);
        assert_eq!(places.ask(Path::new("e"), true, |_| 7), Some(7));
        answers.remove(0).send(()).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while places.ask_for(Duration::from_secs(10), spawn, Path::new("a"), |_| 7).is_none() {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
        assert_eq!(places.0.len(), 3);
    }
}
