//! A finding as it is shown.

use mmstats_threads::Finding;

use crate::text::escape;

/// Maximum number of findings of a program that are kept of a look.
const MAX_FINDINGS: usize = 20;

/// A finding about a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Odd {
    /// A short name: those of [`Finding::code`], and those of `findings`.
    pub(crate) code: &'static str,
    /// Escaped.
    pub(crate) text: String,
}

impl Odd {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// The first findings. That a program has ended, and when, the screen says itself.
pub(super) fn odd(found: &[Finding]) -> Vec<Odd> {
    let found = found.iter().filter(|finding| !matches!(finding, Finding::Died | Finding::Ended));
    found
        .take(MAX_FINDINGS)
        .map(|finding| Odd::new(finding.code(), escape::text(&finding.to_string())))
        .collect()
}
