//! JSON of all commands: JSON.md describes it, `schema/` has it as JSON Schema.

mod path;
mod program;
mod value;
mod writer;

pub(crate) use self::path::JsonPath;
pub(crate) use self::program::{FileHead, document};
pub(crate) use self::value::JsonValue;
pub(crate) use self::writer::write_line;
