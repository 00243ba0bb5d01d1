//! Verdicts on values, and the origin of values.

use std::fmt;

use mmstats_core::read::Verdict as RawVerdict;

use crate::problem::Damage;

/// Lane and file of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Number of the file in the given list, from 0.
    pub file: usize,
    /// `sys.pid` of the file.
    pub pid: Option<u32>,
    /// Number of the file within its instance.
    pub part: u32,
    /// The lane; `None` for a constant and for format 1.
    pub lane: Option<u32>,
}

/// The result of reading a value in bounded time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The value was published, whole.
    Consistent,
    /// The writer was faster than the reader in all attempts.
    Contended,
    /// There is no value.
    Absent,
    /// The field was retired.
    Retired,
    /// The type or storage is unknown to this version.
    Unknown,
    /// The value or its field breaks a rule.
    Damaged(Damage),
}

impl Verdict {
    /// The name in lower case, without the damage.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::Contended => "contended",
            Self::Absent => "absent",
            Self::Retired => "retired",
            Self::Unknown => "unknown",
            Self::Damaged(_) => "damaged",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(damage) => write!(f, "damaged: {damage}"),
            other => f.pad(other.name()),
        }
    }
}

impl<T> From<&RawVerdict<T>> for Verdict {
    fn from(verdict: &RawVerdict<T>) -> Self {
        match verdict {
            RawVerdict::Consistent(_) => Self::Consistent,
            RawVerdict::Contended => Self::Contended,
            RawVerdict::Absent => Self::Absent,
            RawVerdict::Retired => Self::Retired,
            // Buffers are sized by the field, so there is always room.
            RawVerdict::Unknown | RawVerdict::NoRoom => Self::Unknown,
            RawVerdict::Damaged(error) => Self::Damaged(Damage::from(*error)),
        }
    }
}

/// Number of lanes (or files) of a combined value, by verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Lanes with a value, which is part of the result.
    pub values: u32,
    /// Lanes without a value.
    pub absent: u32,
    /// Lanes whose writer was faster than the reader in all attempts.
    pub contended: u32,
    /// Lanes whose value is damaged.
    pub damaged: u32,
}

impl Tally {
    /// Counts a part; retired and unknown ones are not counted.
    pub(crate) fn add(&mut self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Consistent => &mut self.values,
            Verdict::Absent => &mut self.absent,
            Verdict::Contended => &mut self.contended,
            Verdict::Damaged(_) => &mut self.damaged,
            Verdict::Retired | Verdict::Unknown => return,
        };
        *counter = counter.saturating_add(1);
    }

    /// Adds the parts of another value.
    pub(crate) fn merge(&mut self, other: Self) {
        self.values = self.values.saturating_add(other.values);
        self.absent = self.absent.saturating_add(other.absent);
        self.contended = self.contended.saturating_add(other.contended);
        self.damaged = self.damaged.saturating_add(other.damaged);
    }
}
