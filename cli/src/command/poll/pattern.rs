//! Labels and globs of the command line.

use globset::GlobMatcher;

use crate::model::globs;

/// A label or glob of the command line.
pub(crate) struct Pattern {
    /// With the prefix.
    pub(crate) text: String,
    glob: Option<GlobMatcher>,
}

impl Pattern {
    /// # Errors
    ///
    /// The message about a bad glob, escaped.
    pub(crate) fn new(prefix: &str, field: &str) -> Result<Self, String> {
        let glob = match globs::matcher(&format!("{}{field}", globset::escape(prefix))) {
            Ok(glob) => Some(glob),
            // A label may have brackets and braces.
            Err(_) if field.contains(['[', ']', '{', '}']) && !field.contains('*') => None,
            Err(text) => return Err(text),
        };
        Ok(Self { text: format!("{prefix}{field}"), glob })
    }

    pub(crate) fn matches(&self, label: &str) -> bool {
        label == self.text || self.glob.as_ref().is_some_and(|glob| glob.is_match(label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_takes_prefix_literally() {
        let pattern = Pattern::new("web[1].", "re*").unwrap();
        assert!(pattern.matches("web[1].requests"));
        assert!(!pattern.matches("web1.requests"));
        assert!(Pattern::new("", "a[").unwrap().matches("a["));
        assert!(Pattern::new("", "a[*").is_err());
    }
}
