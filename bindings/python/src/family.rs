//! Families: fields of one label that differ in the values of its labels.

use std::sync::Arc;

use mmstats::{DynFamilyKey, DynField};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString, PyTuple};

use crate::declaration::Declaration;
use crate::fields;
use crate::place::{Place, Source};
use crate::publishing::Publishing;

/// Number of combinations whose objects are kept. The family itself counts what is beyond its cap together.
const KEPT: usize = 4_096;

/// Fields of one label that differ in the values of labels.
#[pyclass(frozen, module = "mmstats")]
pub(crate) struct Family {
    publishing: Arc<Publishing>,
    key: DynFamilyKey<DynField>,
    declared: Declaration,
    /// The fields, by the texts of the values, and by the values if they are [`plain`].
    known: Py<PyDict>,
}

/// Whether each value is a `str` or `int` itself: of other classes (`bool`, `float`, an `Enum`) values that are equal to
/// such a one may have another text.
fn plain(values: &Bound<'_, PyTuple>) -> bool {
    values.iter().all(|value| {
        value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyInt>()
    })
}

impl Family {
    pub(crate) fn new(
        py: Python<'_>,
        publishing: &Arc<Publishing>,
        key: DynFamilyKey<DynField>,
        declared: Declaration,
    ) -> Self {
        Self { publishing: Arc::clone(publishing), key, declared, known: PyDict::new(py).unbind() }
    }

    fn wrong_labels(&self) -> PyErr {
        let labels = self.declared.labels.join(", ");
        PyTypeError::new_err(format!("{}: its labels are {labels}", self.declared.label))
    }

    /// The field of a combination that is not in `known`.
    fn find(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        let mut texts = Vec::with_capacity(values.len());
        for value in values {
            texts.push(value.str()?.to_string_lossy().into_owned());
        }
        if texts.len() != self.declared.labels.len() {
            return Err(self.wrong_labels());
        }
        let known = self.known.bind(py);
        let keep = |key: &Bound<'_, PyTuple>, field: &Bound<'_, PyAny>| {
            if known.len() >= KEPT {
                known.clear();
            }
            known.set_item(key, field)
        };
        let exact = PyTuple::new(py, &texts)?;
        let field = match known.get_item(&exact)? {
            Some(field) => field,
            None => {
                let mut attributes = self.declared.attributes();
                attributes.extend(self.declared.labels.iter().cloned().zip(texts.iter().cloned()));
                let source = Source::Combination(self.key, texts.clone());
                let place = Place::new(&self.publishing, source, &self.declared.label);
                let place = place.with_attributes(attributes);
                let field = fields::make(py, &self.declared, place)?.into_bound(py);
                keep(&exact, &field)?;
                field
            }
        };
        if plain(values) {
            keep(values, &field)?;
        }
        Ok(field.unbind())
    }

    /// The field of these values, in the order of the labels.
    fn field(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        if plain(values)
            && let Some(field) = self.known.bind(py).get_item(values)?
        {
            return Ok(field.unbind());
        }
        self.find(py, values)
    }
}

#[pymethods]
impl Family {
    /// The field with these values of the labels, by position or by name.
    #[pyo3(signature = (*values, **named))]
    fn labels(
        &self,
        py: Python<'_>,
        values: &Bound<'_, PyTuple>,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            return self.field(py, values);
        };
        let mut all: Vec<Bound<'_, PyAny>> = values.iter().collect();
        for label in self.declared.labels.iter().skip(all.len()) {
            all.push(named.get_item(label)?.ok_or_else(|| self.wrong_labels())?);
        }
        if all.len() != values.len() + named.len() {
            return Err(self.wrong_labels());
        }
        self.field(py, &PyTuple::new(py, all)?)
    }

    /// `Family[Counter]` in an annotation.
    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, pyo3::types::PyType>,
        _field: &Bound<'py, PyAny>,
    ) -> Bound<'py, pyo3::types::PyType> {
        class.clone()
    }

    /// The label.
    #[getter]
    fn label(&self) -> &str {
        &self.declared.label
    }

    fn __repr__(&self) -> String {
        format!("<mmstats.Family {:?} by {}>", self.declared.label, self.declared.labels.join(", "))
    }
}
