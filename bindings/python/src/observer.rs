//! Programs as they are seen from outside.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mmstats::recorder_support::{Locked, Mutex};
use mmstats_observe::{File, Instance, OwnedValue, Quantile, Sources, Total, Totals};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::value::{nanos_to_seconds, to_python};

/// Finds programs and reads their fields. Use it as a context manager, or call `close`.
#[pyclass(frozen, module = "mmstats")]
pub(crate) struct Observer {
    inner: Mutex<Option<mmstats_observe::Observer>>,
    /// The process whose thread has had the lock last.
    process: AtomicU32,
}

/// A program as it was at a refresh.
#[pyclass(frozen, module = "mmstats")]
pub(crate) struct Program {
    /// Process id as this process sees it, or else as the program says.
    #[pyo3(get)]
    pid: Option<u32>,
    /// Name of the program.
    #[pyo3(get)]
    command: Option<String>,
    /// `live`, `closed`, `dead` or another word of `mmstats ls`.
    #[pyo3(get)]
    state: &'static str,
    /// Random identity, 32 hexadecimal digits.
    #[pyo3(get)]
    instance: Option<String>,
    /// The application that it is a worker of.
    #[pyo3(get)]
    application: Option<String>,
    /// When it began to publish, in seconds since 1970.
    #[pyo3(get)]
    created: Option<f64>,
    /// Its files.
    #[pyo3(get)]
    paths: Vec<PathBuf>,
    /// Whether nothing is missing: a part, a lane, a field.
    #[pyo3(get)]
    is_complete: bool,
    /// Whether it takes part in sums: it lives, or has ended without being in the ledger of its application, or
    /// is a ledger.
    #[pyo3(get)]
    is_counted: bool,
    totals: Vec<Total>,
    events: Vec<Event>,
}

