//! All programs of a recording, as of one look.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use mmstats_history::{History, Line, Moment, ProgramKey};
use mmstats_json::{elements, members, nanoseconds};
use mmstats_observe::{Damage, Total};

use crate::parse::json;
use crate::program::{RecordedProgram, field, memory, parse_value, set_verdict};
use crate::threads::{LastLook, Threads};
use crate::time;

/// Maximum number of fields of all programs.
const MAX_FIELDS: usize = 1 << 20;
/// Maximum length of a line, in bytes.
pub(crate) const MAX_LINE: usize = 64 << 20;
/// Maximum memory of all values, in bytes.
const MAX_MEMORY: usize = 512 << 20;
/// Maximum number of programs.
const MAX_PROGRAMS: usize = 1 << 16;

/// All programs of a recording, as of one look.
#[derive(Debug, Clone, Default)]
pub struct State {
    programs: BTreeMap<u32, RecordedProgram>,
    /// The program of each field.
    owners: HashMap<u32, u32>,
    time: Option<SystemTime>,
    at: Moment,
    /// Milliseconds of the recorder at the look before, and its run.
    clock: u64,
    run: String,
    recording: String,
    every: Option<Duration>,
    /// Time between two looks at threads, if they are recorded.
    threads_every: Option<Duration>,
    takes: Takes,
    lines: Vec<(ProgramKey, Line)>,
    changed: Vec<u32>,
    gap: Option<Gap>,
    /// Memory of all values, in bytes.
    memory: usize,
}

/// The part of a recording that is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Takes {
    #[default]
    All,
    /// No threads.
    Fields,
    /// No fields.
    Threads,
}

/// A time without recorded looks.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Gap {
    /// The last look before it.
    pub from: SystemTime,
    /// The first look after it.
    pub to: SystemTime,
    /// Why.
    pub reason: String,
}

impl State {
    /// The programs, in the order in which they were first seen.
    pub fn programs(&self) -> impl ExactSizeIterator<Item = &RecordedProgram> {
        self.programs.values()
    }

    /// The program with this key.
    #[must_use]
    pub fn program(&self, key: ProgramKey) -> Option<&RecordedProgram> {
        self.programs.values().find(|program| program.look().key == key)
    }

    /// The field with this number, and its program.
    #[must_use]
    pub fn field(&self, id: u32) -> Option<(&RecordedProgram, &Total)> {
        let program = self.programs.get(self.owners.get(&id)?)?;
        let index = program.fields.iter().position(|field| field.id == id)?;
        Some((program, program.totals().get(index)?))
    }

    /// The time of day of the look, by the clock of the system then. It may go back.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.time.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Time since the first look of the recording. It never goes back.
    #[must_use]
    pub const fn at(&self) -> Moment {
        self.at
    }

