//! The past of the programs, and a frame for each view; all viewers share both.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mmstats_history::{History, ProgramKey, Sampler, Watch};
use tokio::sync::watch;

use super::frame::ProgramFrame;
use super::home::Home;
use super::ids::Names;
use super::times::Times;
use crate::live::looks::Looks;
use crate::live::processes::{Processes, Target};

/// Time between looks at watched fields.
const FAST: Duration = Duration::from_millis(100);
/// Time between questions whether watched fields were looked at, and whether the server ends.
const ASK: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(200);
/// How long the threads of a program are looked at after they were asked for.
const THREADS: Duration = Duration::from_secs(10);

/// The sampler, and what is made of it for viewers.
pub(super) struct Live {
    pub(super) sampler: Sampler,
    /// False for a recording.
    pub(super) is_live: bool,
    pub(super) every: Duration,
    pub(super) times: Times,
    looks: Looks,
    processes: Mutex<Processes>,
    state: Mutex<State>,
    /// Grows with each change of a frame.
    versions: watch::Sender<u64>,
    stop: AtomicBool,
}

/// Frames, and their viewers.
#[derive(Default)]
struct State {
    programs: HashMap<ProgramKey, Viewed>,
    home: Home,
    /// Number of viewers of the home page.
    home_viewers: usize,
    /// When threads were last asked for.
    threads: HashMap<ProgramKey, Instant>,
    version: u64,
}

/// A program with viewers.
struct Viewed {
    viewers: usize,
    /// Fields that are looked at more often, and by how many viewers.
    watched: HashMap<usize, usize>,
    names: Names,
    frame: ProgramFrame,
}

impl Live {
    /// `processes` are those of a recording; programs that are live are looked at.
    pub(super) fn new(
        (sampler, processes): (Sampler, Processes),
        looks: Looks,
        is_live: bool,
        every: Duration,
    ) -> Self {
        Self {
            times: Times::new(sampler.clock().clone()),
            sampler,
            is_live,
            every,
            looks,
            processes: Mutex::new(processes),
            state: Mutex::default(),
            versions: watch::Sender::new(0),
            stop: AtomicBool::new(false),
        }
    }

