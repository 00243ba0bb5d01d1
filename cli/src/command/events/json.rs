//! Entries of `events` as JSON.

use serde::Serialize;

use super::rings::{Content, Entry};
use crate::json::JsonPath;

/// One entry.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    time: u64,
    pid: Option<u32>,
    command: Option<&'a str>,
    path: &'a JsonPath,
    label: &'a str,
    #[serde(skip_serializing_if = "is_first")]
    part: u32,
    lane: u32,
    number: u32,
    #[serde(flatten)]
    content: ContentDocument<'a>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference.
const fn is_first(part: &u32) -> bool {
    *part == 0
}

#[derive(Serialize)]
#[serde(untagged)]
enum ContentDocument<'a> {
    Line { text: &'a str, cut: bool },
    Damaged { text: Option<&'a str>, code: &'a str },
    Lost { lost: u32 },
}

pub(super) fn document(entry: &Entry) -> Document<'_> {
    let ring = &*entry.ring;
    Document {
        time: entry.time,
        pid: ring.pid,
        command: ring.command.as_deref(),
        path: &ring.path,
        label: &ring.label,
        part: ring.part,
        lane: ring.lane,
        number: entry.number,
        content: match &entry.content {
            Content::Line { text, cut } => ContentDocument::Line { text, cut: *cut },
            Content::Damaged { code } => ContentDocument::Damaged { text: None, code },
            Content::Lost(lines) => ContentDocument::Lost { lost: *lines },
        },
    }
}
