//! Making an image: specifications, their places, the writer, its lanes.

mod geometry;
mod lane;
mod schema;
mod spec;
mod writer;

pub use geometry::Geometry;
pub use lane::{AttachError, Lane, Presence};
pub use schema::Schema;
pub use spec::{Constant, FieldSpec, SpecError};
pub use writer::{FieldId, WriteError, Writer};
