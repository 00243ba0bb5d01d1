//! Names of metrics as labels and attributes of fields.

use metrics::{Key, Level as Importance, Unit};
use mmstats::{FieldOptions, Level};

/// What tells a field from the others: its label, and its attributes in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) label: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Name {
    /// The name of a metric. What no label or attribute can have is replaced by `_`; of two
    /// labels of one name the last is taken, as by other recorders.
    pub(crate) fn of(key: &Key) -> Self {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for label in key.labels() {
            let (key, value) = (attribute_key(label.key()), label.value().replace('\0', "_"));
            match attributes.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = value,
                None => attributes.push((key, value)),
            }
        }
        // The facade takes the labels of a metric as a set.
        attributes.sort_unstable();
        Self { label: label(key.name()), attributes }
    }

    /// The name of the field for what is beyond the cap.
    pub(crate) fn overflow(label: &str) -> Self {
        let attributes = vec![("overflow".to_owned(), "true".to_owned())];
        Self { label: label.to_owned(), attributes }
    }

    /// The same for another label.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        let room = LABEL - 1 - suffix.len();
        let label = format!("{}.{suffix}", cut(&self.label, room));
        Self { label, attributes: self.attributes.clone() }
    }

    pub(crate) fn options(&self, mut options: FieldOptions) -> FieldOptions {
        for (key, value) in &self.attributes {
            options = options.attribute(key, value);
        }
        options
    }
}

/// The most bytes of a label, of the key of an attribute, of a unit, and of a help text.
const LABEL: usize = 255;
const KEY: usize = 63;
const HELP: usize = 4096;

fn label(name: &str) -> String {
    match cut(name, LABEL) {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}

fn attribute_key(key: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let key: String = key.chars().map(|c| if allowed(c) { c } else { '_' }).take(KEY).collect();
    if key.is_empty() { "_".to_owned() } else { key }
}

/// The start of `text` in at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What was said of a metric.
#[derive(Debug, Clone, Default)]
pub(crate) struct Description {
    unit: Option<Unit>,
    help: String,
}

impl Description {
    pub(crate) fn new(unit: Option<Unit>, help: &str) -> Self {
        Self { unit, help: cut(help, HELP).to_owned() }
    }

    pub(crate) fn options(&self, importance: &Importance) -> FieldOptions {
        let options = FieldOptions::new().help(&self.help).level(level(importance));
        match self.unit {
            // What a counter counts anyway.
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
    fn names_fit_the_format() {
        let labels = [("b", "2"), ("a b", "1\0"), ("", "x"), ("ä", "y"), ("b", "3")];
        let name = Name::of(&Key::from_parts("requests", &labels[..]));
        let wanted = [("_", "y"), ("a_b", "1_"), ("b", "3")];
        let wanted: Vec<_> = wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(name.attributes, wanted);
        assert_eq!(Name::of(&Key::from_name("")).label, "unnamed");
        let long = Name::of(&Key::from_name("ä".repeat(200)));
        assert_eq!(long.label.len(), 254);
        assert_eq!(long.with_suffix("gauge").label.len(), 254);
    }

    #[test]
    fn order_does_not_matter() {
        let one = Key::from_parts("x", &[("a", "1"), ("b", "2")]);
        let other = Key::from_parts("x", &[("b", "2"), ("a", "1")]);
        assert_eq!(Name::of(&one), Name::of(&other));
    }
}
