//! How things look: pure functions from views to lines and documents.

pub(crate) mod document;
pub(crate) mod fields;
pub(crate) mod table;
