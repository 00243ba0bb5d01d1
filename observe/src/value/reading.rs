//! A value together with the verdict on it.

use super::owned::OwnedValue;
use super::verdict::{Tally, Verdict};

/// A value, if there is one, and the verdict on it.
///
/// A combined value has the worst verdict of its parts (damaged, contended, consistent,
/// absent, in this order). It is made of the good parts; the tally says of how many.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The value.
    pub value: Option<OwnedValue>,
    /// What can be said of it.
    pub verdict: Verdict,
    /// What it is made of.
    pub tally: Tally,
}

impl Reading {
    /// No value, and why.
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

    /// One value that nothing was combined with.
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
