//! Options of a field.

use std::fmt;
use std::marker::PhantomData;

use mmstats_core::{Aggregation, Buckets, Constant, DataType, Kind, Level};

use crate::schema::member::GroupMember;

/// Options of a field whose handle is `H`: unit, help, attributes and so on.
///
/// `H` is inferred from the use. An option of some kinds is a method for these kinds only, so a
/// misplaced one does not compile.
///
/// ```
/// use mmstats::{Counter, FieldOptions, Latency, Schema};
///
/// let mut schema = Schema::new();
/// let served = FieldOptions::new().help("Requests served.").attribute("code", "200");
/// schema.add::<Counter>("http.requests", served);
/// schema.add::<Latency>("http.latency", FieldOptions::new().error(0.02));
/// ```
///
/// A counter has no relative error:
///
/// ```compile_fail,E0277
/// use mmstats::{Counter, FieldOptions, Schema};
///
/// let mut schema = Schema::new();
/// schema.add::<Counter>("http.requests", FieldOptions::new().error(0.02));
/// ```
///
/// Options that fields of several kinds have in common are a `FieldOptions<()>`:
///
/// ```
/// use mmstats::{Counter, FieldOptions, Latency, Schema};
///
/// let shard = FieldOptions::<()>::new().attribute("shard", "7");
/// let mut schema = Schema::new();
/// schema.add::<Counter>("writes", shard.for_handle());
/// schema.add::<Latency>("latency", shard.for_handle().error(0.02));
/// ```
pub struct FieldOptions<H> {
    pub(crate) any: AnyOptions,
    handle: PhantomData<fn() -> H>,
}

/// Options of a field of any kind.
#[doc(hidden)]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnyOptions {
    pub(crate) unit: Option<String>,
    pub(crate) help: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) aggregation: Option<Aggregation>,
    pub(crate) level: Level,
    pub(crate) kind: Option<Kind>,
    pub(crate) value: Option<Value>,
    pub(crate) cap: Option<u32>,
    pub(crate) buckets: Option<Buckets>,
    pub(crate) error: Option<f64>,
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) entries: Option<u32>,
    pub(crate) rows: Option<u32>,
    pub(crate) running: bool,
    pub(crate) windows: Vec<u32>,
    pub(crate) shape: Option<Shape>,
    pub(crate) capacity: Option<u32>,
    pub(crate) count: Option<u32>,
    pub(crate) states: Vec<String>,
    pub(crate) members: Vec<GroupMember>,
}

impl AnyOptions {
    /// These options with one more attribute.
    pub(crate) fn attribute(mut self, key: &str, value: &str) -> Self {
        self.attributes.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Type of the value, or of the elements, where the shape has a choice.
    pub(crate) const fn scalar(&self) -> DataType {
        match self.shape {
            Some(Shape::Gauge(ty) | Shape::Array(ty) | Shape::Window(ty)) => ty,
            _ => DataType::F64,
        }
    }
}

impl<H> FieldOptions<H> {
    /// The defaults: no unit, help or attributes, level [`Level::Info`].
    #[must_use]
    pub fn new() -> Self {
        Self::from_any(AnyOptions::default())
    }

    pub(crate) fn from_any(any: AnyOptions) -> Self {
        Self { any, handle: PhantomData }
    }

    /// The unit: an `OpenMetrics` base unit (`seconds`, `bytes`, `ratio`, ...) where one
    /// fits. At most 63 bytes.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.any.unit = Some(unit.into());
        self
    }

