//! A field's handles: one for each thread, found without a lock.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mmstats::recorder_support::epoch;
use mmstats::{DynFamilyKey, DynField, Key, Registry, SharedField, SharedGauge};
use mmstats_observe::Total;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::publishing::{Publishing, Target, error};

/// Where the handles of a field come from.
pub(crate) enum Source {
    /// A field with a value for each thread.
    Thread(Key<DynField>),
    /// A float of the whole process.
    Float(Key<DynField>),
    /// An integer of the whole process.
    Integer(Key<DynField>),
    /// A field of another kind of the whole process.
    Process(Key<DynField>),
    /// The field of a family with these values of its labels.
    Combination(DynFamilyKey<DynField>, Vec<String>),
}

/// A handle of a field.
pub(crate) enum Handle {
    Own(DynField),
    Float(SharedGauge<f64>),
    Integer(SharedGauge<i64>),
    Process(SharedField<DynField>),
}

impl Source {
    fn attach(&self, registry: &Registry) -> Result<Handle, mmstats::Error> {
        match self {
            Self::Thread(key) => registry.with(|lane| lane.attach(*key)).map(Handle::Own),
            Self::Float(key) => registry.attach_shared(key.for_handle()).map(Handle::Float),
            Self::Integer(key) => registry.attach_shared(key.for_handle()).map(Handle::Integer),
            Self::Process(key) => registry.attach_shared(key.for_handle()).map(Handle::Process),
            Self::Combination(key, values) => {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                registry
                    .with(|lane| lane.dyn_family(*key).map(|family| family.get(&values).clone()))
                    .map(Handle::Own)
            }
        }
    }
}

/// A field of a publisher. Each thread that updates it has a handle in [`HANDLES`].
pub(crate) struct Place {
    publishing: Arc<Publishing>,
    source: Source,
    /// Of this place alone.
    id: u64,
    /// Of this place while it exists.
    slot: usize,
    label: Arc<str>,
    attributes: Vec<(String, String)>,
}

/// A thread's handle of one field.
#[derive(Default)]
struct Entry {
    /// [`epoch`] when the handle was attached: it changes in a forked child.
    epoch: u32,
    /// Of the place that it was attached for: a slot goes to another one.
    id: u64,
    handle: Option<Handle>,
}

thread_local! {
    /// By slot. Never borrowed while Python code runs.
    static HANDLES: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// Slots without a place, and the number of all.
static SLOTS: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));
/// The id of the next place; 0 is none.
static IDS: AtomicU64 = AtomicU64::new(1);

/// Held with the interpreter's lock, so that a fork finds it free.
fn slots() -> MutexGuard<'static, (Vec<usize>, usize)> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        slots().0.push(self.slot);
    }
}

impl Place {
    pub(crate) fn new(publishing: &Arc<Publishing>, source: Source, label: &str) -> Self {
        let mut slots = slots();
        let slot = slots.0.pop().unwrap_or_else(|| {
            slots.1 += 1;
            slots.1 - 1
        });
        drop(slots);
        Self {
            publishing: Arc::clone(publishing),
            source,
            id: IDS.fetch_add(1, Ordering::Relaxed),
            slot,
            label: label.into(),
            attributes: Vec::new(),
        }
    }

    /// With its attributes, also the values of the labels of a family.
    pub(crate) fn with_attributes(mut self, attributes: Vec<(String, String)>) -> Self {
        self.attributes = attributes;
        self
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The key, of a field that has a value for each thread or is a gauge.
    pub(crate) fn key(&self) -> Option<Key<DynField>> {
        match &self.source {
            Source::Thread(key)
            | Source::Float(key)
            | Source::Integer(key)
            | Source::Process(key) => Some(*key),
            Source::Combination(..) => None,
        }
    }

    /// Calls `update`, which runs no Python code, with the handle of this thread.
    #[inline]
    pub(crate) fn with<R>(&self, py: Python<'_>, update: impl FnOnce(&Handle) -> R) -> PyResult<R> {
        let now = epoch();
        let mut update = Some(update);
        let done = HANDLES.try_with(|handles| {
            let handles = handles.try_borrow().ok()?;
            let entry = handles.get(self.slot)?;
            if entry.epoch != now || entry.id != self.id {
                return None;
            }
            let handle = entry.handle.as_ref()?;
            update.take().map(|update| update(handle))
        });
        match (done, update) {
            (Ok(Some(result)), _) => Ok(result),
            (_, Some(update)) => self.attach(py, update),
            _ => unreachable!("`update` is taken only where there is a result"),
        }
    }

    /// The slow path of [`Place::with`]: the first update of this thread, or of a forked child.
    #[cold]
    #[inline(never)]
    fn attach<R>(&self, py: Python<'_>, update: impl FnOnce(&Handle) -> R) -> PyResult<R> {
        let registry = self.publishing.registry(py);
        let now = epoch();
        // Without the interpreter's lock: the library may wait for a thread that asks for it.
        let kept = py.detach(|| {
            let kept = HANDLES.try_with(|handles| {
                let handle = self.source.attach(&registry)?;
                let mut handles = handles.borrow_mut();
                if handles.len() <= self.slot {
                    handles.resize_with(self.slot + 1, Entry::default);
                }
                let old = std::mem::replace(
                    &mut handles[self.slot],
                    Entry { epoch: now, id: self.id, handle: Some(handle) },
                );
                drop(handles);
                drop(old);
                Ok(())
            });
            kept.ok().transpose()
        });
        if kept.map_err(|e: mmstats::Error| error(&e))?.is_some() {
            let done = HANDLES.try_with(|handles| {
                let handles = handles.try_borrow().ok()?;
                Some(update(handles.get(self.slot)?.handle.as_ref()?))
            });
            let gone = || crate::Error::new_err(format!("{}: its handle is gone", self.label));
            return done.ok().flatten().ok_or_else(gone);
        }
        // A thread that ends: a handle for this call.
        let handle = self.source.attach(&registry).map_err(|e| error(&e))?;
        Ok(update(&handle))
    }

    /// The value, over all threads of this process.
    pub(crate) fn read(&self, py: Python<'_>) -> Option<Total> {
        let registry = self.publishing.registry(py);
        let paths = registry.paths();
        self.publishing.own_view().read(paths, &self.label, &self.attributes)
    }

    /// Calls `function` for the value of the gauge from now on, instead of an earlier one.
    pub(crate) fn track(&self, py: Python<'_>, function: Py<PyAny>) -> PyResult<()> {
        let (key, target) = match &self.source {
            Source::Thread(key) => (*key, Target::Own),
            Source::Float(key) => (*key, Target::Float),
            Source::Integer(key) => (*key, Target::Integer),
            Source::Process(key) => (*key, Target::Process),
            Source::Combination(..) => {
                return Err(PyTypeError::new_err("a gauge with labels has no function"));
            }
        };
        self.publishing.track(py, self.id, key, target, function)
    }

    /// Retires the field: readers stop showing it.
    pub(crate) fn retire(&self, py: Python<'_>) -> PyResult<()> {
        let key = self.key();
        let key = key.ok_or_else(|| PyTypeError::new_err("a field of a family stays with it"))?;
        // A forked child that publishes nothing yet has no such field.
        let Some(registry) = self.publishing.own() else { return Ok(()) };
        let retired = py.detach(|| registry.retire(key));
        self.publishing.own_view().forget();
        self.publishing.untrack(self.id);
        match retired {
            Ok(()) | Err(mmstats::Error::Closed) => Ok(()),
            Err(e) => Err(error(&e)),
        }
    }
}
