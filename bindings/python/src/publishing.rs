//! A publisher that starts again in forked children.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mmstats::{DynField, DynGauge, Key, Registry, Scalar, SharedField, SharedGauge};
use pyo3::prelude::*;

use crate::Error;
use crate::value::scalar;
use crate::view::OwnView;

/// An error of the library as one of Python.
pub(crate) fn error(error: &mmstats::Error) -> PyErr {
    Error::new_err(error.to_string())
}

/// A publisher, and what it takes to start it again in a child.
pub(crate) struct Publishing {
    state: Mutex<State>,
    view: Mutex<OwnView>,
}

struct State {
    registry: Registry,
    tracked: Vec<Tracked>,
    /// Called in a child that has started to publish.
    on_restart: Option<Py<PyAny>>,
    /// Whether this process could not start again: updates are seen by no reader.
    has_failed: bool,
}

/// A gauge whose value a function gives.
struct Tracked {
    /// Of its place.
    id: u64,
    key: Key<DynField>,
    target: Target,
    function: Arc<Function>,
}

/// The function, which may change; none after the gauge was retired.
type Function = Mutex<Option<Py<PyAny>>>;

/// Where the value of a tracked gauge goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// Into the lane of the thread that calls the function.
    Own,
    /// Into the float of the process, which it replaces.
    Float,
    /// Into the integer of the process.
    Integer,
    /// Into the shared gauge of the process.
    Process,
}

/// A [`Target`] that is attached.
enum Attached {
    Own,
    Float(SharedGauge<f64>),
    Integer(SharedGauge<i64>),
    Process(SharedField<DynField>),
}

impl Target {
    fn attach(self, registry: &Registry, key: Key<DynField>) -> Result<Attached, mmstats::Error> {
        match self {
            Self::Own => Ok(Attached::Own),
            Self::Float => registry.attach_shared(key.for_handle()).map(Attached::Float),
            Self::Integer => registry.attach_shared(key.for_handle()).map(Attached::Integer),
            Self::Process => registry.attach_shared(key.for_handle()).map(Attached::Process),
        }
    }
}

impl Attached {
    /// Sets the value, or takes it away. `own` is the gauge of the thread that calls.
    fn set(&self, own: &DynGauge, value: Option<Scalar>) {
        let set = |gauge: &DynGauge| match value {
            Some(value) => drop(gauge.set(value)),
            None => gauge.clear(),
        };
        match (self, value) {
            (Self::Own, _) => set(own),
            (Self::Float(gauge), Some(Scalar::F64(value))) => gauge.set(value),
            (Self::Float(gauge), _) => gauge.clear(),
            (Self::Integer(gauge), Some(Scalar::I64(value))) => gauge.set(value),
            (Self::Integer(gauge), _) => gauge.clear(),
            (Self::Process(shared), _) => drop(shared.update(|field| {
                if let DynField::Gauge(gauge) = field {
                    set(gauge);
                }
            })),
        }
    }
}

fn lock_function(function: &Function) -> MutexGuard<'_, Option<Py<PyAny>>> {
    function.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Publishing {
    pub(crate) fn new(registry: Registry, on_restart: Option<Py<PyAny>>) -> Self {
        let tracked = Vec::new();
        let state = Mutex::new(State { registry, tracked, on_restart, has_failed: false });
        Self { state, view: Mutex::default() }
    }

    /// Held without a call into Python and without the library's locks: a fork, which needs the interpreter's
    /// lock, finds it free.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The publisher of this process: in a child the first call starts it.
    pub(crate) fn registry(&self, py: Python<'_>) -> Registry {
        let (registry, on_restart) = {
            let mut state = self.lock();
            if !state.registry.is_forked() || state.has_failed {
                return state.registry.clone();
            }
            match state.registry.restart() {
                Ok(registry) => state.registry = registry,
                Err(error) => {
                    state.has_failed = true;
                    let registry = state.registry.clone();
                    drop(state);
                    warn(py, &format!("mmstats: this process publishes nothing: {error}"));
                    return registry;
                }
            }
            for Tracked { key, target, function, .. } in &state.tracked {
                // A field that the parent had.
                let _ = sample(&state.registry, *key, *target, Arc::clone(function));
            }
            let on_restart = state.on_restart.as_ref().map(|function| function.clone_ref(py));
            (state.registry.clone(), on_restart)
        };
        if let Some(function) = on_restart
            && let Err(error) = function.call0(py)
        {
            error.write_unraisable(py, None);
        }
        registry
    }

    /// The values of this process. Held with the interpreter's lock, so that a fork finds it free.
    pub(crate) fn own_view(&self) -> MutexGuard<'_, OwnView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The publisher, if it belongs to this process.
    pub(crate) fn own(&self) -> Option<Registry> {
        let state = self.lock();
        (!state.registry.is_forked()).then(|| state.registry.clone())
    }

    /// Sets the gauge of a place by a function, from a thread of the library, instead of by an earlier function.
    pub(crate) fn track(
        &self,
        py: Python<'_>,
        id: u64,
        key: Key<DynField>,
        target: Target,
        function: Py<PyAny>,
    ) -> PyResult<()> {
        let registry = self.registry(py);
        let known = self
            .lock()
            .tracked
            .iter()
            .find(|one| one.id == id)
            .map(|one| Arc::clone(&one.function));
        if let Some(known) = known {
            // Dropped without the lock: that may run code of Python.
            let old = lock_function(&known).replace(function);
            drop(old);
            return Ok(());
        }
        let function = Arc::new(Mutex::new(Some(function)));
        let copy = Arc::clone(&function);
        py.detach(|| sample(&registry, key, target, copy)).map_err(|e| error(&e))?;
        self.lock().tracked.push(Tracked { id, key, target, function });
        Ok(())
    }

    /// Lets go of the function of a place.
    pub(crate) fn untrack(&self, id: u64) {
        let mut state = self.lock();
        let index = state.tracked.iter().position(|one| one.id == id);
        let tracked = index.map(|index| state.tracked.swap_remove(index));
        drop(state);
        let function = tracked.and_then(|tracked| lock_function(&tracked.function).take());
        drop(function);
    }
}

fn sample(
    registry: &Registry,
    key: Key<DynField>,
    target: Target,
    function: Arc<Function>,
) -> Result<(), mmstats::Error> {
    let attached = target.attach(registry, key)?;
    registry.sample(key, move |handle: &DynField| {
        let DynField::Gauge(gauge) = handle else { return };
        // None at the end of the interpreter.
        let value = Python::try_attach(|py| {
            let function = lock_function(&function).as_ref().map(|function| function.clone_ref(py));
            let value = function?.call0(py).and_then(|value| scalar(gauge.ty(), value.bind(py)));
            value.map_err(|error| error.write_unraisable(py, None)).ok()
        });
        if let Some(value) = value {
            attached.set(gauge, value);
        }
    })
}

/// A warning of Python; as an error, where a filter makes one of it, it is printed.
fn warn(py: Python<'_>, text: &str) {
    let text = std::ffi::CString::new(text.replace('\0', " ")).unwrap_or_default();
    let category = py.get_type::<pyo3::exceptions::PyRuntimeWarning>();
    if let Err(error) = PyErr::warn(py, &category, &text, 1) {
        error.write_unraisable(py, None);
    }
}
