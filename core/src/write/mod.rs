//! Writer of an image: specifications, sizes, the writer and its lanes.

mod error;
mod geometry;
mod heap;
mod lane;
#[cfg(feature = "alloc")]
mod mirror;
mod room;
mod schema;
mod spec;
mod template;
mod writer;

pub use error::WriteError;
pub use geometry::Geometry;
pub use heap::RecentTexts;
pub use lane::{AttachError, FieldId, Lane, Presence};
#[cfg(feature = "alloc")]
pub use mirror::Mirror;
pub use room::Tenants;
pub use schema::Schema;
pub use spec::{Constant, FieldSpec, SpecError};
pub use template::Template;
pub use writer::Writer;
