//! The answer: as a line of a monitoring plugin, and as JSON.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use mmstats_observe::{Number, OwnedValue};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::condition::{Condition, Function, Severity, Test};
use super::finding::Finding;
use super::threshold::Known;
use crate::backend::ProcessState;
use crate::json::{number, seconds};
use crate::text::unit::{UnitForm, with_unit};
use crate::text::{escape, human};

/// The states of monitoring plugins; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl Status {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// A finding, and how long its condition has held.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) finding: Finding,
    /// `None` if it does not hold.
    pub(super) held: Option<Duration>,
    /// Whether it has held for long enough.
    pub(super) fires: bool,
}

/// The answer of a command.
pub(super) struct Answer<'a> {
    pub(super) status: Status,
    pub(super) conditions: &'a [Condition],
    pub(super) all: Vec<Held>,
    /// Why it is not known, beside what the findings say; escaped.
    pub(super) reasons: Vec<String>,
}

/// Maximum number of findings and reasons in a line.
const MAX_SHOWN: usize = 5;

impl Answer<'_> {
    /// `CRITICAL - web[1234]: rate(http.errors) is 12.3/s, > 10 | 'rate(http.errors)'=12.3;;~:10`.
    pub(super) fn line(&self) -> String {
        let text = format!("{} - {}", self.status.name().to_uppercase(), self.text());
        // A bar begins the data.
        let text = text.replace('|', "/");
        match self.data() {
            data if data.is_empty() => text,
            data => format!("{text} | {data}"),
        }
    }

    /// The values that decided, else all values.
    pub(super) fn text(&self) -> String {
        let severity = |held: &&Held| self.conditions[held.finding.condition].severity;
        let decides = |held: &&Held| match self.status {
            Status::Critical => held.fires && severity(held) == Severity::Critical,
            Status::Warning => held.fires,
            // What has not held for long enough is not known either.
            Status::Unknown => held.finding.holds.is_none() || (held.held.is_some() && !held.fires),
            Status::Ok => true,
        };
        let mut parts: Vec<String> = match self.status {
            Status::Unknown => self.reasons.clone(),
            _ => Vec::new(),
        };
        parts.extend(self.all.iter().filter(decides).map(|held| self.part(held)));
        // A process may be several programs.
        let mut told = HashSet::new();
        parts.retain(|part| told.insert(part.clone()));
        if parts.is_empty() {
            parts.push("nothing could be looked at".to_owned());
        }
        let more = parts.len().saturating_sub(MAX_SHOWN);
        parts.truncate(MAX_SHOWN);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        parts.join("; ") + &more
    }

    fn part(&self, held: &Held) -> String {
        let finding = &held.finding;
        let condition = &self.conditions[finding.condition];
        // Its values do not tell that it does nothing.
        let is_stopped = finding.process == Some(ProcessState::Stopped);
        let stopped =
            if is_stopped && !matches!(condition.test, Test::Stopped) { ", stopped" } else { "" };
        let mut text = format!("{}{stopped}: {}", finding.program, finding.name);
        if let (Some(known), Test::Field(comparison)) = (finding.known, &condition.test) {
            let number = shown(known.number(), &finding.unit, comparison.function);
            let _ = write!(text, " is {}{number}", known.words());
        } else if finding.holds == Some(false) {
            text = format!("{}{stopped}: not {}", finding.program, finding.name);
        }
        if held.fires
            && let Test::Field(comparison) = &condition.test
        {
            let _ = write!(text, ", {}", escape::text(&comparison.compared));
        }
        if let Some(reason) = &finding.reason {
            let _ = write!(text, ": {reason}");
        }
        if let Some(time) = held.held.filter(|time| !time.is_zero()) {
            let word = if held.fires { "for" } else { "only for" };
            let _ = write!(text, ", {word} {}", human::age(time));
        }
        text
    }

    /// The values as data of a plugin.
    fn data(&self) -> String {
        let several =
            self.all.iter().any(|held| held.finding.program != self.all[0].finding.program);
        let mut items: Vec<(String, String, [String; 2])> = Vec::new();
        for held in &self.all {
            let finding = &held.finding;
            let condition = &self.conditions[finding.condition];
            let (Some(known), Test::Field(comparison)) = (finding.known, &condition.test) else {
                continue;
            };
            let is_age = comparison.function == Function::Age;
            let form = UnitForm::from_unit(if is_age { "ns" } else { &finding.unit });
            let scaled = |x: f64| match form {
                UnitForm::Time(unit) => decimal(x * unit),
                _ => decimal(x),
            };
            let number = match (known.number(), form) {
                (number, UnitForm::Time(unit)) => decimal(number.as_f64() * unit),
                (Number::Unsigned(n), _) => n.to_string(),
                (Number::Signed(n), _) => n.to_string(),
                (Number::Float(x), _) => decimal(x),
            };
            let is_rate = comparison.function == Function::Rate;
            let unit = match form {
                _ if is_rate => "",
                UnitForm::Time(_) => "s",
                UnitForm::Bytes => "B",
                UnitForm::Plain if finding.is_counter => "c",
                UnitForm::Plain => "",
            };
            // A bound is not the value.
            let number = if known.bound().is_none() && known.number().as_f64().is_finite() {
                format!("{number}{unit}")
            } else {
                "U".to_owned()
            };
            let program = if several { format!("{} ", finding.program) } else { String::new() };
            let label = format!("{program}{}", finding.name);
            let label = label.replace('\'', "''").replace('=', ":").replace('|', "/");
            let at = items.iter().position(|(other, ..)| *other == label).unwrap_or_else(|| {
                items.push((label, number, Default::default()));
                items.len() - 1
            });
            let unit = if is_age { "ns" } else { &*finding.unit };
            if let Some(threshold) = comparison.threshold.in_unit(unit) {
                let range = comparison.operator.range(&scaled(threshold.nearest()));
                items[at].2[usize::from(condition.severity == Severity::Critical)] = range;
            }
        }
        let text = |(label, number, [warning, critical]): (String, String, [String; 2])| {
            let mut text = format!("'{label}'={number};{warning};{critical}");
            text.truncate(text.trim_end_matches(';').len());
            text
        };
        items.into_iter().map(text).collect::<Vec<_>>().join(" ")
    }
}

