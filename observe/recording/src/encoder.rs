//! Looks as lines.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use mmstats_history::{Field, Frame, Line, Moment, Program, ProgramKey};
use mmstats_json::{Change, Digits, Form, RecordedValue, change, rfc_3339, to_text};
use mmstats_observe::{FieldInfo, Reading};
use serde_json::{Map, Value};

use crate::document::{FieldDocument, IdentityDocument, verdict};
use crate::looker::Looked;
use crate::report::Recorded;
use crate::time;

/// What a look knows of programs besides their fields.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// The heads of `show --json`, as JSON.
    pub(crate) heads: HashMap<ProgramKey, String>,
    /// Reports about threads, of the programs whose threads were looked at.
    pub(crate) threads: Vec<(ProgramKey, Looked)>,
    /// The time of day of the look, before its threads were looked at.
    pub(crate) time: Option<SystemTime>,
}

/// Encodes looks as lines, by their difference from the programs as recorded so far.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    programs: HashMap<ProgramKey, Known>,
    /// Numbers of programs and fields, from 1.
    last_program: u32,
    last_field: u32,
    segments: u64,
    /// Size of the texts about threads of the last line, in bytes; 0 of a keyframe.
    threads_size: usize,
}

/// Data about the recording at the head of each segment.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Identifier of the recording, the same in all its files.
    pub(crate) recording: String,
    /// Identifier of the run of the recorder: moments of different runs cannot be compared.
    pub(crate) run: String,
    /// Seconds between two looks.
    pub(crate) every: f64,
    /// Seconds between two looks at the threads of a program; `None` if they are not recorded.
    pub(crate) threads_every: Option<f64>,
    pub(crate) tool: String,
}

#[derive(Debug)]
struct Known {
    id: u32,
    head: String,
    identity: String,
    fields: Vec<KnownField>,
    threads: Option<KnownThreads>,
}

#[derive(Debug)]
struct KnownThreads {
    recorded: Recorded,
    /// The look that found them.
    time: SystemTime,
}

#[derive(Debug)]
struct KnownField {
    id: u32,
    info: Arc<FieldInfo>,
    reading: Arc<Reading>,
    present: bool,
    text: String,
    form: Form,
}

impl KnownField {
    fn new(id: u32, field: &Field) -> Self {
        let (text, form) = value(&field.info, &field.reading);
        let (info, reading) = (Arc::clone(&field.info), Arc::clone(&field.reading));
        Self { id, info, reading, present: field.present, text, form }
    }

    fn document(&self) -> String {
        let value = (self.text.as_str(), &self.form);
        to_text(&FieldDocument::new(self.id, &self.info, &self.reading, self.present, value))
    }
}

/// The value as JSON, and its form.
fn value(info: &FieldInfo, reading: &Reading) -> (String, Form) {
    match &reading.value {
        Some(value) => (to_text(&RecordedValue(value)), Form::of(info, value)),
        None => ("null".to_owned(), Form::Plain),
    }
}

/// Changes at a look, as texts of members.
#[derive(Default)]
struct Changes {
    programs: Vec<String>,
    heads: Vec<(u32, String)>,
    fields: Vec<(u32, String)>,
    values: Vec<(u32, String)>,
    digits: Vec<(u32, String)>,
    forms: Vec<(u32, String)>,
    verdicts: Vec<(u32, String)>,
    absent: Vec<u32>,
    dropped: Vec<u32>,
    threads: Vec<(u32, String)>,
}

impl Encoder {
    /// The line of a look: what changed since the one before. Takes the threads of `others`.
    pub(crate) fn change(
        &mut self,
        frame: &Frame<'_>,
        others: &mut Others,
        now: SystemTime,
    ) -> String {
        let mut changes = Changes::default();
        self.update(frame, &others.heads, &mut changes);
        self.update_threads(&mut others.threads, now, &mut changes);
        let mut line = start(frame.at, now);
        let fields: Vec<(u32, String)> = changes.fields;
        list(&mut line, "programs", &changes.programs);
        for (key, map) in [
            ("heads", &changes.heads),
            ("fields", &fields),
            ("forms", &changes.forms),
            ("values", &changes.values),
            ("values_text", &changes.digits),
            ("verdicts", &changes.verdicts),
        ] {
            entries(&mut line, key, map);
        }
        for (key, ids) in [("absent", &changes.absent), ("dropped", &changes.dropped)] {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            list(&mut line, key, &ids);
        }
        self.events(frame, &mut line);
        self.threads(&changes.threads, &mut line);
        line.push_str("}\n");
        line
    }

