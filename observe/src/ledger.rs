//! The ledger of an application: FILES.md section 3.

use std::collections::HashSet;

use crate::backend::FileInfo;
use crate::backend::ledger::LedgerName;
use crate::identity::{FileState, Instance, LedgerConstants};

/// The sums of the ended programs of an application: workers of a server, tasks of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Name of the application.
    pub application: String,
    /// Number of the ledger, from 1: it is the highest one of its application.
    pub generation: u64,
    /// Number of programs whose sums it has.
    pub instances: u64,
    /// Number of these of which something is missing.
    pub incomplete: u64,
    name: LedgerName,
    supersedes: HashSet<Instance>,
}

impl Ledger {
    /// The ledger in a file; `None` if it is none, or its name, its owner and its content do not
    /// agree.
    pub(crate) fn new(
        info: &FileInfo,
        state: FileState,
        constants: &LedgerConstants,
    ) -> Option<Self> {
        let application = constants.application.as_ref()?;
        let generation = constants.generation?;
        let name = LedgerName::parse(info.path.file_name()?)?;
        let expected = LedgerName::new(application, info.owner.unwrap_or(0), generation);
        if state != FileState::Closed || name != expected {
            return None;
        }
        let (instances, _) = constants.supersedes.as_chunks::<16>();
        Some(Self {
            application: application.clone(),
            generation,
            instances: constants.instances?,
            incomplete: constants.incomplete?,
            name,
            supersedes: instances.iter().map(|instance| Instance(*instance)).collect(),
        })
    }

    /// Whether it has the sums of a program that may still have files.
    #[must_use]
    pub fn supersedes(&self, instance: &Instance) -> bool {
        self.supersedes.contains(instance)
    }

    pub(crate) const fn name(&self) -> LedgerName {
        self.name
    }
}
