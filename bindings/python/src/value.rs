//! Values of Python and of mmstats.

use mmstats::{DataType, Scalar};
use mmstats_observe::{EachValue, FieldInfo, Kind, Number, OwnedValue};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// A number of Python as a scalar of type `ty`.
pub(crate) fn scalar(ty: DataType, value: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    Ok(match ty {
        DataType::Bool => Scalar::Bool(value.extract()?),
        DataType::F64 => Scalar::F64(value.extract()?),
        DataType::F32 => Scalar::F32(value.extract()?),
        DataType::U8 | DataType::U16 | DataType::U32 | DataType::U64 => {
            Scalar::U64(value.extract()?)
        }
        DataType::I8 | DataType::I16 | DataType::I32 | DataType::I64 => {
            Scalar::I64(value.extract()?)
        }
        _ => return Err(PyTypeError::new_err(format!("{ty} is no type of a number"))),
    })
}

/// The error for a value beyond the range of its type.
pub(crate) fn out_of_range(ty: DataType) -> PyErr {
    PyOverflowError::new_err(format!("the value is out of the range of {ty}"))
}

fn exact(py: Python<'_>, number: Option<Number>) -> PyResult<Py<PyAny>> {
    Ok(match number {
        Some(Number::Unsigned(n)) => n.into_pyobject(py)?.into_any().unbind(),
        Some(Number::Signed(n)) => n.into_pyobject(py)?.into_any().unbind(),
        Some(Number::Float(x)) => x.into_pyobject(py)?.into_any().unbind(),
        _ => py.None(),
    })
}

/// A value as a number, text, list or dictionary of Python. Nanoseconds become seconds: a moment, and what has
/// that unit.
pub(crate) fn to_python(
    py: Python<'_>,
    value: &OwnedValue,
    field: &FieldInfo,
) -> PyResult<Py<PyAny>> {
    let is_nanos = field.unit == "nanoseconds" || field.properties.kind() == Some(Kind::Timestamp);
    if is_nanos && let Some(nanos) = value.as_f64() {
        return Ok((nanos / 1e9).into_pyobject(py)?.into_any().unbind());
    }
    let number = |number: Option<Number>| match number {
        Some(number) if is_nanos => {
            Ok((as_f64(number) / 1e9).into_pyobject(py)?.into_any().unbind())
        }
        number => exact(py, number),
    };
    Ok(match value {
        OwnedValue::Unsigned(n) => n.into_pyobject(py)?.into_any().unbind(),
        OwnedValue::Signed(n) => n.into_pyobject(py)?.into_any().unbind(),
        OwnedValue::F32(x) => x.into_pyobject(py)?.into_any().unbind(),
        OwnedValue::F64(x) => x.into_pyobject(py)?.into_any().unbind(),
        OwnedValue::Bool(b) => b.into_pyobject(py)?.to_owned().into_any().unbind(),
        OwnedValue::Text { text, .. } => text.into_pyobject(py)?.into_any().unbind(),
        OwnedValue::Bytes { bytes, .. } => bytes.as_slice().into_pyobject(py)?.into_any().unbind(),
        OwnedValue::Array(values) => list(py, values.iter().map(Some), field)?,
        OwnedValue::Timer(timer) => {
            let seconds = |nanos: Option<u64>| {
                nanos.map(|n| std::time::Duration::from_nanos(n).as_secs_f64())
            };
            let dict = PyDict::new(py);
            dict.set_item("count", timer.count)?;
            dict.set_item("sum", nanos_to_seconds(timer.sum))?;
            dict.set_item("min", seconds(timer.min))?;
            dict.set_item("max", seconds(timer.max))?;
            dict.set_item("last", seconds(timer.last))?;
            dict.into_any().unbind()
        }
        OwnedValue::State(state) => match state.only() {
            Some(name) => name.into_pyobject(py)?.into_any().unbind(),
            None => {
                let dict = PyDict::new(py);
                for (name, count) in state.iter() {
                    dict.set_item(name, count)?;
                }
                dict.into_any().unbind()
            }
        },
        OwnedValue::Histogram(histogram) => {
            let dict = PyDict::new(py);
            dict.set_item("count", histogram.count())?;
            dict.set_item("sum", number(Some(histogram.sum()))?)?;
            dict.set_item("min", number(histogram.min())?)?;
            dict.set_item("max", number(histogram.max())?)?;
            let mean = histogram.mean().map(|mean| if is_nanos { mean / 1e9 } else { mean });
            dict.set_item("mean", mean)?;
            dict.into_any().unbind()
        }
        OwnedValue::Average(average) | OwnedValue::Window(average) => {
            let dict = PyDict::new(py);
            dict.set_item("count", average.count)?;
            dict.set_item("sum", average.sum)?;
            dict.set_item("mean", average.mean())?;
            dict.into_any().unbind()
        }
        OwnedValue::Rate(windows) => {
            let dict = PyDict::new(py);
            for window in windows {
                dict.set_item(window.window, window.rate)?;
            }
            dict.into_any().unbind()
        }
        OwnedValue::Running(running) => {
            let dict = PyDict::new(py);
            dict.set_item("number", running.number)?;
            dict.set_item("since", running.since.map(nanos_to_seconds))?;
            dict.into_any().unbind()
        }
        OwnedValue::Activity(activity) => {
            let rows = PyList::empty(py);
            for row in &activity.rows {
                let dict = PyDict::new(py);
                dict.set_item("text", &row.text)?;
                dict.set_item("since", row.since.map(nanos_to_seconds))?;
                rows.append(dict)?;
            }
            rows.into_any().unbind()
        }
        OwnedValue::Each(values) => {
            list(py, values.iter().map(|EachValue { value, .. }| value.as_ref()), field)?
        }
        _ => py.None(),
    })
}

fn list<'a>(
    py: Python<'_>,
    values: impl Iterator<Item = Option<&'a OwnedValue>>,
    field: &FieldInfo,
) -> PyResult<Py<PyAny>> {
    let list = PyList::empty(py);
    for value in values {
        match value {
            Some(value) => list.append(to_python(py, value, field)?)?,
            None => list.append(py.None())?,
        }
    }
    Ok(list.into_any().unbind())
}

#[allow(clippy::cast_precision_loss)] // The nearest float.
fn as_f64(number: Number) -> f64 {
    match number {
        Number::Unsigned(n) => n as f64,
        Number::Signed(n) => n as f64,
        Number::Float(x) => x,
    }
}

/// Nanoseconds as the nearest number of seconds.
#[allow(clippy::cast_precision_loss)] // The nearest float.
pub(crate) fn nanos_to_seconds(nanos: impl Into<u128>) -> f64 {
    nanos.into() as f64 / 1e9
}
