//! Programs and fields as JSON, with the keys of `ls --json` and `show --json`.

use std::time::{Duration, SystemTime};

use mmstats_history::{Condition, Field, Moment, Program};
use mmstats_observe::{FieldInfo, FileState, OwnedValue, Reading, Verdict};
use mmstats_threads::Process;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::ids::Names;
use super::times::Times;
use crate::backend::ProcessState;
use crate::json::{Digits, FieldDocument, Float, IncompleteDocument, JsonValue, seconds};
use crate::live::findings;
use crate::live::odd::Odd;
use crate::live::processes::Processes;
use crate::live::program::{busiest, process_at, process_state, spark};

/// Span and number of steps of the sparklines.
const SPARK: (Duration, usize) = (Duration::from_secs(60), 60);

/// A program: the keys of `ls --json` that do not depend on its files, and more.
#[derive(Debug, Serialize)]
pub(super) struct ProgramDocument<'a> {
    pub(super) id: &'a str,
    #[serde(flatten)]
    pub(super) head: Head,
    fields: usize,
    busiest: Option<Busiest>,
    spark: Vec<Option<Rounded>>,
    /// Processors in use.
    cpu: Option<Rounded>,
    /// In bytes.
    memory: Option<u64>,
    findings: Vec<Odd>,
    /// Time since its start, and since the last sign of a change, in seconds.
    age: Option<Rounded>,
    changed: Option<Rounded>,
}

/// Identity and state.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    instance: Option<String>,
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_pid: Option<u32>,
    command: Option<String>,
    state: &'static str,
    process: Option<&'static str>,
    gone: bool,
    owner: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    superseded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<IncompleteDocument>,
    /// In seconds since 1970.
    died: Option<f64>,
}

/// The counter that grows fastest.
#[derive(Debug, Serialize)]
struct Busiest {
    field: String,
    rate: Rounded,
    unit: String,
}

/// A float for the eye: six digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounded(pub(super) f64);

impl Serialize for Rounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 0.0 || !self.0.is_finite() {
            return Float(self.0 + 0.0).serialize(serializer);
        }
        #[allow(clippy::cast_possible_truncation)] // The exponent of a float.
        let places = 5 - self.0.abs().log10().floor() as i32;
        let rounded = match places {
            // Powers of ten are exact up to 22.
            0..=22 => (self.0 * 10_f64.powi(places)).round() / 10_f64.powi(places),
            -22..0 => (self.0 / 10_f64.powi(-places)).round() * 10_f64.powi(-places),
            _ => self.0,
        };
        Float(rounded).serialize(serializer)
    }
}

impl Head {
    /// `None` before the program was seen.
    pub(super) fn new(
        times: &Times,
        program: &Program,
        process: Option<&Process>,
        at: Moment,
    ) -> Option<Self> {
        let (since, condition) = program.condition_at(at)?;
        let identity = &program.identity;
        let now = times.time_of_day(at);
        Some(Self {
            instance: match program.key {
                mmstats_history::ProgramKey::Program(id) => Some(id.instance.to_string()),
                mmstats_history::ProgramKey::File(..) => None,
            },
            pid: identity.pid,
            local_pid: program.process.filter(|pid| Some(*pid) != identity.pid),
            command: identity.command.clone(),
            state: condition.state().name(),
            process: process_state(condition, process).map(ProcessState::name),
            gone: condition.is_gone(),
            owner: program.owner,
            application: identity.application.clone(),
            superseded: program.superseded,
            incomplete: IncompleteDocument::new(&program.completeness),
            died: died(times, program, (since, condition), now).map(seconds),
        })
    }
}

/// When it ended: the look that found that, or before the first look the last sign of life.
fn died(
    times: &Times,
    program: &Program,
    (since, condition): (Moment, Condition),
    now: SystemTime,
) -> Option<SystemTime> {
    let is_told = !matches!(condition, Condition::Unrecorded | Condition::Seen(FileState::Ledger));
    if !condition.has_ended() || !is_told {
        return None;
    }
    let ended = program.ended().unwrap_or(since).min(since);
    if ended > program.first {
        return Some(times.time_of_day(ended));
    }
    findings::last_sign(program, now)
}

