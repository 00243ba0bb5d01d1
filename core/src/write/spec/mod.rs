//! Specification of a field, before it has a place.

mod check;
mod constant;
mod size;
#[cfg(test)]
mod tests;

use crate::buckets::Buckets;
use crate::properties::Properties;
use crate::types::{Aggregation, DataType, Kind, Level};

pub use check::SpecError;
pub use constant::Constant;
pub(super) use size::{Group, cell_bytes};

/// Specification of a field: made by the constructor of its kind, refined by methods.
///
/// ```
/// use mmstats_core::{DataType, FieldSpec};
/// const REQUESTS: FieldSpec<'_> = FieldSpec::counter("requests").help("Requests served.");
/// const LOAD: FieldSpec<'_> = FieldSpec::gauge("load", DataType::F64).unit("ratio");
/// # assert_eq!(REQUESTS.label, "requests");
/// # assert_eq!(LOAD.properties.ty(), Some(DataType::F64));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldSpec<'a> {
    /// The label: 1 to 255 bytes.
    pub label: &'a str,
    /// The unit, an OpenMetrics base unit where one fits, or empty: at most 63 bytes.
    pub unit: &'a str,
    /// One or more sentences, or empty: at most 4,096 bytes.
    pub help: &'a str,
    /// Keys and values: at most 4,096 bytes in all.
    pub attributes: &'a [(&'a str, &'a str)],
    /// The names of states, or the windows of a rate in seconds.
    pub details: &'a [&'a str],
    /// Type, kind, aggregation, level, count, flags, parameter and slots.
    pub properties: Properties,
    /// The value, if it never changes.
    pub constant: Option<Constant<'a>>,
}

impl<'a> FieldSpec<'a> {
    /// A field with a label and these properties.
    #[must_use]
    pub const fn new(label: &'a str, properties: Properties) -> Self {
        Self {
            label,
            unit: "",
            help: "",
            attributes: &[],
            details: &[],
            properties,
            constant: None,
        }
    }

