//! Descriptions of fields, the same for both formats.

mod combining;
mod heap;
mod info;
pub(crate) mod pool;
mod reference;
mod shape;

pub use combining::FieldKey;
pub(crate) use combining::Grouping;
pub(crate) use heap::Heap;
pub use info::FieldInfo;
pub use reference::FieldRef;
pub use shape::Shape;
