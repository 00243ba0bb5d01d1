//! The settings of a layer.

use tracing_core::LevelFilter;

/// Maximum number of tables of open spans.
pub(crate) const TABLES: usize = 4;

/// Settings of a layer.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) names: u32,
    pub(crate) error: f64,
    pub(crate) slots: u32,
    pub(crate) tables: usize,
    pub(crate) events: LevelFilter,
    pub(crate) lines: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names: 200,
            error: 0.1,
            slots: 1_024,
            tables: TABLES,
            events: LevelFilter::INFO,
            lines: 63,
        }
    }
}
