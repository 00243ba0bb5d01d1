//! JSON of all commands: JSON.md describes it, `schema/` has it as JSON Schema.

mod program;

pub(crate) use mmstats_json::{
    Digits, FileHead, Float, JsonPath, JsonValue, Quantiles, number, seconds, write_line,
};
#[cfg(feature = "serve")] // its answers
pub(crate) use mmstats_json::{FieldDocument, IncompleteDocument, to_text};

pub(crate) use self::program::Documents;
#[cfg(all(feature = "record", feature = "threads"))] // threads of a recording
pub(crate) use self::program::RecordedHead;
