//! Handles of shapes known at run time: capacities, names, types and numbers of elements are options of
//! the field instead of parameters of the handle's type.

use std::fmt;

use mmstats_core as core;
use mmstats_core::read::Scalar;
use mmstats_core::{ActivityRow, AttachError, DataType, FieldId, FieldSpec, ScalarType};

use super::kinds::now;
use super::{Gauge, group};
use crate::claim::Keep;
use crate::schema::declaration::{Declaration, Field, FieldDeclaration};
use crate::schema::options::{
    AnyOptions, HasCapacity, HasCount, HasEntries, HasMembers, HasRows, HasStates,
};

/// UTF-8 text of at most [`capacity`](crate::FieldOptions::capacity) bytes, by default 64. `set` cuts a
/// longer one at a character boundary and returns `false`.
///
/// ```
/// use mmstats::{DynText, FieldOptions, Lane, Options};
///
/// let publisher = Options::new().start::<Lane>()?;
/// let doing = publisher.add::<DynText>("doing", FieldOptions::new().capacity(128))?;
/// assert!(publisher.with(|lane| lane.attach(doing).map(|doing| doing.set("GET /")))?);
/// # Ok::<(), mmstats::Error>(())
/// ```
pub type DynText = core::DynText<Keep>;
/// At most [`capacity`](crate::FieldOptions::capacity) bytes, by default 64. `set` cuts longer values and
/// returns `false`.
pub type DynBlob = core::DynBlob<Keep>;
/// An array of scalars, published as one value: [`count`](crate::FieldOptions::count) elements, by default
/// 1, of type f64 or of the type of a [`Shape::Array`](crate::Shape::Array).
pub type DynArray = core::DynArray<Keep>;
/// A state, set by its index in [`states`](crate::FieldOptions::states).
///
/// ```
/// use mmstats::{DynState, FieldOptions, Lane, Options};
///
/// let publisher = Options::new().start::<Lane>()?;
/// let names = ["starting", "serving", "draining"];
/// let phase = publisher.add::<DynState>("phase", FieldOptions::new().states(names))?;
/// let phase = publisher.lane()?.attach(phase)?;
/// assert!(phase.set(1));
/// assert!(!phase.set(3), "no such state");
/// # Ok::<(), mmstats::Error>(())
/// ```
pub type DynState = core::DynState<Keep>;
/// The [`members`](crate::FieldOptions::members) of a group, published together: a consistent snapshot.
///
/// ```
/// use mmstats::{DataType, DynGroup, FieldOptions, GroupMember, Lane, Options, Scalar};
///
/// let publisher = Options::new().start::<Lane>()?;
/// let members = [GroupMember::gauge("idle", DataType::U64), GroupMember::gauge("busy", DataType::U64)];
/// let pool = publisher.add::<DynGroup>("pool", FieldOptions::new().members(members))?;
/// let pool = publisher.lane()?.attach(pool)?;
/// assert!(pool.set(&[Scalar::U64(3), Scalar::U64(5)]));
/// # Ok::<(), mmstats::Error>(())
/// ```
pub type DynGroup = core::DynGroup<Keep>;

/// Default capacity of a text or bytes.
const CAPACITY: u32 = 64;
/// Default number of lines of events.
const ENTRIES: u32 = 63;
/// Default capacity of a line of events.
const LINE: u32 = 112;
/// Default capacity of a text of an activity.
const ROW: u32 = 48;
/// Default number of rows of an activity.
const ROWS: u32 = 8;
/// Default number of values of a window.
const VALUES: u32 = 100;

field!({} DynText, |options| FieldSpec::text("", options.capacity.unwrap_or(CAPACITY)), Self::attach);
field!({} DynBlob, |options| FieldSpec::bytes("", options.capacity.unwrap_or(CAPACITY)), Self::attach);
field!({} DynArray, |options| {
    let element = options.scalar();
    FieldSpec::array("", element, options.count.unwrap_or(1))
}, Self::attach);

impl Field for DynState {
    fn declaration(label: String, mut options: AnyOptions) -> Declaration {
        let names = std::mem::take(&mut options.states);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Declaration::Field(FieldDeclaration::new(label, &FieldSpec::state("", &names), options))
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        Self::attach(lane, field)
    }
}

impl Field for DynGroup {
    fn declaration(label: String, mut options: AnyOptions) -> Declaration {
        let members = std::mem::take(&mut options.members);
        group(&label, &options, members.iter().map(|member| (&*member.label, member.spec())))
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        Self::attach(lane, field)
    }
}

impl HasCapacity for DynText {}
impl HasCapacity for DynBlob {}
impl HasCapacity for DynEvents {}
impl HasCapacity for DynActivity {}
impl HasEntries for DynEvents {}
impl HasRows for DynActivity {}
impl HasCount for DynArray {}
impl HasCount for DynWindow {}
impl HasStates for DynState {}
impl HasMembers for DynGroup {}

