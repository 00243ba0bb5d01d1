//! Programs and their fields as JSON.

use std::cell::RefCell;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use mmstats_observe::{Completeness, FieldInfo, File, OwnedValue, Program};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::JsonPath;
use super::value::{Digits, JsonValue};
use crate::backend::ProcessState;
use crate::model::life::Life;
use crate::model::row::Row;
use crate::model::section::Section;
use crate::model::threads::Threads;
use crate::value::single_state;

#[derive(Serialize)]
struct FileDocument<'a> {
    #[serde(flatten)]
    head: FileHead<'a>,
    fields: Vec<FieldDocument<'a>>,
}

/// Identity and state of a file, in the documents of `ls` and `show`.
#[derive(Serialize)]
pub(crate) struct FileHead<'a> {
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
    process: Option<&'static str>,
    command: Option<&'a str>,
    owner: Option<u32>,
    /// Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<&'a str>,
    /// Of a ledger: number of programs whose sums it has.
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
#[derive(Serialize)]
struct ProblemDocument<'a> {
    code: &'static str,
    reason: &'a str,
}

/// What the files of a program do not have.
#[derive(Serialize)]
struct IncompleteDocument {
    reason: String,
    /// Number of parts; 0 if it is unknown.
    parts: u32,
    /// First and last number of each run.
    missing_parts: Vec<[u32; 2]>,
    lanes_refused: u32,
    fields_refused: u32,
    /// Of a ledger; absent for none.
    #[serde(skip_serializing_if = "is_zero")]
    instances_incomplete: u64,
}

impl IncompleteDocument {
    fn new(completeness: &Completeness) -> Option<Self> {
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

#[derive(Serialize)]
struct FieldDocument<'a> {
    label: &'a str,
    #[serde(rename = "type")]
    shape: String,
    kind: &'a str,
    unit: &'a str,
    help: &'a str,
    #[serde(serialize_with = "attributes")]
    attributes: &'a FieldInfo,
    level: &'static str,
    /// Present if the value is of one lane; `part` is absent for part 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
    /// The thread of the lane, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<&'a str>,
    value: Option<FieldValue<'a>>,
    /// Absent if all integers are exact as doubles.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_text: Option<Digits>,
    verdict: &'static str,
    /// The broken rule; only with the verdict `damaged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<DamageDocument>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FieldValue<'a> {
    Value(JsonValue<'a>),
    /// The state of one lane.
    State(&'a str),
}

#[derive(Serialize)]
struct DamageDocument {
    code: &'static str,
    offset: u32,
}

fn attributes<S: Serializer>(field: &FieldInfo, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(field.attributes())
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

    /// `process` is what the system says of the process.
    pub(crate) fn from_program(
        program: &'a Program<'a>,
        process: Option<ProcessState>,
    ) -> Option<Self> {
        let (first, more) = program.files().split_first()?;
        let mut head = Self::from_file(first);
        head.state = program.state().name();
        head.process = process.map(ProcessState::name);
        head.local_pid = program.process().filter(|pid| Some(*pid) != head.pid);
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

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The document of `mmstats show --json`: its sections are made while it is written.
pub(crate) struct Documents<I> {
    time: SystemTime,
    sections: RefCell<Option<I>>,
}

impl<I> Documents<I> {
    pub(crate) const fn new(time: SystemTime, sections: I) -> Self {
        Self { time, sections: RefCell::new(Some(sections)) }
    }
}

impl<'a, I: Iterator<Item = Section<'a>>> Serialize for Documents<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Files<'f, I>(&'f RefCell<Option<I>>);

        impl<'a, I: Iterator<Item = Section<'a>>> Serialize for Files<'_, I> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.take().into_iter().flatten().map(OneFile))
            }
        }

        let mut s = serializer.serialize_map(Some(2))?;
        s.serialize_entry("time", &seconds(self.time))?;
        s.serialize_entry("files", &Files(&self.sections))?;
        s.end()
    }
}

/// A program with its fields.
struct OneFile<'a>(Section<'a>);

impl Serialize for OneFile<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.rows.iter().map(|row| field(row, &self.0.threads)).collect();
        let process = Life::new(self.0.program, SystemTime::now()).process;
        let head = FileHead::from_program(self.0.program, process);
        head.map(|head| FileDocument { head, fields }).serialize(serializer)
    }
}

fn field<'a>(row: &'a Row, threads: &'a Threads) -> FieldDocument<'a> {
    let field = &*row.field;
    let thread = row.lane.and_then(|lane| threads.get(lane));
    FieldDocument {
        label: &field.label,
        shape: field.shape().to_string(),
        kind: field.kind_name(),
        unit: &field.unit,
        help: &field.help,
        attributes: field,
        level: field.properties.level().name(),
        lane: row.lane.map(|(_, lane)| lane),
        part: row.lane.and_then(|(part, _)| (part > 0).then_some(part)),
        tid: thread.and_then(|thread| thread.id),
        thread: thread.and_then(|thread| thread.name.as_deref()),
        value: row.value.as_ref().and_then(|value| match value {
            OwnedValue::State(state) if row.lane.is_some() => {
                single_state(state).map(FieldValue::State)
            }
            value => Some(FieldValue::Value(JsonValue(value))),
        }),
        value_text: row.value.as_ref().and_then(Digits::new),
        verdict: row.verdict.name(),
        damage: row.damage().map(|d| DamageDocument { code: d.code, offset: d.offset }),
    }
}