fn decimal(x: f64) -> String {
    // Plugins know no exponents.
    let text = format!("{x:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn shown(number: Number, unit: &str, function: Function) -> String {
    match (function, number) {
        (Function::Age, number) => human::seconds(number.as_f64() / 1e9),
        (Function::Rate, number) => format!("{}/s", with_unit(number.as_f64(), unit)),
        (_, number) => {
            let text = crate::value::to_human(&number.into(), unit);
            crate::text::unit::followed_by(text, unit)
        }
    }
}

/// The document of `--json`.
pub(super) struct Document<'a>(pub(super) &'a Answer<'a>);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let answer = self.0;
        let mut s = serializer.serialize_map(None)?;
        s.serialize_entry("time", &seconds(SystemTime::now()))?;
        s.serialize_entry("status", answer.status.name())?;
        s.serialize_entry("exit_code", &answer.status.code())?;
        s.serialize_entry("text", &answer.text())?;
        let conditions: Vec<ConditionDocument<'_>> = (0..answer.conditions.len())
            .map(|number| ConditionDocument { answer, number })
            .collect();
        s.serialize_entry("conditions", &conditions)?;
        s.end()
    }
}

struct ConditionDocument<'a> {
    answer: &'a Answer<'a>,
    number: usize,
}

impl Serialize for ConditionDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let condition = &self.answer.conditions[self.number];
        let severity = match condition.severity {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let all = self.answer.all.iter().filter(|held| held.finding.condition == self.number);
        let all: Vec<HeldDocument<'_>> = all.map(HeldDocument).collect();
        let mut s = serializer.serialize_map(None)?;
        s.serialize_entry("condition", &condition.text)?;
        s.serialize_entry("severity", severity)?;
        s.serialize_entry("results", &all)?;
        s.end()
    }
}

struct HeldDocument<'a>(&'a Held);

impl Serialize for HeldDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Held { finding, held, fires } = self.0;
        let value: Option<OwnedValue> = finding.known.map(|known| known.number().into());
        let mut s = serializer.serialize_map(None)?;
        s.serialize_entry("program", &finding.program)?;
        s.serialize_entry("pid", &finding.pid)?;
        s.serialize_entry("process", &finding.process.map(ProcessState::name))?;
        s.serialize_entry("name", &finding.name)?;
        number(&mut s, "value", value.as_ref())?;
        if let Some(bound) = finding.known.and_then(Known::bound) {
            s.serialize_entry("bound", bound)?;
        }
        s.serialize_entry("holds", &finding.holds)?;
        s.serialize_entry("held_seconds", &held.map(|time| time.as_secs_f64()))?;
        s.serialize_entry("fires", fires)?;
        s.serialize_entry("reason", &finding.reason)?;
        s.end()
    }
}
