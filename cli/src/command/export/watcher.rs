//! Looks when a file comes, so that one that soon goes again was opened.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::metrics::Scraper;

/// Time between two looks without news.
const EVERY: Duration = Duration::from_secs(1);
/// Least time between two looks.
const LEAST: Duration = Duration::from_millis(5);

/// A scraper that a thread keeps up to date with the files.
#[derive(Clone)]
pub(super) struct Watched(pub(super) Arc<Mutex<Scraper>>);

/// The thread, until it is dropped.
pub(super) struct Watching {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watched {
    /// Looks for the first time, and starts the thread. The text says why the directories cannot be
    /// watched; then files are looked for each second.
    pub(super) fn start(mut scraper: Scraper) -> std::io::Result<(Self, Watching, Option<String>)> {
        let (sender, news) = sync_channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Values are changed by stores to a mapping, which are no events. A full channel has news.
            let is_news = event.is_ok_and(|event| {
                matches!(
                    event.kind,
                    EventKind::Create(_)
                        | EventKind::Remove(_)
                        | EventKind::Modify(ModifyKind::Name(_))
                )
            });
            if is_news {
                let _ = sender.try_send(());
            }
        });
        scraper.refresh();
        let mut directories = None;
        let problem = match watcher {
            Ok(watcher) => {
                let mut watched = Directories { watcher, known: HashSet::new(), problem: None };
                watched.update(scraper.directories());
                let problem = watched.problem.take();
                directories = Some(watched);
                problem
            }
            Err(error) => Some(format!("cannot watch directories: {error}")),
        };
        // Files that appeared before the directories were watched.
        scraper.follow();
        let watched = Self(Arc::new(Mutex::new(scraper)));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, ends) = (watched.clone(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("mmstats-watch".to_owned());
        let thread = thread.spawn(move || shared.run(directories, &news, &ends))?;
        Ok((watched, Watching { stop, thread: Some(thread) }, problem))
    }

    /// The scraper, as of the last look.
    pub(super) fn lock(&self) -> MutexGuard<'_, Scraper> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut directories: Option<Directories>, news: &Receiver<()>, stop: &AtomicBool) {
        let mut last = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            // The sender lives as long as the watcher; without one this is a clock.
            let wait = EVERY.saturating_sub(last.elapsed()).min(STOP);
            match news.recv_timeout(wait) {
                Ok(()) => std::thread::sleep(LEAST.saturating_sub(last.elapsed())),
                Err(RecvTimeoutError::Timeout) if last.elapsed() < EVERY => continue,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
            }
            last = Instant::now();
            let mut scraper = self.lock();
            scraper.follow();
            if let Some(directories) = &mut directories {
                directories.update(scraper.directories());
            }
        }
    }
}

/// Maximum time until the end is noticed.
const STOP: Duration = Duration::from_millis(100);

/// The directories that are watched.
struct Directories {
    watcher: RecommendedWatcher,
    known: HashSet<PathBuf>,
    problem: Option<String>,
}

impl Directories {
    fn update(&mut self, directories: Vec<PathBuf>) {
        let now: HashSet<PathBuf> = directories.into_iter().collect();
        for gone in self.known.difference(&now) {
            // It is gone, or watched no longer.
            let _ = self.watcher.unwatch(gone);
        }
        let mut known: HashSet<PathBuf> = self.known.intersection(&now).cloned().collect();
        for path in now.difference(&self.known) {
            match self.watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    known.insert(path.clone());
                }
                // One that does not exist yet is tried again.
                Err(_) if !path.exists() => {}
                Err(error) => {
                    self.problem
                        .get_or_insert_with(|| format!("cannot watch {}: {error}", path.display()));
                }
            }
        }
        self.known = known;
    }
}

impl Watching {
    /// Whether it still looks: false only after a panic.
    pub(super) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is printed by its hook.
            let _ = thread.join();
        }
    }
}
