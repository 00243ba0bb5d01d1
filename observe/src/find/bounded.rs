//! Work on file systems that may not answer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
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
/// Divisor of the patience after each place without an answer.
const LESS: u32 = 4;

/// The patience after a place without an answer: time enough for a place that answers slowly.
fn less(patience: Duration) -> Duration {
    (patience / LESS).max(LOOK)
}

/// The places whose file systems do not answer, each with the thread that still waits.
#[derive(Debug, Default)]
pub(super) struct SilentPlaces(Vec<Silent>);

/// Work that was given up.
#[derive(Debug)]
struct Silent {
    place: PathBuf,
    own: bool,
    /// Whether the thread has ended.
    over: Arc<AtomicBool>,
}

impl SilentPlaces {
    /// Does `work` about a place in another thread, which is left behind when it makes no progress;
    /// `None` then. There is no second thread for a place; for one that is not the caller's `own`, or
    /// named by it, there is none beside [`MAX_SILENT`] that wait for such places. Without a thread the
    /// work is done here.
    pub(super) fn ask<T: Send + 'static>(
        &mut self,
        place: &Path,
        own: bool,
        work: impl FnOnce(&Progress) -> T + Send + 'static,
    ) -> Option<T> {
        self.ask_for(PATIENCE, spawn, place, own, work)
    }

    /// As [`ask`](Self::ask) about each of several places, in their order, with one thread for all of
    /// them: a place that does not answer keeps nothing from the others.
    pub(super) fn ask_each<T: Send + 'static>(
        &mut self,
        places: &[PathBuf],
        own: bool,
        work: impl Fn(&Path, &Progress) -> T + Send + Sync + 'static,
    ) -> Vec<Option<T>> {
        self.ask_each_for(PATIENCE, spawn, places, own, work)
    }

    fn ask_for<T: Send + 'static>(
        &mut self,
        patience: Duration,
        spawn: impl Fn(Job) -> io::Result<JoinHandle<()>>,
        place: &Path,
        own: bool,
        work: impl FnOnce(&Progress) -> T + Send + 'static,
    ) -> Option<T> {
        let work = Mutex::new(Some(work));
        let once = move |_: &Path, progress: &Progress| {
            let work = work.lock().ok().and_then(|mut work| work.take());
            work.map(|work| work(progress))
        };
        self.ask_each_for(patience, spawn, &[place.to_owned()], own, once).pop()??
    }

    fn ask_each_for<T: Send + 'static>(
        &mut self,
        mut patience: Duration,
        spawn: impl Fn(Job) -> io::Result<JoinHandle<()>>,
        places: &[PathBuf],
        own: bool,
        work: impl Fn(&Path, &Progress) -> T + Send + Sync + 'static,
    ) -> Vec<Option<T>> {
        let work = Arc::new(work);
        let mut answers = Vec::with_capacity(places.len());
        while let Some(place) = places.get(answers.len()) {
            self.0.retain(|silent| !silent.over.load(Ordering::Relaxed));
            if self.is_silent(place) || (!own && self.is_full()) {
                answers.push(None);
                continue;
            }
            let rest = places.get(answers.len()..).unwrap_or_default();
            let batch: Vec<PathBuf> =
                rest.iter().take_while(|place| !self.is_silent(place)).cloned().collect();
            let end = answers.len() + batch.len();
            let over =
                answer_in_turn(&spawn, batch, Arc::clone(&work), end, patience, &mut answers);
            if let (Some(over), Some(place)) = (over, places.get(answers.len())) {
                self.0.push(Silent { place: place.clone(), own, over });
                answers.push(None);
                patience = less(patience);
            }
        }
        answers
    }

    fn is_silent(&self, place: &Path) -> bool {
        self.0.iter().any(|silent| silent.place == place)
    }

    /// Whether no further place of others is asked about.
    fn is_full(&self) -> bool {
        self.0.iter().filter(|silent| !silent.own).count() >= MAX_SILENT
    }

    /// The maximum number of silent places of other users, whose threads never end.
    #[cfg(test)]
    pub(super) fn full() -> Self {
        let silent = |number: usize| {
            let place = PathBuf::from(number.to_string());
            Silent { place, own: false, over: Arc::default() }
        };
        Self((0..MAX_SILENT).map(silent).collect())
    }
}

