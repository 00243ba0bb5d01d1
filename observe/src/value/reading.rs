//! A value together with the verdict on it.

use super::owned::OwnedValue;
use super::verdict::{Tally, Verdict};

/// A value, if there is one, and the verdict on it.
///
/// A combined value has the worst verdict of its parts: damaged, contended, consistent, absent,
/// in this order. It contains the consistent parts; the tally counts all parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The value; `None` if no part is consistent.
    pub value: Option<OwnedValue>,
    /// The verdict.
    pub verdict: Verdict,
    /// The parts of the value.
    pub tally: Tally,
}

impl Reading {
    /// No value.
    pub(crate) fn none(verdict: Verdict) -> Self {
        let mut tally = Tally::default();
        match verdict {
            Verdict::Contended => tally.contended = 1,
            Verdict::Absent => tally.absent = 1,
            Verdict::Damaged(_) => tally.damaged = 1,
            _ => {}
        }
        Self { value: None, verdict, tally }
    }

    /// A single value.
    #[must_use]
    pub const fn consistent(value: OwnedValue) -> Self {
        let tally = Tally { values: 1, absent: 0, contended: 0, damaged: 0 };
        Self { value: Some(value), verdict: Verdict::Consistent, tally }
    }

    /// Whether the verdict is consistent.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.verdict == Verdict::Consistent
    }
}
