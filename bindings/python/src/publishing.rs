//! A publisher that starts again in forked children.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mmstats::{DynField, Key, Registry};
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
    /// Functions that give the value of a gauge.
    tracked: Vec<(Key<DynField>, Py<PyAny>)>,
    /// Called in a child that has started to publish.
    on_restart: Option<Py<PyAny>>,
    /// Whether this process could not start again: updates are seen by no reader.
    has_failed: bool,
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
            for (key, function) in &state.tracked {
                // A field that the parent had.
                let _ = sample(&state.registry, *key, function.clone_ref(py));
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

    /// Sets a gauge by a function, from a thread of the library.
    pub(crate) fn track(
        &self,
        py: Python<'_>,
        key: Key<DynField>,
        function: Py<PyAny>,
    ) -> PyResult<()> {
        let registry = self.registry(py);
        let copy = function.clone_ref(py);
        py.detach(|| sample(&registry, key, copy)).map_err(|e| error(&e))?;
        self.lock().tracked.push((key, function));
        Ok(())
    }
}

fn sample(
    registry: &Registry,
    key: Key<DynField>,
    function: Py<PyAny>,
) -> Result<(), mmstats::Error> {
    registry.sample(key, move |handle: &DynField| {
        let DynField::Gauge(gauge) = handle else { return };
        // None at the end of the interpreter.
        let value = Python::try_attach(|py| match function.call0(py) {
            Ok(value) => scalar(gauge.ty(), value.bind(py)).map_err(|error| {
                error.write_unraisable(py, None);
            }),
            Err(error) => {
                error.write_unraisable(py, None);
                Err(())
            }
        });
        match value {
            Some(Ok(value)) => {
                gauge.set(value);
            }
            Some(Err(())) => gauge.clear(),
            None => {}
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
