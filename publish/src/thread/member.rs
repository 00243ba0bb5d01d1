//! Members of a struct with `#[derive(Stats)]`: how each is declared and attached.

use super::family::Family;
use super::lane::Lane;
use crate::error::Error;
use crate::schema::Schema;
use crate::schema::field::Field;
use crate::schema::key::{FamilyKey, Key};
use crate::schema::options::{FamilyOf, FieldOptions};

/// A member without `labels(...)`.
#[doc(hidden)]
pub trait Member: Sized {
    type Key: Copy + Send + Sync + 'static;
    type Options;

    fn declare(schema: &mut Schema, label: String, options: Self::Options) -> Self::Key;

    /// # Errors
    ///
    /// As [`Lane::attach`].
    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error>;
}

impl<H: Field + 'static> Member for H {
    type Key = Key<H>;
    type Options = FieldOptions<H>;

    fn declare(schema: &mut Schema, label: String, options: Self::Options) -> Self::Key {
        schema.add(label, options)
    }

    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error> {
        lane.attach(key)
    }
}

/// A member with `labels(...)`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`labels` belongs to a `Family`",
    label = "this field is no `Family<H, N>`"
)]
pub trait LabeledMember: Sized {
    type Key: Copy + Send + Sync + 'static;
    type Labels<'a>;
    type Options;

    fn declare(
        schema: &mut Schema,
        label: String,
        labels: Self::Labels<'_>,
        options: Self::Options,
    ) -> Self::Key;

    /// # Errors
    ///
    /// As [`Lane::family`].
    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error>;
}

impl<H: Field + 'static, const N: usize> LabeledMember for Family<H, N> {
    type Key = FamilyKey<H, N>;
    type Labels<'a> = [&'a str; N];
    type Options = FieldOptions<FamilyOf<H>>;

    fn declare(
        schema: &mut Schema,
        label: String,
        labels: [&str; N],
        options: Self::Options,
    ) -> Self::Key {
        schema.add_family(label, labels, options)
    }

    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error> {
        lane.family(key)
    }
}
