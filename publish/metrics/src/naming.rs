//! Names of metrics as labels and attributes of fields.

use metrics::{Key, Level as Importance, Unit};
use mmstats::recorder_support::floor_char_boundary;
use mmstats::{FieldOptions, Level};

/// The identity of a metric: name and labels exactly as given, whatever the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// In order of their keys; equal keys in the order given.
    labels: Vec<(String, String)>,
}

impl Identity {
    pub(crate) fn new(key: &Key) -> Self {
        let pair = |label: &metrics::Label| (label.key().to_owned(), label.value().to_owned());
        let mut labels: Vec<_> = key.labels().map(pair).collect();
        labels.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { name: key.name().to_owned(), labels }
    }

    /// The label and the attributes of the field, which depend on this identity alone: the same
    /// metric has the same name in each process.
    ///
    /// A part that the format forbids is changed, and gets a hash of the part as given, so that two
    /// metrics that differ in it have different fields.
    pub(crate) fn field_name(&self) -> FieldName {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for (index, (key, value)) in self.labels.iter().enumerate() {
            let mut allowed = attribute_key(key);
            if attributes.iter().any(|(known, _)| *known == allowed) {
                // A duplicate key: made unique by its index.
                allowed = hashed(cut(&allowed, MAX_KEY - HASH), '.', &[key, &index.to_string()]);
            }
            attributes.push((allowed, attribute_value(value)));
        }
        attributes.sort_unstable();
        FieldName { label: label(&self.name), attributes }
    }

    /// A hash of the whole identity.
    fn hash(&self) -> u32 {
        let labels = self.labels.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        hash(std::iter::once(self.name.as_str()).chain(labels))
    }

    /// Names to try, in order, until one is free. `kind` is that of the metric.
    pub(crate) fn field_names(&self, kind: &str) -> [FieldName; 3] {
        let name = self.field_name();
        let of_kind = name.with_suffix(kind);
        let unique = name.with_suffix(&format!("{kind}~{:08x}", self.hash()));
        [name, of_kind, unique]
    }
}

/// The label and the attributes of a field, in order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldName {
    pub(crate) label: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl FieldName {
    /// Names for the field of the combinations of labels beyond the cap.
    pub(crate) fn overflow(metric: &str, kind: &str) -> [Self; 3] {
        let attributes = vec![("overflow".to_owned(), "true".to_owned())];
        let name = Self { label: label(metric), attributes };
        // If the program itself has a metric with the attribute "overflow".
        let other = name.with_suffix("overflow");
        [name.clone(), name.with_suffix(kind), other]
    }

    /// The same name with `.suffix` at the end of the label.
    fn with_suffix(&self, suffix: &str) -> Self {
        let room = MAX_LABEL - 1 - suffix.len();
        let label = format!("{}.{suffix}", cut(&self.label, room));
        Self { label, attributes: self.attributes.clone() }
    }

    /// `options` with the attributes of this name.
    pub(crate) fn options<H>(&self, options: FieldOptions<H>) -> FieldOptions<H> {
        let add = |options: FieldOptions<H>, (key, value): &(String, String)| {
            options.attribute(key, value)
        };
        self.attributes.iter().fold(options, add)
    }
}

/// Maximum length of a label, in bytes.
const MAX_LABEL: usize = 255;
/// Maximum length of the key of an attribute, in bytes.
const MAX_KEY: usize = 63;
/// Maximum length of a help text, in bytes.
const MAX_HELP: usize = 4096;
/// Length of a separator and a hash.
const HASH: usize = 9;

fn label(name: &str) -> String {
    let allowed = cut(name, MAX_LABEL).replace('\0', "_");
    match allowed.as_str() {
        "" => hashed("unnamed", '~', &[name]),
        _ if allowed == name => allowed,
        _ => hashed(cut(&allowed, MAX_LABEL - HASH), '~', &[name]),
    }
}

fn attribute_key(key: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let allowed = key.chars().map(|c| if is_allowed(c) { c } else { '_' });
    let allowed: String = allowed.take(MAX_KEY).collect();
    if allowed == key && !key.is_empty() {
        return allowed;
    }
    hashed(cut(&allowed, MAX_KEY - HASH), '.', &[key])
}

fn attribute_value(value: &str) -> String {
    if value.contains('\0') {
        return hashed(&value.replace('\0', "_"), '~', &[value]);
    }
    value.to_owned()
}

fn hashed(text: &str, separator: char, original: &[&str]) -> String {
    format!("{text}{separator}{:08x}", hash(original.iter().copied()))
}

/// FNV-1a of the texts, folded to 32 bits: the same in each process and version.
fn hash<'a>(texts: impl Iterator<Item = &'a str>) -> u32 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for text in texts {
        // 0xFF, which UTF-8 never contains, terminates each text.
        for byte in text.bytes().chain([0xFF]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
    let [low, high] = [hash & 0xFFFF_FFFF, hash >> 32];
    u32::try_from(low ^ high).unwrap_or(0)
}

/// The start of `text`, at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..floor_char_boundary(text, max)]
}

