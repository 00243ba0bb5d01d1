//! The programs that were selected, and their fields as rows.

pub(crate) mod age;
pub(crate) mod globs;
pub(crate) mod progress;
pub(crate) mod row;
pub(crate) mod selection;
