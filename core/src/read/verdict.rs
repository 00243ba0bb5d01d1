//! What a reader answers.

use super::error::ValueError;

/// What a reader can honestly say, in bounded time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<T> {
    /// A value that was published, whole.
    Consistent(T),
    /// The writer was faster in all attempts; or this target cannot load 8 bytes at once.
    Contended,
    /// There is no value: the presence bit is 0, or nobody claimed the lane yet.
    Absent,
    /// The field was retired.
    Retired,
    /// A type or storage that this reader does not know.
    Unknown,
    /// The caller's buffer is smaller than [`Field::buffer_size`](crate::read::Field::buffer_size) or the slot.
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

    /// Goes on with a consistent value; other verdicts stay.
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
