//! What each thread and task of the program is at, published by a thread of its own: it can be read while all
//! others wait for each other, or for the interpreter's lock.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mmstats::{ActivityRow, DynActivity, FieldOptions, Key, Lane, Registry};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::publisher::Publisher;
use crate::publishing::{Publishing, error};

/// Bytes of a stack that are published.
const STACK: u32 = 480;
/// Bytes of a task that are published.
const TASK: u32 = 240;
/// Number of tasks that are published at once.
const TASKS: u32 = 64;

/// A thread that publishes stacks until `stop`.
#[pyclass(frozen, module = "mmstats")]
pub(crate) struct Stacks {
    publishing: Arc<Publishing>,
    keys: Keys,
    collect: Py<PyAny>,
    interval: Duration,
    running: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

/// A thread or task: its number, its name and its stack.
type Seen = (u64, String, String);

#[derive(Clone, Copy)]
struct Keys {
    stack: Key<DynActivity>,
    tasks: Key<DynActivity>,
    sampler: Key<DynActivity>,
}

/// A text that is shown since it has not changed.
struct Shown {
    text: String,
    row: Option<ActivityRow>,
}

/// A thread of the program.
struct Watched {
    /// Keeps the lane.
    _lane: Lane,
    stack: DynActivity,
    shown: Shown,
}

impl Shown {
    fn show(&mut self, activity: &DynActivity, text: &str) {
        if self.text == text && self.row.is_some() {
            return;
        }
        if let Some(row) = self.row.take() {
            activity.end(row);
        }
        self.row = activity.begin(text);
        text.clone_into(&mut self.text);
    }
}

#[pymethods]
impl Stacks {
    /// Publishes what `collect` returns, `hz` times a second: threads and tasks, each with its number (that of
    /// the system for a thread), name and stack.
    #[new]
    fn new(py: Python<'_>, publisher: &Publisher, collect: Py<PyAny>, hz: f64) -> PyResult<Self> {
        if !(0.01..=100.0).contains(&hz) {
            return Err(PyValueError::new_err("hz is from 0.01 to 100"));
        }
        let registry = publisher.publishing.registry(py);
        let keys = py.detach(|| keys(&registry)).map_err(|e| error(&e))?;
        let stacks = Self {
            publishing: Arc::clone(&publisher.publishing),
            keys,
            collect,
            interval: Duration::from_secs_f64(1.0 / hz),
            running: Mutex::default(),
        };
        stacks.start(py)?;
        Ok(stacks)
    }

    /// Starts the thread again in a forked child, which has none; not if it was stopped before.
    fn restart(&self, py: Python<'_>) -> PyResult<()> {
        let Some(of_parent) = self.running().take() else { return Ok(()) };
        // There is no such thread to join or detach here.
        std::mem::forget(of_parent);
        self.start(py)
    }

    /// Ends the thread.
    fn stop(&self, py: Python<'_>) {
        let running = self.running().take();
        if let Some((sender, thread)) = running {
            drop(sender);
            py.detach(|| {
                let _ = thread.join();
            });
        }
    }
}

impl Stacks {
    fn running(&self) -> MutexGuard<'_, Option<(Sender<()>, JoinHandle<()>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let registry = self.publishing.registry(py);
        let (keys, collect, interval) = (self.keys, self.collect.clone_ref(py), self.interval);
        let (sender, receiver) = channel();
        let run = move || run(&registry, &keys, &collect, interval, &receiver);
        let thread = std::thread::Builder::new().name("mmstats-stacks".to_owned()).spawn(run)?;
        *self.running() = Some((sender, thread));
        Ok(())
    }
}

fn keys(registry: &Registry) -> Result<Keys, mmstats::Error> {
    let options =
        |help: &str, capacity, rows| FieldOptions::new().help(help).capacity(capacity).rows(rows);
    Ok(Keys {
        stack: registry.add(
            "python.stack",
            options("Where the thread is, the innermost call first.", STACK, 1),
        )?,
        tasks: registry
            .add("python.tasks", options("Where tasks of asyncio wait.", TASK, TASKS))?,
        sampler: registry
            .add("python.sampler", options("What the sampler of stacks waits for.", 64, 1))?,
    })
}

fn run(
    registry: &Registry,
    keys: &Keys,
    collect: &Py<PyAny>,
    interval: Duration,
    stopped: &Receiver<()>,
) {
    let Ok(lane) = registry.lane() else { return };
    let (Ok(tasks), Ok(sampler)) = (lane.attach(keys.tasks), lane.attach(keys.sampler)) else {
        return;
    };
    let mut threads: HashMap<u64, Watched> = HashMap::new();
    let mut seen_tasks: HashMap<u64, Shown> = HashMap::new();
    loop {
        let row = sampler.begin("waits for the interpreter's lock");
        let seen = Python::try_attach(|py| {
            let seen =
                collect.call0(py).and_then(|seen| seen.extract::<(Vec<Seen>, Vec<Seen>)>(py));
            seen.map_err(|error| error.write_unraisable(py, None)).ok()
        });
        if let Some(row) = row {
            sampler.end(row);
        }
        // The interpreter ends.
        let Some(seen) = seen else { return };
        if let Some((of_threads, of_tasks)) = seen {
            threads.retain(|id, _| of_threads.iter().any(|(other, ..)| other == id));
            for (id, name, stack) in &of_threads {
                if let Some(watched) = watched(registry, keys, &mut threads, *id, name) {
                    watched.shown.show(&watched.stack, stack);
                }
            }
            seen_tasks.retain(|id, shown| {
                let stays = of_tasks.iter().any(|(other, ..)| other == id);
                if let Some(row) = shown.row.take_if(|_| !stays) {
                    tasks.end(row);
                }
                stays
            });
            for (id, name, stack) in &of_tasks {
                let shown = seen_tasks
                    .entry(*id)
                    .or_insert_with(|| Shown { text: String::new(), row: None });
                shown.show(&tasks, &format!("{name}: {stack}"));
            }
        }
        match stopped.recv_timeout(interval) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    }
}

fn watched<'a>(
    registry: &Registry,
    keys: &Keys,
    threads: &'a mut HashMap<u64, Watched>,
    id: u64,
    name: &str,
) -> Option<&'a mut Watched> {
    use std::collections::hash_map::Entry;
    match threads.entry(id) {
        Entry::Occupied(entry) => Some(entry.into_mut()),
        Entry::Vacant(entry) => {
            let lane = registry.lane_for(id, Some(name)).ok()?;
            let stack = lane.attach(keys.stack).ok()?;
            let shown = Shown { text: String::new(), row: None };
            Some(entry.insert(Watched { _lane: lane, stack, shown }))
        }
    }
}
