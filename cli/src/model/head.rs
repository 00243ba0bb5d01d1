//! Identity and state of a program, live, dead or recorded.

use std::path::PathBuf;
use std::time::SystemTime;

use mmstats_observe::{Completeness, FileState, Identity, Program};

use super::life::Life;

/// Identity and state of a program at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Head<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) state: FileState,
    /// Id of the process, as this process sees it.
    pub(crate) process: Option<u32>,
    /// User id of the owner of the files.
    pub(crate) owner: Option<u32>,
    /// The files, by part.
    pub(crate) paths: Vec<PathBuf>,
    /// Whether the file was named on the command line.
    pub(crate) named: bool,
    /// The name of the application, of a ledger.
    pub(crate) ledger: Option<&'a str>,
    pub(crate) superseded: bool,
    pub(crate) completeness: Completeness,
    pub(crate) life: Life,
    pub(crate) source: Source<'a>,
}

/// Where a head comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    Program(&'a Program<'a>),
    /// A recording: the head in JSON.
    #[cfg(feature = "record")]
    Recorded(&'a str),
}

/// The paths in a head of JSON.
#[cfg(feature = "record")]
fn paths(head: &str) -> Vec<PathBuf> {
    let head: serde_json::Value = serde_json::from_str(head).unwrap_or_default();
    let path = |value: &serde_json::Value| {
        let text = value.as_str().or_else(|| value.get("text")?.as_str());
        text.map(PathBuf::from)
    };
    match head.get("parts").and_then(serde_json::Value::as_array) {
        Some(parts) => parts.iter().filter_map(path).collect(),
        None => head.get("path").and_then(path).into_iter().collect(),
    }
}

impl<'a> Head<'a> {
    pub(crate) fn from_program(program: &'a Program<'a>, now: SystemTime) -> Self {
        let files = program.files();
        Self {
            identity: program.identity(),
            state: program.state(),
            process: program.process(),
            owner: program.owner(),
            paths: files.iter().map(|file| file.path().to_owned()).collect(),
            named: files.first().is_some_and(|file| file.named()),
            ledger: program.ledger().map(|ledger| &*ledger.application),
            superseded: program.is_superseded(),
            completeness: program.completeness(),
            life: Life::new(program, now),
            source: Source::Program(program),
        }
    }

    /// A program of a recording, as of `now`.
    #[cfg(feature = "record")]
    pub(crate) fn from_recorded(
        program: &'a mmstats_recording::RecordedProgram,
        now: SystemTime,
    ) -> Self {
        let look = program.look();
        let state = look.condition.state();
        Self {
            identity: &look.identity,
            state,
            process: look.process,
            owner: look.owner,
            paths: paths(program.head()),
            named: true,
            ledger: look.identity.application.as_deref().filter(|_| state == FileState::Ledger),
            superseded: look.superseded,
            completeness: look.completeness.clone(),
            life: Life::from_recorded(look, program.head(), now),
            source: Source::Recorded(program.head()),
        }
    }
}
