//! Patterns that have the same conditions on attributes: their fields are combined together.

use std::sync::Arc;

use mmstats_observe::Kind;

use crate::model::pattern::{Described, Pattern};

/// Patterns with the same conditions.
#[derive(Debug, Clone)]
pub(crate) struct View {
    selector: String,
    /// Each with its number among all patterns.
    patterns: Arc<Vec<(usize, Pattern)>>,
}

impl View {
    /// A view of one pattern.
    pub(crate) fn single(pattern: Pattern) -> Self {
        Self { selector: pattern.selector(), patterns: Arc::new(vec![(0, pattern)]) }
    }

    /// The views of all patterns.
    pub(crate) fn all(patterns: Vec<Pattern>) -> Vec<Self> {
        let mut views: Vec<(String, Vec<(usize, Pattern)>)> = Vec::new();
        for (number, pattern) in patterns.into_iter().enumerate() {
            let selector = pattern.selector();
            match views.iter_mut().find(|(known, _)| *known == selector) {
                Some((_, patterns)) => patterns.push((number, pattern)),
                None => views.push((selector, vec![(number, pattern)])),
            }
        }
        let view = |(selector, patterns)| Self { selector, patterns: Arc::new(patterns) };
        views.into_iter().map(view).collect()
    }

    /// The conditions as they are written; empty without one.
    pub(crate) fn selector(&self) -> &str {
        &self.selector
    }

    /// The patterns.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.iter().map(|(_, pattern)| pattern)
    }

    /// The number of the first pattern that the field matches.
    pub(crate) fn place(&self, field: &impl Described) -> Option<usize> {
        // Identity is no measurement: `*` means the program's own fields that change.
        let standard = field.label().starts_with("sys.");
        let constant = field.kind() == Some(Kind::Info);
        let is_meant = |pattern: &Pattern| match (standard, constant) {
            (true, _) => pattern.label().starts_with("sys."),
            (false, true) => pattern.label() == field.label(),
            (false, false) => true,
        };
        let matches =
            |(_, pattern): &&(usize, Pattern)| pattern.matches_any(field) && is_meant(pattern);
        let found = self.patterns.iter().find(matches);
        found.map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_with_equal_conditions_are_one_view() {
        let pattern = |text| Pattern::new("", text).unwrap();
        let texts = ["a", "b{x=1}", "c", "d{x=\"1\"}"];
        let views = View::all(texts.into_iter().map(pattern).collect());
        let found: Vec<(&str, usize)> =
            views.iter().map(|view| (view.selector(), view.patterns().count())).collect();
        assert_eq!(found, [("", 2), ("{x=\"1\"}", 2)]);
    }
}
