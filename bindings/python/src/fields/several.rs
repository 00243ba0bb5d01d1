//! Groups and arrays: numbers that are published together.

use mmstats::DynField;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{Array, Group};
use crate::place::Handle;
use crate::value::scalar;

#[pymethods]
impl Group {
    /// Sets all members at once, by their names.
    #[pyo3(signature = (**values))]
    fn set(&self, py: Python<'_>, values: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let given = values.map_or(0, PyDictMethods::len);
        let mut scalars = Vec::with_capacity(self.members.len());
        for (name, ty) in &self.members {
            let value = values.map(|values| values.get_item(name)).transpose()?.flatten();
            let value = value.ok_or_else(|| {
                PyTypeError::new_err(format!("{}: {name} is missing", self.place.label()))
            })?;
            scalars.push(scalar(*ty, &value)?);
        }
        if given != scalars.len() {
            let names: Vec<&str> = self.members.iter().map(|(name, _)| &**name).collect();
            let text = format!("{}: its members are {}", self.place.label(), names.join(", "));
            return Err(PyTypeError::new_err(text));
        }
        let done = update!(self, py, Group, group => group.set(&scalars))?;
        if done.unwrap_or(true) {
            Ok(())
        } else {
            Err(PyValueError::new_err("a value is out of range"))
        }
    }
}

#[pymethods]
impl Array {
    /// Sets all elements.
    fn set(&self, py: Python<'_>, values: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        use mmstats::DataType;
        let done = match self.ty {
            DataType::F64 => {
                let values =
                    values.iter().map(PyAnyMethods::extract).collect::<PyResult<Vec<f64>>>()?;
                update!(self, py, Array, array => array.set(&values))?
            }
            DataType::I64 => {
                let values =
                    values.iter().map(PyAnyMethods::extract).collect::<PyResult<Vec<i64>>>()?;
                update!(self, py, Array, array => array.set(&values))?
            }
            DataType::U64 => {
                let values =
                    values.iter().map(PyAnyMethods::extract).collect::<PyResult<Vec<u64>>>()?;
                update!(self, py, Array, array => array.set(&values))?
            }
            other => return Err(PyTypeError::new_err(format!("an array of {other} has no set"))),
        };
        if done.unwrap_or(true) {
            Ok(())
        } else {
            Err(PyValueError::new_err("another number of elements"))
        }
    }
}
