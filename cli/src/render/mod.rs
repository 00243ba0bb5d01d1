//! Programs, tables and messages as lines of text.

pub(crate) mod field;
pub(crate) mod help;
pub(crate) mod missing;
pub(crate) mod paths;
pub(crate) mod problems;
pub(crate) mod program;
pub(crate) mod table;
#[cfg(feature = "threads")]
pub(crate) mod threads;
