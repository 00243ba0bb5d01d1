//! Fields selected by label and attributes: `http.*`, `http.requests{status="5*"}`.

use std::fmt::Write as _;

use globset::GlobMatcher;
use mmstats_observe::{FieldInfo, FieldKey, FieldRef, Kind};

use super::globs;
use crate::text::escape;

/// A label or a glob for labels, and conditions on attributes.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    label: Text,
    conditions: Vec<Condition>,
}

/// A text, or a glob for texts.
#[derive(Debug, Clone)]
struct Text {
    text: String,
    /// `None` if the text is no glob.
    glob: Option<GlobMatcher>,
}

/// `key="5*"` or `key!="5*"`; an attribute that a field does not have is empty.
#[derive(Debug, Clone)]
struct Condition {
    key: String,
    negated: bool,
    value: Text,
}

/// The description of a field of a file, or of a recording.
pub(crate) trait Described {
    fn label(&self) -> &str;
    fn kind(&self) -> Option<Kind>;
    fn attributes(&self) -> impl Iterator<Item = (&str, &str)>;
    fn family_key(&self) -> FieldKey;
    fn info(&self) -> FieldInfo;
}

impl Described for FieldRef<'_> {
    fn label(&self) -> &str {
        self.label()
    }

    fn kind(&self) -> Option<Kind> {
        self.properties().kind()
    }

    fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes()
    }

    fn family_key(&self) -> FieldKey {
        self.family_key()
    }

    fn info(&self) -> FieldInfo {
        self.into()
    }
}

impl Described for &FieldInfo {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> Option<Kind> {
        self.properties.kind()
    }

    fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        FieldInfo::attributes(self)
    }

    fn family_key(&self) -> FieldKey {
        FieldInfo::family_key(self)
    }

    fn info(&self) -> FieldInfo {
        (*self).clone()
    }
}

impl Text {
    fn new(text: &str, literal: &str) -> Result<Self, String> {
        match globs::matcher(&format!("{}{text}", globset::escape(literal))) {
            Ok(glob) => Ok(Self { text: format!("{literal}{text}"), glob: Some(glob) }),
            // A label may have brackets and braces.
            Err(_) if text.contains(['[', ']', '{', '}', '\\']) && !text.contains('*') => {
                Ok(Self { text: format!("{literal}{text}"), glob: None })
            }
            Err(message) => Err(message),
        }
    }

    fn matches(&self, text: &str) -> bool {
        text == self.text || self.glob.as_ref().is_some_and(|glob| glob.is_match(text))
    }
}

impl Pattern {
    /// A pattern whose label begins with `prefix`, which is no glob.
    ///
    /// # Errors
    ///
    /// The message about a bad glob, escaped.
    pub(crate) fn new(prefix: &str, pattern: &str) -> Result<Self, String> {
        let braces = pattern.char_indices().filter(|(_, c)| *c == '{').map(|(at, _)| at);
        for at in braces {
            let (label, rest) = pattern.split_at(at);
            if let Some(conditions) = conditions(rest) {
                // Without a label any field with these attributes.
                let label = if label.is_empty() { "*" } else { label };
                let condition = |(key, negated, value): (String, bool, String)| {
                    Ok(Condition { key, negated, value: Text::new(&value, "")? })
                };
                let conditions =
                    conditions.into_iter().map(condition).collect::<Result<_, String>>();
                return Ok(Self { label: Text::new(label, prefix)?, conditions: conditions? });
            }
        }
        Ok(Self { label: Text::new(pattern, prefix)?, conditions: Vec::new() })
    }

    /// All patterns of a list of globs, each of which may be several with commas between them.
    ///
    /// # Errors
    ///
    /// The message about a bad glob, escaped; a label that is none is not taken by itself.
    pub(crate) fn all(patterns: &[String]) -> Result<Vec<Self>, String> {
        let strict = |pattern: &String| {
            let pattern = Self::new("", pattern)?;
            match pattern.label.glob {
                Some(_) => Ok(pattern),
                None => globs::matcher(&pattern.label.text).map(|_| pattern),
            }
        };
        let patterns = patterns.iter().flat_map(|list| match &*globs::split(list) {
            // An error, or a filter that nothing matches.
            [] => vec![list.clone()],
            all => all.to_vec(),
        });
        patterns.map(|pattern| strict(&pattern)).collect()
    }

    /// Error of the label as a glob, escaped; `None` for a valid glob.
    pub(crate) fn bad_glob(&self) -> Option<String> {
        self.label.glob.is_none().then(|| globs::matcher(&self.label.text).err()).flatten()
    }

    /// Whether the label matches, with any attributes.
    pub(crate) fn matches_label(&self, label: &str) -> bool {
        self.label.matches(label)
    }

    /// Whether the field matches.
    pub(crate) fn matches(&self, field: &FieldInfo) -> bool {
        self.matches_any(&field)
    }

    /// As [`matches`](Self::matches).
    pub(crate) fn matches_ref(&self, field: &FieldRef<'_>) -> bool {
        self.matches_any(field)
    }

    /// As [`matches`](Self::matches).
    pub(crate) fn matches_any(&self, field: &impl Described) -> bool {
        self.label.matches(field.label()) && self.conditions_hold(|| field.attributes())
    }

