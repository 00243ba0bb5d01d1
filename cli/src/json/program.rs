//! Programs and their fields as JSON.

use std::cell::RefCell;
use std::time::SystemTime;

use mmstats_json::{FieldDocument, FileHead, seconds};
use mmstats_observe::OwnedValue;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::backend::ProcessState;
use crate::model::head::Source;
use crate::model::row::Row;
use crate::model::section::Section;
use crate::model::threads::Threads;
use crate::value::single_state;

#[derive(Serialize)]
struct FileDocument<'a> {
    #[serde(flatten)]
    head: FileHead<'a>,
    fields: Vec<FieldDocument<'a>>,
}

/// The document of `mmstats show --json`: its sections are made while it is written.
pub(crate) struct Documents<I> {
    time: SystemTime,
    sections: RefCell<Option<I>>,
}

impl<I> Documents<I> {
    pub(crate) const fn new(time: SystemTime, sections: I) -> Self {
        Self { time, sections: RefCell::new(Some(sections)) }
    }
}

impl<'a, I: Iterator<Item = Section<'a>>> Serialize for Documents<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Files<'f, I>(&'f RefCell<Option<I>>);

        impl<'a, I: Iterator<Item = Section<'a>>> Serialize for Files<'_, I> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.take().into_iter().flatten().map(OneFile))
            }
        }

        let mut s = serializer.serialize_map(Some(2))?;
        s.serialize_entry("time", &seconds(self.time))?;
        s.serialize_entry("files", &Files(&self.sections))?;
        s.end()
    }
}

/// A program with its fields.
struct OneFile<'a>(Section<'a>);

impl Serialize for OneFile<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let head = &self.0.head;
        let fields = || self.0.rows.iter().map(|row| field(row, &self.0.threads)).collect();
        match head.source {
            Source::Program(program) => {
                let process = head.life.process.map(ProcessState::name);
                let document = FileHead::from_program(program, process)
                    .map(|head| FileDocument { head, fields: fields() });
                document.serialize(serializer)
            }
            #[cfg(feature = "record")]
            Source::Recorded(head) => recorded(head, &self.0, serializer),
        }
    }
}

/// A program of a recording, whose head is JSON.
#[cfg(feature = "record")]
fn recorded<S: Serializer>(
    head: &str,
    section: &Section<'_>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut s = serializer.serialize_map(None)?;
    recorded_head(head, &mut s)?;
    let now = section.head.life.now();
    let rows = section.rows.iter();
    let fields: Vec<FieldDocument<'_>> = rows.map(|row| past(row, &section.threads, now)).collect();
    s.serialize_entry("fields", &fields)?;
    s.end()
}

/// The members of a head that is JSON.
#[cfg(feature = "record")]
fn recorded_head<M: SerializeMap>(head: &str, s: &mut M) -> Result<(), M::Error> {
    for (key, text) in mmstats_json::members(head).unwrap_or_default() {
        // It is said by the other members.
        if key != "identity" {
            let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            s.serialize_entry(&key, &value)?;
        }
    }
    Ok(())
}

/// The head of a program of a recording.
#[cfg(all(feature = "record", feature = "threads"))] // threads of a recording
pub(crate) struct RecordedHead<'a>(pub(crate) &'a str);

#[cfg(all(feature = "record", feature = "threads"))] // threads of a recording
impl Serialize for RecordedHead<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_map(None)?;
        recorded_head(self.0, &mut s)?;
        s.end()
    }
}

/// A field with its value as of an earlier time.
#[cfg(feature = "record")]
fn past<'a>(row: &'a Row, threads: &'a Threads, at: SystemTime) -> FieldDocument<'a> {
    let mut document = field(row, threads);
    let is_state = row.lane.is_some() && matches!(row.value, Some(OwnedValue::State(_)));
    if let Some(value) = row.value.as_ref().filter(|_| !is_state) {
        document.set_past(value, at);
    }
    document
}

fn field<'a>(row: &'a Row, threads: &'a Threads) -> FieldDocument<'a> {
    let mut document = FieldDocument::new(&row.field, row.value.as_ref(), row.verdict);
    if let Some(lane) = row.lane {
        document.set_lane(lane, threads.get(lane).and_then(|thread| thread.id));
        document.thread = threads.get(lane).and_then(|thread| thread.name.as_deref());
        if let Some(OwnedValue::State(state)) = &row.value {
            document.set_state(single_state(state));
        }
    }
    document
}
