//! The files of one program.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::series::Total;
use super::totals::totals;
use crate::completeness::Completeness;
use crate::file::File;
use crate::identity::{FileState, Identity, Instance, ProgramId};
use crate::ledger::Ledger;
use crate::namespace::Namespace;
use crate::problem::Problem;

/// The files of one program: a publisher with more fields or threads than fit in one file has
/// several parts.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// By part; not empty.
    files: Vec<&'a File>,
    first: &'a File,
}

impl<'a> Program<'a> {
    /// Groups files by [`ProgramId`], in the order of their first files. Files without one (of
    /// format 1, or unreadable) are programs of their own.
    #[must_use]
    pub fn group(files: impl IntoIterator<Item = &'a File>) -> Vec<Self> {
        let mut programs: Vec<Self> = Vec::new();
        let mut by_id = HashMap::new();
        for file in files {
            if let Some(id) = file.program() {
                let next = programs.len();
                let index = *by_id.entry(id).or_insert(next);
                if let Some(program) = programs.get_mut(index) {
                    program.files.push(file);
                    continue;
                }
            }
            programs.push(Self { files: vec![file], first: file });
        }
        for program in &mut programs {
            program.files.sort_by_key(|file| file.part());
            program.first = program.files.first().copied().unwrap_or(program.first);
        }
        programs
    }

    /// The files, by part.
    #[must_use]
    pub fn files(&self) -> &[&'a File] {
        &self.files
    }

    /// Identity of the publisher; `None` for format 1 and unreadable files.
    #[must_use]
    pub fn instance(&self) -> Option<Instance> {
        self.first.instance()
    }

    /// Instance, owner and device; `None` for format 1 and unreadable files.
    #[must_use]
    pub fn id(&self) -> Option<ProgramId> {
        self.first.program()
    }

    /// The ledger of an application, if that is what it is: the sums of its ended programs.
    #[must_use]
    pub const fn ledger(&self) -> Option<&'a Ledger> {
        self.first.ledger()
    }

    /// Whether the ledger of its application has its sums, so that they take no part in totals.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.files.iter().any(|file| file.is_superseded())
    }

    /// Whether the program counts now: it may still publish, it is a ledger, or it has ended and is
    /// not in the ledger of its application yet.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        match self.state() {
            FileState::Live | FileState::Unknown | FileState::Ledger => true,
            FileState::Dead | FileState::Closed => {
                self.identity().application.is_some() && !self.is_superseded()
            }
            _ => false,
        }
    }

    /// User id of the owner of the files; `None` on systems without user ids.
    #[must_use]
    pub const fn owner(&self) -> Option<u32> {
        self.first.owner()
    }

    /// Parts of the program that the files lack. It is complete if it is of format 1, or cannot
    /// be read.
    #[must_use]
    pub fn completeness(&self) -> Completeness {
        let mut completeness = Completeness::default();
        if self.id().is_none() || self.is_superseded() {
            return completeness;
        }
        let reach = || self.files.iter().map(|file| file.reach());
        self.set_parts(&mut completeness);
        completeness.lanes_refused = reach().map(|reach| reach.lanes_refused).max().unwrap_or(0);
        completeness.fields_refused = reach().map(|reach| reach.fields_refused).max().unwrap_or(0);
        let samples = self.files.iter().map(|file| file.samples_refused());
        completeness.samples_refused = samples.fold(0, u64::saturating_add);
        completeness.instances_incomplete = self.ledger().map_or(0, |ledger| ledger.incomplete);
        completeness.mirror_age = self.mirror_age();
        completeness
    }

    /// Whether parts are missing: what [`completeness`](Self::completeness) finds without reading
    /// values.
    pub(crate) fn lacks_parts(&self) -> bool {
        let mut completeness = Completeness::default();
        self.set_parts(&mut completeness);
        self.id().is_some() && !completeness.missing_parts.is_empty()
    }

    fn set_parts(&self, completeness: &mut Completeness) {
        let said = self.files.iter().map(|file| file.reach().parts).max().unwrap_or(0);
        // The files of an instance are its parts: a file that became unreadable is none any more.
        let seen = self.files.iter().filter(|file| file.state().is_readable());
        completeness.set_parts(seen.map(|file| file.part()), said);
    }

    /// Age of the oldest lane that is copied from memory that no reader sees; of a program that
    /// ended, before the newest of them.
    fn mirror_age(&self) -> Option<Duration> {
        let times = self.files.iter().filter_map(|file| file.mirrored());
        let (oldest, newest) = times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let end = if self.state() == FileState::Live {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
        } else {
            newest
        };
        Some(Duration::from_nanos(end.saturating_sub(oldest)))
    }

    /// The problem of the first file that cannot be read; `None` if all can.
    #[must_use]
    pub fn problem(&self) -> Option<&'a Problem> {
        self.files.iter().find_map(|file| file.problem())
    }

    /// Values of the standard fields.
    #[must_use]
    pub fn identity(&self) -> &'a Identity {
        self.first.identity()
    }

    /// Id of the process, as this process sees it: see [`File::process`].
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.files.iter().find_map(|file| file.process())
    }

    /// Where it runs, if that is not where this process does: see [`File::namespace`].
    #[must_use]
    pub fn namespace(&self) -> Option<&'a Namespace> {
        self.files.iter().find_map(|file| file.namespace())
    }

    /// The state: live if one of the files is, closed only if all are.
    #[must_use]
    pub fn state(&self) -> FileState {
        let states = || self.files.iter().map(|file| file.state());
        [
            FileState::Live,
            FileState::Ledger,
            FileState::Unknown,
            FileState::Dead,
            FileState::Closed,
            FileState::Damaged,
        ]
        .into_iter()
        .find(|state| states().any(|other| other == *state))
        .unwrap_or_else(|| self.first.state())
    }

    /// The fields, combined over all lanes of all files. A constant of several files counts
    /// once.
    #[must_use]
    pub fn totals(&self) -> Vec<Total> {
        totals(self.files.iter().copied())
    }
}