    /// A u64 that only grows. Lanes are summed.
    #[must_use]
    pub const fn counter(label: &'a str) -> Self {
        Self::new(label, Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum))
    }

    /// An f64 that only grows. Lanes are summed.
    #[must_use]
    pub const fn float_counter(label: &'a str) -> Self {
        Self::new(label, Properties::new(DataType::F64, Kind::Counter, Aggregation::Sum))
    }

    /// A scalar that goes up and down. Lanes are summed. It has no value until one is set.
    #[must_use]
    pub const fn gauge(label: &'a str, ty: DataType) -> Self {
        Self::new(label, Properties::new(ty, Kind::Gauge, Aggregation::Sum).with_optional())
    }

    /// Text of at most `capacity` bytes, shown for each lane. It has no value until one is set.
    #[must_use]
    pub const fn text(label: &'a str, capacity: u32) -> Self {
        let text = Properties::new(DataType::Text, Kind::Gauge, Aggregation::Each);
        Self::new(label, text.with_count(capacity).with_optional())
    }

    /// At most `capacity` bytes, shown for each lane. They have no value until one is set.
    #[must_use]
    pub const fn bytes(label: &'a str, capacity: u32) -> Self {
        let bytes = Properties::new(DataType::Bytes, Kind::Gauge, Aggregation::Each);
        Self::new(label, bytes.with_count(capacity).with_optional())
    }

    /// `count` scalars published together. Lanes are summed element by element. They have no value
    /// until one is set.
    #[must_use]
    pub const fn array(label: &'a str, ty: DataType, count: u32) -> Self {
        let scalars = Properties::new(ty, Kind::Gauge, Aggregation::Sum);
        Self::new(label, scalars.with_array(count).with_optional())
    }

    /// Count, sum, minimum, maximum and last of durations in nanoseconds.
    #[must_use]
    pub const fn timer(label: &'a str) -> Self {
        let timer = Properties::new(DataType::U64, Kind::Timer, Aggregation::Sum);
        Self::new(label, timer.with_array(5)).unit("nanoseconds")
    }

    /// One of the states `names`, by its number: 1 to 1,024 different names of 1 to 63 bytes. Lanes
    /// in each state are counted. It has no value until one is set.
    #[must_use]
    pub const fn state(label: &'a str, names: &'a [&'a str]) -> Self {
        let state = Properties::new(DataType::U32, Kind::State, Aggregation::Sum);
        Self::new(label, state.with_optional()).details(names)
    }

    /// Distribution of values in `buckets`.
    #[must_use]
    pub const fn histogram(label: &'a str, buckets: Buckets) -> Self {
        let histogram = Properties::new(DataType::U64, Kind::Histogram, Aggregation::Sum)
            .with_array(buckets.elements())
            .with_param(buckets.param())
            // A reader takes about 100 ns for 300 buckets, in which a writer can make 30 changes.
            .with_slot_bits(5);
        Self::new(label, histogram)
    }

    /// The mean of all values: an f64 count and an f64 sum.
    #[must_use]
    pub const fn average(label: &'a str) -> Self {
        let average = Properties::new(DataType::F64, Kind::Average, Aggregation::Sum);
        Self::new(label, average.with_array(2))
    }

    /// The mean of the last `values` (1 to 32,766) values, of type u64, i64 or f64.
    #[must_use]
    pub const fn window(label: &'a str, ty: DataType, values: u32) -> Self {
        // Twice as many slots, so that a reader has time for all values.
        let slot_bits = ring_for(values.saturating_mul(2));
        let window = Properties::new(ty, Kind::Window, Aggregation::Sum);
        Self::new(label, window.with_param(values).with_slot_bits(slot_bits))
    }

    /// The last `entries` (1 to 65,535; rounded up to a power of 2 less 1) lines of at most
    /// `capacity` bytes, with their times.
    #[must_use]
    pub const fn events(label: &'a str, entries: u32, capacity: u32) -> Self {
        let slot_bits = ring_for(entries.saturating_add(1));
        let events = Properties::new(DataType::Text, Kind::Events, Aggregation::Each);
        Self::new(label, events.with_count(capacity).with_slot_bits(slot_bits))
    }

    /// Activities in progress: at most `rows` (1 to 64) texts of at most `capacity` bytes, each with the
    /// time of its begin. Shown for each lane.
    #[must_use]
    pub const fn activity(label: &'a str, rows: u32, capacity: u32) -> Self {
        let activity = Properties::new(DataType::Text, Kind::Activity, Aggregation::Each);
        Self::new(label, activity.with_count(capacity).with_param(rows))
    }

    /// Number of sections in progress of the timer or histogram that is added just before (the same label
    /// without `.running`), and a time at or after the begin of the oldest. It has no value until one begins.
    #[must_use]
    pub const fn running(label: &'a str) -> Self {
        let running = Properties::new(DataType::U64, Kind::Running, Aggregation::Sum);
        Self::new(label, running.with_optional())
    }

    /// Checkpoints, at most every `interval` milliseconds, of the u64 counter that is added
    /// just before with [`Writer::add_all`](super::Writer::add_all). `windows` are 1 to 8
    /// numbers of seconds, each at most `entries * interval`; 127 `entries` are kept.
    #[must_use]
    pub const fn rate(label: &'a str, interval: u32, windows: &'a [&'a str]) -> Self {
        let rate = Properties::new(DataType::U64, Kind::Rate, Aggregation::Sum)
            .with_array(2)
            .with_param(interval)
            .with_slot_bits(7);
        Self::new(label, rate).details(windows)
    }

    /// A point in time, in nanoseconds since 1970-01-01 UTC. Readers show the age of the newest
    /// one.
    #[must_use]
    pub const fn timestamp(label: &'a str) -> Self {
        let timestamp = Properties::new(DataType::U64, Kind::Timestamp, Aggregation::Max);
        Self::new(label, timestamp.with_optional())
    }

    /// A value that never changes.
    #[must_use]
    pub const fn info(label: &'a str, value: Constant<'a>) -> Self {
        let mut info = Properties::new(value.ty(), Kind::Info, Aggregation::Each);
        let len = value.tail().len();
        // `check` refuses a value past the limit.
        if matches!(value, Constant::Text(_) | Constant::Bytes(_)) {
            #[allow(clippy::cast_possible_truncation)]
            let count = if len > u32::MAX as usize { u32::MAX } else { len as u32 };
            info = info.with_count(if count == 0 { 1 } else { count });
        }
        let mut spec = Self::new(label, info);
        spec.constant = Some(value);
        spec
    }

    const fn details(mut self, details: &'a [&'a str]) -> Self {
        self.details = details;
        self
    }

    /// Sets the unit.
    #[must_use]
    pub const fn unit(mut self, unit: &'a str) -> Self {
        self.unit = unit;
        self
    }

    /// Sets the help text.
    #[must_use]
    pub const fn help(mut self, help: &'a str) -> Self {
        self.help = help;
        self
    }

    /// Sets the attributes.
    #[must_use]
    pub const fn attributes(mut self, attributes: &'a [(&'a str, &'a str)]) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the rule for combining lanes and processes.
    #[must_use]
    pub const fn aggregation(mut self, aggregation: Aggregation) -> Self {
        self.properties = self.properties.with_aggregation(aggregation);
        self
    }

    /// Sets the level.
    #[must_use]
    pub const fn level(mut self, level: Level) -> Self {
        self.properties = self.properties.with_level(level);
        self
    }

    /// Sets the kind: [`Kind::Info`] for a gauge that describes, [`Kind::Counter`] for an array of
    /// counters.
    #[must_use]
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.properties = self.properties.with_kind(kind);
        self
    }
}

/// The smallest power of 2 that is at least `slots` and 4, as an exponent. `check` refuses it above
/// the limit.
const fn ring_for(slots: u32) -> u8 {
    let bits = u32::BITS - slots.saturating_sub(1).leading_zeros();
    #[allow(clippy::cast_possible_truncation)] // At most 32.
    if bits < 2 { 2 } else { bits as u8 }
}
