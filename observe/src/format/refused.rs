//! Files of which nothing is shown.

use std::path::Path;

use mmstats_core::read::Refusal;

use crate::identity::FileState;
use crate::problem::Problem;

/// Why nothing of a file is shown.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) state: FileState,
    pub(crate) problem: Problem,
}

impl Refused {
    /// A file that breaks a rule of its format, or is truncated.
    pub(crate) const fn damaged(problem: Problem) -> Self {
        Self { state: FileState::Damaged, problem }
    }

    /// A file whose image was refused.
    pub(crate) fn from_refusal(path: &Path, refusal: &Refusal) -> Self {
        let problem = Problem::from_refusal(path, refusal);
        Self { state: FileState::from_refusal(refusal), problem }
    }
}