    /// The first line of a segment: all programs, as of this look, and the gap before it.
    pub(crate) fn keyframe(
        &mut self,
        frame: &Frame<'_>,
        others: &mut Others,
        now: SystemTime,
        (session, gap): (&Session, Option<&str>),
    ) -> String {
        self.update(frame, &others.heads, &mut Changes::default());
        self.update_threads(&mut others.threads, now, &mut Changes::default());
        self.segments += 1;
        let mut line = String::from("{\"type\":\"keyframe\",\"version\":1,");
        let Session { recording, run, every, threads_every, tool } = session;
        let _ = write!(line, "\"recording\":{},\"run\":{},", to_text(recording), to_text(run));
        let _ = write!(
            line,
            "\"segment\":{},\"every\":{every},\"tool\":{},",
            self.segments,
            to_text(tool)
        );
        if let Some(every) = threads_every {
            let _ = write!(line, "\"threads_every\":{every},");
        }
        line.push_str(&start(frame.at, now)[1..]);
        let programs = frame.history.programs().iter();
        let all: Vec<String> = programs
            .filter_map(|program| Some(self.programs.get(&program.key)?.document(program)))
            .collect();
        let _ = write!(line, ",\"files\":[{}]", all.join(","));
        self.events(frame, &mut line);
        let threads = frame.history.programs().iter().filter_map(|program| {
            let known = self.programs.get(&program.key)?;
            Some((known.id, known.threads.as_ref()?.text(now)))
        });
        let threads: Vec<(u32, String)> = threads.collect();
        self.threads(&threads, &mut line);
        // As that of all fields, its size is bounded by the number of programs.
        self.threads_size = 0;
        if let Some(gap) = gap {
            let _ = write!(line, ",\"gap\":{gap}");
        }
        line.push_str("}\n");
        line
    }

    fn events(&self, frame: &Frame<'_>, line: &mut String) {
        let mut all = Vec::new();
        for (key, lines) in frame.lines {
            let Some(known) = self.programs.get(key) else { continue };
            all.extend(lines.iter().map(|line| event(known.id, line)));
        }
        list(line, "events", &all);
    }

    fn threads(&mut self, all: &[(u32, String)], line: &mut String) {
        let before = line.len();
        entries(line, "threads", all);
        self.threads_size = line.len() - before;
    }

    /// Size of the texts about threads of the last line, in bytes; 0 of a keyframe.
    pub(crate) const fn threads_size(&self) -> usize {
        self.threads_size
    }

    /// Takes in what threads do; adds what changed.
    fn update_threads(
        &mut self,
        looked: &mut Vec<(ProgramKey, Looked)>,
        now: SystemTime,
        changes: &mut Changes,
    ) {
        for (key, Looked { report, left_out }) in looked.drain(..) {
            let Some(known) = self.programs.get_mut(&key) else { continue };
            let before = known.threads.take().map(|threads| threads.recorded);
            let recorded = Recorded::new(report, before.as_ref());
            let mut more = Map::new();
            if left_out > 0 {
                more.insert("looks_left_out".to_owned(), left_out.into());
            }
            let change = recorded.change(before.as_ref().unwrap_or(&Recorded::default()), more);
            changes.threads.push((known.id, change));
            known.threads = Some(KnownThreads { recorded, time: now });
        }
    }

    /// Takes in a look; adds what it changed.
    fn update(
        &mut self,
        frame: &Frame<'_>,
        heads: &HashMap<ProgramKey, String>,
        changes: &mut Changes,
    ) {
        let programs = frame.history.programs();
        if self.programs.len() >= programs.len() || self.programs.len() > 1 {
            let there: HashSet<ProgramKey> = programs.iter().map(|program| program.key).collect();
            let gone = self.programs.extract_if(|key, _| !there.contains(key));
            changes.dropped.extend(gone.map(|(_, known)| known.id));
        }
        for program in programs {
            let head = heads.get(&program.key);
            let identity = to_text(&IdentityDocument(program, false));
            let is_same = |known: &&mut Known| {
                let both = known.fields.iter().zip(program.fields());
                known.fields.len() <= program.fields().len()
                    && both.into_iter().all(|(known, field)| Arc::ptr_eq(&known.info, &field.info))
            };
            match self.programs.get_mut(&program.key).filter(is_same) {
                Some(known) => {
                    let changed = known.identity != identity
                        || head.is_some_and(|head| without_age(head) != without_age(&known.head));
                    known.identity = identity;
                    if let Some(head) = head {
                        known.head.clone_from(head);
                    }
                    if changed {
                        let document = open(&known.head, program) + "}";
                        changes.heads.push((known.id, document));
                    }
                    for (index, field) in program.fields().iter().enumerate() {
                        match known.fields.get_mut(index) {
                            Some(known) => known.update(field, changes),
                            None => {
                                self.last_field += 1;
                                let new = KnownField::new(self.last_field, field);
                                changes.fields.push((known.id, new.document()));
                                known.fields.push(new);
                            }
                        }
                    }
                }
                None => {
                    self.last_program += 1;
                    let new = |field| {
                        self.last_field += 1;
                        KnownField::new(self.last_field, field)
                    };
                    let fields = program.fields().iter().map(new).collect();
                    let head = head.cloned().unwrap_or_else(|| "{}".to_owned());
                    let (id, threads) = (self.last_program, None);
                    let known = Known { id, head, identity, fields, threads };
                    changes.programs.push(known.document(program));
                    if let Some(old) = self.programs.insert(program.key, known) {
                        changes.dropped.push(old.id);
                    }
                }
            }
        }
    }
}

