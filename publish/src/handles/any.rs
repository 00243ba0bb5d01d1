//! Handle of a field whose kind is known at run time.

use mmstats_core as core;
use mmstats_core::{AttachError, Buckets, DataType, FieldId, Kind};

use super::dynamic::{
    DynActivity, DynArray, DynBlob, DynEvents, DynGauge, DynGroup, DynState, DynText, DynWindow,
};
use super::kinds::{Average, Histogram, Latency, Rate, Timestamp};
use super::timer::Timer;
use super::{Counter, FloatCounter, Info};
use crate::claim::Keep;
use crate::schema::declaration::{Declaration, Field};
use crate::schema::options::{
    AnyOptions, HasBuckets, HasCapacity, HasCount, HasEntries, HasMembers, HasRows, HasRunning,
    HasShape, HasStates, HasValue, HasWindows, Shape,
};

/// The handle of a field whose [`shape`](crate::FieldOptions::shape) is known at run time. It takes the
/// options of every kind, and ignores those of other kinds.
///
/// ```
/// use mmstats::{DataType, DynField, FieldOptions, Lane, Options, Scalar, Shape};
///
/// let publisher = Options::new().start::<Lane>()?;
/// for (label, shape) in [("hits", Shape::Counter), ("load", Shape::Gauge(DataType::F64))] {
///     let key = publisher.add::<DynField>(label, FieldOptions::new().shape(shape))?;
///     match publisher.lane()?.attach(key)? {
///         DynField::Counter(counter) => counter.incr(),
///         DynField::Gauge(gauge) => assert!(gauge.set(Scalar::F64(0.5))),
///         _ => {}
///     }
/// }
/// # Ok::<(), mmstats::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DynField {
    /// Of [`Shape::Counter`].
    Counter(Counter),
    /// Of [`Shape::FloatCounter`].
    FloatCounter(FloatCounter),
    /// Of [`Shape::Gauge`].
    Gauge(DynGauge),
    /// Of [`Shape::Timestamp`].
    Timestamp(Timestamp),
    /// Of [`Shape::Text`].
    Text(DynText),
    /// Of [`Shape::Blob`].
    Blob(DynBlob),
    /// Of [`Shape::Array`].
    Array(DynArray),
    /// Of [`Shape::State`].
    State(DynState),
    /// Of [`Shape::Group`].
    Group(DynGroup),
    /// Of [`Shape::Timer`].
    Timer(Timer),
    /// Of [`Shape::Latency`], and of [`Shape::Histogram`], whose values
    /// [`record_nanos`](Latency::record_nanos) takes.
    Latency(Latency),
    /// Of [`Shape::FloatHistogram`].
    FloatHistogram(Histogram<f64>),
    /// Of [`Shape::Average`].
    Average(Average),
    /// Of [`Shape::Window`].
    Window(DynWindow),
    /// Of [`Shape::Rate`].
    Rate(Rate),
    /// Of [`Shape::Events`].
    Events(DynEvents),
    /// Of [`Shape::Activity`].
    Activity(DynActivity),
    /// Of [`Shape::Info`].
    Info(Info),
}

impl Field for DynField {
    fn declaration(label: String, options: AnyOptions) -> Declaration {
        let declare = match options.shape.unwrap_or(Shape::Counter) {
            Shape::Counter => Counter::declaration,
            Shape::FloatCounter => FloatCounter::declaration,
            Shape::Gauge(_) => DynGauge::declaration,
            Shape::Timestamp => Timestamp::declaration,
            Shape::Text => DynText::declaration,
            Shape::Blob => DynBlob::declaration,
            Shape::Array(_) => DynArray::declaration,
            Shape::State => DynState::declaration,
            Shape::Group => DynGroup::declaration,
            Shape::Timer => Timer::declaration,
            Shape::Latency => Latency::declaration,
            Shape::Histogram => Histogram::<u64>::declaration,
            Shape::FloatHistogram => Histogram::<f64>::declaration,
            Shape::Average => Average::declaration,
            Shape::Window(_) => DynWindow::declaration,
            Shape::Rate => Rate::declaration,
            Shape::Events => DynEvents::declaration,
            Shape::Activity => DynActivity::declaration,
            Shape::Info => Info::declaration,
        };
        declare(label, options)
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        let properties = lane.properties(field)?;
        let ty = properties.ty();
        if properties.is_member() {
            return DynGroup::attach(lane, field).map(Self::Group);
        }
        match properties.kind() {
            Some(Kind::State) => DynState::attach(lane, field).map(Self::State),
            Some(Kind::Timer) => <Timer as Field>::attach(lane, field).map(Self::Timer),
            Some(Kind::Average) => Average::attach(lane, field).map(Self::Average),
            Some(Kind::Window) => <DynWindow as Field>::attach(lane, field).map(Self::Window),
            Some(Kind::Timestamp) => <Timestamp as Field>::attach(lane, field).map(Self::Timestamp),
            Some(Kind::Events) => <DynEvents as Field>::attach(lane, field).map(Self::Events),
            Some(Kind::Activity) => <DynActivity as Field>::attach(lane, field).map(Self::Activity),
            Some(Kind::Info) => Ok(Self::Info(Info)),
            Some(Kind::Histogram) => {
                let buckets = Buckets::from_param(properties.param(), properties.count());
                if buckets.is_some_and(|buckets| buckets.ty() == DataType::F64) {
                    return Histogram::attach(lane, field).map(Self::FloatHistogram);
                }
                <Latency as Field>::attach(lane, field).map(Self::Latency)
            }
            _ if properties.is_array() => DynArray::attach(lane, field).map(Self::Array),
            Some(Kind::Counter) if ty == Some(DataType::F64) => {
                FloatCounter::attach(lane, field).map(Self::FloatCounter)
            }
            Some(Kind::Counter) => {
                // Its history is the field after it.
                let rate = <Rate as Field>::attach(lane, field).map(Self::Rate);
                rate.or_else(|_| Counter::attach(lane, field).map(Self::Counter))
            }
            _ => match ty {
                Some(DataType::Text) => DynText::attach(lane, field).map(Self::Text),
                Some(DataType::Bytes) => DynBlob::attach(lane, field).map(Self::Blob),
                _ => <DynGauge as Field>::attach(lane, field).map(Self::Gauge),
            },
        }
    }
}

impl HasShape for DynField {}
impl HasShape for DynGauge {}
impl HasShape for DynArray {}
impl HasShape for DynWindow {}
impl HasCapacity for DynField {}
impl HasCount for DynField {}
impl HasStates for DynField {}
impl HasMembers for DynField {}
impl HasBuckets for DynField {}
impl HasEntries for DynField {}
impl HasRows for DynField {}
impl HasRunning for DynField {}
impl HasValue for DynField {}
impl HasWindows for DynField {}