    fn conditions_hold<'a, I: Iterator<Item = (&'a str, &'a str)>>(
        &self,
        attributes: impl Fn() -> I,
    ) -> bool {
        self.conditions.iter().all(|condition| {
            let value = attributes().find(|(key, _)| *key == condition.key);
            condition.value.matches(value.map_or("", |(_, value)| value)) != condition.negated
        })
    }

    /// The keys of the attributes on which there are conditions.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(|condition| &*condition.key)
    }

    /// The label or glob, with the prefix.
    pub(crate) fn label(&self) -> &str {
        &self.label.text
    }

    /// The conditions on attributes, as they are written: `{status="5*"}`; empty without one.
    pub(crate) fn selector(&self) -> String {
        let mut text = String::new();
        for (at, Condition { key, negated, value }) in self.conditions.iter().enumerate() {
            let start = if at == 0 { '{' } else { ',' };
            let sign = if *negated { "!=" } else { "=" };
            let value = value.text.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = write!(text, "{start}{key}{sign}\"{value}\"");
        }
        if !text.is_empty() {
            text.push('}');
        }
        text
    }

    /// The pattern for messages, escaped.
    pub(crate) fn shown(&self) -> String {
        format!("{}{}", escape::text(&self.label.text), escape::text(&self.selector()))
    }
}

/// Keys, whether they are negated, and values of `{key="value",other!=value}`; `None` if the text is
/// of another form.
fn conditions(text: &str) -> Option<Vec<(String, bool, String)>> {
    let mut rest = text.strip_prefix('{')?;
    let mut found = Vec::new();
    loop {
        let sign = rest.find('=')?;
        let key = rest.get(..sign)?;
        let (key, negated) = match key.strip_suffix('!') {
            Some(key) => (key, true),
            None => (key, false),
        };
        let key = key.trim();
        let valid = !key.is_empty() && !key.contains(['{', '}', ',', '"', '*', '?', '[', ']']);
        let (value, after) = value(rest.get(sign + 1..)?).filter(|_| valid)?;
        found.push((key.to_owned(), negated, value));
        if after == "}" {
            return Some(found);
        }
        rest = after.strip_prefix(',')?;
        if rest == "}" {
            return Some(found);
        }
    }
}

/// A quoted value, or one up to a comma or the last brace, and the text behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.trim_start().strip_prefix('"') else {
        let end = text.find([',', '}'])?;
        return Some((text.get(..end)?.trim().to_owned(), text.get(end..)?));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..)?.trim_start())),
            '\\' => match chars.next()?.1 {
                c @ ('"' | '\\') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Aggregation, DataType, Kind, Properties};

    use super::*;

    fn field(label: &str, attributes: &str) -> FieldInfo {
        let counter = Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum);
        let mut field = FieldInfo::new(label, counter);
        field.attributes = attributes.into();
        field
    }

    fn matches(pattern: &str, label: &str, attributes: &str) -> bool {
        Pattern::new("", pattern).unwrap().matches(&field(label, attributes))
    }

    #[test]
    fn pattern_takes_prefix_literally() {
        let pattern = Pattern::new("web[1].", "re*").unwrap();
        assert!(pattern.matches_label("web[1].requests"));
        assert!(!pattern.matches_label("web1.requests"));
        assert!(Pattern::new("", "a[").unwrap().matches_label("a["));
        assert!(Pattern::new("", "a[*").is_err());
    }

    #[test]
    fn pattern_selects_by_attributes() {
        let (not_found, error) = ("method=GET\0status=404", "method=PUT\0status=503");
        for (pattern, want) in [
            ("http.requests", [true, true]),
            ("http.requests{status=\"5*\"}", [false, true]),
            ("http.requests{status=5*}", [false, true]),
            ("http.*{ status = \"404\", method=GET }", [true, false]),
            ("http.requests{status!=\"5*\"}", [true, false]),
            ("{method=\"{GET,PUT}\"}", [true, true]),
            ("http.requests{status=\"404\",method=\"PUT\"}", [false, false]),
            ("http.requests{overflow=\"true\"}", [false, false]),
            ("http.requests{overflow=\"\"}", [true, true]),
            ("http.requests{overflow!=\"true\",}", [true, true]),
            ("http.{requests,errors}", [true, true]),
            ("http.{requests,errors}{status=5*}", [false, true]),
        ] {
            let found = [not_found, error].map(|all| matches(pattern, "http.requests", all));
            assert_eq!(found, want, "{pattern}");
        }
    }

    /// Fields as `show` prints them are patterns.
    #[test]
    fn pattern_matches_name_as_it_is_shown() {
        let route = "route=/users/{id}/a\\b \"q\"";
        assert!(matches("x{route=\"/users/{id}/a\\\\b \\\"q\\\"\"}", "x", route));
        assert!(matches("odd{a=b", "odd{a=b", ""));
        assert!(matches("odd{a}", "odd{a}", ""));
    }

    #[test]
    fn selector_is_written_as_it_is_read() {
        let selector = |text: &str| Pattern::new("", text).unwrap().selector();
        assert_eq!(selector("a.*"), "");
        assert_eq!(selector("a{b=5*, c!=\"x\\\"y\"}"), "{b=\"5*\",c!=\"x\\\"y\"}");
        assert_eq!(selector(&format!("a{}", selector("a{b=\"\\\\\"}"))), "{b=\"\\\\\"}");
    }
}
