//! The class `Publisher`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mmstats::{Access, DataType, DynField, Lane, OnDrop, Options, Schema, Shape, SharedField};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::declaration::Declaration;
use crate::family::Family;
use crate::fields;
use crate::place::{Place, Source};
use crate::publishing::{Publishing, error};

/// A file that this process writes.
#[pyclass(frozen, module = "mmstats", weakref)]
pub(crate) struct Publisher {
    pub(crate) publishing: Arc<Publishing>,
}

/// The options of [`Publisher::start`].
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Settings {
    #[pyo3(default)]
    name: Option<String>,
    #[pyo3(default)]
    directory: Option<PathBuf>,
    #[pyo3(default)]
    application: Option<String>,
    #[pyo3(default)]
    lanes: Option<u32>,
    private: bool,
    #[pyo3(default)]
    keep: bool,
    #[pyo3(default)]
    access: Option<String>,
    #[pyo3(default)]
    interval: Option<f64>,
    #[pyo3(default)]
    persistent: Option<PathBuf>,
    /// Template of the file's name.
    #[pyo3(default)]
    files: Option<String>,
    /// Fields that are added later, and bytes of their strings.
    #[pyo3(default)]
    reserve: Option<(u32, u32)>,
}

impl Settings {
    fn options(self) -> PyResult<Options> {
        // MMSTATS_* first: what the program says overrides it.
        let mut options = Options::from_env();
        if let Some(name) = self.name {
            options = options.name(name);
        }
        if let Some(directory) = self.directory {
            options = options.directory(directory);
        }
        if let Some(application) = self.application {
            options = options.application(application);
        }
        if let Some(lanes) = self.lanes {
            options = options.lanes(lanes);
        }
        if self.private {
            options = options.or_private();
        }
        if self.keep {
            options = options.on_drop(OnDrop::Keep);
        }
        if let Some(access) = self.access {
            options = options.access(match &*access {
                "owner" => Access::Owner,
                "group" => Access::Group,
                "everybody" => Access::Everybody,
                _ => return Err(PyValueError::new_err("access is owner, group or everybody")),
            });
        }
        if let Some(interval) = self.interval {
            let interval = Duration::try_from_secs_f64(interval);
            let interval = interval.map_err(|_| PyValueError::new_err("interval is in seconds"))?;
            options = options.sample_every(interval);
        }
        if let Some(template) = self.files {
            options = options.files(template);
        }
        if let Some((fields, bytes)) = self.reserve {
            options = options.reserve(fields, bytes);
        }
        if let Some(path) = self.persistent {
            options = options.persistent(path);
        }
        Ok(options)
    }
}

/// A declaration, with the key that the schema has for it.
enum Declared {
    Field(Declaration, mmstats::Key<mmstats::DynField>),
    Family(Declaration, mmstats::DynFamilyKey<mmstats::DynField>),
}

impl Declared {
    /// The object of the field.
    fn field(self, py: Python<'_>, publishing: &Arc<Publishing>) -> PyResult<Py<PyAny>> {
        let (declaration, key) = match self {
            Self::Family(declaration, key) => {
                let family = Family::new(py, publishing, key, declaration);
                return Ok(Py::new(py, family)?.into_any());
            }
            Self::Field(declaration, key) => (declaration, key),
        };
        let source = match (declaration.per_process, declaration.shape()?) {
            (true, Shape::Gauge(DataType::F64)) => Source::Float(key),
            (true, Shape::Gauge(DataType::I64)) => Source::Integer(key),
            (true, _) => Source::Process(key),
            (false, _) => Source::Thread(key),
        };
        let place = Place::new(publishing, source, &declaration.label);
        fields::make(py, &declaration, place.with_attributes(declaration.attributes()))
    }
}

#[pymethods]
impl Publisher {
    /// Creates a file with the declared fields; returns the publisher and the fields in their order.
    #[staticmethod]
    fn start(
        py: Python<'_>,
        settings: Settings,
        declarations: Vec<Declaration>,
        on_restart: Option<Py<PyAny>>,
    ) -> PyResult<(Self, Vec<Py<PyAny>>)> {
        let mut schema = Schema::new();
        let mut declared = Vec::with_capacity(declarations.len());
        for declaration in declarations {
            let label = declaration.label.clone();
            declared.push(if declaration.labels.is_empty() {
                let key = schema.add(label, declaration.options()?);
                Declared::Field(declaration, key)
            } else {
                let labels: Vec<&str> = declaration.labels.iter().map(String::as_str).collect();
                let key = schema.add_dyn_family(label, &labels, declaration.family_options()?);
                Declared::Family(declaration, key)
            });
        }
        let options = settings.options()?.schema(schema);
        let registry = py.detach(|| options.start::<Lane>()).map_err(|e| error(&e))?;
        let publishing = Arc::new(Publishing::new(registry, on_restart));
        let fields = declared.into_iter().map(|declared| declared.field(py, &publishing));
        let fields = fields.collect::<PyResult<Vec<_>>>()?;
        Ok((Self { publishing }, fields))
    }

    /// Adds a field while the program runs; returns it.
    fn add(&self, py: Python<'_>, declaration: Declaration) -> PyResult<Py<PyAny>> {
        let registry = self.publishing.registry(py);
        let label = declaration.label.clone();
        let declared = if !declaration.labels.is_empty() {
            let options = declaration.family_options()?;
            let labels: Vec<&str> = declaration.labels.iter().map(String::as_str).collect();
            let key = py.detach(|| registry.add_dyn_family(label, &labels, options));
            Declared::Family(declaration, key.map_err(|e| error(&e))?)
        } else if declaration.per_process {
            let options = declaration.shared_options()?;
            let key = py.detach(|| registry.add_shared::<SharedField<DynField>>(label, options));
            Declared::Field(declaration, key.map_err(|e| error(&e))?.for_handle())
        } else {
            let options = declaration.options()?;
            let key = py.detach(|| registry.add(label, options));
            Declared::Field(declaration, key.map_err(|e| error(&e))?)
        };
        self.publishing.own_view().forget();
        declared.field(py, &self.publishing)
    }

    /// The identity of this process: 32 hexadecimal digits.
    #[getter]
    fn instance(&self, py: Python<'_>) -> String {
        let instance = self.publishing.registry(py).instance();
        instance.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The paths of the files of this process; none if the values are in private memory.
    #[getter]
    fn paths(&self, py: Python<'_>) -> Vec<PathBuf> {
        let registry = self.publishing.registry(py);
        py.detach(|| registry.paths())
    }

    /// Why values are not published, or not wholly; `None` if nothing is wrong.
    #[getter]
    fn problem(&self, py: Python<'_>) -> Option<String> {
        let registry = self.publishing.registry(py);
        py.detach(|| registry.problem()).map(|problem| problem.to_string())
    }

    /// Closes the file of this process. In a forked child that has updated nothing it does nothing.
    fn close(&self, py: Python<'_>) {
        if let Some(registry) = self.publishing.own() {
            py.detach(|| registry.close());
        }
    }
}
