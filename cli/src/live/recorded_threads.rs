//! Recorded threads and processes, for replay.

use std::cell::RefCell;
use std::sync::Arc;

use mmstats_history::{Moment, ProgramKey};
use mmstats_recording::{PastThreads, Threads};
use mmstats_threads::{Process, Report};

use super::odd::{Odd, odd};
use crate::model::recorded::no_threads;

/// Reports about threads, read from a recording on demand.
#[derive(Debug)]
pub(crate) struct RecordedThreads(RefCell<PastThreads>);

impl RecordedThreads {
    pub(crate) const fn new(threads: PastThreads) -> Self {
        Self(RefCell::new(threads))
    }

    fn threads(&self, key: ProgramKey, at: Moment) -> Threads {
        self.0.borrow_mut().at(key, at)
    }

    pub(super) fn report_at(
        &self,
        key: ProgramKey,
        at: Moment,
    ) -> Option<(Arc<Report>, Option<Arc<Report>>)> {
        match self.threads(key, at) {
            Threads::Looked { report, before, .. } => Some((report, before)),
            _ => None,
        }
    }

    pub(super) fn process_at(&self, key: ProgramKey, at: Moment) -> Option<Process> {
        self.report_at(key, at)?.0.process.clone()
    }

    /// Findings, if the report is of a program in the same state (ended or not).
    pub(super) fn findings_at(&self, key: ProgramKey, at: Moment, has_ended: bool) -> Vec<Odd> {
        let report = self.report_at(key, at).map(|(report, _)| report);
        let report = report.filter(|report| report.has_ended() == has_ended);
        report.map_or_else(Vec::new, |report| odd(&report.findings))
    }

    /// Reason why no report is recorded.
    pub(super) fn missing_at(&self, key: ProgramKey, at: Moment) -> String {
        no_threads(&self.threads(key, at))
    }
}
