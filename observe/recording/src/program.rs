//! A program of a recording, as of one look.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats_history::{Condition, ProgramKey, ProgramLook};
use mmstats_json::{Form, members, nanoseconds, parse, verdict};
use mmstats_observe::{
    ActivityRow, EachValue, FieldInfo, FileState, Identity, Instance, OwnedValue, ProgramId,
    Properties, Reading, Tally, Total, Verdict,
};

use crate::parse::{json, number};
use crate::threads::LastLook;

/// A program of a recording, as of one look.
#[derive(Debug, Clone)]
pub struct RecordedProgram {
    id: u32,
    head: String,
    look: ProgramLook,
    /// Fields that were there at the look, with their numbers.
    totals: Vec<Total>,
    pub(crate) fields: Vec<RecordedField>,
    /// Fields that are not there any more.
    pub(crate) absent: Vec<(RecordedField, Total)>,
    /// The last look at its threads.
    pub(crate) threads: Option<LastLook>,
}

/// Properties of a recorded field besides its total.
#[derive(Debug, Clone)]
pub(crate) struct RecordedField {
    pub(crate) id: u32,
    pub(crate) form: Form,
    /// Whether the next value does not build on the one before.
    pub(crate) is_new: bool,
    /// Memory of the value, in bytes.
    pub(crate) memory: usize,
}

impl RecordedProgram {
    /// Its number in the recording.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Identity, state and completeness; without lines.
    #[must_use]
    pub const fn look(&self) -> &ProgramLook {
        &self.look
    }

    /// The head of `mmstats show --json` with the member `identity`, as JSON; `{}` if there was none.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The fields that were there, with their values.
    #[must_use]
    pub fn totals(&self) -> &[Total] {
        &self.totals
    }

    /// The numbers of the fields in the recording, in the order of [`totals`](Self::totals).
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u32> {
        self.fields.iter().map(|field| field.id)
    }

    pub(crate) fn total_mut(&mut self, index: usize) -> Option<(&mut RecordedField, &mut Total)> {
        Some((self.fields.get_mut(index)?, self.totals.get_mut(index)?))
    }

    pub(crate) fn add(&mut self, field: RecordedField, total: Total) {
        self.fields.push(field);
        self.totals.push(total);
    }

    pub(crate) fn remove(&mut self, id: u32) {
        if let Some(at) = self.fields.iter().position(|field| field.id == id) {
            self.absent.push((self.fields.remove(at), self.totals.remove(at)));
        }
    }

    pub(crate) fn restore(&mut self, id: u32) {
        if let Some(at) = self.absent.iter().position(|(field, _)| field.id == id) {
            let (mut field, mut total) = self.absent.remove(at);
            field.is_new = true;
            total.reading.value = None;
            self.add(field, total);
        }
    }

    /// Takes over a head.
    pub(crate) fn set_head(&mut self, text: &str) -> Result<(), String> {
        let all = members(text).map_err(|error| error.to_string())?;
        let identity =
            all.iter().find(|(key, _)| key == "identity").ok_or("a head has no identity")?;
        let look = look(identity.1)?;
        let own = |(key, _): &&(String, &str)| !matches!(key.as_str(), "id" | "fields");
        let state = mmstats_json::to_text(&look.condition.state().name());
        // A program without files has the head of the look before.
        let is_gone = look.condition.is_gone();
        let member = |(key, value): &(String, &str)| {
            let value = match key.as_str() {
                "state" if is_gone => &*state,
                "process" if is_gone => "null",
                _ => value,
            };
            format!("{}:{value}", mmstats_json::to_text(key))
        };
        let kept: Vec<String> = all.iter().filter(own).map(member).collect();
        self.head = format!("{{{}}}", kept.join(","));
        self.look = look;
        Ok(())
    }

    /// A program of a keyframe, and the texts of its fields.
    pub(crate) fn parse(text: &str) -> Result<(Self, &str), String> {
        let all = members(text).map_err(|error| error.to_string())?;
        let find = |key: &str| all.iter().find(|(name, _)| name == key).map(|(_, text)| *text);
        let id = json("id", find("id").ok_or("a program has no number")?)?;
        let look = ProgramLook::new(ProgramKey::File(0, 0), Condition::Seen(FileState::Unknown));
        let (head, totals, fields) = (String::new(), Vec::new(), Vec::new());
        let mut program =
            Self { id, head, look, totals, fields, absent: Vec::new(), threads: None };
        program.set_head(text)?;
        Ok((program, find("fields").ok_or("a program has no fields")?))
    }
}

