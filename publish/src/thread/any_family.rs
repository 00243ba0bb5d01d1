//! Families of any number of labels, for the derive macro.

use super::family::Family;
use super::lane::Lane;
use crate::error::Error;
use crate::schema::Schema;
use crate::schema::field::Field;
use crate::schema::key::FamilyKey;
use crate::schema::options::FieldOptions;

/// Interface of `#[derive(Stats)]` to a field with `labels(...)`.
#[doc(hidden)]
pub trait AnyFamily: Sized {
    type Key: Copy + Send + Sync + 'static;
    type Labels<'a>;

    fn declare(
        schema: &mut Schema,
        label: String,
        labels: Self::Labels<'_>,
        options: FieldOptions,
    ) -> Self::Key;

    /// # Errors
    ///
    /// As [`Lane::family`].
    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error>;
}

impl<H: Field + 'static, const N: usize> AnyFamily for Family<H, N> {
    type Key = FamilyKey<H, N>;
    type Labels<'a> = [&'a str; N];

    fn declare(
        schema: &mut Schema,
        label: String,
        labels: [&str; N],
        options: FieldOptions,
    ) -> Self::Key {
        schema.add_family(label, labels, options)
    }

    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error> {
        lane.family(key)
    }
}
