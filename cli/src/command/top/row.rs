//! A row of the start screen.

use mmstats_history::{Condition, ProgramKey};
use mmstats_threads::Process;

use crate::live::odd::Odd;

/// A program, as the start screen shows it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) key: ProgramKey,
    pub(super) pid: Option<u32>,
    pub(super) command: String,
    pub(super) condition: Condition,
    pub(super) state: &'static str,
    pub(super) process: Option<Process>,
    /// Fields that changed at the last look, and all fields.
    pub(super) changes: (f64, usize),
    /// Name and rate of the counter that grows fastest.
    pub(super) busiest: Option<(String, String)>,
    pub(super) rate: f64,
    pub(super) spark: Vec<Option<f64>>,
    pub(super) findings: Vec<Odd>,
}
