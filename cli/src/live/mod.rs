//! Programs with their past, as `mmstats top` and `mmstats serve` show them.

pub(crate) mod findings;
pub(crate) mod looks;
pub(crate) mod name;
pub(crate) mod odd;
#[cfg(feature = "record")] // recordings
pub(crate) mod past;
pub(crate) mod processes;
pub(crate) mod program;
