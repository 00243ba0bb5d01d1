//! Number of a field.

/// Number of a field in its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(u32);

impl FieldId {
    /// The index of the descriptor, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The field with this index. `attach` refuses an index past the last field.
    #[must_use]
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }
}
