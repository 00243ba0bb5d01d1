//! A part: one file of a publisher, or one image in private memory.

use std::sync::Arc;

use mmstats_core::{WriteError, Writer};

use crate::backend::{Mapping, OwnedFile};
use crate::error::Error;

/// One file, or one image in private memory.
pub(crate) struct Part {
    pub(crate) writer: Writer<Arc<Mapping>>,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) file: Option<OwnedFile>,
    pub(crate) reach: Reach,
}

impl Part {
    /// Whether the file has all its bytes and was not truncated.
    pub(crate) fn is_whole(&self) -> bool {
        let has_its_size = self.file.as_ref().is_none_or(OwnedFile::has_its_size);
        has_its_size && !self.mapping.is_damaged()
    }
}

/// Who reads and writes a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Observers read it, all threads write it.
    File,
    /// All threads write it.
    Memory,
    /// One thread that got no lane elsewhere; it goes with the lane.
    OneLane,
}

/// An error of a writer that the checks before should have prevented.
pub(crate) fn image(error: &WriteError) -> Error {
    Error::Image(error.to_string())
}