/// Label, kind, attributes, value and help of a field.
type Sample = (String, &'static str, Vec<(String, String)>, Option<Py<PyAny>>, String);

/// A field of a program, or of several, over all threads.
#[pyclass(frozen, module = "mmstats")]
pub(crate) struct Field {
    total: Total,
}

/// A line that a program recorded.
#[pyclass(frozen, module = "mmstats", from_py_object)]
#[derive(Clone)]
pub(crate) struct Event {
    /// The label of the field.
    #[pyo3(get)]
    label: String,
    /// Seconds since 1970.
    #[pyo3(get)]
    time: f64,
    /// The text; may hold control characters.
    #[pyo3(get)]
    text: String,
}

#[pymethods]
impl Event {
    fn __repr__(&self) -> String {
        format!("<mmstats.Event {:?} {:.3} {:?}>", self.label, self.time, self.text)
    }
}

/// The label, or a label with attributes.
fn matches(total: &Total, label: &str, attributes: &[(String, String)]) -> bool {
    total.field.label == label
        && attributes.iter().all(|(key, value)| {
            total.field.attributes().any(|(k, v)| k == key.as_str() && v == value.as_str())
        })
}

fn wanted(attributes: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<(String, String)>> {
    let Some(attributes) = attributes else { return Ok(Vec::new()) };
    let item = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        Ok((key.extract()?, value.str()?.to_string_lossy().into_owned()))
    };
    attributes.iter().map(item).collect()
}

/// The only field that matches.
fn find(totals: &[Total], label: &str, attributes: &[(String, String)]) -> PyResult<Field> {
    let mut found = totals.iter().filter(|total| matches(total, label, attributes));
    match (found.next(), found.next()) {
        (Some(total), None) => Ok(Field { total: total.clone() }),
        (Some(_), Some(_)) => Err(PyKeyError::new_err(format!(
            "{label}: several fields; name attributes, or add them up by Observer.total"
        ))),
        (None, _) => Err(PyKeyError::new_err(label.to_owned())),
    }
}

#[pymethods]
impl Program {
    /// The field with this label.
    fn __getitem__(&self, label: &str) -> PyResult<Field> {
        find(&self.totals, label, &[])
    }

    fn __contains__(&self, label: &str) -> bool {
        self.totals.iter().any(|total| total.field.label == label)
    }

    fn __len__(&self) -> usize {
        self.totals.len()
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let fields = self.fields().into_iter().map(|field| Py::new(py, field));
        let fields = fields.collect::<PyResult<Vec<_>>>()?;
        Ok(fields.into_pyobject(py)?.call_method0("__iter__")?.unbind())
    }

    /// The field with this label and these attributes; `None` if there is none.
    #[pyo3(signature = (label, **attributes))]
    fn get(&self, label: &str, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<Option<Field>> {
        let attributes = wanted(attributes)?;
        if !self.totals.iter().any(|total| matches(total, label, &attributes)) {
            return Ok(None);
        }
        find(&self.totals, label, &attributes).map(Some)
    }

    /// All fields.
    #[getter]
    fn fields(&self) -> Vec<Field> {
        self.totals.iter().map(|total| Field { total: total.clone() }).collect()
    }

    /// The lines of its events, the oldest first.
    #[getter]
    fn events(&self) -> Vec<Event> {
        self.events.clone()
    }

    /// Label, kind, attributes and value of each field, in one call.
    fn samples(&self, py: Python<'_>) -> PyResult<Vec<Sample>> {
        let sample = |total: &Total| {
            let field = &total.field;
            let attributes = field.attributes().map(|(k, v)| (k.to_owned(), v.to_owned()));
            let kind = field.properties.kind().map_or("", mmstats_observe::Kind::name);
            let value = total.reading.value.as_ref();
            let value = value.map(|value| to_python(py, value, field)).transpose()?;
            Ok((field.label.clone(), kind, attributes.collect(), value, field.help.to_string()))
        };
        self.totals.iter().map(sample).collect()
    }

    /// Labels and values; a field with attributes has them in braces behind its label.
    fn to_dict(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let dict = PyDict::new(py);
        for total in &self.totals {
            let field = Field { total: total.clone() };
            dict.set_item(field.name(), field.value(py)?)?;
        }
        Ok(dict.unbind())
    }

    fn __repr__(&self) -> String {
        let command = self.command.as_deref().unwrap_or("?");
        let pid = self.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        format!("<mmstats.Program {command} pid {pid} {}>", self.state)
    }
}

impl Field {
    /// The label, with the attributes in braces.
    fn name(&self) -> String {
        let attributes: Vec<String> =
            self.total.field.attributes().map(|(key, value)| format!("{key}={value:?}")).collect();
        if attributes.is_empty() {
            return self.total.field.label.clone();
        }
        format!("{}{{{}}}", self.total.field.label, attributes.join(","))
    }
}

#[pymethods]
impl Field {
    /// The label.
    #[getter]
    fn label(&self) -> &str {
        &self.total.field.label
    }

    /// The unit; empty if there is none.
    #[getter]
    fn unit(&self) -> &str {
        &self.total.field.unit
    }

    /// The help text.
    #[getter]
    fn help(&self) -> &str {
        &self.total.field.help
    }

    /// The kind: `counter`, `gauge` and so on.
    #[getter]
    fn kind(&self) -> Option<&'static str> {
        self.total.field.properties.kind().map(mmstats_observe::Kind::name)
    }

    /// The attributes.
    #[getter]
    fn attributes(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let dict = PyDict::new(py);
        for (key, value) in self.total.field.attributes() {
            dict.set_item(key, value)?;
        }
        Ok(dict.unbind())
    }

    /// The value; `None` where `verdict` is not `consistent`.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let value = self.total.reading.value.as_ref();
        value.map(|value| to_python(py, value, &self.total.field)).transpose()
    }

    /// `consistent`, or why there is no value.
    #[getter]
    fn verdict(&self) -> String {
        self.total.reading.verdict.to_string()
    }

    /// Quantile `q` of a histogram, from 0 to 1, in its unit; in seconds, if that is nanoseconds. `None`
    /// without values, and where the buckets end: then only a bound is known.
    fn quantile(&self, q: f64) -> PyResult<Option<f64>> {
        if !(0.0..=1.0).contains(&q) {
            return Err(PyValueError::new_err("a quantile is from 0 to 1"));
        }
        let Some(OwnedValue::Histogram(histogram)) = &self.total.reading.value else {
            return Ok(None);
        };
        let quantile = histogram.quantile(q).and_then(Quantile::value);
        let is_nanos = self.total.field.unit == "nanoseconds";
        Ok(quantile.map(|value| if is_nanos { value / 1e9 } else { value }))
    }

    fn __repr__(&self) -> String {
        format!("<mmstats.Field {} {:?}>", self.name(), self.total.reading.value)
    }
}

impl Observer {
    /// The lock. A fork waits for it, but not for long; `None` in a child if a thread of the parent held it.
    fn lock(&self) -> Option<Locked<'_, Option<mmstats_observe::Observer>>> {
        let own = std::process::id();
        loop {
            if let Some(inner) = self.inner.lock_within(Duration::from_millis(50)) {
                self.process.store(own, Ordering::Relaxed);
                return Some(inner);
            }
            if self.process.load(Ordering::Relaxed) != own {
                return None;
            }
        }
    }

    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut mmstats_observe::Observer) -> R + Send,
    ) -> PyResult<R> {
        py.detach(|| {
            let Some(mut inner) = self.lock() else {
                return Err("a thread of the parent process used the observer: make another one");
            };
            inner.as_mut().map(work).ok_or("the observer is closed")
        })
        .map_err(PyValueError::new_err)
    }
}

