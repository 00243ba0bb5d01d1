//! Counters, gauges and flags.

use mmstats::{DynField, Scalar};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{Counter, Flag, FloatCounter, Gauge};
use crate::place::Handle;
use crate::value::{out_of_range, scalar};

#[pymethods]
impl Counter {
    /// Adds `n`, which is not negative.
    #[pyo3(signature = (n=1))]
    fn inc(&self, py: Python<'_>, n: u64) -> PyResult<()> {
        update!(self, py, Counter, counter => counter.add(n)).map(drop)
    }
}

#[pymethods]
impl FloatCounter {
    /// Adds `n`, which is not negative.
    #[pyo3(signature = (n=1.0))]
    fn inc(&self, py: Python<'_>, n: f64) -> PyResult<()> {
        if n.is_nan() || n < 0.0 {
            return Err(PyValueError::new_err("a counter only grows"));
        }
        update!(self, py, FloatCounter, counter => counter.add(n)).map(drop)
    }
}

impl Gauge {
    fn change(&self, py: Python<'_>, n: &Bound<'_, PyAny>, sign: i64) -> PyResult<()> {
        let n = scalar(self.ty, n)?;
        let is_in_range = self.place.with(py, |handle| match (handle, n) {
            (Handle::Float(gauge), Scalar::F64(n)) => {
                gauge.add(if sign < 0 { -n } else { n });
                true
            }
            (Handle::Integer(gauge), Scalar::I64(n)) => {
                if sign < 0 {
                    gauge.sub(n);
                } else {
                    gauge.add(n);
                }
                true
            }
            (Handle::Own(DynField::Gauge(gauge)), n) => {
                if sign < 0 {
                    gauge.sub(n)
                } else {
                    gauge.add(n)
                }
            }
            (Handle::Process(shared), n) => shared
                .update(|field| match field {
                    DynField::Gauge(gauge) => {
                        if sign < 0 {
                            gauge.sub(n)
                        } else {
                            gauge.add(n)
                        }
                    }
                    _ => false,
                })
                .unwrap_or(true),
            _ => false,
        })?;
        if is_in_range { Ok(()) } else { Err(out_of_range(self.ty)) }
    }
}

#[pymethods]
impl Gauge {
    /// Sets the value.
    fn set(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = scalar(self.ty, value)?;
        let is_in_range = self.place.with(py, |handle| match (handle, value) {
            (Handle::Float(gauge), Scalar::F64(value)) => {
                gauge.set(value);
                true
            }
            (Handle::Integer(gauge), Scalar::I64(value)) => {
                gauge.set(value);
                true
            }
            (Handle::Own(DynField::Gauge(gauge)), value) => gauge.set(value),
            (Handle::Process(shared), value) => shared
                .update(|field| matches!(field, DynField::Gauge(gauge) if gauge.set(value)))
                .unwrap_or(true),
            _ => false,
        })?;
        if is_in_range { Ok(()) } else { Err(out_of_range(self.ty)) }
    }

    /// Adds `n`. Without a value it begins at 0.
    #[pyo3(signature = (n=None))]
    fn inc(&self, py: Python<'_>, n: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        match n {
            Some(n) => self.change(py, n, 1),
            None => self.change(py, 1_i64.into_pyobject(py)?.as_any(), 1),
        }
    }

    /// Subtracts `n`.
    #[pyo3(signature = (n=None))]
    fn dec(&self, py: Python<'_>, n: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        match n {
            Some(n) => self.change(py, n, -1),
            None => self.change(py, 1_i64.into_pyobject(py)?.as_any(), -1),
        }
    }

    /// Calls `function` for the value, every second, from a thread of the library; an earlier function is not
    /// called any more.
    fn track(&self, py: Python<'_>, function: Py<PyAny>) -> PyResult<()> {
        self.place.track(py, function)
    }

    /// Returns to "no value".
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.place.with(py, |handle| match handle {
            Handle::Float(gauge) => gauge.clear(),
            Handle::Integer(gauge) => gauge.clear(),
            Handle::Own(DynField::Gauge(gauge)) => gauge.clear(),
            Handle::Process(shared) => {
                let clear = |field: &DynField| {
                    if let DynField::Gauge(gauge) = field {
                        gauge.clear();
                    }
                };
                let _ = shared.update(clear);
            }
            _ => {}
        })
    }
}

#[pymethods]
impl Flag {
    /// Sets the value.
    #[pyo3(signature = (value=true))]
    fn set(&self, py: Python<'_>, value: bool) -> PyResult<()> {
        update!(self, py, Gauge, gauge => gauge.set(Scalar::Bool(value))).map(drop)
    }

    /// Returns to "no value".
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        update!(self, py, Gauge, gauge => gauge.clear()).map(drop)
    }
}
