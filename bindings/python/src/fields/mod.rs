//! The classes of fields. Their updates are in the modules below.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::declaration::{Declaration, data_type};
use crate::place::Place;
use crate::value::to_python;

/// Updates a field that is of kind `$kind`, by its thread's handle or under the lock of the process.
macro_rules! update {
    ($self:ident, $py:ident, $($kind:ident)|+, $handle:ident => $update:expr) => {
        $self.place.with($py, |found| {
            let update = |field: &DynField| match field {
                $(DynField::$kind($handle) => Some($update),)+
                _ => None,
            };
            match found {
                Handle::Own(field) => update(field),
                Handle::Process(shared) => shared.update(update).ok().flatten(),
                _ => None,
            }
        })
    };
}

mod durations;
mod numbers;
mod samples;
mod several;
mod words;

/// The classes, and what all of them have.
macro_rules! classes {
    ($($(#[$doc:meta])* $class:ident { $($member:ident: $type:ty),* })*) => {
        $(
            $(#[$doc])*
            #[pyclass(frozen, module = "mmstats")]
            pub(crate) struct $class {
                place: Place,
                $($member: $type,)*
            }

            #[pymethods]
            impl $class {
                /// The label.
                #[getter]
                fn label(&self) -> &str {
                    self.place.label()
                }

                /// The value over all threads of this process; `None` if there is none, or no file.
                #[getter]
                fn value(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
                    let Some(total) = self.place.read(py) else { return Ok(None) };
                    let value = total.reading.value.as_ref();
                    value.map(|value| to_python(py, value, &total.field)).transpose()
                }

                /// Retires the field: readers stop showing it, and its name can be used again.
                fn retire(&self, py: Python<'_>) -> PyResult<()> {
                    self.place.retire(py)
                }

                fn __repr__(&self) -> String {
                    format!("<mmstats.{} {:?}>", stringify!($class), self.place.label())
                }
            }
        )*

        /// Adds the classes to the module.
        pub(crate) fn add_classes(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $(module.add_class::<$class>()?;)*
            module.add_class::<durations::Section>()?;
            module.add_class::<words::Begun>()
        }
    };
}

classes! {
    /// An integer that only grows.
    Counter {}
    /// A float that only grows.
    FloatCounter {}
    /// A number that goes up and down.
    Gauge { ty: mmstats::DataType }
    /// True or false.
    Flag {}
    /// A text.
    Text {}
    /// Bytes.
    Blob {}
    /// A moment.
    Timestamp {}
    /// One of a few named states.
    State { names: Vec<String> }
    /// Numbers that are published together.
    Group { members: Vec<(String, mmstats::DataType)> }
    /// Numbers of one type that are published together.
    Array { ty: mmstats::DataType }
    /// Durations: how many, their sum, the shortest, the longest and the last.
    Timer {}
    /// Durations, with quantiles.
    Latency {}
    /// Values, with quantiles.
    Histogram { is_float: bool }
    /// The average of all values.
    Average {}
    /// The average of the last values.
    Window { ty: mmstats::DataType }
    /// A counter with its rates over the last seconds.
    Rate {}
    /// The last lines of text.
    Events {}
    /// What is in progress.
    Activity {}
    /// A constant.
    Info {}
}

/// The field of a declaration, or of one combination of its labels.
pub(crate) fn make(py: Python<'_>, declared: &Declaration, place: Place) -> PyResult<Py<PyAny>> {
    use mmstats::Shape;
    fn object<T: pyo3::PyClass + Into<PyClassInitializer<T>>>(
        py: Python<'_>,
        field: T,
    ) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, field)?.into_any())
    }
    match declared.shape()? {
        Shape::Counter => object(py, Counter { place }),
        Shape::FloatCounter => object(py, FloatCounter { place }),
        Shape::Gauge(mmstats::DataType::Bool) => object(py, Flag { place }),
        Shape::Gauge(ty) => object(py, Gauge { place, ty }),
        Shape::Timestamp => object(py, Timestamp { place }),
        Shape::Text => object(py, Text { place }),
        Shape::Blob => object(py, Blob { place }),
        Shape::Array(ty) => object(py, Array { place, ty }),
        Shape::State => object(py, State { place, names: declared.states.clone() }),
        Shape::Group => {
            let member = |(name, ty): &(String, String)| {
                (name.clone(), data_type(ty).unwrap_or(mmstats::DataType::U64))
            };
            object(py, Group { place, members: declared.members.iter().map(member).collect() })
        }
        Shape::Timer => object(py, Timer { place }),
        Shape::Latency => object(py, Latency { place }),
        Shape::Histogram => object(py, Histogram { place, is_float: false }),
        Shape::FloatHistogram => object(py, Histogram { place, is_float: true }),
        Shape::Average => object(py, Average { place }),
        Shape::Window(ty) => object(py, Window { place, ty }),
        Shape::Rate => object(py, Rate { place }),
        Shape::Events => object(py, Events { place }),
        Shape::Activity => object(py, Activity { place }),
        Shape::Info => object(py, Info { place }),
        _ => Err(PyTypeError::new_err(format!("{}: a kind without a class", declared.label))),
    }
}
