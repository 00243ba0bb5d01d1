//! Programs and their fields as JSON.

use std::collections::BTreeMap;

use mmstats_observe::{FieldInfo, File, OwnedValue, Program};
use serde::{Serialize, Serializer};

use super::JsonPath;
use super::value::JsonValue;
use crate::model::row::{Row, Section};
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
    command: Option<&'a str>,
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
    value: Option<FieldValue<'a>>,
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
    pub(crate) fn from_file(file: &'a File) -> Self {
        Self {
            path: JsonPath::new(file.path()),
            parts: Vec::new(),
            format: file.format(),
            state: file.state().name(),
            instance: file.instance().map(|instance| instance.to_string()),
            pid: file.identity().pid,
            command: file.identity().command.as_deref(),
        }
    }

    fn from_program(program: &'a Program<'a>) -> Option<Self> {
        let (first, more) = program.files().split_first()?;
        let mut head = Self::from_file(first);
        head.state = program.state().name();
        if !more.is_empty() {
            head.parts = program.files().iter().map(|f| JsonPath::new(f.path())).collect();
        }
        Some(head)
    }
}

/// The document of `mmstats show --json`.
pub(crate) fn document<'a>(sections: &'a [Section<'a>]) -> impl Serialize {
    let files = sections.iter().filter_map(|section| {
        let fields = section.rows.iter().map(field).collect();
        FileHead::from_program(section.program).map(|head| FileDocument { head, fields })
    });
    BTreeMap::from([("files", files.collect::<Vec<_>>())])
}

fn field(row: &Row) -> FieldDocument<'_> {
    let field = &*row.field;
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
        value: row.value.as_ref().and_then(|value| match value {
            OwnedValue::State(state) if row.lane.is_some() => {
                single_state(state).map(FieldValue::State)
            }
            value => Some(FieldValue::Value(JsonValue(value))),
        }),
        verdict: row.verdict.name(),
        damage: row.damage().map(|d| DamageDocument { code: d.code, offset: d.offset }),
    }
}