/// The description of a metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Description {
    pub(crate) unit: Option<Unit>,
    help: String,
}

impl Description {
    pub(crate) fn new(unit: Option<Unit>, help: &str) -> Self {
        Self { unit, help: cut(help, MAX_HELP).replace('\0', "_") }
    }

    /// `options` with unit, help and level.
    pub(crate) fn options<H>(
        &self,
        options: FieldOptions<H>,
        importance: &Importance,
    ) -> FieldOptions<H> {
        let options = options.help(&self.help).level(level(importance));
        match self.unit {
            // A count has no unit.
            None | Some(Unit::Count) => options,
            Some(unit) => options.unit(unit.as_str()),
        }
    }

    /// Range of a histogram, by unit; for other units and without one, 10^-9 (a nanosecond in seconds) to
    /// 10^15 (eleven days in nanoseconds).
    pub(crate) fn range(&self) -> (f64, f64) {
        match self.unit {
            Some(Unit::Seconds) => (1e-9, 1e7),
            Some(Unit::Milliseconds) => (1e-6, 1e10),
            Some(Unit::Microseconds) => (1e-3, 1e13),
            Some(Unit::Nanoseconds | Unit::Bytes) => (1.0, 1e16),
            Some(Unit::Kibibytes) => (1e-3, 1e13),
            Some(Unit::Mebibytes) => (1e-6, 1e10),
            Some(Unit::Gibibytes) => (1e-9, 1e7),
            Some(Unit::Percent) => (1e-6, 1e6),
            _ => (1e-9, 1e15),
        }
    }
}

fn level(importance: &Importance) -> Level {
    match *importance {
        Importance::TRACE => Level::Debug,
        Importance::DEBUG => Level::Diagnostic,
        _ => Level::Info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, labels: &[(&str, &str)]) -> FieldName {
        let labels: Vec<_> =
            labels.iter().map(|&(k, v)| metrics::Label::new(k.to_owned(), v.to_owned())).collect();
        Identity::new(&Key::from_parts(name.to_owned(), labels)).field_name()
    }

    #[test]
    fn field_name_within_the_format_unchanged() {
        let found = name("http.requests größe", &[("method", "GET"), ("a.b-c_d", "")]);
        assert_eq!(found.label, "http.requests größe");
        let wanted = [("a.b-c_d", ""), ("method", "GET")];
        assert_eq!(found.attributes, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn field_name_differs_for_different_metrics() {
        let long = "x".repeat(300);
        let longer = "x".repeat(301);
        let key = "k".repeat(70);
        let other_key = "k".repeat(71);
        let names = [
            name("", &[]),
            name("unnamed", &[]),
            name("a\0b", &[]),
            name("a_b", &[]),
            name(&long, &[]),
            name(&longer, &[]),
            name("m", &[("a b", "1")]),
            name("m", &[("a_b", "1")]),
            name("m", &[("a/b", "1")]),
            name("m", &[("ä", "1")]),
            name("m", &[("", "1")]),
            name("m", &[("_", "1")]),
            name("m", &[(&key, "1")]),
            name("m", &[(&other_key, "1")]),
            name("m", &[("k", "1\0")]),
            name("m", &[("k", "1_")]),
            name("m", &[("k", "1"), ("k", "2")]),
            name("m", &[("k", "2"), ("k", "1")]),
            name("m", &[("k", "2")]),
            name("m", &[("k", "1"), ("k", "1")]),
            name("m", &[("a b", "1"), ("a_b", "2")]),
            name("m", &[("a b", "2"), ("a_b", "1")]),
        ];
        for (i, one) in names.iter().enumerate() {
            for other in &names[..i] {
                assert_ne!(one, other);
            }
            assert!(one.label.len() <= MAX_LABEL && !one.label.contains('\0'));
            let mut keys: Vec<_> = one.attributes.iter().map(|(key, _)| key).collect();
            keys.dedup();
            assert_eq!(keys.len(), one.attributes.len());
            assert!(keys.iter().all(|key| (1..=MAX_KEY).contains(&key.len())));
        }
    }

    #[test]
    fn field_name_order_of_labels_ignored() {
        let one = Key::from_parts("x", &[("a", "1"), ("b", "2")]);
        let other = Key::from_parts("x", &[("b", "2"), ("a", "1")]);
        assert_eq!(Identity::new(&one), Identity::new(&other));
    }

    /// Programs of different versions of this crate are added up by name.
    #[test]
    fn field_name_hash_is_stable() {
        assert_eq!(name("a\0", &[]).label, "a_~e1f79ef8");
        assert_eq!(hash(["a"].into_iter()), 0xBDDF_0E6E);
        assert_ne!(hash(["a", "b"].into_iter()), hash(["ab"].into_iter()));
    }
}
