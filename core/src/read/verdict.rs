//! Results of reads.

use super::error::ValueError;

/// Result of a read, in bounded time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<T> {
    /// A published value, whole.
    Consistent(T),
    /// The writer overwrote the value during each of [`ATTEMPTS`](crate::protocol::ATTEMPTS)
    /// attempts, or this target cannot load 8 bytes at once.
    Contended,
    /// No value: the presence bit is 0, or the lane was never claimed.
    Absent,
    /// The field was retired.
    Retired,
    /// Unknown type or storage.
    Unknown,
    /// The caller's buffer is smaller than [`Field::buffer_size`](super::Field::buffer_size) or the
    /// slot.
    NoRoom,
    /// A rule of the format is broken.
    Damaged(ValueError),
}

impl<T> Verdict<T> {
    /// The same verdict with another value.
    #[inline]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Verdict<U> {
        self.and_then(|value| Verdict::Consistent(f(value)))
    }

    /// Applies `f` to a consistent value; other verdicts stay.
    #[inline]
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Verdict<U>) -> Verdict<U> {
        match self {
            Self::Consistent(value) => f(value),
            Self::Contended => Verdict::Contended,
            Self::Absent => Verdict::Absent,
            Self::Retired => Verdict::Retired,
            Self::Unknown => Verdict::Unknown,
            Self::NoRoom => Verdict::NoRoom,
            Self::Damaged(error) => Verdict::Damaged(error),
        }
    }

    /// The value, if the verdict is consistent.
    #[inline]
    pub fn consistent(self) -> Option<T> {
        match self {
            Self::Consistent(value) => Some(value),
            _ => None,
        }
    }
}

impl<T> From<Result<T, ValueError>> for Verdict<T> {
    #[inline]
    fn from(result: Result<T, ValueError>) -> Self {
        result.map_or_else(Self::Damaged, Self::Consistent)
    }
}
