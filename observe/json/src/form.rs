//! Forms: types of values that their JSON does not tell apart.

use mmstats_observe::{
    Aggregation, DataType, EachValue, FieldInfo, Kind, Origin, OwnedValue, Verdict,
};
use serde::{Deserialize, Serialize};

/// Type of a value, where its JSON and the description of its field do not determine it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The usual type of the field.
    #[default]
    Plain,
    /// An unsigned integer.
    Unsigned,
    /// A signed integer.
    Signed,
    /// A float of 32 bits.
    F32,
    /// A float of 64 bits.
    F64,
    /// Text, or bytes, that the writer cut to fit.
    Cut,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A timer.
    Timer,
    /// States.
    State,
    /// A histogram.
    Histogram,
    /// An average of all values.
    Average,
    /// An average of the last values.
    Window,
    /// Rates.
    Rate,
    /// Activities in progress.
    Activity,
    /// Sections in progress.
    Running,
    /// An array, with the form of its elements.
    Array(Box<Form>),
    /// An array whose elements have different forms.
    Items(Vec<Form>),
    /// Values that are listed, not combined.
    Each(Vec<EachForm>),
}

/// Where a listed value comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EachForm {
    #[serde(skip_serializing_if = "is_default")]
    file: usize,
    #[serde(skip_serializing_if = "is_default")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "is_default")]
    part: u32,
    #[serde(skip_serializing_if = "is_default")]
    lane: Option<u32>,
    #[serde(skip_serializing_if = "is_default")]
    form: Form,
    /// Absent if it is consistent.
    #[serde(skip_serializing_if = "is_default")]
    verdict: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    damage: Option<(String, u32)>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The verdict with this name and damage.
#[must_use]
pub fn verdict(name: &str, damage: Option<(&str, u32)>) -> Option<Verdict> {
    Some(match name {
        "consistent" => Verdict::Consistent,
        "contended" => Verdict::Contended,
        "absent" => Verdict::Absent,
        "retired" => Verdict::Retired,
        "unknown" => Verdict::Unknown,
        "damaged" => {
            let (code, offset) = damage.unwrap_or(("unknown", 0));
            Verdict::Damaged(mmstats_observe::Damage::new(code, offset))
        }
        _ => return None,
    })
}

/// Kind of JSON of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Object,
    Array,
    String,
    Bool,
    Integer,
    Float,
}

impl Form {
    /// The form of a value of this field.
    #[must_use]
    pub fn of(field: &FieldInfo, value: &OwnedValue) -> Self {
        let (form, class) = match value {
            OwnedValue::Unsigned(_) => (Self::Unsigned, Class::Integer),
            OwnedValue::Signed(_) => (Self::Signed, Class::Integer),
            OwnedValue::F32(x) => (Self::F32, float(x.is_finite())),
            OwnedValue::F64(x) => (Self::F64, float(x.is_finite())),
            OwnedValue::Bool(_) => return Self::Plain,
            OwnedValue::Text { cut: true, .. } | OwnedValue::Bytes { cut: true, .. } => {
                return Self::Cut;
            }
            OwnedValue::Text { .. } => (Self::Text, Class::String),
            OwnedValue::Bytes { .. } => (Self::Bytes, Class::String),
            OwnedValue::Timer(_) => (Self::Timer, Class::Object),
            OwnedValue::State(_) => (Self::State, Class::Object),
            OwnedValue::Histogram(_) => (Self::Histogram, Class::Object),
            OwnedValue::Average(_) => (Self::Average, Class::Object),
            OwnedValue::Window(_) => (Self::Window, Class::Object),
            OwnedValue::Rate(_) => (Self::Rate, Class::Object),
            OwnedValue::Activity(_) => (Self::Activity, Class::Object),
            OwnedValue::Running(_) => (Self::Running, Class::Object),
            OwnedValue::Array(values) => return Self::array(field, values),
            OwnedValue::Each(values) => {
                return Self::Each(values.iter().map(|value| EachForm::of(field, value)).collect());
            }
            // Kinds that this version does not know have no JSON either.
            _ => return Self::Plain,
        };
        if Self::usual(field, class) == form { Self::Plain } else { form }
    }

    fn array(field: &FieldInfo, values: &[OwnedValue]) -> Self {
        let mut forms = values.iter().map(|value| Self::of(field, value));
        let Some(first) = forms.next() else { return Self::Plain };
        if values.iter().skip(1).all(|value| Self::of(field, value) == first) {
            return if first == Self::Plain { first } else { Self::Array(Box::new(first)) };
        }
        Self::Items(std::iter::once(first).chain(forms).collect())
    }

    /// The form of a plain value with JSON of this class.
    pub(crate) fn usual(field: &FieldInfo, class: Class) -> Self {
        let ty = field.properties.ty();
        match class {
            Class::Object => match field.properties.kind() {
                Some(Kind::State) => Self::State,
                Some(Kind::Histogram) => Self::Histogram,
                Some(Kind::Average) => Self::Average,
                Some(Kind::Window) => Self::Window,
                Some(Kind::Rate) => Self::Rate,
                Some(Kind::Activity) => Self::Activity,
                Some(Kind::Running) => Self::Running,
                _ => Self::Timer,
            },
            Class::Array => Self::Array(Box::default()),
            Class::String => match ty {
                Some(DataType::Bytes) => Self::Bytes,
                Some(DataType::F32) => Self::F32,
                Some(DataType::F64) => Self::F64,
                Some(DataType::Text) | None => Self::Text,
                // No value, without a form that says so.
                Some(_) => Self::Plain,
            },
            Class::Bool => Self::Plain,
            Class::Integer if ty.is_some_and(is_signed) => Self::Signed,
            Class::Integer => Self::Unsigned,
            // A mean of floats has 64 bits.
            Class::Float
                if ty == Some(DataType::F32)
                    && field.properties.aggregation() != Aggregation::Sum =>
            {
                Self::F32
            }
            Class::Float => Self::F64,
        }
    }
}

fn float(is_finite: bool) -> Class {
    if is_finite { Class::Float } else { Class::String }
}

const fn is_signed(ty: DataType) -> bool {
    matches!(ty, DataType::I8 | DataType::I16 | DataType::I32 | DataType::I64)
}

impl EachForm {
    fn of(field: &FieldInfo, each: &EachValue) -> Self {
        let Origin { file, pid, part, lane } = each.origin;
        let form = each.value.as_ref().map(|value| Form::of(field, value)).unwrap_or_default();
        let verdict = Some(each.verdict.name().to_owned()).filter(|name| name != "consistent");
        let damage = match each.verdict {
            Verdict::Damaged(damage) => Some((damage.code.to_owned(), damage.offset)),
            _ => None,
        };
        Self { file, pid, part, lane, form, verdict, damage }
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin { file: self.file, pid: self.pid, part: self.part, lane: self.lane }
    }

    pub(crate) const fn form(&self) -> &Form {
        &self.form
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let Some(name) = &self.verdict else { return Some(Verdict::Consistent) };
        verdict(name, self.damage.as_ref().map(|(code, offset)| (code.as_str(), *offset)))
    }
}
