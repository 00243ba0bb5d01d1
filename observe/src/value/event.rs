//! Lines of an events field: FORMAT.md section 4.6.

use crate::problem::Damage;

/// One line of an events field, in one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Number of the line in its ring, from 1, modulo 2^32.
    pub number: u32,
    /// Time of the event, in nanoseconds since 1970-01-01 UTC.
    pub time: u64,
    /// The recorded text, or the rule that it breaks.
    pub line: Result<EventLine, Damage>,
}

/// The text of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventLine {
    /// The text; may hold control characters, so escape it.
    pub text: String,
    /// Whether the writer cut the text to fit.
    pub cut: bool,
}
