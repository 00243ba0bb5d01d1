//! Identity and state of a program.

use std::ops::Range;
use std::path::Path;

use mmstats_observe::{Completeness, File, Namespace, Program};
use serde::Serialize;

use crate::escape;

/// A string, or for a path that is not UTF-8 an object with its bytes.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum JsonPath {
    /// A path in UTF-8.
    Text(String),
    /// Another path.
    Bytes {
        /// With other bytes as `\xff`.
        text: String,
        /// In hexadecimal.
        bytes: String,
    },
}

impl JsonPath {
    /// A path as JSON.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => {
                let bytes = path.as_os_str().as_encoded_bytes();
                Self::Bytes { text: escape::bytes(bytes), bytes: escape::hex(bytes) }
            }
        }
    }
}

/// Identity and state of a file, in the documents of `ls` and `show`.
#[derive(Debug, Serialize)]
pub struct FileHead<'a> {
    path: JsonPath,
    /// All files of a program that has several; absent for one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<JsonPath>,
    format: Option<u8>,
    state: &'static str,
    instance: Option<String>,
    pid: Option<u32>,
    /// Absent if it is `pid` or not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    local_pid: Option<u32>,
    /// Absent for a program in the namespaces of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<u64>,
    /// Absent if it is in none, or that of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    process: Option<&'static str>,
    command: Option<&'a str>,
    owner: Option<u32>,
    /// Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<&'a str>,
    /// Number of programs whose sums a ledger has; absent for other files.
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<u64>,
    /// Absent if false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    superseded: bool,
    /// Absent if the program is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<IncompleteDocument>,
    #[serde(skip_serializing_if = "is_zero")]
    samples_refused: u64,
    /// In seconds; absent if all values are read in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror_age: Option<f64>,
    /// Absent if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemDocument<'a>>,
}

/// Why a file cannot be read.
#[derive(Debug, Serialize)]
struct ProblemDocument<'a> {
    code: &'static str,
    reason: &'a str,
}

/// Parts of a program that its files lack.
#[derive(Debug, Serialize)]
pub struct IncompleteDocument {
    reason: String,
    /// Number of parts; 0 if it is unknown.
    parts: u32,
    /// First and last number of each run.
    missing_parts: Vec<[u32; 2]>,
    lanes_refused: u32,
    fields_refused: u32,
    /// Data of a ledger; absent for other files.
    #[serde(skip_serializing_if = "is_zero")]
    instances_incomplete: u64,
}

impl IncompleteDocument {
    /// `None` for a complete program.
    #[must_use]
    pub fn new(completeness: &Completeness) -> Option<Self> {
        let run = |parts: &Range<u32>| [parts.start, parts.end.saturating_sub(1)];
        (!completeness.is_complete()).then(|| Self {
            reason: completeness.to_string(),
            parts: completeness.parts,
            missing_parts: completeness.missing_parts.iter().map(run).collect(),
            lanes_refused: completeness.lanes_refused,
            fields_refused: completeness.fields_refused,
            instances_incomplete: completeness.instances_incomplete,
        })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<'a> FileHead<'a> {
    fn from_file(file: &'a File) -> Self {
        Self {
            path: JsonPath::new(file.path()),
            parts: Vec::new(),
            format: file.format(),
            state: file.state().name(),
            instance: file.instance().map(|instance| instance.to_string()),
            pid: file.identity().pid,
            local_pid: None,
            namespace: None,
            container: None,
            process: None,
            command: file.identity().command.as_deref(),
            owner: file.owner(),
            application: file.identity().application.as_deref(),
            instances: file.ledger().map(|ledger| ledger.instances),
            superseded: file.is_superseded(),
            incomplete: None,
            samples_refused: 0,
            mirror_age: None,
            problem: None,
        }
    }

    /// `process` is the state of the process, as the system tells it.
    #[must_use]
    pub fn from_program(program: &'a Program<'a>, process: Option<&'static str>) -> Option<Self> {
        let (first, more) = program.files().split_first()?;
        let mut head = Self::from_file(first);
        head.state = program.state().name();
        head.process = process;
        head.local_pid = program.process().filter(|pid| Some(*pid) != head.pid);
        let namespace = program.namespace();
        head.namespace = namespace.map(Namespace::number);
        head.container = namespace.and_then(|namespace| namespace.container.as_deref());
        head.problem = program
            .problem()
            .map(|problem| ProblemDocument { code: problem.code, reason: &problem.message });
        let completeness = program.completeness();
        head.incomplete = IncompleteDocument::new(&completeness);
        head.samples_refused = completeness.samples_refused;
        head.mirror_age = completeness.mirror_age.map(|age| age.as_secs_f64());
        if !more.is_empty() {
            head.parts = program.files().iter().map(|f| JsonPath::new(f.path())).collect();
        }
        Some(head)
    }
}
