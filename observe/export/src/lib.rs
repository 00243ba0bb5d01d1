#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod catalogue;
mod classic;
mod digits;
pub mod graphite;
mod loss;
mod name;
#[cfg(feature = "otlp")] // heavy
pub mod otlp;
mod own;
mod plan;
mod program;
mod protobuf;
mod text;
mod unit;

pub use catalogue::{Catalogue, Target};
pub use loss::{Loss, Losses};
pub use program::{identity_labels, labels, namespace_labels};
pub use protobuf::Protobuf;
pub use text::{Format, Samples, Text};
pub use unit::ucum;
