//! Programs with their past, as `mmstats top` and `mmstats serve` show them.

pub(crate) mod findings;
pub(crate) mod looks;
pub(crate) mod name;
pub(crate) mod odd;
pub(crate) mod processes;
pub(crate) mod program;
#[cfg(feature = "record")]
pub(crate) mod recorded_threads;