    /// A sentence or more for readers of the value. At most 4,096 bytes.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.any.help = help.into();
        self
    }

    /// One more key and value. A key is 1 to 63 of `A-Z a-z 0-9 _ . -`.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.any.attributes.push((key.into(), value.into()));
        self
    }

    /// How the values of lanes and processes combine. Default: the rule of the handle's type.
    #[must_use]
    pub fn aggregation(mut self, aggregation: Aggregation) -> Self {
        self.any.aggregation = Some(aggregation);
        self
    }

    /// Importance of the field.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.any.level = level;
        self
    }

    /// The constant of an [`Info`](crate::Info).
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self
    where
        H: HasValue,
    {
        self.any.value = Some(value.into());
        self
    }

    /// Maximum number of fields of a family, besides its overflow field. Default: 1,000.
    #[must_use]
    pub fn cap(mut self, combinations: u32) -> Self
    where
        H: HasCap,
    {
        self.any.cap = Some(combinations);
        self
    }

    /// Maximum relative error of the quantiles of a histogram, from 0.0055 (a smaller one is
    /// taken as that) to 0.17. Default: 0.05. Each halving doubles the histogram's size.
    #[must_use]
    pub fn error(mut self, error: f64) -> Self
    where
        H: HasBuckets,
    {
        self.any.error = Some(error);
        self
    }

    /// The range of a histogram in which the error holds. Values below and above are counted
    /// too, each in one bucket. Default: 1 to 10^12 for integers, 10^-6 to 10^6 for floats,
    /// 100 ns to an hour for a [`Latency`](crate::Latency), in nanoseconds.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self
    where
        H: HasBuckets,
    {
        self.any.range = Some((low, high));
        self
    }

    /// The buckets of a histogram, instead of error and range.
    #[must_use]
    pub fn buckets(mut self, buckets: Buckets) -> Self
    where
        H: HasBuckets,
    {
        self.any.buckets = Some(buckets);
        self
    }

    /// Number of lines that [`Events`](crate::Events) keep for each thread, rounded up to a
    /// power of two less one. Default: 63.
    #[must_use]
    pub fn entries(mut self, entries: u32) -> Self
    where
        H: HasEntries,
    {
        self.any.entries = Some(entries);
        self
    }

    /// Number of rows of an [`Activity`](crate::Activity) for each thread, or of a
    /// [`SharedActivity`](crate::SharedActivity): 1 to 64. Default: 8.
    #[must_use]
    pub fn rows(mut self, rows: u32) -> Self
    where
        H: HasRows,
    {
        self.any.rows = Some(rows);
        self
    }

    /// Shows the sections in progress of a [`Timer`](crate::Timer) or [`Latency`](crate::Latency), how
    /// many and for how long at least, in a field with its label and `.running`. A section then costs
    /// two stores and a read of a coarse clock (5 ns on Linux, 30 ns elsewhere) more.
    #[must_use]
    pub fn running(mut self) -> Self
    where
        H: HasRunning,
    {
        self.any.running = true;
        self
    }

    /// The windows of a [`Rate`](crate::Rate): 1 to 8 numbers of seconds. Default: 60, 300
    /// and 900.
    #[must_use]
    pub fn windows(mut self, seconds: impl IntoIterator<Item = u32>) -> Self
    where
        H: HasWindows,
    {
        self.any.windows = seconds.into_iter().collect();
        self
    }

    /// The kind of a [`DynField`](crate::DynField), or the type of a [`DynGauge`](crate::DynGauge),
    /// [`DynArray`](crate::DynArray) or [`DynWindow`](crate::DynWindow). Default: a counter; f64.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self
    where
        H: HasShape,
    {
        self.any.shape = Some(shape);
        self
    }

    /// Maximum length of a text or bytes of run-time capacity, of a line of [`DynEvents`](crate::DynEvents)
    /// or a row of a [`DynActivity`](crate::DynActivity), in bytes: 1 to 1,048,560.
    #[must_use]
    pub fn capacity(mut self, bytes: u32) -> Self
    where
        H: HasCapacity,
    {
        self.any.capacity = Some(bytes);
        self
    }

    /// Number of elements of a [`DynArray`](crate::DynArray), or of values of a
    /// [`DynWindow`](crate::DynWindow).
    #[must_use]
    pub fn count(mut self, count: u32) -> Self
    where
        H: HasCount,
    {
        self.any.count = Some(count);
        self
    }

    /// The names of the states of a [`DynState`](crate::DynState), in the order of their numbers: 1 to
    /// 1,024 names of 1 to 63 bytes.
    #[must_use]
    pub fn states(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self
    where
        H: HasStates,
    {
        self.any.states = names.into_iter().map(Into::into).collect();
        self
    }

    /// The members of a [`DynGroup`](crate::DynGroup).
    #[must_use]
    pub fn members(mut self, members: impl IntoIterator<Item = GroupMember>) -> Self
    where
        H: HasMembers,
    {
        self.any.members = members.into_iter().collect();
        self
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.any.kind = Some(kind);
        self
    }
}

