//! Findings in the form that is shown.

use mmstats_threads::Finding;

use crate::text::escape;

/// Maximum number of kept findings of a program, for each look.
const MAX_FINDINGS: usize = 20;

/// A finding about a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Odd {
    /// Short name: one of [`Finding::code`] or of the module `findings`.
    pub(crate) code: &'static str,
    /// Text, escaped.
    pub(crate) text: String,
}

impl Odd {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// The first findings, without the end of the program, which the screen shows elsewhere.
pub(super) fn odd(found: &[Finding]) -> Vec<Odd> {
    let found = found.iter().filter(|finding| !matches!(finding, Finding::Died | Finding::Ended));
    found
        .take(MAX_FINDINGS)
        .map(|finding| Odd::new(finding.code(), escape::text(&finding.to_string())))
        .collect()
}