/// Says that a thread has ended, also by a panic.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Adds answers until there are `end`, or one takes longer than the patience; then returns the flag that
/// its thread sets at its end. After a panic the answer is `None`, and the caller asks on.
fn answer_in_turn<T: Send + 'static>(
    spawn: impl Fn(Job) -> io::Result<JoinHandle<()>>,
    batch: Vec<PathBuf>,
    work: Arc<impl Fn(&Path, &Progress) -> T + Send + Sync + 'static>,
    end: usize,
    patience: Duration,
    answers: &mut Vec<Option<T>>,
) -> Option<Arc<AtomicBool>> {
    let (sender, receiver) = channel();
    let (progress, over) = (Progress::default(), Arc::new(AtomicBool::new(false)));
    let (there, ended) = (progress.clone(), Ended(Arc::clone(&over)));
    let (batch, work_there) = (Arc::new(batch), Arc::clone(&work));
    let batch_there = Arc::clone(&batch);
    let started = spawn(Box::new(move || {
        let _ended = ended;
        for place in batch_there.iter() {
            // The receiver is gone if the work was given up.
            if sender.send(work_there(place, &there)).is_err() {
                break;
            }
        }
    }));
    let Ok(thread) = started else {
        answers.extend(batch.iter().map(|place| Some(work(place, &progress))));
        return None;
    };
    let (mut steps, mut since) = (0, Instant::now());
    while answers.len() < end {
        match receiver.recv_timeout(LOOK.min(patience)) {
            Ok(answer) => {
                answers.push(Some(answer));
                since = Instant::now();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => {
                answers.push(None);
                break;
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = progress.steps();
        if now != steps {
            (steps, since) = (now, Instant::now());
        } else if since.elapsed() >= patience {
            return Some(over);
        }
    }
    // It has no more to do. The program has as many threads as before.
    let _ = thread.join();
    None
}

type Job = Box<dyn FnOnce() + Send>;

fn spawn(job: Job) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("mmstats-find".to_owned()).spawn(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// Asks about a place of the caller.
    fn ask<T: Send + 'static>(
        places: &mut SilentPlaces,
        patience: Duration,
        name: &str,
        work: impl FnOnce(&Progress) -> T + Send + 'static,
    ) -> Option<T> {
        places.ask_for(patience, spawn, Path::new(name), true, work)
    }

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
        assert_eq!(ask(&mut places, Duration::from_millis(200), "x", slow), Some(7));
        assert!(places.0.is_empty());
    }

    #[test]
    fn ask_without_thread_does_work_here() {
        let refuse = |_| Err(io::ErrorKind::WouldBlock.into());
        let mut places = SilentPlaces::default();
        assert_eq!(places.ask_for(SHORT, refuse, Path::new("x"), true, |_| 7), Some(7));
        let names = ["a", "b"].map(PathBuf::from);
        let both = places.ask_each_for(SHORT, refuse, &names, true, |place, _| place.to_owned());
        assert_eq!(both, names.map(Some));
    }

    #[test]
    fn ask_of_silent_place_is_refused_until_it_answers() {
        let mut places = SilentPlaces::default();
        let mut answers = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let (answer, wait) = channel::<()>();
            answers.push(answer);
            assert_eq!(ask(&mut places, SHORT, name, move |_| wait.recv().is_ok()), None);
            let never = |_: &Progress| -> u8 { panic!("a thread is started") };
            assert_eq!(ask(&mut places, SHORT, name, never), None);
        }
        // The caller's own silent places keep nothing from those of others.
        assert_eq!(places.ask(Path::new("e"), false, |_| 7), Some(7));
        answers.remove(0).send(()).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while ask(&mut places, Duration::from_secs(10), "a", |_| 7).is_none() {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
        assert_eq!(places.0.len(), 3);
    }

    #[test]
    fn ask_beside_silent_places_of_others_is_for_own_places_alone() {
        let mut places = SilentPlaces::full();
        assert_eq!(places.ask(Path::new("e"), false, |_| 7), None);
        assert_eq!(places.ask(Path::new("e"), true, |_| 7), Some(7));
    }

    #[test]
    fn less_leaves_time_for_slow_places() {
        assert_eq!(less(PATIENCE), PATIENCE / LESS);
        let after = std::iter::successors(Some(PATIENCE), |patience| Some(less(*patience)));
        assert!(after.take(100).all(|patience| patience >= LOOK));
    }

    #[test]
    fn ask_each_leaves_out_silent_places_alone() {
        let mut places = SilentPlaces::default();
        let names = ["a", "silent", "b", "panics", "c"].map(PathBuf::from);
        let (answer, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let work = move |place: &Path, _: &Progress| {
            if place == Path::new("silent") {
                let _ = wait.lock().unwrap().recv();
            }
            assert!(place != Path::new("panics"), "on purpose");
            place.to_owned()
        };
        // A panic takes a while to be printed.
        let patience = Duration::from_secs(2);
        let found = places.ask_each_for(patience, spawn, &names, false, work);
        let some = |name: &str| Some(PathBuf::from(name));
        assert_eq!(found, [some("a"), None, some("b"), None, some("c")]);
        // No second thread waits for it.
        let found = places.ask_each_for(SHORT, spawn, &names, false, |place, _| {
            assert!(place != Path::new("silent"));
            place.to_owned()
        });
        assert_eq!(found.iter().flatten().count(), 4);
        assert_eq!(places.0.len(), 1);
        drop(answer);
    }
}