impl Known {
    fn document(&self, program: &Program) -> String {
        let fields: Vec<String> = self.fields.iter().map(KnownField::document).collect();
        let open = open(&self.head, program);
        format!("{open},\"id\":{},\"fields\":[{}]}}", self.id, fields.join(","))
    }
}

impl KnownThreads {
    /// The whole report, in a keyframe at `now`; with the time of its look if that was another one.
    fn text(&self, now: SystemTime) -> String {
        let mut more = Map::new();
        if self.time != now {
            let time = serde_json::from_str(&time::text(self.time)).unwrap_or(Value::Null);
            more.insert("time".to_owned(), time);
        }
        self.recorded.text(more)
    }
}

/// The head and the identity of a program, without the brace at the end.
fn open(head: &str, program: &Program) -> String {
    let head = head.strip_suffix('}').unwrap_or("{");
    let comma = if head.len() > 1 { "," } else { "" };
    format!("{head}{comma}\"identity\":{}", to_text(&IdentityDocument(program, true)))
}

/// A head without the age of its values, which always changes.
fn without_age(head: &str) -> (&str, &str) {
    let Some((before, after)) = head.split_once(",\"mirror_age\":") else { return (head, "") };
    (before, after.trim_start_matches(|c: char| c.is_ascii_digit() || ".eE+-".contains(c)))
}

impl KnownField {
    fn update(&mut self, field: &Field, changes: &mut Changes) {
        if self.present != field.present {
            self.present = field.present;
            if field.present {
                // Whole, as a new field: its value may be another one.
                let new = Self::new(self.id, field);
                changes.forms.push((self.id, to_text(&new.form)));
                changes.values.push((self.id, new.text.clone()));
                changes.verdicts.push((self.id, verdict(&field.reading)));
                *self = new;
            } else {
                changes.absent.push(self.id);
            }
            return;
        }
        if Arc::ptr_eq(&self.reading, &field.reading) {
            return;
        }
        let (text, form) = value(&field.info, &field.reading);
        let same_form = form == self.form;
        if !same_form {
            changes.forms.push((self.id, to_text(&form)));
        }
        let now = match if same_form { change(&self.text, &text) } else { Change::Whole } {
            Change::Same => None,
            Change::Part(part) => Some(part),
            Change::Whole => Some(text.clone()),
        };
        if let Some(now) = now {
            changes.values.push((self.id, now));
            if let Some(digits) = field.reading.value.as_ref().and_then(Digits::new) {
                changes.digits.push((self.id, to_text(&digits)));
            }
        }
        let (old, new) = (&self.reading, &field.reading);
        if (old.verdict, old.tally) != (new.verdict, new.tally) {
            changes.verdicts.push((self.id, verdict(new)));
        }
        (self.text, self.form, self.reading) = (text, form, Arc::clone(new));
    }
}

/// The beginning of a line.
pub(crate) fn start(at: Moment, now: SystemTime) -> String {
    format!("{{\"time\":{},\"at\":{}", time::text(now), at.milliseconds())
}

fn list(line: &mut String, key: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = write!(line, ",\"{key}\":[{}]", items.join(","));
    }
}

/// An object by number; several texts of one number are its list.
fn entries(line: &mut String, key: &str, all: &[(u32, String)]) {
    if all.is_empty() {
        return;
    }
    let _ = write!(line, ",\"{key}\":{{");
    let is_list = key == "fields";
    let mut last = None;
    for (id, text) in all {
        let is_more = is_list && last == Some(*id);
        if is_more {
            line.push(',');
        } else {
            let close = match (last, is_list) {
                (None, _) => "",
                (_, true) => "],",
                (_, false) => ",",
            };
            let _ = write!(line, "{close}\"{id}\":{}", if is_list { "[" } else { "" });
        }
        line.push_str(text);
        last = Some(*id);
    }
    line.push_str(if is_list { "]}" } else { "}" });
}

fn event(program: u32, line: &Line) -> String {
    let (text, damage) = match &line.text {
        Ok(text) => (Some(text), None),
        Err(code) => (None, Some(code)),
    };
    let mut event =
        format!("{{\"program\":{program},\"time\":{}", to_text(&rfc_3339(line.time.into())));
    let _ = write!(event, ",\"label\":{},\"text\":{}", to_text(&line.label), to_text(&text));
    if let Some(code) = damage {
        let _ = write!(event, ",\"damage\":{}", to_text(&code));
    }
    event + "}"
}
