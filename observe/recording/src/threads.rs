//! What the threads of a recorded program did.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats_history::{ProgramKey, ProgramLook};
use mmstats_threads::{Report, ReportDocument};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::report::{apply, memory};
use crate::time;

/// What the threads of a program did, by the last look at them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Threads {
    /// The recording has no threads: its recorder left them out, or is of a version that did not know them.
    NotRecorded,
    /// They had not been looked at until then.
    NotLooked,
    /// The recording cannot be read any more; the reason.
    Unreadable(String),
    /// They were looked at.
    Looked {
        /// What they did, as of the look. Of a program that has ended the ages are as of the moment that is asked for.
        report: Arc<Report>,
        /// The report of the look before, if the recording has it near.
        before: Option<Arc<Report>>,
        /// Number of looks before it that were due and not made, for want of time or room.
        left_out: u64,
    },
}

/// The last look at the threads of a program, as a recording has it.
#[derive(Debug, Clone)]
pub(crate) struct LastLook {
    /// An object; null if no change follows.
    value: Arc<Value>,
    document: Arc<ReportDocument<'static>>,
    pub(crate) time: SystemTime,
    pub(crate) left_out: u64,
    /// Memory of both, in bytes.
    pub(crate) memory: usize,
}

impl LastLook {
    /// Takes in the change of a line of this `time`.
    pub(crate) fn parse(before: Option<Self>, text: &str, now: SystemTime) -> Result<Self, String> {
        let (mut value, document) = match before {
            Some(before) => (before.value, Some((before.document, before.memory))),
            None => (Arc::new(Value::Object(Map::new())), None),
        };
        // Most looks find what the one before found.
        if let (Some((document, memory)), "{}") = (&document, text) {
            let (document, memory) = (Arc::clone(document), *memory);
            return Ok(Self { value, document, time: now, left_out: 0, memory });
        }
        let Value::Object(report) = Arc::make_mut(&mut value) else { return Err(String::new()) };
        apply(report, text)?;
        let left_out = report.remove("looks_left_out").and_then(|n| n.as_u64()).unwrap_or(0);
        let time = match report.remove("time") {
            Some(time) => time::parse(&time.to_string()).ok_or("`threads` have no time")?,
            None => now,
        };
        let memory = 2 * memory(report);
        let document = ReportDocument::deserialize(&*value);
        let document = document.map_err(|error| format!("`threads`: {error}"))?;
        Ok(Self { value, document: Arc::new(document), time, left_out, memory })
    }

    /// Without what changes are applied to.
    pub(crate) fn kept(&self) -> Self {
        Self {
            value: Arc::new(Value::Null),
            document: Arc::clone(&self.document),
            time: self.time,
            left_out: self.left_out,
            memory: self.memory / 2,
        }
    }

    /// Whether nothing differs, so that both share their memory.
    pub(crate) fn shares(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.document, &other.document)
    }

    /// Whether it is the same look.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.time == other.time && self.shares(other)
    }

    /// The report, of a program that has ended as of `late` after the look.
    pub(crate) fn report(&self, program: &ProgramLook, late: Duration) -> Report {
        let id = match program.key {
            ProgramKey::Program(id) => Some(id),
            ProgramKey::File(..) => None,
        };
        let state = program.condition.state();
        let late = if state.has_ended() { late } else { Duration::ZERO };
        let at = self.time.checked_add(late).unwrap_or(self.time);
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        Report::from_document(&self.document, id, Some(state), at)
    }
}
