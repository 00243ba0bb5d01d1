//! Fields that measure durations, and the blocks that they time.

use std::time::{Duration, Instant};

use mmstats::DynField;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{Latency, Timer};
use crate::place::Handle;

/// Seconds as a duration; what is negative or not a number is refused.
fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{seconds} is no duration in seconds")))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The methods of fields that measure durations.
macro_rules! durations {
    ($class:ident) => {
        #[pymethods]
        impl $class {
            /// Records a duration, in seconds.
            fn observe(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
                let duration = duration(seconds)?;
                update!(self, py, $class, field => field.record(duration)).map(drop)
            }

            /// A context manager that records how long its block takes. Each use is another one, so blocks nest.
            fn time(slf: Py<Self>) -> Section {
                Section { field: slf.into_any(), record: $class::record, start: None, elapsed: None }
            }

            /// A decorator: the calls of a function are timed, also of a coroutine function or a generator.
            fn timed(slf: Py<Self>, py: Python<'_>, function: Py<PyAny>) -> PyResult<Py<PyAny>> {
                let decorator = py.import("mmstats._timing")?.call_method1("timed", (slf,))?;
                Ok(decorator.call1((function,))?.unbind())
            }
        }

        impl $class {
            fn record(py: Python<'_>, field: &Py<PyAny>, nanos: u64) -> PyResult<()> {
                let field = field.bind(py).cast::<Self>()?.get();
                update!(field, py, $class, handle => handle.record_nanos(nanos)).map(drop)
            }
        }
    };
}
durations!(Timer);
durations!(Latency);

/// A block that is timed.
#[pyclass(module = "mmstats")]
pub(crate) struct Section {
    field: Py<PyAny>,
    record: fn(Python<'_>, &Py<PyAny>, u64) -> PyResult<()>,
    start: Option<Instant>,
    elapsed: Option<Duration>,
}

#[pymethods]
impl Section {
    fn __enter__(mut slf: PyRefMut<'_, Self>) -> PyRefMut<'_, Self> {
        slf.start = Some(Instant::now());
        slf
    }

    fn __exit__(
        &mut self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        if let Some(start) = self.start.take() {
            let elapsed = start.elapsed();
            self.elapsed = Some(elapsed);
            (self.record)(py, &self.field, nanos(elapsed))?;
        }
        Ok(false)
    }

    /// Seconds since the begin; after the block, how long it took. `None` before the block and after `discard`.
    #[getter]
    fn elapsed(&self) -> Option<f64> {
        self.start
            .map(|start| start.elapsed())
            .or(self.elapsed)
            .map(|elapsed| elapsed.as_secs_f64())
    }

    /// Records nothing at the end of the block.
    fn discard(&mut self) {
        self.start = None;
    }
}
