//! A program with its fields, as `show` prints it.

use super::head::Head;
use super::row::Row;
use super::threads::Threads;

/// A program and its fields.
pub(crate) struct Section<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) rows: Vec<Row>,
    /// Fields above the level that is shown.
    pub(crate) hidden: Vec<Row>,
    pub(crate) threads: Threads,
}
