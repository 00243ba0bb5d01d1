//! Names of metrics as labels and attributes of fields.

use metrics::{Key, Level as Importance, Unit};
use mmstats::{FieldOptions, Level};

/// The identity of a field: its label, and its attributes in order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) label: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Name {
    /// The name of a metric. Characters that the format forbids become `_`; of two labels with
    /// one key the last is taken, as by other recorders.
    pub(crate) fn new(key: &Key) -> Self {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for label in key.labels() {
            let (key, value) = (attribute_key(label.key()), label.value().replace('\0', "_"));
            match attributes.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = value,
                None => attributes.push((key, value)),
            }
        }
        // Labels in another order are the same metric to the facade.
        attributes.sort_unstable();
        Self { label: label(key.name()), attributes }
    }

    /// The name of the field for combinations beyond the cap.
    pub(crate) fn overflow(label: &str) -> Self {
        let attributes = vec![("overflow".to_owned(), "true".to_owned())];
        Self { label: label.to_owned(), attributes }
    }

    /// The same name with `.suffix` at the end of the label.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
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

fn label(name: &str) -> String {
    match cut(name, MAX_LABEL) {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}

fn attribute_key(key: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let key: String = key.chars().map(|c| if allowed(c) { c } else { '_' }).take(MAX_KEY).collect();
    if key.is_empty() { "_".to_owned() } else { key }
}

/// The start of `text`, at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The description of a metric.
#[derive(Debug, Clone, Default)]
pub(crate) struct Description {
    unit: Option<Unit>,
    help: String,
}

impl Description {
    pub(crate) fn new(unit: Option<Unit>, help: &str) -> Self {
        Self { unit, help: cut(help, MAX_HELP).to_owned() }
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

    #[test]
    fn name_outside_the_format_replaced() {
        let labels = [("b", "2"), ("a b", "1\0"), ("", "x"), ("ä", "y"), ("b", "3")];
        let name = Name::new(&Key::from_parts("requests", &labels[..]));
        let wanted = [("_", "y"), ("a_b", "1_"), ("b", "3")];
        let wanted: Vec<_> = wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(name.attributes, wanted);
        assert_eq!(Name::new(&Key::from_name("")).label, "unnamed");
        let long = Name::new(&Key::from_name("ä".repeat(200)));
        assert_eq!(long.label.len(), 254);
        assert_eq!(long.with_suffix("gauge").label.len(), 254);
    }

    #[test]
    fn name_order_of_labels_ignored() {
        let one = Key::from_parts("x", &[("a", "1"), ("b", "2")]);
        let other = Key::from_parts("x", &[("b", "2"), ("a", "1")]);
        assert_eq!(Name::new(&one), Name::new(&other));
    }
}
