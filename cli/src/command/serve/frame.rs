//! The frame of a program that is viewed: its fields as texts, each with the version of its last change.
//!
//! A viewer sends what is newer than the version that it sent last. One that is slow leaves versions out,
//! and needs no memory here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mmstats_history::{Field, Line, Moment, Program};
use mmstats_observe::{Reading, Tally, Verdict};
use serde::Serialize;

use super::answer::text;
use super::document::{Head, ValueDocument};
use super::ids::Names;
use super::times::Times;
use crate::live::findings;
use crate::live::odd::Odd;
use crate::live::processes::Processes;
use crate::live::program::process_at;

/// Maximum number of lines of events that a frame has.
const MAX_LINES: usize = 1_000;

/// The last values of a program, as JSON.
#[derive(Default)]
pub(super) struct ProgramFrame {
    /// In seconds since 1970.
    pub(super) time: f64,
    pub(super) version: u64,
    fields: Vec<Entry>,
    state: (u64, String),
    lines: VecDeque<(u64, String)>,
    /// The lines of the look before.
    before: Vec<Line>,
    is_begun: bool,
}

/// A field, as of its last change.
struct Entry {
    version: u64,
    /// `"NAME":{…}`.
    text: String,
    reading: Arc<Reading>,
    is_present: bool,
    rate: Option<f64>,
}

impl ProgramFrame {
    /// Takes all fields, the state and new lines; returns whether anything changed.
    pub(super) fn update(
        &mut self,
        times: &Times,
        program: &Program,
        processes: &Processes,
        names: &mut Names,
        at: Moment,
        version: u64,
    ) -> bool {
        names.refresh(program);
        let mut changed = false;
        for (index, field) in program.fields().iter().enumerate() {
            changed |= self.set(index, field, names, program, at, version);
        }
        changed |= self.set_state(times, program, processes, at, version);
        changed |= self.add_lines(program, version);
        self.finish(times, at, version, changed)
    }

    /// Takes some fields.
    pub(super) fn update_some<'i>(
        &mut self,
        times: &Times,
        program: &Program,
        names: &Names,
        indices: impl Iterator<Item = &'i usize>,
        at: Moment,
        version: u64,
    ) -> bool {
        let mut changed = false;
        for index in indices {
            if let Some(field) = program.fields().get(*index) {
                changed |= self.set(*index, field, names, program, at, version);
            }
        }
        self.finish(times, at, version, changed)
    }

    fn finish(&mut self, times: &Times, at: Moment, version: u64, changed: bool) -> bool {
        if changed {
            self.version = version;
            self.time = times.seconds(at);
        }
        changed
    }

    fn set(
        &mut self,
        index: usize,
        field: &Field,
        names: &Names,
        program: &Program,
        at: Moment,
        version: u64,
    ) -> bool {
        let rate = rate(program, field, at);
        let bits = |rate: Option<f64>| rate.map(f64::to_bits);
        if let Some(entry) = self.fields.get(index)
            && Arc::ptr_eq(&entry.reading, &field.reading)
            && entry.is_present == field.present
            && bits(entry.rate) == bits(rate)
        {
            return false;
        }
        let reading = last_reading(field);
        let value = text(&ValueDocument { reading: &reading, rate });
        let text = format!("{}:{value}", text(&names.get(index)));
        let (reading, is_present) = (Arc::clone(&field.reading), field.present);
        let entry = Entry { version, text, reading, is_present, rate };
        if let Some(old) = self.fields.get_mut(index) {
            // Another lane was begun, and the value is the same.
            if old.text == entry.text {
                (old.reading, old.is_present) = (entry.reading, entry.is_present);
                return false;
            }
            *old = entry;
        } else if index == self.fields.len() {
            self.fields.push(entry);
        } else {
            // A new field: the look at all fields adds it.
            return false;
        }
        true
    }

    fn set_state(
        &mut self,
        times: &Times,
        program: &Program,
        processes: &Processes,
        at: Moment,
        version: u64,
    ) -> bool {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(flatten)]
            head: Head,
            findings: &'a [Odd],
        }
        let process = process_at(processes, program, at);
        let Some(condition) = program.condition_at(at) else { return false };
        let Some(head) = Head::new(times, program, process.as_ref(), at) else { return false };
        let now = times.time_of_day(at);
        let findings = findings::of(processes, program, condition, (at, now));
        let document = text(&Document { head, findings: &findings });
        if document == self.state.1 {
            return false;
        }
        self.state = (version, document);
        true
    }

    fn add_lines(&mut self, program: &Program, version: u64) -> bool {
        let new: Vec<Line> = new_lines(&self.before, program.lines.iter()).cloned().collect();
        if new.is_empty() && self.is_begun {
            return false;
        }
        // The lines from before the first frame are asked for.
        if std::mem::replace(&mut self.is_begun, true) {
            self.lines.extend(new.iter().map(|line| (version, text(&LineDocument(line)))));
            let excess = self.lines.len().saturating_sub(MAX_LINES);
            self.lines.drain(..excess);
        }
        self.before = program.lines.iter().cloned().collect();
        !new.is_empty()
    }

    /// The members of the object of values that changed after `version`.
    pub(super) fn values_since(&self, version: u64) -> Vec<&str> {
        let newer = self.fields.iter().filter(|entry| entry.version > version);
        newer.map(|entry| entry.text.as_str()).collect()
    }

    /// The members of the state, without braces, if it changed after `version`.
    pub(super) fn state_since(&self, version: u64) -> Option<&str> {
        let members = self.state.1.strip_prefix('{')?.strip_suffix('}')?;
        (self.state.0 > version).then_some(members)
    }

    /// The lines that came after `version`.
    pub(super) fn lines_since(&self, version: u64) -> Vec<&str> {
        let newer = self.lines.iter().filter(|(since, _)| *since > version);
        newer.map(|(_, text)| text.as_str()).collect()
    }
}

/// The last reading of a field; no value if the field is there no more.
pub(super) fn last_reading(field: &Field) -> Reading {
    match field.present {
        true => (*field.reading).clone(),
        false => Reading { value: None, verdict: Verdict::Retired, tally: Tally::default() },
    }
}

/// The change for each second, over the last second; none of a program that has ended.
pub(super) fn rate(program: &Program, field: &Field, at: Moment) -> Option<f64> {
    let is_over = program.condition_at(at).is_some_and(|(_, condition)| condition.has_ended());
    if field.info.constant || is_over {
        return None;
    }
    field.rate(at, Duration::from_secs(1))
}

/// The lines that are not among those before. Both are sorted by time; the oldest may be gone.
fn new_lines<'a>(
    before: &[Line],
    now: impl Iterator<Item = &'a Line>,
) -> impl Iterator<Item = &'a Line> {
    let mut from = 0;
    now.filter(move |line| {
        while before.get(from).is_some_and(|old| old.time < line.time) {
            from += 1;
        }
        let mut same = before.iter().skip(from).take_while(|old| old.time == line.time);
        match same.position(|old| old == *line) {
            Some(skipped) => {
                from += skipped + 1;
                false
            }
            None => true,
        }
    })
}

/// A line of events.
pub(super) struct LineDocument<'a>(pub(super) &'a Line);

impl Serialize for LineDocument<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            time: f64,
            label: &'a str,
            text: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            damage: Option<&'a str>,
        }
        let Line { time, label, text, .. } = self.0;
        let document = Document {
            time: Duration::from_nanos(*time).as_secs_f64(),
            label,
            text: text.as_deref().ok(),
            damage: text.as_ref().err().copied(),
        };
        document.serialize(serializer)
    }
}