/// Identity and state of a program.
fn look(text: &str) -> Result<ProgramLook, String> {
    let all = members(text).map_err(|error| error.to_string())?;
    let mut identity = Identity::default();
    let mut look = ProgramLook::new(ProgramKey::File(0, 0), Condition::Seen(FileState::Unknown));
    let (mut instance, mut files_owner, mut device, mut index) = (None, None, 0, 0);
    let (mut state, mut gone) = (FileState::Unknown, false);
    for (key, text) in &all {
        let key = key.as_str();
        match key {
            "instance" => instance = Some(self::instance(&json::<String>(key, text)?)?),
            "files_owner" => files_owner = json(key, text)?,
            "device" => device = number(key, text)?.unwrap_or(0),
            "index" => index = number(key, text)?.unwrap_or(0),
            "process" => look.process = json(key, text)?,
            "owner" => look.owner = json(key, text)?,
            "superseded" => look.superseded = json(key, text)?,
            "pid" => identity.pid = json(key, text)?,
            "command" => identity.command = json(key, text)?,
            "created" => identity.created = json(key, text)?,
            "host" => identity.host = json(key, text)?,
            "boot_id" => identity.boot_id = json(key, text)?,
            "start_time" => identity.start_time = number(key, text)?,
            "pid_ns" => identity.pid_ns = number(key, text)?,
            "uid" => identity.uid = json(key, text)?,
            "gid" => identity.gid = json(key, text)?,
            "application" => identity.application = json(key, text)?,
            "declared" => identity.declared = json(key, text)?,
            "state" => state = file_state(&json::<String>(key, text)?),
            "gone" => gone = json(key, text)?,
            "parts" => look.completeness.parts = json(key, text)?,
            "missing_parts" => {
                let runs: Vec<[u32; 2]> = json(key, text)?;
                look.completeness.missing_parts =
                    runs.into_iter().filter(|[a, b]| a < b).map(|[a, b]| a..b).collect();
            }
            "refused" => {
                let (lanes, fields) = json(key, text)?;
                look.completeness.lanes_refused = lanes;
                look.completeness.fields_refused = fields;
            }
            "incomplete" => {
                let counts: [String; 2] = json(key, text)?;
                let [instances, samples] = counts.map(|digits| digits.parse().unwrap_or(0));
                look.completeness.instances_incomplete = instances;
                look.completeness.samples_refused = samples;
            }
            "unrecorded" => look.unrecorded = json(key, text)?,
            "modified" => look.modified = time(json(key, text)?),
            "mirror_age" => {
                let age: Option<f64> = json(key, text)?;
                look.completeness.mirror_age =
                    age.and_then(|age| Duration::try_from_secs_f64(age).ok());
            }
            _ => {}
        }
    }
    look.key = match instance {
        Some(instance) => ProgramKey::Program(ProgramId::new(instance, files_owner, device)),
        None => ProgramKey::File(device, index),
    };
    look.identity = identity;
    look.condition = if gone { Condition::Gone(state) } else { Condition::Seen(state) };
    Ok(look)
}

fn time(text: Option<String>) -> Option<SystemTime> {
    let nanoseconds = u64::try_from(nanoseconds(&text?)?).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds))
}

fn instance(hex: &str) -> Result<Instance, String> {
    let number = (hex.len() == 32).then(|| u128::from_str_radix(hex, 16).ok()).flatten();
    number
        .map(|n| Instance(n.to_be_bytes()))
        .ok_or_else(|| "an instance has no 32 digits".to_owned())
}

fn file_state(name: &str) -> FileState {
    use FileState as S;
    let all = [S::Live, S::Closed, S::Dead, S::Building, S::Damaged, S::Foreign, S::Ledger];
    all.into_iter().find(|state| state.name() == name).unwrap_or(S::Unknown)
}

