//! Sets of handles, and their members: how each is declared and attached.

use std::thread::LocalKey;

use super::Lane;
use super::family::{Family, FamilyBy};
use super::local::Local;
use crate::error::Error;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use crate::handles::activity::{Activity, SharedActivity};
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use crate::handles::{Gauge, SharedGauge};
use crate::schema::Schema;
use crate::schema::declaration::Field;
use crate::schema::key::{FamilyByKey, FamilyKey, Key};
use crate::schema::labels::Labels;
use crate::schema::options::{FamilyOf, FieldOptions};

/// A set of handles: a struct with `#[derive(Stats)]`, or a plain [`Lane`].
pub trait Stats: Sized + 'static {
    /// Keys of the declared fields, from which handles are attached.
    type Plan: Send + Sync + 'static;

    /// Declares the fields. A `prefix` that is not empty comes before their labels, with a dot.
    fn declare(schema: &mut Schema, prefix: &str) -> Self::Plan;

    /// Attaches the handles of one lane.
    ///
    /// # Errors
    ///
    /// If the plan comes from another publisher.
    fn attach(plan: &Self::Plan, lane: &Lane) -> Result<Self, Error>;

    /// The handles of the current thread.
    #[doc(hidden)]
    fn local() -> &'static LocalKey<Local<Self>>;
}

/// The lane itself, for fields that a [`Schema`] declares one by one.
///
/// ```
/// use mmstats::{Counter, FieldOptions, Lane, Options, Schema};
///
/// let mut schema = Schema::new();
/// let requests = schema.add::<Counter>("requests", FieldOptions::new().help("Served."));
/// let publisher = Options::new().schema(schema).start::<Lane>()?;
/// let lane = publisher.lane()?;
/// lane.attach(requests)?.incr();
/// # Ok::<(), mmstats::Error>(())
/// ```
impl Stats for Lane {
    type Plan = ();

    fn declare(_schema: &mut Schema, _prefix: &str) {}

    fn attach((): &(), lane: &Lane) -> Result<Self, Error> {
        Ok(lane.share())
    }

    fn local() -> &'static LocalKey<Local<Self>> {
        thread_local! {
            static LOCAL: Local<Lane> = const { Local::new() };
        }
        &LOCAL
    }
}

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

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
impl<T: mmstats_core::ScalarType> Member for SharedGauge<T> {
    type Key = Key<Self>;
    type Options = FieldOptions<Self>;

    fn declare(schema: &mut Schema, label: String, options: Self::Options) -> Self::Key {
        schema.has_shared = true;
        Key::new(schema.add::<Gauge<T>>(label, FieldOptions::from_any(options.any)).address)
    }

    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error> {
        let shared = lane.lanes.shared(key.address.segment as usize)?;
        Self::attach(&shared, key.address.id).map_err(Error::Attach)
    }
}

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
impl<const N: usize> Member for SharedActivity<N> {
    type Key = Key<Self>;
    type Options = FieldOptions<Self>;

    fn declare(schema: &mut Schema, label: String, options: Self::Options) -> Self::Key {
        schema.has_shared = true;
        Key::new(schema.add::<Activity<N>>(label, FieldOptions::from_any(options.any)).address)
    }

    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error> {
        let shared = lane.lanes.shared(key.address.segment as usize)?;
        Self::attach(&shared, key.address.id).map_err(Error::Attach)
    }
}

impl<H: Field + 'static, L: Labels + 'static> Member for FamilyBy<H, L> {
    type Key = FamilyByKey<H, L>;
    type Options = FieldOptions<FamilyOf<H>>;

    fn declare(schema: &mut Schema, label: String, options: Self::Options) -> Self::Key {
        schema.add_family_by(label, options)
    }

    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error> {
        lane.family_by(key)
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