    /// Time between two looks.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.every.unwrap_or(Duration::from_secs(1))
    }

    /// Time between two looks at the threads of a program; `None` if they are not recorded.
    #[must_use]
    pub const fn threads_every(&self) -> Option<Duration> {
        self.threads_every
    }

    /// What the threads of a program did, by the last look at them at or before this one.
    #[must_use]
    pub fn threads(&self, program: &RecordedProgram) -> Threads {
        match (&program.threads, self.threads_every) {
            (None, None) => Threads::NotRecorded,
            (None, Some(_)) => Threads::NotLooked,
            (Some(last), _) => {
                let late = self.time().duration_since(last.time).unwrap_or_default();
                let report = last.report(program.look(), late);
                Threads::Looked { report: report.into(), before: None, left_out: last.left_out }
            }
        }
    }

    /// A state that takes in a part of a recording, whose first look is at `at`.
    pub(crate) fn new(takes: Takes, at: Moment) -> Self {
        Self { takes, at, ..Self::default() }
    }

    /// Takes in only this part from now on.
    pub(crate) const fn take(&mut self, takes: Takes) {
        self.takes = takes;
    }

    /// The lines of events that are new at this look.
    #[must_use]
    pub fn lines(&self) -> &[(ProgramKey, Line)] {
        &self.lines
    }

    /// The numbers of the fields whose reading is another one than at the look before; at the beginning of a segment
    /// those of all fields.
    #[must_use]
    pub fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// The gap before this look, if the recorder could not write.
    #[must_use]
    pub const fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// Identifier of the recording, the same in all its files.
    pub(crate) fn recording(&self) -> &str {
        &self.recording
    }

    /// Records the look in a history.
    pub fn record(&self, history: &mut History) {
        for program in self.programs.values() {
            let key = program.look().key;
            let mut look = program.look().clone();
            let own = self.lines.iter().filter(|(program, _)| *program == key);
            look.lines = own.map(|(_, line)| line.clone()).collect();
            // Of a program without files the last values stay.
            let is_there = !look.condition.is_gone();
            history.record(self.at, look, is_there.then(|| program.totals()));
        }
        // Of another run of the recorder, or forgotten by it.
        if history.programs().len() > self.programs.len() {
            let there = self.programs.values().map(|program| program.look().key);
            let there: HashSet<ProgramKey> = there.collect();
            history.record_absence(self.at, |key| there.contains(&key));
        }
    }

    /// Whether looks are missing between the one at `before` and this one.
    #[must_use]
    pub fn is_after_gap(&self, before: Moment) -> bool {
        self.gap.is_some() || self.at.since(before) > self.longest()
    }

    /// Maximum time between two looks without a gap.
    fn longest(&self) -> Duration {
        self.every().saturating_mul(2).saturating_add(Duration::from_secs(1))
    }

    /// The run of the recorder, and its clock at the look, in milliseconds.
    pub(crate) fn moment(&self) -> (&str, u64) {
        (&self.run, self.clock)
    }

    /// Takes in a line. Returns whether it is a look.
    pub(crate) fn apply(&mut self, line: &str, is_first: bool) -> Result<bool, String> {
        let all = members(line).map_err(|error| error.to_string())?;
        let find = |key: &str| all.iter().find(|(name, _)| name == key).map(|(_, text)| *text);
        let is_keyframe = find("type") == Some("\"keyframe\"");
        if is_first && !is_keyframe {
            return Err("a segment does not begin with a keyframe".to_owned());
        }
        if find("gap").is_none() {
            self.gap = None;
        }
        self.lines.clear();
        self.changed.clear();
        if is_keyframe {
            let version: u32 = json("version", find("version").unwrap_or("null"))?;
            if version != 1 {
                return Err(format!(
                    "version {version} of recordings is not known to this program"
                ));
            }
            self.recording = json("recording", find("recording").unwrap_or("\"\""))?;
            self.begin(find("run").unwrap_or("\"\""), find("every"))?;
            let every: Option<f64> =
                json("threads_every", find("threads_every").unwrap_or("null"))?;
            self.threads_every = every.and_then(|every| Duration::try_from_secs_f64(every).ok());
        }
        let clock: u64 = json("at", find("at").ok_or("a line has no moment")?)?;
        let time = find("time").and_then(time::parse).ok_or("a line has no time")?;
        self.advance(clock, time)?;
        if is_keyframe {
            self.programs.clear();
            self.owners.clear();
            self.memory = 0;
            self.add_programs(find("files").ok_or("a keyframe has no programs")?)?;
        }
        for (key, text) in &all {
            match key.as_str() {
                "gap" => self.gap = Some(gap(text)?),
                "dropped" => json::<Vec<u32>>(key, text)?.into_iter().for_each(|id| self.drop(id)),
                _ => {}
            }
        }
        // Forms say how to read values, and fields come before both.
        let all = ["fields", "forms", "values", "verdicts", "absent", "events"];
        let fields = if self.takes == Takes::Threads { &[][..] } else { &all };
        let threads = if self.takes == Takes::Fields { &[][..] } else { &["threads"] };
        for key in ["programs", "heads"].iter().chain(fields).chain(threads) {
            if let Some(text) = find(key) {
                self.member(key, text)?;
            }
        }
        Ok(find("end").is_none())
    }

    fn begin(&mut self, run: &str, every: Option<&str>) -> Result<(), String> {
        let run: String = json("run", run)?;
        if run != self.run {
            (self.run, self.clock) = (run, u64::MAX);
        }
        let every: f64 = json("every", every.unwrap_or("1"))?;
        self.every = Duration::try_from_secs_f64(every).ok();
        Ok(())
    }

    /// Moves to the time of the next line.
    fn advance(&mut self, clock: u64, time: SystemTime) -> Result<(), String> {
        let passed = match self.time {
            None => Duration::ZERO,
            // Another run: its time of day is all that is known. If that went back, nothing is: a gap.
            Some(before) if self.clock == u64::MAX => time
                .duration_since(before)
                .unwrap_or_else(|_| self.longest() + Duration::from_millis(1)),
            Some(_) => match clock.checked_sub(self.clock) {
                Some(passed) => Duration::from_millis(passed),
                None => {
                    return Err(format!("the time goes back, from {} to {clock} ms", self.clock));
                }
            },
        };
        (self.at, self.clock, self.time) = (self.at.after(passed), clock, Some(time));
        Ok(())
    }

    fn drop(&mut self, id: u32) {
        if let Some(program) = self.programs.remove(&id) {
            let absent = program.absent.iter().map(|(field, _)| field);
            for field in program.fields.iter().chain(absent) {
                self.owners.remove(&field.id);
                self.memory = self.memory.saturating_sub(field.memory);
            }
            let threads = program.threads.as_ref().map_or(0, |threads| threads.memory);
            self.memory = self.memory.saturating_sub(threads);
        }
    }

    fn add_programs(&mut self, text: &str) -> Result<(), String> {
        for text in elements(text).map_err(|error| error.to_string())? {
            let (program, fields) = RecordedProgram::parse(text)?;
            let id = program.id();
            if self.programs.len() == MAX_PROGRAMS {
                return Err(format!("there are more than {MAX_PROGRAMS} programs"));
            }
            if self.programs.insert(id, program).is_some() {
                return Err(format!("two programs have the number {id}"));
            }
            if self.takes != Takes::Threads {
                self.add_fields(id, fields)?;
            }
        }
        Ok(())
    }

    fn add_fields(&mut self, id: u32, text: &str) -> Result<(), String> {
        let Some(program) = self.programs.get_mut(&id) else {
            return Err(format!("no program has the number {id}"));
        };
        for text in elements(text).map_err(|error| error.to_string())? {
            let (field, total, present) = field(text)?;
            if self.owners.len() == MAX_FIELDS {
                return Err(format!("there are more than {MAX_FIELDS} fields"));
            }
            if self.owners.insert(field.id, id).is_some() {
                return Err(format!("two fields have the number {}", field.id));
            }
            self.changed.push(field.id);
            self.memory += field.memory;
            within(self.memory)?;
            if present { program.add(field, total) } else { program.absent.push((field, total)) }
        }
        Ok(())
    }

    /// Takes in a member of a line.
    fn member(&mut self, key: &str, text: &str) -> Result<(), String> {
        let entries = |text| {
            let all = members(text).map_err(|error| error.to_string())?;
            let number = |(id, text): (String, &'_ str)| match id.parse::<u32>() {
                Ok(id) => Ok((id, text.to_owned())),
                Err(_) => Err(format!("`{}` is no number", mmstats_json::escape::text(&id))),
            };
            all.into_iter().map(number).collect::<Result<Vec<(u32, String)>, String>>()
        };
        match key {
            "programs" => self.add_programs(text)?,
            "heads" => {
                for (id, text) in entries(text)? {
                    let program = self.programs.get_mut(&id);
                    program
                        .ok_or_else(|| format!("no program has the number {id}"))?
                        .set_head(&text)?;
                }
            }
            "fields" => {
                for (id, text) in entries(text)? {
                    self.add_fields(id, &text)?;
                }
            }
            "forms" => {
                for (id, text) in entries(text)? {
                    let (program, index) = self.place(id)?;
                    if let Some((field, _)) = program.total_mut(index) {
                        (field.form, field.is_new) = (json(key, &text)?, true);
                    }
                }
            }
            "values" => {
                for (id, text) in entries(text)? {
                    let (program, index) = self.place(id)?;
                    let (mut old, mut new) = (0, 0);
                    if let Some((field, total)) = program.total_mut(index) {
                        let before = total.reading.value.take().filter(|_| !field.is_new);
                        field.is_new = false;
                        total.reading.value =
                            parse_value(&total.field, &field.form, &text, before.as_ref())
                                .map_err(|error| format!("field {id}: {error}"))?;
                        new = memory(total.reading.value.as_ref());
                        old = std::mem::replace(&mut field.memory, new);
                    }
                    self.memory = self.memory.saturating_sub(old) + new;
                    within(self.memory)?;
                    self.changed.push(id);
                }
            }
            "verdicts" => {
                for (id, text) in entries(text)? {
                    let (program, index) = self.place(id)?;
                    if let Some((_, total)) = program.total_mut(index) {
                        set_verdict(&text, &mut total.reading)?;
                    }
                    self.changed.push(id);
                }
            }
            "absent" => {
                for id in json::<Vec<u32>>(key, text)? {
                    let program = self.owners.get(&id).and_then(|id| self.programs.get_mut(id));
                    program.ok_or_else(|| format!("no field has the number {id}"))?.remove(id);
                    self.changed.push(id);
                }
            }
            "threads" => {
                let now = self.time();
                for (id, text) in entries(text)? {
                    let program = self.programs.get_mut(&id);
                    let program =
                        program.ok_or_else(|| format!("no program has the number {id}"))?;
                    let before = program.threads.take();
                    let less = before.as_ref().map_or(0, |threads| threads.memory);
                    self.memory = self.memory.saturating_sub(less);
                    let threads = LastLook::parse(before, &text, now)?;
                    self.memory += threads.memory;
                    program.threads = Some(threads);
                    within(self.memory)?;
                }
            }
            "events" => {
                for text in elements(text).map_err(|error| error.to_string())? {
                    self.event(text)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The place of a field; one that was absent is there again.
    fn place(&mut self, id: u32) -> Result<(&mut RecordedProgram, usize), String> {
        let program = self.owners.get(&id).and_then(|id| self.programs.get_mut(id));
        let program = program.ok_or_else(|| format!("no field has the number {id}"))?;
        // Numbers ascend, but for fields that were absent for a time.
        let is_it = |place: &usize| program.fields.get(*place).is_some_and(|field| field.id == id);
        let guess = program.fields.partition_point(|field| field.id < id);
        let place = Some(guess).filter(is_it);
        let place = place.or_else(|| program.fields.iter().position(|field| field.id == id));
        if place.is_none() {
            program.restore(id);
        }
        let index = place.unwrap_or(program.fields.len().saturating_sub(1));
        Ok((program, index))
    }

    fn event(&mut self, text: &str) -> Result<(), String> {
        let all = members(text).map_err(|error| error.to_string())?;
        let (mut program, mut at, mut label) = (0, 0, String::new());
        let (mut line, mut damage) = (None, None);
        for (key, text) in &all {
            match key.as_str() {
                "program" => program = json(key, text)?,
                "time" => {
                    let text: Option<String> = json(key, text)?;
                    let time = text.and_then(|text| u64::try_from(nanoseconds(&text)?).ok());
                    at = time.unwrap_or(0);
                }
                "label" => label = json(key, text)?,
                "text" => line = json::<Option<String>>(key, text)?,
                "damage" => damage = Some(json::<String>(key, text)?),
                _ => {}
            }
        }
        let Some(program) = self.programs.get(&program) else {
            return Err(format!("no program has the number {program}"));
        };
        let code = || Damage::new(damage.as_deref().unwrap_or("unknown"), 0).code;
        let line = Line::new(at, label, line.ok_or_else(code));
        self.lines.push((program.look().key, line));
        Ok(())
    }
}

fn within(memory: usize) -> Result<(), String> {
    match memory <= MAX_MEMORY {
        true => Ok(()),
        false => Err(format!("the values take more than {} MiB", MAX_MEMORY >> 20)),
    }
}

fn gap(text: &str) -> Result<Gap, String> {
    let all = members(text).map_err(|error| error.to_string())?;
    let find = |key: &str| all.iter().find(|(name, _)| name == key).map(|(_, text)| *text);
    let time = |key| find(key).and_then(time::parse).ok_or("a gap has no times");
    let reason = json("reason", find("reason").unwrap_or("\"\""))?;
    Ok(Gap { from: time("from")?, to: time("to")?, reason })
}

#[cfg(test)]
mod tests {
    use mmstats_observe::OwnedValue;

    use super::*;

    /// Two bytes of text may be an element of 48 bytes.
    #[test]
    fn values_take_bounded_memory() {
        let array = OwnedValue::Array(vec![OwnedValue::Unsigned(1); 1_000]);
        assert!(memory(Some(&array)) >= 1_001 * size_of::<OwnedValue>());
        assert_eq!((memory(None), within(MAX_MEMORY)), (0, Ok(())));
        let line = r#"{"time":2.000,"at":2000,"values":{"1":[1,1]}}"#;
        let first = r#"{"type":"keyframe","version":1,"run":"a","time":1.000,"at":1000,"files":[{"id":1,"identity":{},"fields":[{"id":1,"label":"a","kind":"counter","codes":[4,1,0,0],"form":{"array":"unsigned"},"value":[1]}]}]}"#;
        let mut state = State::default();
        state.apply(first, true).unwrap();
        assert_eq!(state.memory, 2 * size_of::<OwnedValue>());
        state.apply(line, false).unwrap();
        assert_eq!(state.memory, 3 * size_of::<OwnedValue>());
        state.memory = MAX_MEMORY;
        let error = state.apply(&line.replace("2000,", "3000,").replace("[1,1]", "[1,1,1]"), false);
        assert_eq!(error, Err("the values take more than 512 MiB".to_owned()));
    }
}
