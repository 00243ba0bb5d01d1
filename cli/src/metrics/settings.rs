//! Settings of an export.

use std::time::Duration;

use crate::model::pattern::Pattern;

/// Settings of an export.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) filter: Vec<Pattern>,
    /// Labels of all series.
    pub(crate) labels: Vec<(String, String)>,
    /// Whether the programs of a command are one.
    pub(crate) sum: bool,
    /// How long programs stay after their end.
    pub(crate) hold: Duration,
    /// Memory for programs that have ended, in bytes.
    pub(crate) budget: usize,
    /// Whether lines of events are read: those from this time on, in nanoseconds since 1970.
    pub(crate) lines: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        let hold = Duration::from_secs(60);
        Self {
            filter: Vec::new(),
            labels: Vec::new(),
            sum: false,
            hold,
            budget: 64 << 20,
            lines: None,
        }
    }
}
