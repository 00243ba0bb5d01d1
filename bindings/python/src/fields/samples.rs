//! Histograms, averages, windows and rates.

use mmstats::DynField;
use pyo3::prelude::*;

use super::{Average, Histogram, Rate, Window};
use crate::place::Handle;
use crate::value::scalar;

#[pymethods]
impl Histogram {
    /// Records a value.
    fn observe(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.is_float {
            let value: f64 = value.extract()?;
            update!(self, py, FloatHistogram, field => field.record(value)).map(drop)
        } else {
            let value: u64 = value.extract()?;
            update!(self, py, Latency, field => field.record_nanos(value)).map(drop)
        }
    }
}

#[pymethods]
impl Average {
    /// Records a value.
    fn observe(&self, py: Python<'_>, value: f64) -> PyResult<()> {
        update!(self, py, Average, field => field.record(value)).map(drop)
    }
}

#[pymethods]
impl Window {
    /// Records a value.
    fn observe(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = scalar(self.ty, value)?;
        update!(self, py, Window, field => field.record(value)).map(drop)
    }
}

#[pymethods]
impl Rate {
    /// Adds `n`, which is not negative.
    #[pyo3(signature = (n=1))]
    fn inc(&self, py: Python<'_>, n: u64) -> PyResult<()> {
        update!(self, py, Rate, rate => rate.add(n)).map(drop)
    }
}
