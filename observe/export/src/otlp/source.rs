//! Programs and lines that are sent.

use mmstats_observe::{Identity, Total};

/// A program whose metrics or lines are sent.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Source<'a> {
    /// Attributes of the resource.
    pub attributes: &'a [(String, String)],
    /// When its counters began, in nanoseconds since 1970; 0 if that is not known.
    pub start: u64,
    /// Time of the values, in nanoseconds since 1970.
    pub time: u64,
    /// Whether the points say that there is no value any more.
    pub is_over: bool,
    /// Its fields.
    pub fields: &'a [Total],
}

impl<'a> Source<'a> {
    /// A program with values at a time.
    #[must_use]
    pub const fn new(attributes: &'a [(String, String)], time: u64, fields: &'a [Total]) -> Self {
        Self { attributes, start: 0, time, is_over: false, fields }
    }

    /// Takes the start from the identity of the program.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturates.
    pub fn started(self, identity: &Identity) -> Self {
        let start = identity.created.filter(|created| created.is_finite()).unwrap_or(0.0);
        Self { start: (start * 1e9) as u64, ..self }
    }
}

/// Lines of a program.
#[derive(Debug, Clone, Copy)]
pub struct Log<'a> {
    /// Attributes of the resource.
    pub attributes: &'a [(String, String)],
    /// The lines.
    pub lines: &'a [LogLine<'a>],
}

/// A line of events, to be sent as a log.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LogLine<'a> {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Label of the field.
    pub label: &'a str,
    /// The text.
    pub text: &'a str,
    /// Whether it tells of a panic.
    pub is_panic: bool,
}

impl<'a> LogLine<'a> {
    /// A line that tells of no panic.
    #[must_use]
    pub const fn new(time: u64, label: &'a str, text: &'a str) -> Self {
        Self { time, label, text, is_panic: false }
    }
}