/// The last [`entries`](crate::FieldOptions::entries) lines of text with their times, by default 63, each
/// of at most [`capacity`](crate::FieldOptions::capacity) bytes, by default 112: see
/// [`Events`](crate::Events).
#[derive(Debug, Clone)]
pub struct DynEvents(core::DynEvents<Keep>);

impl DynEvents {
    /// Adds a line with the current time. A longer line than the capacity is cut at a character
    /// boundary: the result is `false`, and readers see that it was cut.
    pub fn record(&self, text: &str) -> bool {
        self.0.record(now(), text)
    }

    /// [`DynEvents::record`] with the time in nanoseconds since 1970-01-01 UTC.
    pub fn record_at(&self, time: u64, text: &str) -> bool {
        self.0.record(time, text)
    }

    /// Maximum length of a line, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

field!({} DynEvents, |options| {
    FieldSpec::events("", options.entries.unwrap_or(ENTRIES), options.capacity.unwrap_or(LINE))
}, |lane, field| core::DynEvents::attach(lane, field).map(Self));

/// The field of an activity.
fn activity(options: &AnyOptions) -> FieldSpec<'static> {
    FieldSpec::activity("", options.rows.unwrap_or(ROWS), options.capacity.unwrap_or(ROW))
}

/// Activities in progress in a thread, each with text and start: at most
/// [`rows`](crate::FieldOptions::rows), by default 8, with texts of at most
/// [`capacity`](crate::FieldOptions::capacity) bytes, by default 48. See [`Activity`](crate::Activity).
#[derive(Debug, Clone)]
pub struct DynActivity(core::DynActivity<Keep>);

impl DynActivity {
    /// Begins an activity now, until [`DynActivity::end`]; `None` if no row is free, which is counted. A
    /// longer text than the capacity is cut at a character boundary, and readers see that.
    pub fn begin(&self, text: &str) -> Option<ActivityRow> {
        self.0.begin_row(now(), text)
    }

    /// [`DynActivity::begin`] with the time in nanoseconds since 1970-01-01 UTC, 0 if unknown.
    pub fn begin_at(&self, since: u64, text: &str) -> Option<ActivityRow> {
        self.0.begin_row(since, text)
    }

    /// Replaces the text of a row that this handle or a clone began.
    pub fn set(&self, row: &ActivityRow, text: &str) {
        self.0.set_row(row, text);
    }

    /// Ends a row that this handle or a clone began.
    pub fn end(&self, row: ActivityRow) {
        self.0.end_row(row);
    }
}

field!({} DynActivity, |options| activity(&options), |lane, field| {
    core::DynActivity::attach(lane, field).map(Self)
});

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use shared::DynSharedActivity;

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
mod shared {
    use super::{
        ActivityRow, AnyOptions, AttachError, Declaration, FieldDeclaration, FieldId, HasCapacity,
        HasRows, Keep, activity, core, now,
    };
    use crate::schema::declaration::SharedHandle;

    /// As [`DynActivity`](crate::DynActivity), for activities that begin and end on different threads. See
    /// [`SharedActivity`](crate::SharedActivity).
    #[derive(Debug, Clone)]
    pub struct DynSharedActivity(core::DynSharedActivity<Keep>);

    impl DynSharedActivity {
        /// Begins an activity now, until [`DynSharedActivity::end`] on any thread; `None` if no row is free,
        /// which is counted.
        pub fn begin(&self, text: &str) -> Option<ActivityRow> {
            self.0.begin_row(now(), text)
        }

        /// [`DynSharedActivity::begin`] with the time in nanoseconds since 1970-01-01 UTC, 0 if unknown.
        pub fn begin_at(&self, since: u64, text: &str) -> Option<ActivityRow> {
            self.0.begin_row(since, text)
        }

        /// Replaces the text of a row that this handle or a clone began.
        pub fn set(&self, row: &mut ActivityRow, text: &str) {
            self.0.set_row(row, text);
        }

        /// Ends a row that this handle or a clone began.
        pub fn end(&self, row: ActivityRow) {
            self.0.end_row(row);
        }
    }

    impl SharedHandle for DynSharedActivity {
        fn declaration(label: String, options: AnyOptions) -> Declaration {
            let spec = activity(&options);
            Declaration::Field(FieldDeclaration::new(label, &spec, options))
        }

        fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
            core::DynSharedActivity::attach(lane, field).map(Self)
        }
    }

    impl HasCapacity for DynSharedActivity {}
    impl HasRows for DynSharedActivity {}
}

/// The value as a `T`; `None` if it has another class of types or is out of range.
fn value_of<T: ScalarType>(value: Scalar) -> Option<T> {
    value.to_bits(T::TYPE).map(T::from_cell)
}

