//! Fields with their values.

use std::time::SystemTime;

use mmstats_observe::{FieldInfo, OwnedValue, Verdict};
use serde::{Serialize, Serializer};

use crate::value::{Digits, JsonValue, JsonValueAt};

/// A field with its value, as `mmstats show --json` has it.
#[derive(Debug, Serialize)]
pub struct FieldDocument<'a> {
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
    /// The name of the thread of the lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<&'a str>,
    value: Option<FieldValue<'a>>,
    /// Absent if all integers are exact as doubles.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_text: Option<Digits>,
    verdict: &'static str,
    /// The broken rule; only with the verdict `damaged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<DamageDocument>,
}

#[derive(Debug, Serialize)]
struct DamageDocument {
    code: &'static str,
    offset: u32,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum FieldValue<'a> {
    Value(JsonValue<'a>),
    /// A value of an earlier time.
    Past(JsonValueAt<'a>),
    /// The state of one lane.
    State(&'a str),
}

fn attributes<S: Serializer>(field: &FieldInfo, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(field.attributes())
}

impl<'a> FieldDocument<'a> {
    /// A field with its value, of all lanes.
    #[must_use]
    pub fn new(field: &'a FieldInfo, value: Option<&'a OwnedValue>, verdict: Verdict) -> Self {
        let damage = match verdict {
            Verdict::Damaged(d) => Some(DamageDocument { code: d.code, offset: d.offset }),
            _ => None,
        };
        Self {
            label: &field.label,
            shape: field.shape().to_string(),
            kind: field.kind_name(),
            unit: &field.unit,
            help: &field.help,
            attributes: field,
            level: field.properties.level().name(),
            lane: None,
            part: None,
            tid: None,
            thread: None,
            value: value.map(|value| FieldValue::Value(JsonValue(value))),
            value_text: value.and_then(Digits::new),
            verdict: verdict.name(),
            damage,
        }
    }

    /// Says that the value is of one lane: part, number, and the id of its thread.
    pub fn set_lane(&mut self, (part, lane): (u32, u32), tid: Option<u64>) {
        (self.lane, self.part, self.tid) = (Some(lane), (part > 0).then_some(part), tid);
    }

    /// Replaces the value by the same as of another time than now.
    pub fn set_past(&mut self, value: &'a OwnedValue, at: SystemTime) {
        self.value = Some(FieldValue::Past(JsonValueAt(value, at)));
    }

    /// Replaces the value by the state of one lane.
    pub fn set_state(&mut self, state: Option<&'a str>) {
        self.value = state.map(FieldValue::State);
    }
}
