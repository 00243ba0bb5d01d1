//! The JSON documents.

use std::path::Path;

use mmstats_observe::{File, OwnedValue, Program};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::value::{Exact, hex};
use crate::view::{Row, Section};
use crate::{escape, kinds};

/// The document of `mmstats show --json`.
#[derive(Serialize)]
pub(crate) struct Files<'a> {
    files: Vec<FileDocument<'a>>,
}

#[derive(Serialize)]
struct FileDocument<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    fields: Vec<FieldDocument<'a>>,
}

/// What `ls` and `show` say of a file alike.
#[derive(Serialize)]
pub(crate) struct Head<'a> {
    path: PathText,
    /// The paths of all files of a program that has several; only then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PathText>,
    format: Option<u8>,
    state: &'static str,
    instance: Option<String>,
    pid: Option<u32>,
    command: Option<&'a str>,
}

#[derive(Serialize)]
struct FieldDocument<'a> {
    label: &'a str,
    #[serde(rename = "type")]
    shape: &'a str,
    kind: &'a str,
    unit: &'a str,
    help: &'a str,
    attributes: Attributes<'a>,
    level: &'static str,
    /// The lane, where the value is of one; parts after the first have `part` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
    value: Option<Shown<'a>>,
    verdict: &'static str,
    /// The broken rule, where the verdict is `damaged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<DamageDocument>,
}

/// The value of a row.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Value(Exact<'a>),
    /// The state of one lane.
    State(&'a str),
}

impl<'a> Shown<'a> {
    fn of(row: &'a Row) -> Option<Self> {
        match &row.value {
            Some(OwnedValue::State(state)) if row.lane.is_some() => {
                kinds::one(state).map(Self::State)
            }
            Some(value) => Some(Self::Value(Exact(value))),
            None => None,
        }
    }
}

#[derive(Serialize)]
struct DamageDocument {
    code: &'static str,
    offset: u32,
}

struct Attributes<'a>(&'a [(String, String)]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A path as a string; one that is not UTF-8 as an object, so that nothing is lost.
#[derive(Debug)]
pub(crate) enum PathText {
    Text(String),
    Bytes(Vec<u8>),
}

impl PathText {
    pub(crate) fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(path.as_os_str().as_encoded_bytes().to_vec()),
        }
    }
}

impl Serialize for PathText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("text", &escape::bytes(bytes))?;
                map.serialize_entry("bytes", &hex(bytes))?;
                map.end()
            }
        }
    }
}

impl<'a> Head<'a> {
    pub(crate) fn of_file(file: &'a File) -> Self {
        Self {
            path: PathText::new(file.path()),
            parts: Vec::new(),
            format: file.format(),
            state: file.state().name(),
            instance: file.instance().map(|instance| instance.to_string()),
            pid: file.identity().pid,
            command: file.identity().command.as_deref(),
        }
    }

    fn of_program(program: &'a Program<'a>) -> Option<Self> {
        let (first, more) = program.files().split_first()?;
        let mut head = Self::of_file(first);
        head.state = program.state().name();
        if !more.is_empty() {
            head.parts = program.files().iter().map(|f| PathText::new(f.path())).collect();
        }
        Some(head)
    }
}

/// The document about programs and their fields.
pub(crate) fn files<'a>(shown: &'a [Section<'a>]) -> Files<'a> {
    let files = shown.iter().filter_map(|section| {
        let fields = section.rows.iter().map(field).collect();
        Head::of_program(section.program).map(|head| FileDocument { head, fields })
    });
    Files { files: files.collect() }
}

fn field(row: &Row) -> FieldDocument<'_> {
    FieldDocument {
        label: &row.label,
        shape: &row.shape,
        kind: row.kind,
        unit: &row.unit,
        help: &row.help,
        attributes: Attributes(&row.attributes),
        level: row.level.name(),
        lane: row.lane.map(|(_, lane)| lane),
        part: row.lane.and_then(|(part, _)| (part > 0).then_some(part)),
        value: Shown::of(row),
        verdict: row.verdict.name(),
        damage: row.damage().map(|d| DamageDocument { code: d.code, offset: d.offset }),
    }
}
