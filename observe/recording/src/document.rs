//! The documents of programs and fields in keyframes.

use std::time::UNIX_EPOCH;

use mmstats_history::{Program, ProgramKey};
use mmstats_json::{Digits, Form, rfc_3339, to_text};
use mmstats_observe::{FieldInfo, Reading, Verdict};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;

/// Text as JSON that it already is.
pub(crate) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A field of a keyframe: the field of `show --json`, and what a reader needs to make it again.
#[derive(Serialize)]
pub(crate) struct FieldDocument<'a> {
    id: u32,
    label: &'a str,
    #[serde(rename = "type")]
    shape: String,
    kind: &'static str,
    unit: &'a str,
    help: &'a str,
    #[serde(serialize_with = "attributes")]
    attributes: &'a FieldInfo,
    level: &'static str,
    aggregation: &'static str,
    param: u32,
    detail: Vec<&'a str>,
    constant: bool,
    codes: [u32; 4],
    present: bool,
    value: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_text: Option<Digits>,
    #[serde(skip_serializing_if = "is_plain")]
    form: &'a Form,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<Damage>,
    tally: [u32; 4],
}

#[derive(Serialize)]
struct Damage {
    code: &'static str,
    offset: u32,
}

fn is_plain(form: &&Form) -> bool {
    **form == Form::Plain
}

fn attributes<S: Serializer>(field: &FieldInfo, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(field.attributes())
}

impl<'a> FieldDocument<'a> {
    /// `text` is the value as JSON.
    pub(crate) fn new(
        id: u32,
        field: &'a FieldInfo,
        reading: &Reading,
        present: bool,
        (text, form): (&str, &'a Form),
    ) -> Self {
        Self {
            id,
            label: &field.label,
            shape: field.shape().to_string(),
            kind: field.kind_name(),
            unit: &field.unit,
            help: &field.help,
            attributes: field,
            level: field.properties.level().name(),
            aggregation: field.properties.aggregation().name(),
            param: field.properties.param(),
            detail: field.details().collect(),
            constant: field.constant,
            codes: field.properties.codes(),
            present,
            value: raw(text),
            value_text: reading.value.as_ref().and_then(Digits::new),
            form,
            verdict: reading.verdict.name(),
            damage: match reading.verdict {
                Verdict::Damaged(damage) => {
                    Some(Damage { code: damage.code, offset: damage.offset })
                }
                _ => None,
            },
            tally: tally(reading),
        }
    }
}

/// Numbers of values, and of absent, contended and damaged ones.
pub(crate) const fn tally(reading: &Reading) -> [u32; 4] {
    let tally = reading.tally;
    [tally.values, tally.absent, tally.contended, tally.damaged]
}

/// The verdict, the tally, and the damage if there is one.
pub(crate) fn verdict(reading: &Reading) -> String {
    match reading.verdict {
        Verdict::Damaged(damage) => {
            to_text(&(reading.verdict.name(), tally(reading), (damage.code, damage.offset)))
        }
        verdict => to_text(&(verdict.name(), tally(reading))),
    }
}

/// The identity of a program: what its head does not say.
pub(crate) struct IdentityDocument<'a>(pub(crate) &'a Program, pub(crate) bool);

impl Serialize for IdentityDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(program, with_times) = self;
        let identity = &program.identity;
        let mut s = serializer.serialize_map(None)?;
        match program.key {
            ProgramKey::Program(id) => {
                s.serialize_entry("instance", &id.instance.to_string())?;
                s.serialize_entry("files_owner", &id.owner)?;
                s.serialize_entry("device", &id.device.to_string())?;
            }
            ProgramKey::File(device, index) => {
                s.serialize_entry("device", &device.to_string())?;
                s.serialize_entry("index", &index.to_string())?;
            }
        }
        s.serialize_entry("process", &program.process)?;
        s.serialize_entry("owner", &program.owner)?;
        s.serialize_entry("superseded", &program.superseded)?;
        s.serialize_entry("pid", &identity.pid)?;
        s.serialize_entry("command", &identity.command)?;
        s.serialize_entry("created", &identity.created.filter(|created| created.is_finite()))?;
        s.serialize_entry("host", &identity.host)?;
        s.serialize_entry("boot_id", &identity.boot_id)?;
        s.serialize_entry("start_time", &identity.start_time.map(|n| n.to_string()))?;
        s.serialize_entry("pid_ns", &identity.pid_ns.map(|n| n.to_string()))?;
        s.serialize_entry("uid", &identity.uid)?;
        s.serialize_entry("gid", &identity.gid)?;
        s.serialize_entry("application", &identity.application)?;
        s.serialize_entry("declared", &identity.declared)?;
        s.serialize_entry("state", program.condition().state().name())?;
        s.serialize_entry("gone", &program.condition().is_gone())?;
        let c = &program.completeness;
        s.serialize_entry("parts", &c.parts)?;
        let missing: Vec<[u32; 2]> = c.missing_parts.iter().map(|r| [r.start, r.end]).collect();
        s.serialize_entry("missing_parts", &missing)?;
        s.serialize_entry("refused", &(c.lanes_refused, c.fields_refused))?;
        let counts = [c.instances_incomplete, c.samples_refused].map(|n| n.to_string());
        s.serialize_entry("incomplete", &counts)?;
        let unrecorded = program.unrecorded.saturating_add(program.left_out());
        if unrecorded > 0 {
            s.serialize_entry("unrecorded", &unrecorded)?;
        }
        if *with_times {
            let since = program.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let modified = since.and_then(|since| rfc_3339(i128::try_from(since.as_nanos()).ok()?));
            s.serialize_entry("modified", &modified)?;
            s.serialize_entry("mirror_age", &c.mirror_age.map(|age| age.as_secs_f64()))?;
        }
        s.end()
    }
}
