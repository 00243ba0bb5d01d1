//! Descriptions of fields, the same for all formats.

mod heap;
mod info;
mod reference;

pub(crate) use heap::Heap;
pub use info::FieldInfo;
pub use reference::{FieldRef, Shape};
