//! What names a field of an image.

/// A field of an image: its place in the descriptor table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(u32);

impl FieldId {
    /// The number of the descriptor, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The field with this number; a number that no field has is refused by `attach`.
    #[must_use]
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }
}
