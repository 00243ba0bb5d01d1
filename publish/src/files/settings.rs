//! Settings of a publisher: where it publishes, and how.

use std::path::PathBuf;
use std::time::Duration;

use crate::backend::Access;
use crate::error::Error;

/// End of the files when the publisher is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDrop {
    /// They are closed and removed.
    #[default]
    Remove,
    /// They are closed and kept, to be read later.
    Keep,
}

/// The values that the methods of [`Options`](crate::Options) set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) directory: Option<PathBuf>,
    /// Template of the file's name.
    pub(crate) file_name: Option<String>,
    pub(crate) name: Option<String>,
    /// Name of the application that keeps the sums when the program ends.
    pub(crate) application: Option<String>,
    /// Lanes of the first file.
    pub(crate) lanes: u32,
    /// Room for further fields in the first file: their number, and bytes of their strings.
    pub(crate) reserve: (u32, u32),
    /// Room for their values in each lane, in bytes; 8 for each field by default.
    pub(crate) reserve_values: Option<u32>,
    pub(crate) on_drop: OnDrop,
    /// Dead programs of each command that a sweep keeps; `None` for no sweep.
    pub(crate) post_mortems: Option<usize>,
    /// Use private memory where publishing is impossible.
    pub(crate) private: bool,
    pub(crate) hidden: bool,
    pub(crate) access: Access,
    pub(crate) system_fields: bool,
    pub(crate) persistent: bool,
    pub(crate) sample_every: Duration,
    /// A thread looks for the files.
    pub(crate) watched: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: None,
            file_name: None,
            name: None,
            application: None,
            lanes: 8,
            reserve: (0, 0),
            reserve_values: None,
            on_drop: OnDrop::Remove,
            post_mortems: Some(8),
            private: false,
            hidden: false,
            access: Access::Owner,
            system_fields: true,
            persistent: false,
            sample_every: Duration::from_secs(1),
            watched: true,
        }
    }
}

impl Settings {
    /// The fallback that the program chose.
    pub(crate) const fn fallback(&self) -> Fallback {
        if self.private { Fallback::System } else { Fallback::Refuse }
    }
}

/// When private memory replaces a file that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Never: the error is returned.
    Refuse,
    /// If the operating system refused.
    System,
    /// Whatever the error.
    Always,
}

impl Fallback {
    /// Whether private memory replaces a file that `error` prevented.
    pub(crate) const fn covers(self, error: &Error) -> bool {
        match self {
            Self::Refuse => false,
            Self::System => matches!(error, Error::System(_)),
            Self::Always => true,
        }
    }
}