    pub(super) fn processes(&self) -> MutexGuard<'_, Processes> {
        lock(&self.processes)
    }

    /// Makes frames until [`end`](Self::end), in a thread of its own.
    pub(super) fn run(&self) {
        let (mut seen, mut watched) = (0, 0);
        while !self.stop.load(Ordering::Relaxed) {
            let is_fast = lock(&self.state).programs.values().any(|p| !p.watched.is_empty());
            let timeout = if is_fast { ASK } else { IDLE };
            // A recording has no further looks.
            let looks = match self.is_live {
                true => self.sampler.wait(seen, timeout),
                false => {
                    std::thread::sleep(timeout);
                    self.sampler.looks()
                }
            };
            if looks != seen {
                seen = looks;
                self.look();
            } else if is_fast && self.sampler.watched_looks() != watched {
                watched = self.sampler.watched_looks();
                self.refresh(false);
            }
        }
    }

    /// Ends the thread and all streams.
    pub(super) fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.versions.send_modify(|version| *version += 1);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks the system about processes and threads, and makes all frames.
    fn look(&self) {
        {
            let mut state = lock(&self.state);
            state.threads.retain(|_, asked| asked.elapsed() < THREADS);
        }
        if self.is_live {
            self.look_at_processes();
        }
        self.refresh(true);
    }

    fn look_at_processes(&self) {
        let open: HashSet<ProgramKey> = lock(&self.state).threads.keys().copied().collect();
        self.looks.open(open.iter().copied());
        let taken = self.looks.take();
        let (targets, budget) = self.sampler.read(|history| {
            let targets: Vec<Target> = history.programs().iter().map(Target::new).collect();
            (targets, history.budget())
        });
        let mut processes = self.processes();
        processes.look(&targets, taken, self.times.now(), &open, budget);
        let bytes = processes.bytes();
        drop(processes);
        self.sampler.read(|history| history.set_consumers(bytes));
    }

    /// Has the threads of a program looked at each second for a while.
    pub(super) fn ask_for_threads(&self, program: ProgramKey) {
        let mut state = lock(&self.state);
        state.threads.insert(program, Instant::now());
        let open: Vec<ProgramKey> = state.threads.keys().copied().collect();
        drop(state);
        self.looks.open(open);
    }

    /// Brings the frames up to date: of all fields, or only of watched ones.
    fn refresh(&self, all: bool) {
        // In this order everywhere: state, processes, history.
        let mut state = lock(&self.state);
        let processes = self.processes();
        let version = state.version + 1;
        let at = self.times.now();
        let changed = self.sampler.read(|history| {
            let mut changed = false;
            for (key, viewed) in &mut state.programs {
                let Some(program) = history.program(*key) else { continue };
                let Viewed { watched, names, frame, .. } = viewed;
                changed |= match all {
                    true => frame.update(&self.times, program, &processes, names, at, version),
                    false => {
                        frame.update_some(&self.times, program, names, watched.keys(), at, version)
                    }
                };
            }
            if all && state.home_viewers > 0 {
                changed |= state.home.update(&self.times, history, &processes, at, version);
                state.home.looks = Some(self.sampler.looks());
            }
            changed
        });
        if changed {
            state.version = version;
            self.versions.send_replace(version);
        }
    }

    /// The programs as of the last look.
    pub(super) fn home(&self) -> Home {
        let mut state = lock(&self.state);
        let processes = self.processes();
        let looks = self.sampler.looks();
        if state.home.looks != Some(looks) {
            let version = state.version + 1;
            let at = self.times.now();
            let update = |history: &mut History| {
                state.home.update(&self.times, history, &processes, at, version)
            };
            let changed = self.sampler.read(update);
            state.home.looks = Some(looks);
            if changed {
                state.version = version;
                self.versions.send_replace(version);
            }
        }
        state.home.clone()
    }

    /// Views the home page, or a program with some fields that are looked at more often, until it is
    /// dropped. `None` if there is no such program.
    pub(super) fn view(self: &Arc<Self>, wanted: Wanted) -> Option<View> {
        if let Wanted::Program { key, fields } = &wanted {
            let mut state = lock(&self.state);
            let processes = self.processes();
            let version = state.version + 1;
            let at = self.times.now();
            let made = self.sampler.read(|history| {
                let program = history.program(*key)?;
                let viewed = state.programs.entry(*key).or_insert_with(|| Viewed {
                    viewers: 0,
                    watched: HashMap::new(),
                    names: Names::default(),
                    frame: ProgramFrame::default(),
                });
                viewed.viewers += 1;
                for field in fields {
                    *viewed.watched.entry(*field).or_default() += 1;
                }
                let Viewed { names, frame, .. } = viewed;
                frame.update(&self.times, program, &processes, names, at, version);
                Some(())
            });
            made?;
            state.version = version;
        } else {
            lock(&self.state).home_viewers += 1;
            self.home();
        }
        let view = View { live: Arc::clone(self), wanted };
        self.watch();
        Some(view)
    }

    /// Tells the sampler which fields are looked at more often.
    fn watch(&self) {
        let state = lock(&self.state);
        let watches = self.sampler.read(|history| {
            let mut watches = Vec::new();
            for (key, viewed) in &state.programs {
                let Some(program) = history.program(*key) else { continue };
                let fields = viewed.watched.keys().filter_map(|index| program.fields().get(*index));
                watches.extend(fields.map(|field| Watch {
                    program: *key,
                    field: field.info.key(),
                    label: field.info.label.clone(),
                    every: FAST,
                    lanes: false,
                }));
            }
            watches
        });
        if self.is_live {
            self.sampler.watch(watches);
        }
    }

    /// Follows the version of the frames.
    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.versions.subscribe()
    }

    /// Calls `read` with the frame of a viewed program.
    pub(super) fn frame<T>(
        &self,
        key: ProgramKey,
        read: impl FnOnce(&ProgramFrame) -> T,
    ) -> Option<T> {
        lock(&self.state).programs.get(&key).map(|viewed| read(&viewed.frame))
    }

    /// Calls `read` with the frame of the home page.
    pub(super) fn home_frame<T>(&self, read: impl FnOnce(&Home) -> T) -> T {
        read(&lock(&self.state).home)
    }
}

/// The subject of a viewer's stream.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    Home,
    Program {
        key: ProgramKey,
        /// Indices of fields that are looked at more often.
        fields: Vec<usize>,
    },
}

/// A viewer.
pub(super) struct View {
    live: Arc<Live>,
    pub(super) wanted: Wanted,
}

impl Drop for View {
    fn drop(&mut self) {
        // The stream of a viewer is dropped by a thread that serves others.
        tokio::task::block_in_place(|| self.end());
    }
}

impl View {
    fn end(&self) {
        let mut state = lock(&self.live.state);
        match &self.wanted {
            Wanted::Home => state.home_viewers -= 1,
            Wanted::Program { key, fields } => {
                let Some(viewed) = state.programs.get_mut(key) else { return };
                viewed.viewers -= 1;
                for field in fields {
                    if let Some(count) = viewed.watched.get_mut(field) {
                        *count -= 1;
                    }
                }
                viewed.watched.retain(|_, count| *count > 0);
                if viewed.viewers == 0 {
                    state.programs.remove(key);
                }
            }
        }
        drop(state);
        self.live.watch();
    }
}

/// A lock whose holder panicked protects nothing but frames.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