#[pymethods]
impl Observer {
    /// Looks in the usual directories, or only for files of `paths` (files and directories), of the processes
    /// `pids` and of programs with these `names`.
    #[new]
    #[pyo3(signature = (paths=Vec::new(), pids=Vec::new(), names=Vec::new()))]
    fn new(paths: Vec<PathBuf>, pids: Vec<u32>, names: Vec<String>) -> Self {
        let sources = paths.into_iter().fold(Sources::new(), Sources::path);
        let sources = pids.into_iter().fold(sources, Sources::pid);
        let sources = names.into_iter().fold(sources, Sources::name);
        let inner = Mutex::new(Some(mmstats_observe::Observer::new(sources)));
        Self { inner, process: AtomicU32::new(std::process::id()) }
    }

    /// Looks for files and reads all fields; returns the programs. With `application` those that belong to it: its
    /// ledger and, where it is named after an instance, the program with that instance too.
    #[pyo3(signature = (application=None))]
    fn refresh(&self, py: Python<'_>, application: Option<String>) -> PyResult<Vec<Program>> {
        self.with(py, move |observer| {
            observer.refresh();
            let is_wanted = |program: &mmstats_observe::Program<'_>| {
                application.as_ref().is_none_or(|wanted| {
                    program.identity().application.as_ref() == Some(wanted)
                        || program.instance().is_some_and(|own| own.to_string() == *wanted)
                })
            };
            let programs = observer.programs();
            programs.iter().filter(|program| is_wanted(program)).map(Program::new).collect()
        })
    }

    /// A field over all programs of the last refresh, and over all values of its attributes but the given.
    #[pyo3(signature = (label, **attributes))]
    fn total(
        &self,
        py: Python<'_>,
        label: String,
        attributes: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Field> {
        let attributes = wanted(attributes)?;
        let name = label.clone();
        let totals = self.with(py, move |observer| {
            let filter = move |field: &mmstats_observe::FieldRef<'_>| {
                field.label() == label
                    && attributes.iter().all(|(key, value)| {
                        field.attributes().any(|(k, v)| k == key.as_str() && v == value.as_str())
                    })
            };
            let mut totals = Totals::filtered(filter).of_families();
            totals.update(observer.files(), None);
            totals.into_fields()
        })?;
        find(&totals, &name, &[])
    }

    /// What could not be read, a sentence each.
    fn problems(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.with(py, |observer| observer.problems().map(ToString::to_string).collect())
    }

    /// Unmaps the files.
    fn close(&self, py: Python<'_>) {
        let observer = py.detach(|| self.lock().and_then(|mut inner| inner.take()));
        drop(observer);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) -> bool {
        self.close(py);
        false
    }
}

impl Program {
    fn new(program: &mmstats_observe::Program<'_>) -> Self {
        let identity = program.identity();
        let mut events: Vec<Event> = program.files().iter().flat_map(|file| lines(file)).collect();
        events.sort_by(|a, b| a.time.total_cmp(&b.time));
        Self {
            pid: program.process().or(identity.pid),
            command: identity.command.clone(),
            state: program.state().name(),
            instance: program.instance().as_ref().map(Instance::to_string),
            application: identity.application.clone(),
            created: identity.created,
            paths: program.files().iter().map(|file| file.path().to_owned()).collect(),
            is_complete: program.completeness().is_complete(),
            is_counted: program.is_counted(),
            totals: program.totals().into_iter().filter(|total| !is_unused(total)).collect(),
            events,
        }
    }
}

/// Whether nothing was beyond the cap of a family: its last field is not shown then, as by the tools.
fn is_unused(total: &Total) -> bool {
    let is_overflow = total.field.attributes().any(|pair| pair == ("overflow", "true"));
    is_overflow
        && match &total.reading.value {
            None => true,
            Some(OwnedValue::Timer(timer)) => timer.count == 0,
            Some(OwnedValue::Histogram(histogram)) => histogram.count() == 0,
            Some(value) => value.as_f64() == Some(0.0),
        }
}

/// The lines of all events fields of a file.
fn lines(file: &File) -> Vec<Event> {
    let mut all = Vec::new();
    for (index, field) in file.fields().enumerate() {
        if field.properties().kind() != Some(mmstats_observe::Kind::Events) {
            continue;
        }
        for lane in 0..file.lanes().used {
            for event in file.events(index, lane, 0).unwrap_or_default() {
                let Ok(line) = event.line else { continue };
                let (label, time) = (field.label().to_owned(), nanos_to_seconds(event.time));
                all.push(Event { label, time, text: line.text });
            }
        }
    }
    all
}
