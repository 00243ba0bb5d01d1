#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
pub mod escape;
mod field;
mod form;
mod head;
mod members;
mod parse;
mod text;
mod value;
mod writer;

pub use error::ParseError;
pub use field::FieldDocument;
pub use form::{EachForm, Form, verdict};
pub use head::{FileHead, IncompleteDocument, JsonPath};
pub use members::{Change, change, elements, members};
pub use parse::parse;
pub use text::{nanoseconds, non_finite, rfc_3339, seconds};
pub use value::{
    Digits, Float, JsonValue, JsonValueAt, QUANTILES, Quantiles, RecordedValue, number,
};
pub use writer::{to_text, write_line};