/// Defines [`DynGauge`] over a gauge of each scalar type.
macro_rules! of_scalars {
    ($($variant:ident($type:ty) as $scalar:ident),*) => {
        /// A scalar that goes up and down, of the type of a [`Shape::Gauge`](crate::Shape::Gauge), by
        /// default f64.
        #[derive(Debug, Clone)]
        pub struct DynGauge(AnyGauge);

        #[derive(Debug, Clone)]
        enum AnyGauge {
            $($variant(Gauge<$type>)),*
        }

        impl DynGauge {
            /// The type of the value.
            #[must_use]
            pub const fn ty(&self) -> DataType {
                match &self.0 {
                    $(AnyGauge::$variant(_) => DataType::$variant),*
                }
            }

            /// Replaces the value. Returns `false` and changes nothing if `value` has another class of
            /// types or is out of range.
            pub fn set(&self, value: Scalar) -> bool {
                match &self.0 {
                    $(AnyGauge::$variant(gauge) => value_of(value).map(|v| gauge.set(v)).is_some()),*
                }
            }

            /// Adds `n`; an absent value counts as 0, integers saturate. Refuses as [`DynGauge::set`] does.
            pub fn add(&self, n: Scalar) -> bool {
                match &self.0 {
                    $(AnyGauge::$variant(gauge) => value_of(n).map(|n| gauge.add(n)).is_some()),*
                }
            }

            /// Subtracts `n`; an absent value counts as 0, integers saturate. Refuses as [`DynGauge::set`]
            /// does.
            pub fn sub(&self, n: Scalar) -> bool {
                match &self.0 {
                    $(AnyGauge::$variant(gauge) => value_of(n).map(|n| gauge.sub(n)).is_some()),*
                }
            }

            /// Removes the value: readers see that it is absent.
            pub fn clear(&self) {
                match &self.0 {
                    $(AnyGauge::$variant(gauge) => gauge.clear()),*
                }
            }

            /// Addresses of the gauge's cell: see [`Gauge::places`].
            #[cfg(feature = "raw")]
            #[must_use]
            pub fn places(&self) -> Option<mmstats_core::GaugePlaces> {
                match &self.0 {
                    $(AnyGauge::$variant(gauge) => gauge.places()),*
                }
            }

            /// This lane's value, if present.
            #[must_use]
            pub fn get(&self) -> Option<Scalar> {
                match &self.0 {
                    $(AnyGauge::$variant(gauge) => {
                        gauge.get().map(|value| Scalar::$scalar(value.into()))
                    }),*
                }
            }
        }

        impl Field for DynGauge {
            fn declaration(label: String, options: AnyOptions) -> Declaration {
                let ty = options.scalar();
                Declaration::Field(FieldDeclaration::new(label, &FieldSpec::gauge("", ty), options))
            }

            fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
                let properties = lane.properties(field)?;
                match properties.ty() {
                    $(Some(DataType::$variant) => {
                        Gauge::attach(lane, field).map(|gauge| Self(AnyGauge::$variant(gauge)))
                    })*
                    _ => Err(AttachError::NotScalar {
                        index: field.index(),
                        found: properties.ty_code(),
                    }),
                }
            }
        }
    };
}

of_scalars!(
    U8(u8) as U64,
    U16(u16) as U64,
    U32(u32) as U64,
    U64(u64) as U64,
    I8(i8) as I64,
    I16(i16) as I64,
    I32(i32) as I64,
    I64(i64) as I64,
    F32(f32) as F32,
    F64(f64) as F64,
    Bool(bool) as Bool
);

/// The mean of the last [`count`](crate::FieldOptions::count) values, by default 100: f64, or of the type
/// of a [`Shape::Window`](crate::Shape::Window), u64, i64 or f64.
#[derive(Clone)]
pub struct DynWindow(AnyWindow);

#[derive(Clone)]
enum AnyWindow {
    U64(core::Window<u64, Keep>),
    I64(core::Window<i64, Keep>),
    F64(core::Window<f64, Keep>),
}

impl DynWindow {
    /// Adds one value in place of the oldest. Returns `false` and changes nothing if `value` has another
    /// class of types or is out of range.
    pub fn record(&self, value: Scalar) -> bool {
        match &self.0 {
            AnyWindow::U64(window) => value_of(value).map(|v| window.record(v)).is_some(),
            AnyWindow::I64(window) => value_of(value).map(|v| window.record(v)).is_some(),
            AnyWindow::F64(window) => value_of(value).map(|v| window.record(v)).is_some(),
        }
    }
}

impl fmt::Debug for DynWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynWindow").finish_non_exhaustive()
    }
}

field!({} DynWindow, |options| {
    let ty = options.scalar();
    FieldSpec::window("", ty, options.count.unwrap_or(VALUES))
}, |lane: &core::Lane<Keep>, field: FieldId| {
    Ok(Self(match lane.properties(field)?.ty() {
        Some(DataType::U64) => AnyWindow::U64(core::Window::attach(lane, field)?),
        Some(DataType::I64) => AnyWindow::I64(core::Window::attach(lane, field)?),
        _ => AnyWindow::F64(core::Window::attach(lane, field)?),
    }))
});
