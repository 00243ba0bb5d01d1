//! Verdicts on values, and the origin of values.

use std::fmt;

use mmstats_core::read::Verdict as RawVerdict;

use crate::problem::Damage;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Number of the file in the list that was given, from 0.
    pub file: usize,
    /// `sys.pid` of the file.
    pub pid: Option<u32>,
    /// Part of its instance.
    pub part: u32,
    /// The lane; `None` for a constant and for format 1.
    pub lane: Option<u32>,
}

/// What can honestly be said of a value, in bounded time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It was published like this, whole.
    Consistent,
    /// The writer was faster in all attempts.
    Contended,
    /// There is none.
    Absent,
    /// The field was retired.
    Retired,
    /// A type or storage that this version does not know.
    Unknown,
    /// A rule of the format is broken.
    Damaged(Damage),
}

impl Verdict {
    /// In lower case, without what is damaged.
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

/// Of how many lanes (or files) a combined value is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// That had a value, which is part of the result.
    pub values: u32,
    /// That have none.
    pub absent: u32,
    /// Whose writer was faster in all attempts.
    pub contended: u32,
    /// Whose value is damaged.
    pub damaged: u32,
}