impl FieldOptions<()> {
    /// These options for a field whose handle is `H`.
    #[must_use]
    pub fn for_handle<H>(&self) -> FieldOptions<H> {
        FieldOptions::from_any(self.any.clone())
    }
}

impl<H> Default for FieldOptions<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> Clone for FieldOptions<H> {
    fn clone(&self) -> Self {
        Self::from_any(self.any.clone())
    }
}

impl<H> PartialEq for FieldOptions<H> {
    fn eq(&self, other: &Self) -> bool {
        self.any == other.any
    }
}

impl<H> fmt::Debug for FieldOptions<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.any.fmt(f)
    }
}

/// The kind of a [`DynField`](crate::DynField), with the type of its value where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// [`Counter`](crate::Counter).
    Counter,
    /// [`FloatCounter`](crate::FloatCounter).
    FloatCounter,
    /// [`DynGauge`](crate::DynGauge), of a scalar type.
    Gauge(DataType),
    /// [`Timestamp`](crate::Timestamp).
    Timestamp,
    /// [`DynText`](crate::DynText).
    Text,
    /// [`DynBlob`](crate::DynBlob).
    Blob,
    /// [`DynArray`](crate::DynArray), with elements of a scalar type.
    Array(DataType),
    /// [`DynState`](crate::DynState).
    State,
    /// [`DynGroup`](crate::DynGroup).
    Group,
    /// [`Timer`](crate::Timer).
    Timer,
    /// [`Latency`](crate::Latency).
    Latency,
    /// [`Histogram<u64>`](crate::Histogram).
    Histogram,
    /// [`Histogram<f64>`](crate::Histogram).
    FloatHistogram,
    /// [`Average`](crate::Average).
    Average,
    /// [`DynWindow`](crate::DynWindow), of u64, i64 or f64.
    Window(DataType),
    /// [`Rate`](crate::Rate).
    Rate,
    /// [`DynEvents`](crate::DynEvents).
    Events,
    /// [`DynActivity`](crate::DynActivity).
    Activity,
    /// [`Info`](crate::Info).
    Info,
}

/// The parameter of [`FieldOptions`] for a family of fields with handles `H`.
pub struct FamilyOf<H>(PhantomData<fn() -> H>);

/// Handles whose fields have a constant value: [`Info`](crate::Info).
#[diagnostic::on_unimplemented(
    message = "`value` is an option of an `Info`",
    label = "this field is no `Info`"
)]
pub trait HasValue {}

/// Families: their number of fields has a limit.
#[diagnostic::on_unimplemented(
    message = "`cap` is an option of families",
    label = "this field is no family"
)]
pub trait HasCap {}

/// Handles that count in buckets: [`Histogram`](crate::Histogram), [`Latency`](crate::Latency)
/// and families of these.
#[diagnostic::on_unimplemented(
    message = "`error`, `range` and `buckets` are options of histograms and latencies",
    label = "this field has no buckets"
)]
pub trait HasBuckets {}

/// Handles that keep lines: [`Events`](crate::Events) and families of these.
#[diagnostic::on_unimplemented(
    message = "`entries` is an option of events",
    label = "this field has no lines"
)]
pub trait HasEntries {}

