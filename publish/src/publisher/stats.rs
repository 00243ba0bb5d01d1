//! Sets of handles.

use std::thread::LocalKey;

use crate::error::Error;
use crate::schema::Schema;
use crate::thread::lane::Lane;
use crate::thread::local::Local;

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
