//! The formats of files, read in one way.

mod api;
mod content;
mod image;
mod legacy;
mod scratch;
mod visitor;

pub(crate) use api::{Reach, Refreshed, Refused, Values};
pub(crate) use content::{Content, info, open};
pub(crate) use scratch::Allowance;
pub use scratch::Scratch;
pub use visitor::Visitor;
pub(crate) use visitor::{ScalarFn, ValueFn};
