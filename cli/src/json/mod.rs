//! JSON of all commands: JSON.md describes it, `schema/` has it as JSON Schema.

mod program;
mod value;
mod writer;

use std::path::Path;

use serde::Serialize;

use crate::text::escape;

pub(crate) use self::program::{Documents, FileHead, seconds};
pub(crate) use self::value::{Digits, Float, JsonValue, Quantiles, number};
pub(crate) use self::writer::write_line;

/// A string, or for a path that is not UTF-8 an object with its bytes.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum JsonPath {
    Text(String),
    Bytes { text: String, bytes: String },
}

impl JsonPath {
    pub(crate) fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => {
                let bytes = path.as_os_str().as_encoded_bytes();
                Self::Bytes { text: escape::bytes(bytes), bytes: escape::hex(bytes) }
            }
        }
    }
}
