//! The native module of the Python package `mmstats`: publishers, the handles of their fields, and an
//! observer. What Python programs see is in `python/mmstats`.
//!
//! Layers, from the lowest to the highest: `value` and `declaration` (Python's values and ours), `view` (the own
//! files), `publishing` (a publisher and its restart after a fork), `place` (a thread's handles), `fields`, `family`,
//! `publisher`; `observer` beside them.

#![forbid(unsafe_code)]
// As `mmstats::SharedGauge`, by which a gauge belongs to the whole process.
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]

mod declaration;
mod family;
mod fields;
mod observer;
mod place;
mod publisher;
mod publishing;
mod stacks;
mod value;
mod view;

use pyo3::prelude::*;

pyo3::create_exception!(
    mmstats,
    Error,
    pyo3::exceptions::PyException,
    "What mmstats could not do: create a file, add a field, read a program."
);

/// The native part of `mmstats`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Error", module.py().get_type::<Error>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<publisher::Publisher>()?;
    module.add_class::<family::Family>()?;
    fields::add_classes(module)?;
    module.add_class::<observer::Observer>()?;
    module.add_class::<observer::Program>()?;
    module.add_class::<observer::Field>()?;
    module.add_class::<observer::Event>()?;
    module.add_class::<stacks::Stacks>()?;
    Ok(())
}