/// A field of a keyframe; whether it is there.
pub(crate) fn field(text: &str) -> Result<(RecordedField, Total, bool), String> {
    let all = members(text).map_err(|error| error.to_string())?;
    let (mut id, mut codes, mut kind, mut detail) = (None, None, String::new(), Vec::new());
    let (mut label, mut unit, mut help, mut attributes) =
        (String::new(), String::new(), String::new(), String::new());
    let (mut constant, mut present, mut form, mut value) = (false, true, Form::Plain, "null");
    let (mut name, mut damage, mut tally) = ("consistent".to_owned(), None, [1, 0, 0, 0]);
    for (key, text) in &all {
        let key = key.as_str();
        match key {
            "id" => id = Some(json(key, text)?),
            "label" => label = json(key, text)?,
            "unit" => unit = json(key, text)?,
            "help" => help = json(key, text)?,
            "kind" => kind = json(key, text)?,
            "codes" => codes = Some(json::<[u32; 4]>(key, text)?),
            "detail" => detail = json::<Vec<String>>(key, text)?,
            "constant" => constant = json(key, text)?,
            "present" => present = json(key, text)?,
            "form" => form = json(key, text)?,
            "value" => value = text,
            "verdict" => name = json(key, text)?,
            "tally" => tally = json(key, text)?,
            "attributes" => {
                let pairs = members(text).map_err(|error| error.to_string())?;
                let pairs: Result<Vec<String>, String> = pairs
                    .iter()
                    .map(|(key, text)| Ok(format!("{key}={}", json::<String>(key, text)?)))
                    .collect();
                attributes = pairs?.join("\0");
            }
            "damage" => {
                let all = members(text).map_err(|error| error.to_string())?;
                let find = |key| all.iter().find(|(name, _)| name == key);
                let code: String = json("code", find("code").map_or("\"unknown\"", |(_, t)| t))?;
                damage = Some((code, json("offset", find("offset").map_or("0", |(_, t)| t))?));
            }
            _ => {}
        }
    }
    let id = id.ok_or("a field has no number")?;
    let properties = Properties::from_codes(codes.ok_or("a field has no codes")?);
    let mut info = FieldInfo::new(label, properties).with_detail(&detail.join("\0"));
    info = match kind.as_str() {
        "untyped" => info.untyped(),
        "damaged" => info.damaged(),
        _ => info,
    };
    (info.unit, info.help, info.attributes) = (unit, help.into(), attributes.into());
    info.constant = constant;
    let mut reading =
        reading(&name, tally, damage.as_ref().map(|(code, at)| (code.as_str(), *at)))?;
    reading.value = parse_value(&info, &form, value, None)?;
    let memory = memory(reading.value.as_ref());
    let field = RecordedField { id, form, is_new: false, memory };
    Ok((field, Total::new(info, reading), present))
}

/// Maximum length of a value, in bytes.
const MAX_VALUE: usize = 16 << 20;

/// Memory of a value, in bytes.
pub(crate) fn memory(value: Option<&OwnedValue>) -> usize {
    let Some(value) = value else { return 0 };
    size_of::<OwnedValue>()
        + match value {
            OwnedValue::Array(all) => all.iter().map(|value| memory(Some(value))).sum(),
            OwnedValue::Each(all) => {
                all.iter().map(|each| size_of::<EachValue>() + memory(each.value.as_ref())).sum()
            }
            OwnedValue::Text { text, .. } => text.len(),
            OwnedValue::Bytes { bytes, .. } => bytes.len(),
            OwnedValue::Activity(activity) => {
                activity.rows.iter().map(|row| size_of::<ActivityRow>() + row.text.len()).sum()
            }
            // Twice the size of a map entry.
            OwnedValue::Histogram(histogram) => histogram.buckets().size_hint().0 * 48,
            OwnedValue::State(state) => state.counts.len() * size_of::<u64>(),
            OwnedValue::Rate(rates) => size_of_val(rates.as_slice()),
            _ => 0,
        }
}

pub(crate) fn parse_value(
    info: &FieldInfo,
    form: &Form,
    text: &str,
    before: Option<&OwnedValue>,
) -> Result<Option<OwnedValue>, String> {
    if text == "null" {
        return Ok(None);
    }
    if text.len() > MAX_VALUE {
        return Err(format!("a value is longer than {} MiB", MAX_VALUE >> 20));
    }
    parse(info, form, text, before).map(Some).map_err(|error| error.to_string())
}

/// A reading without its value.
fn reading(name: &str, tally: [u32; 4], damage: Option<(&str, u32)>) -> Result<Reading, String> {
    let verdict: Verdict = verdict(name, damage)
        .ok_or_else(|| format!("`{}` is no verdict", mmstats_json::escape::text(name)))?;
    let [values, absent, contended, damaged] = tally;
    Ok(Reading { value: None, verdict, tally: Tally { values, absent, contended, damaged } })
}

/// The verdict and tally of a line.
pub(crate) fn set_verdict(text: &str, to: &mut Reading) -> Result<(), String> {
    let new = match json::<(String, [u32; 4])>("verdicts", text) {
        Ok((name, tally)) => reading(&name, tally, None)?,
        Err(_) => {
            let (name, tally, (code, offset)): (String, [u32; 4], (String, u32)) =
                json("verdicts", text)?;
            reading(&name, tally, Some((&code, offset)))?
        }
    };
    (to.verdict, to.tally) = (new.verdict, new.tally);
    Ok(())
}