/// Handles with rows: [`Activity`](crate::Activity), [`SharedActivity`](crate::SharedActivity) and
/// families of these.
#[diagnostic::on_unimplemented(
    message = "`rows` is an option of activities",
    label = "this field has no rows"
)]
pub trait HasRows {}

/// Handles that time sections: [`Timer`](crate::Timer), [`Latency`](crate::Latency) and families of
/// these.
#[diagnostic::on_unimplemented(
    message = "`running` is an option of timers and latencies",
    label = "this field times no sections"
)]
pub trait HasRunning {}

/// Handles with windows of time: [`Rate`](crate::Rate) and families of these.
#[diagnostic::on_unimplemented(
    message = "`windows` is an option of rates",
    label = "this field has no windows"
)]
pub trait HasWindows {}

/// Handles whose kind or type is known at run time: [`DynField`](crate::DynField) and others.
#[diagnostic::on_unimplemented(
    message = "`shape` is an option of handles of run-time kinds and types",
    label = "the type of this handle is its kind"
)]
pub trait HasShape {}

/// Handles with a capacity that is known at run time: [`DynText`](crate::DynText) and others.
#[diagnostic::on_unimplemented(
    message = "`capacity` is an option of texts, bytes, events and activities of run-time capacity",
    label = "this field has no such capacity"
)]
pub trait HasCapacity {}

/// Handles of several values whose number is known at run time: [`DynArray`](crate::DynArray),
/// [`DynWindow`](crate::DynWindow).
#[diagnostic::on_unimplemented(
    message = "`count` is an option of arrays and windows of run-time length",
    label = "this field has no such number of values"
)]
pub trait HasCount {}

/// Handles with states that are known at run time: [`DynState`](crate::DynState).
#[diagnostic::on_unimplemented(
    message = "`states` is an option of a `DynState`",
    label = "this field has no such states"
)]
pub trait HasStates {}

/// Handles with members that are known at run time: [`DynGroup`](crate::DynGroup).
#[diagnostic::on_unimplemented(
    message = "`members` is an option of a `DynGroup`",
    label = "this field has no such members"
)]
pub trait HasMembers {}

impl<H> HasCap for FamilyOf<H> {}
impl<H: HasShape> HasShape for FamilyOf<H> {}
impl<H: HasCapacity> HasCapacity for FamilyOf<H> {}
impl<H: HasCount> HasCount for FamilyOf<H> {}
impl<H: HasStates> HasStates for FamilyOf<H> {}
impl<H: HasMembers> HasMembers for FamilyOf<H> {}
impl<H: HasBuckets> HasBuckets for FamilyOf<H> {}
impl<H: HasEntries> HasEntries for FamilyOf<H> {}
impl<H: HasRows> HasRows for FamilyOf<H> {}
impl<H: HasRunning> HasRunning for FamilyOf<H> {}
impl<H: HasWindows> HasWindows for FamilyOf<H> {}

/// The value of an [`Info`](crate::Info).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// u32.
    U32(u32),
    /// u64.
    U64(u64),
    /// i64.
    I64(i64),
    /// f64.
    F64(f64),
    /// bool.
    Bool(bool),
    /// Text of at most 1,048,560 bytes.
    Text(String),
}

impl Value {
    /// The value in the form that the core writes.
    pub(crate) fn constant(&self) -> Constant<'_> {
        match self {
            Self::U32(v) => Constant::U32(*v),
            Self::U64(v) => Constant::U64(*v),
            Self::I64(v) => Constant::I64(*v),
            Self::F64(v) => Constant::F64(*v),
            Self::Bool(v) => Constant::Bool(*v),
            Self::Text(v) => Constant::Text(v),
        }
    }
}

macro_rules! value_from {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
value_from!(u32 => U32, u64 => U64, i32 => I64, i64 => I64, f64 => F64, bool => Bool, &str => Text, String => Text);
