//! Fields of a description: the line that a writer gets, and the document that a reader must print.

use mmstats_core::floor_char_boundary;
use serde_json::{Map, Value, json};

use super::histogram::Histogram;

/// Flags of a descriptor.
pub(super) const OPTIONAL: u64 = 1;
pub(super) const ARRAY: u64 = 2;
pub(super) const MEMBER: u64 = 4;

/// A field of a description.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// The first cell.
    pub(super) kind_cell: String,
    pub(super) label: String,
    pub(super) unit: String,
    pub(super) help: String,
    /// Empty for none.
    pub(super) value: String,
    /// Keys and values; cells from the sixth on.
    pub(super) attributes: Vec<(String, String)>,
    /// Type, kind, aggregation and storage by name.
    pub(super) ty: String,
    pub(super) kind: &'static str,
    pub(super) aggregation: String,
    pub(super) storage: &'static str,
    pub(super) flags: u64,
    /// `None` where the writer chooses it.
    pub(super) count: Option<usize>,
    pub(super) param: u32,
    pub(super) detail: Vec<String>,
    /// Whether it is a member of the group of the field before.
    pub(super) joins: bool,
    pub(super) histogram: Option<Histogram>,
}

/// Level 1.
impl Field {
    pub(super) fn counter(label: &str, value: &str) -> Self {
        Self::new("counter", ("u64", "counter", "sum", "atomic"), 0, label, value)
    }

    pub(super) fn gauge(label: &str, value: &str) -> Self {
        Self::new("gauge", ("f64", "gauge", "sum", "atomic"), OPTIONAL, label, value)
    }

    pub(super) fn text(capacity: usize, label: &str, value: &str) -> Self {
        let codes = ("text", "gauge", "each", "latched");
        let text = Self::new(&format!("text{capacity}"), codes, OPTIONAL, label, value);
        Self { count: Some(capacity), unit: String::new(), ..text }
    }
}

/// Level 2.
impl Field {
    pub(super) fn bytes(capacity: usize, label: &str, value: &str) -> Self {
        let codes = ("bytes", "gauge", "each", "latched");
        let bytes = Self::new(&format!("bytes{capacity}"), codes, OPTIONAL, label, value);
        Self { count: Some(capacity), ..bytes }
    }

    pub(super) fn scalar(ty: &str, aggregation: &str, label: &str, value: &str) -> Self {
        let cell = format!("gauge:{ty}:{aggregation}");
        Self::new(&cell, (ty, "gauge", aggregation, "atomic"), OPTIONAL, label, value)
    }

    pub(super) fn array(ty: &str, count: usize, label: &str, value: &str) -> Self {
        let codes = (ty, "gauge", "sum", "latched");
        let cell = format!("gauge:{ty}*{count}:sum");
        let array = Self::new(&cell, codes, OPTIONAL | ARRAY, label, value);
        Self { count: Some(count), ..array }
    }

    pub(super) fn constant(ty: &str, label: &str, value: &str) -> Self {
        let codes = (ty, "info", "each", "constant");
        let constant = Self::new(&format!("constant:{ty}"), codes, 0, label, value);
        let is_blob = constant.is_blob();
        Self { count: (!is_blob).then_some(1), ..constant }
    }

    pub(super) fn constant_array(ty: &str, count: usize, label: &str, value: &str) -> Self {
        let constant = Self::constant(ty, label, value);
        let kind_cell = format!("constant:{ty}*{count}");
        Self { kind_cell, count: Some(count), flags: ARRAY, ..constant }
    }

    /// The first member of a group.
    pub(super) fn group(ty: &str, aggregation: &str, label: &str, value: &str) -> Self {
        let codes = (ty, "gauge", aggregation, "latched");
        Self::new(&format!("group:{ty}:{aggregation}"), codes, MEMBER, label, value)
    }

    /// Another member of the group of the field before.
    pub(super) fn member(ty: &str, aggregation: &str, label: &str, value: &str) -> Self {
        let kind_cell = format!("member:{ty}:{aggregation}");
        Self { kind_cell, joins: true, ..Self::group(ty, aggregation, label, value) }
    }

    pub(super) fn state(names: &[&str], label: &str, value: &str) -> Self {
        let codes = ("u32", "state", "sum", "atomic");
        let cell = format!("state:{}", names.join(":"));
        let state = Self::new(&cell, codes, OPTIONAL, label, value);
        Self { detail: names.iter().map(|&name| name.to_owned()).collect(), ..state }
    }

