//! Texts, bytes, moments, states, lines and what is in progress.

use std::thread::ThreadId;
use std::time::{Duration, SystemTime};

use mmstats::recorder_support::epoch;
use mmstats::{ActivityRow, DynField};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::{Activity, Blob, Events, State, Text, Timestamp};
use crate::place::Handle;

#[pymethods]
impl Text {
    /// Sets the text. Returns whether it was not cut.
    fn set(&self, py: Python<'_>, text: &str) -> PyResult<bool> {
        update!(self, py, Text, field => field.set(text)).map(|whole| whole.unwrap_or(true))
    }

    /// Returns to "no value".
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        update!(self, py, Text, field => field.clear()).map(drop)
    }
}

#[pymethods]
impl Blob {
    /// Sets the bytes. Returns whether they were not cut.
    fn set(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<bool> {
        update!(self, py, Blob, field => field.set(bytes)).map(|whole| whole.unwrap_or(true))
    }
}

#[pymethods]
impl Timestamp {
    /// Sets the moment: now, or seconds since 1970, or a `datetime`.
    #[pyo3(signature = (time=None))]
    fn set(&self, py: Python<'_>, time: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let time = match time {
            None => SystemTime::now(),
            Some(time) => {
                let seconds: f64 = match time.extract() {
                    Ok(seconds) => seconds,
                    Err(_) => time.call_method0("timestamp")?.extract()?,
                };
                let since = Duration::try_from_secs_f64(seconds);
                // As many nanoseconds as fit.
                let since = since.ok().filter(|since| u64::try_from(since.as_nanos()).is_ok());
                let moment = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
                moment.ok_or_else(|| PyValueError::new_err("a moment is from 1970 to 2554"))?
            }
        };
        update!(self, py, Timestamp, field => field.set(time)).map(drop)
    }

    /// Returns to "no value".
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        update!(self, py, Timestamp, field => field.clear()).map(drop)
    }
}

#[pymethods]
impl State {
    /// Sets the state, by its name.
    fn set(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let number = self.names.iter().position(|known| known == name);
        let number = number.and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| {
            PyValueError::new_err(format!(
                "{}: {name:?} is none of {}",
                self.place.label(),
                self.names.join(", ")
            ))
        })?;
        update!(self, py, State, state => state.set(number)).map(drop)
    }

    /// Returns to "no value".
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        update!(self, py, State, state => state.clear()).map(drop)
    }

    /// The names, in the order of their numbers.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }
}

#[pymethods]
impl Events {
    /// Records a line with the time of now. Returns whether it was not cut.
    fn record(&self, py: Python<'_>, text: &str) -> PyResult<bool> {
        update!(self, py, Events, events => events.record(text)).map(|whole| whole.unwrap_or(true))
    }
}

#[pymethods]
impl Activity {
    /// A context manager: what this thread does within its block.
    fn begin(slf: Py<Self>, text: String) -> Begun {
        Begun { field: slf, text, row: None }
    }
}

/// A block that is shown while it runs, on the thread that entered it.
#[pyclass(module = "mmstats")]
pub(crate) struct Begun {
    field: Py<Activity>,
    text: String,
    row: Option<Row>,
}

/// The row of a block, which its thread alone changes.
struct Row {
    row: ActivityRow,
    thread: ThreadId,
    /// [`epoch`] of the begin: a forked child has rows of its own.
    epoch: u32,
}

impl Row {
    fn of(row: ActivityRow) -> Self {
        Self { row, thread: std::thread::current().id(), epoch: epoch() }
    }

    /// Whether it is of this process; an error on another thread.
    fn is_own(&self) -> PyResult<bool> {
        if self.thread != std::thread::current().id() {
            let text = "a block of an activity ends on the thread that began it";
            return Err(PyRuntimeError::new_err(text));
        }
        Ok(self.epoch == epoch())
    }
}

#[pymethods]
impl Begun {
    fn __enter__<'py>(
        mut slf: PyRefMut<'py, Self>,
        py: Python<'py>,
    ) -> PyResult<PyRefMut<'py, Self>> {
        let field = slf.field.get();
        let row = update!(field, py, Activity, activity => activity.begin(&slf.text))?;
        slf.row = row.flatten().map(Row::of);
        Ok(slf)
    }

    fn __exit__(
        &mut self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        // On another thread the row stays: its own thread may still end it.
        let is_own = self.row.as_ref().map_or(Ok(false), Row::is_own)?;
        if let Some(row) = self.row.take().filter(|_| is_own) {
            let field = self.field.get();
            update!(field, py, Activity, activity => activity.end(row.row))?;
        }
        Ok(false)
    }

    /// Replaces the text.
    fn set(&mut self, py: Python<'_>, text: String) -> PyResult<()> {
        if let Some(row) = &self.row
            && row.is_own()?
        {
            let field = self.field.get();
            update!(field, py, Activity, activity => activity.set(&row.row, &text))?;
        }
        self.text = text;
        Ok(())
    }
}
