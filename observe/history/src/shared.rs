//! Settings of a sampler, and the state that its thread shares with consumers.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mmstats_observe::{Program, Sources};

use crate::clock::{Clock, Moment};
use crate::history::History;
use crate::look::Frame;
use crate::program::ProgramKey;
use crate::watch::Watch;

/// Settings of a sampler.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Directories and files to search for programs.
    pub sources: Sources,
    /// Time between looks at all fields; 1 s by default, at least 10 ms.
    pub every: Duration,
    /// Memory for the past, in bytes; 64 MiB by default.
    pub budget: usize,
    /// Maximum memory of the pasts within it, in bytes; all by default.
    pub past: usize,
    /// Selects programs; all by default.
    pub select: Option<Select>,
    /// Called after each look at all fields; nothing by default.
    pub on_look: Option<OnLook>,
    /// Called after each look at all fields was recorded; nothing by default.
    pub on_frame: Option<OnFrame>,
}

/// Callback for each look at all fields; none is skipped.
#[derive(Clone)]
pub struct OnFrame(Arc<Taking>);

type Taking = dyn Fn(&Frame<'_>) + Send + Sync;

impl OnFrame {
    /// Calls `take` after each look. The sampler and readers of the history wait meanwhile.
    #[must_use]
    pub fn new(take: impl Fn(&Frame<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    pub(crate) fn call(&self, frame: &Frame<'_>) {
        (self.0)(frame);
    }
}

impl fmt::Debug for OnFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnFrame").finish_non_exhaustive()
    }
}

/// Callback that reads further data of the programs, at the same looks and with the same observer.
#[derive(Clone)]
pub struct OnLook(Arc<Looking>);

type Looking = dyn Fn(&[(ProgramKey, &Program<'_>)], Moment) + Send + Sync;

impl OnLook {
    /// Calls `read` with the selected programs that have files, and the moment of the look. Other looks wait meanwhile;
    /// readers of the history do not.
    #[must_use]
    pub fn new(
        read: impl Fn(&[(ProgramKey, &Program<'_>)], Moment) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(read))
    }

    pub(crate) fn call(&self, programs: &[(ProgramKey, &Program<'_>)], at: Moment) {
        (self.0)(programs, at);
    }
}

impl fmt::Debug for OnLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnLook").finish_non_exhaustive()
    }
}

/// Callback that selects programs. A program once selected stays selected.
#[derive(Clone)]
pub struct Select(Arc<Selecting>);

type Selecting = dyn Fn(&[Program<'_>]) -> HashSet<ProgramKey> + Send + Sync;

impl Select {
    /// Calls `select` at each look at all fields; it returns the selected programs.
    #[must_use]
    pub fn new(
        select: impl Fn(&[Program<'_>]) -> HashSet<ProgramKey> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(select))
    }

    pub(crate) fn select(&self, programs: &[Program<'_>]) -> HashSet<ProgramKey> {
        (self.0)(programs)
    }
}

impl fmt::Debug for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let every = Duration::from_secs(1);
        Self {
            sources,
            every,
            budget: 64 << 20,
            past: usize::MAX,
            select: None,
            on_look: None,
            on_frame: None,
        }
    }
}

/// State that the thread shares with consumers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) history: Mutex<History>,
    pub(crate) watched: Mutex<Watched>,
    /// Notified after each look at all fields, and at the end.
    pub(crate) looked: Condvar,
    pub(crate) looks: AtomicU64,
    pub(crate) watched_looks: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(crate) stop: AtomicBool,
}

impl Shared {
    pub(crate) fn new(clock: Clock, history: History) -> Self {
        Self {
            clock,
            history: Mutex::new(history),
            watched: Mutex::default(),
            looked: Condvar::new(),
            looks: AtomicU64::new(0),
            watched_looks: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }
}

/// List of watched fields.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) fields: Vec<Watch>,
    pub(crate) version: u64,
}

/// Locks, also if a holder panicked: the values are results of looks, and valid one by one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
