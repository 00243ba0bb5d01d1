//! Threads and processes of programs, as a recording has them.

use std::cell::RefCell;
use std::sync::Arc;

use mmstats_history::{Moment, ProgramKey};
use mmstats_recording::{PastThreads, Threads};
use mmstats_threads::{Process, Report};

use super::odd::{Odd, odd};
use crate::model::recorded::no_threads;

/// Threads and processes of programs, as a recording has them.
#[derive(Debug)]
pub(crate) struct Past(RefCell<PastThreads>);

impl Past {
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

    pub(super) fn findings_at(&self, key: ProgramKey, at: Moment, has_ended: bool) -> Vec<Odd> {
        let report = self.report_at(key, at).map(|(report, _)| report);
        let report = report.filter(|report| report.has_ended() == has_ended);
        report.map_or_else(Vec::new, |report| odd(&report.findings))
    }

    /// Why there is no report.
    pub(super) fn missing_at(&self, key: ProgramKey, at: Moment) -> String {
        no_threads(&self.threads(key, at))
    }
}