    /// A histogram of `samples`, in this order.
    pub(super) fn histogram(
        (scale, lowest, count): (i8, i16, usize),
        label: &str,
        samples: &[u64],
    ) -> Self {
        let value: Vec<String> = samples.iter().map(u64::to_string).collect();
        let cell = format!("histogram:{scale}:{lowest}:{count}");
        let codes = ("u64", "histogram", "sum", "journal");
        let field = Self::new(&cell, codes, ARRAY, label, &value.join(" "));
        let [low, high] = lowest.to_le_bytes();
        let param = u32::from_le_bytes([scale.cast_unsigned(), 4, low, high]);
        let histogram = Some(Histogram::new(scale, lowest, count, samples));
        Self { count: Some(count), param, histogram, ..field }
    }

    pub(super) fn with_attributes(self, attributes: &[(&str, &str)]) -> Self {
        let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
        Self { attributes: attributes.iter().map(owned).collect(), ..self }
    }
}

impl Field {
    fn new(
        kind_cell: &str,
        (ty, kind, aggregation, storage): (&str, &'static str, &str, &'static str),
        flags: u64,
        label: &str,
        value: &str,
    ) -> Self {
        Self {
            kind_cell: kind_cell.to_owned(),
            label: label.to_owned(),
            unit: "bytes".to_owned(),
            help: "What it is.".to_owned(),
            value: value.to_owned(),
            attributes: Vec::new(),
            ty: ty.to_owned(),
            kind,
            aggregation: aggregation.to_owned(),
            storage,
            flags,
            count: Some(1),
            param: 0,
            detail: Vec::new(),
            joins: false,
            histogram: None,
        }
    }

    /// Whether the lane has no value of it.
    pub(super) fn is_absent(&self) -> bool {
        self.flags & OPTIONAL != 0 && self.value.is_empty()
    }

    pub(super) fn is_blob(&self) -> bool {
        matches!(self.ty.as_str(), "text" | "bytes")
    }

    /// Size of an element in bytes.
    pub(super) fn element_size(&self) -> usize {
        match self.ty.as_str() {
            "u16" | "i16" => 2,
            "u32" | "i32" | "f32" => 4,
            "u64" | "i64" | "f64" => 8,
            _ => 1,
        }
    }

    pub(super) fn line(&self) -> String {
        let Self { kind_cell, label, unit, help, value, .. } = self;
        let attributes: String =
            self.attributes.iter().map(|(key, value)| format!("\t{key}={value}")).collect();
        format!("{kind_cell}\t{label}\t{unit}\t{help}\t{value}{attributes}\n")
    }

    /// The document that a reader must print.
    pub(super) fn document(&self) -> Value {
        let attributes: Map<String, Value> =
            self.attributes.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let mut document = json!({
            "label": self.label, "unit": self.unit, "help": self.help, "attributes": attributes,
            "type": self.ty, "kind": self.kind, "aggregation": self.aggregation,
            "storage": self.storage, "level": "info", "param": self.param.to_string(),
            "detail": self.detail,
        });
        if let Some(count) = self.count {
            document["count"] = json!(count.to_string());
        }
        if self.storage == "constant" {
            document["value"] = self.value();
        } else if self.is_absent() {
            document["lanes"] = json!([{ "verdict": "absent" }]);
        } else {
            document["lanes"] = json!([self.value()]);
        }
        document
    }

    fn value(&self) -> Value {
        if let Some(histogram) = &self.histogram {
            return histogram.document();
        }
        let fits = self.count.unwrap_or(usize::MAX);
        match self.ty.as_str() {
            "text" => {
                let end = floor_char_boundary(&self.value, fits);
                let text = self.value.get(..end).unwrap_or_default();
                json!({ "text": text, "cut": end < self.value.len() })
            }
            "bytes" => {
                let end = fits.saturating_mul(2).min(self.value.len());
                let bytes = self.value.get(..end).unwrap_or_default();
                json!({ "bytes": bytes, "cut": end < self.value.len() })
            }
            ty if self.flags & ARRAY != 0 => {
                let elements: Vec<String> =
                    self.value.split(' ').map(|element| number(ty, element)).collect();
                json!({ ty: elements })
            }
            ty => json!({ ty: number(ty, &self.value) }),
        }
    }
}

/// A number in the form of the document.
fn number(ty: &str, text: &str) -> String {
    match ty {
        "f64" => text.parse::<f64>().map(|x| format!("{:016x}", x.to_bits())),
        "f32" => text.parse::<f32>().map(|x| format!("{:08x}", x.to_bits())),
        _ => Ok(text.to_owned()),
    }
    .unwrap_or_default()
}
