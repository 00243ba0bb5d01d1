//! Fields as Python declares them.

use std::collections::BTreeMap;

use mmstats::{
    Aggregation, DataType, DynField, FamilyOf, FieldOptions, GroupMember, HasBuckets, HasCapacity,
    HasCount, HasEntries, HasMembers, HasRows, HasRunning, HasShape, HasStates, HasWindows, Level,
    Shape, SharedField, Value,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A field in the form of a dictionary. Keys that a kind does not use are absent or `None`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Declaration {
    pub(crate) label: String,
    pub(crate) kind: String,
    #[pyo3(default)]
    pub(crate) labels: Vec<String>,
    #[pyo3(default)]
    pub(crate) per_process: bool,
    #[pyo3(default)]
    pub(crate) states: Vec<String>,
    #[pyo3(default)]
    pub(crate) members: Vec<(String, String)>,
    #[pyo3(default)]
    help: String,
    #[pyo3(default)]
    unit: Option<String>,
    #[pyo3(default)]
    attributes: BTreeMap<String, String>,
    #[pyo3(default)]
    level: Option<String>,
    #[pyo3(default)]
    aggregation: Option<String>,
    #[pyo3(default)]
    r#type: Option<String>,
    #[pyo3(default)]
    error: Option<f64>,
    #[pyo3(default)]
    range: Option<(f64, f64)>,
    #[pyo3(default)]
    entries: Option<u32>,
    #[pyo3(default)]
    rows: Option<u32>,
    #[pyo3(default)]
    running: bool,
    #[pyo3(default)]
    windows: Vec<u32>,
    #[pyo3(default)]
    capacity: Option<u32>,
    #[pyo3(default)]
    count: Option<u32>,
    #[pyo3(default)]
    cap: Option<u32>,
    #[pyo3(default)]
    value: Option<Constant>,
}

/// The value of an `info`.
#[derive(FromPyObject)]
enum Constant {
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

fn wrong(what: &str, name: &str, label: &str) -> PyErr {
    PyValueError::new_err(format!("{label}: {what} {name:?} is none of mmstats"))
}

/// The type of a scalar by its name.
pub(crate) fn data_type(name: &str) -> Option<DataType> {
    match name {
        "float" => Some(DataType::F64),
        "int" => Some(DataType::I64),
        _ => DataType::ALL.iter().copied().find(|ty| ty.name() == name),
    }
}

impl Declaration {
    fn scalar(&self) -> PyResult<DataType> {
        let name = self.r#type.as_deref().unwrap_or("float");
        data_type(name).ok_or_else(|| wrong("type", name, &self.label))
    }

    /// The kind, with the type of its values.
    pub(crate) fn shape(&self) -> PyResult<Shape> {
        let is_float = match self.r#type.as_deref() {
            Some("float" | "f64") => true,
            Some(name)
                if matches!(&*self.kind, "counter" | "histogram")
                    && name != "int"
                    && name != "u64" =>
            {
                return Err(PyValueError::new_err(format!(
                    "{}: a {} is of type int or float, not {name}",
                    self.label, self.kind
                )));
            }
            _ => false,
        };
        Ok(match &*self.kind {
            "counter" if is_float => Shape::FloatCounter,
            "counter" => Shape::Counter,
            "gauge" => Shape::Gauge(self.scalar()?),
            "timestamp" => Shape::Timestamp,
            "text" => Shape::Text,
            "blob" => Shape::Blob,
            "array" => Shape::Array(self.scalar()?),
            "state" => Shape::State,
            "group" => Shape::Group,
            "timer" => Shape::Timer,
            "latency" => Shape::Latency,
            "histogram" if is_float => Shape::FloatHistogram,
            "histogram" => Shape::Histogram,
            "average" => Shape::Average,
            "window" => Shape::Window(self.scalar()?),
            "rate" => Shape::Rate,
            "events" => Shape::Events,
            "activity" => Shape::Activity,
            "info" => Shape::Info,
            other => return Err(wrong("kind", other, &self.label)),
        })
    }

    /// The options of the field.
    pub(crate) fn options(&self) -> PyResult<FieldOptions<DynField>> {
        let mut options = self.common::<DynField>()?;
        if let Some(value) = &self.value {
            options = options.value(match value {
                Constant::Bool(value) => Value::Bool(*value),
                Constant::Integer(value) => Value::I64(*value),
                Constant::Unsigned(value) => Value::U64(*value),
                Constant::Float(value) => Value::F64(*value),
                Constant::Text(value) => Value::Text(value.clone()),
            });
        }
        Ok(options)
    }

    /// The options of a field of the whole process.
    pub(crate) fn shared_options(&self) -> PyResult<FieldOptions<SharedField<DynField>>> {
        self.common()
    }

    /// Key and value of each attribute.
    pub(crate) fn attributes(&self) -> Vec<(String, String)> {
        self.attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The options of the family.
    pub(crate) fn family_options(&self) -> PyResult<FieldOptions<FamilyOf<DynField>>> {
        let options = self.common::<FamilyOf<DynField>>()?;
        Ok(match self.cap {
            Some(cap) => options.cap(cap),
            None => options,
        })
    }

    fn common<H>(&self) -> PyResult<FieldOptions<H>>
    where
        H: HasShape + HasCapacity + HasCount + HasStates + HasMembers + HasBuckets,
        H: HasEntries + HasRows + HasRunning + HasWindows,
    {
        let mut options = FieldOptions::<H>::new().help(&*self.help).shape(self.shape()?);
        if let Some(unit) = &self.unit {
            options = options.unit(unit);
        }
        for (key, value) in &self.attributes {
            options = options.attribute(key, value);
        }
        if let Some(name) = &self.level {
            let level = [Level::Info, Level::Diagnostic, Level::Debug].into_iter();
            let level = level.into_iter().find(|level| level.name() == name);
            options = options.level(level.ok_or_else(|| wrong("level", name, &self.label))?);
        }
        if let Some(name) = &self.aggregation {
            let rule = Aggregation::ALL.iter().find(|rule| rule.name() == name);
            options =
                options.aggregation(*rule.ok_or_else(|| wrong("aggregation", name, &self.label))?);
        }
        if let Some(error) = self.error {
            options = options.error(error);
        }
        if let Some((low, high)) = self.range {
            options = options.range(low, high);
        }
        if let Some(entries) = self.entries {
            options = options.entries(entries);
        }
        if let Some(rows) = self.rows {
            options = options.rows(rows);
        }
        if self.running {
            options = options.running();
        }
        if !self.windows.is_empty() {
            options = options.windows(self.windows.iter().copied());
        }
        if let Some(capacity) = self.capacity {
            options = options.capacity(capacity);
        }
        if let Some(count) = self.count {
            options = options.count(count);
        }
        if !self.states.is_empty() {
            options = options.states(&self.states);
        }
        if !self.members.is_empty() {
            let member = |(name, ty): &(String, String)| match &**ty {
                "counter" => Ok(GroupMember::counter(name)),
                ty => data_type(ty)
                    .map(|ty| GroupMember::gauge(name, ty))
                    .ok_or_else(|| wrong("type", ty, &self.label)),
            };
            let members = self.members.iter().map(member).collect::<PyResult<Vec<_>>>()?;
            options = options.members(members);
        }
        Ok(options)
    }
}