impl<'a> ProgramDocument<'a> {
    /// `None` before the program was seen.
    pub(super) fn new(
        times: &Times,
        id: &'a str,
        program: &Program,
        processes: &Processes,
        at: Moment,
    ) -> Option<Self> {
        let condition = program.condition_at(at)?;
        let process = process_at(processes, program, at);
        let now = times.time_of_day(at);
        let head = Head::new(times, program, process.as_ref(), at)?;
        let busiest = busiest(program, at)
            .and_then(|(index, rate)| Some((index, rate, program.fields().get(index)?)));
        let sparkline = busiest.map_or_else(Vec::new, |(_, _, field)| {
            let spark = spark((program, field), at, SPARK.0, SPARK.1);
            spark.into_iter().map(|rate| rate.map(Rounded)).collect()
        });
        let is_alone = |index: usize, field: &Field| {
            let before = program.fields().get(..index).unwrap_or_default();
            before.iter().all(|other| other.info.label != field.info.label)
        };
        let busiest = busiest.map(|(index, rate, field)| Busiest {
            field: match is_alone(index, field) {
                true => crate::live::name::name(&field.info),
                false => Names::new(program).get(index).to_owned(),
            },
            rate: Rounded(rate),
            unit: field.info.unit.clone(),
        });
        let age = crate::model::age(&program.identity, now);
        let changed = last_change(times, program, at, now);
        let age_of = |age: Duration| Rounded(age.as_secs_f64());
        Some(Self {
            id,
            head,
            fields: program.fields().iter().filter(|field| field.present).count(),
            busiest,
            spark: sparkline,
            cpu: process.as_ref().and_then(|process| process.processors).map(Rounded),
            memory: process.as_ref().map(|process| process.memory),
            findings: findings::of(processes, program, condition, (at, now)),
            age: age.map(age_of),
            changed: changed.map(|time| age_of(now.duration_since(time).unwrap_or_default())),
        })
    }

    /// The parts whose change makes an event: all except ages.
    pub(super) fn essence(&self) -> String {
        let is_aged = |odd: &&Odd| !matches!(odd.code, "died" | "ended");
        let codes = self.findings.iter().map(|odd| odd.code).collect::<Vec<_>>();
        let texts = self.findings.iter().filter(is_aged).map(|odd| &odd.text).collect::<Vec<_>>();
        let of = (&self.head, self.fields, &self.busiest, &self.spark, &self.cpu, &self.memory);
        serde_json::to_string(&(of, codes, texts)).unwrap_or_default()
    }
}

/// The last look that found a change, or the last sign of one.
fn last_change(
    times: &Times,
    program: &Program,
    at: Moment,
    now: SystemTime,
) -> Option<SystemTime> {
    let changes = program.changes.at(at).map_or(0.0, mmstats_observe::Number::as_f64);
    // Since when no field changes, or the look itself.
    let look = if changes > 0.0 { Some(program.last.min(at)) } else { program.changes.changed(at) };
    look.map(|moment| times.time_of_day(moment)).max(findings::last_sign(program, now))
}

/// A field with its value: the keys of `show --json`, and more.
#[derive(Debug, Serialize)]
pub(super) struct FieldView<'a> {
    id: &'a str,
    family: &'a str,
    #[serde(flatten)]
    field: FieldDocument<'a>,
    aggregation: String,
    constant: bool,
    rate: Option<Rounded>,
    /// When it changed last, in seconds since 1970.
    changed: Option<f64>,
}

impl<'a> FieldView<'a> {
    pub(super) fn new(
        id: &'a str,
        info: &'a FieldInfo,
        reading: &'a Reading,
        rate: Option<f64>,
        changed: Option<f64>,
    ) -> Self {
        Self {
            id,
            family: &info.label,
            field: FieldDocument::new(info, reading.value.as_ref(), reading.verdict),
            aggregation: info.properties.aggregation().to_string(),
            constant: info.constant,
            rate: rate.map(Rounded),
            changed,
        }
    }
}

/// A value that changes, of an event.
pub(super) struct ValueDocument<'a> {
    pub(super) reading: &'a Reading,
    pub(super) rate: Option<f64>,
}

impl Serialize for ValueDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_map(None)?;
        value(&mut s, self.reading)?;
        s.serialize_entry("rate", &self.rate.map(Rounded))?;
        s.end()
    }
}

fn value<M: serde::ser::SerializeMap>(s: &mut M, reading: &Reading) -> Result<(), M::Error> {
    #[derive(Serialize)]
    struct Damage {
        code: &'static str,
        offset: u32,
    }
    let value: Option<&OwnedValue> = reading.value.as_ref();
    s.serialize_entry("value", &value.map(JsonValue))?;
    if let Some(digits) = value.and_then(Digits::new) {
        s.serialize_entry("value_text", &digits)?;
    }
    s.serialize_entry("verdict", reading.verdict.name())?;
    if let Verdict::Damaged(damage) = reading.verdict {
        s.serialize_entry("damage", &Damage { code: damage.code, offset: damage.offset })?;
    }
    Ok(())
}

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("code", self.code), ("text", self.text.as_str())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_has_six_digits() {
        let text = |x: f64| serde_json::to_string(&Rounded(x)).unwrap();
        assert_eq!(text(0.0), "0");
        assert_eq!(text(-0.0), "0");
        assert_eq!(text(9.980_039_920_159_68), "9.98004");
        assert_eq!(text(1234567.8), "1234570");
        assert_eq!(text(-0.000_123_456_78), "-0.000123457");
        assert_eq!(text(100.0), "100");
        assert_eq!(text(f64::NAN), "\"NaN\"");
        // The library decides how the exponent is written.
        assert_eq!(text(1e300).parse(), Ok(1e300));
    }
}
