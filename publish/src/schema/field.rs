//! The types of handles.

use mmstats_core as core;
use mmstats_core::{AttachError, FieldId};

use super::declaration::Declaration;
use super::options::AnyOptions;
use crate::claim::Keep;

/// A type of handle, which a [`Schema`](crate::Schema) declares and a [`Lane`](crate::Lane)
/// attaches. The handles of this crate implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handle of a field",
    label = "no handle",
    note = "in a struct with `#[derive(Stats)]` a `Family` needs `#[stats(labels(\"...\"))]`, and \
            a set of handles needs `#[stats(nested)]`"
)]
pub trait Field: Sized {
    /// The descriptors of one field.
    #[doc(hidden)]
    fn declaration(label: String, options: AnyOptions) -> Declaration;

    /// The handle in `lane`; `field` is the first of its descriptors.
    #[doc(hidden)]
    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError>;
}
