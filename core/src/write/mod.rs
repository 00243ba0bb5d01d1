//! Making an image: specifications, their places, the writer, its lanes.

mod error;
mod geometry;
mod heap;
mod id;
mod lane;
#[cfg(test)]
mod limits;
mod schema;
mod spec;
mod template;
mod writer;

pub use error::WriteError;
pub use geometry::Geometry;
pub use heap::Recent;
pub use id::FieldId;
pub use lane::{AttachError, Lane, Presence};
pub use schema::Schema;
pub use spec::{Constant, FieldSpec, SpecError};
pub use template::Template;
pub use writer::Writer;
