//! The combined lanes of a field: the values that outlive a run.

use mmstats_core::merge::{AverageValue, HistogramSummary, TimerSum, TimerValue};
use mmstats_core::read::{Field, Lane, Scalar, Value, Verdict};
use mmstats_core::{DataType, Kind, Source};

/// The combined lanes of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Total {
    /// Sums of u64, or of i64 as the same bits, by element.
    Integers(Vec<u64>),
    /// Sums of floats, by element.
    Floats(Vec<f64>),
    /// A timer.
    Timer(TimerSum),
    /// A histogram, with its elements.
    Histogram(HistogramSummary, Vec<u64>),
    /// The slots of events, the oldest first.
    Events(Vec<Vec<u64>>),
}

impl Total {
    /// Combines the lanes of a field; `None` for kinds whose values end with their writer, and
    /// where there is no value.
    pub(crate) fn new<S: Source + ?Sized>(
        source: &S,
        field: &Field,
        lanes: &[Lane],
    ) -> Option<Self> {
        let mut all: Option<Self> = None;
        for lane in lanes {
            let one = match field.kind()? {
                Kind::Counter | Kind::Timer | Kind::Average => Self::value(source, field, lane),
                Kind::Histogram => Self::histogram(source, field, lane),
                Kind::Events => Self::events(source, field, lane),
                _ => return None,
            };
            match (&mut all, one) {
                (Some(all), Some(one)) => all.merge(one),
                (all @ None, one) => *all = one,
                _ => {}
            }
        }
        all
    }

    fn value<S: Source + ?Sized>(source: &S, field: &Field, lane: &Lane) -> Option<Self> {
        let mut buffer = vec![0; field.buffer_size()];
        let scalars: Vec<Scalar> = match lane.read(source, field, &mut buffer).consistent()? {
            Value::U64(n) => vec![Scalar::U64(n)],
            Value::I64(n) => vec![Scalar::I64(n)],
            Value::F64(x) => vec![Scalar::F64(x)],
            Value::F32(x) => vec![Scalar::F32(x)],
            // No kind that outlives a run has narrow elements, which are packed.
            Value::Array(array) if array.ty().size() == 8 => array.iter().collect(),
            _ => return None,
        };
        let integer = |scalar: &Scalar| match *scalar {
            Scalar::U64(n) => Some(n),
            Scalar::I64(n) => Some(n.cast_unsigned()),
            _ => None,
        };
        let float = |scalar: &Scalar| match *scalar {
            Scalar::F64(x) => x,
            Scalar::F32(x) => x.into(),
            _ => 0.0,
        };
        Some(match (field.kind()?, scalars.iter().map(integer).collect::<Option<Vec<u64>>>()) {
            (Kind::Timer, integers) => {
                Self::Timer(TimerValue::from_elements(integers?.try_into().ok()?).into())
            }
            (_, Some(integers)) => Self::Integers(integers),
            (kind, None) => {
                let floats: Vec<f64> = scalars.iter().map(float).collect();
                if let (Kind::Average, [count, sum]) = (kind, floats.as_slice()) {
                    let average = AverageValue { count: *count, sum: *sum };
                    if *count == 0.0 || average.is_damaged() {
                        return None;
                    }
                }
                Self::Floats(floats)
            }
        })
    }

    fn histogram<S: Source + ?Sized>(source: &S, field: &Field, lane: &Lane) -> Option<Self> {
        let mut buffer = vec![0; field.buffer_size()];
        let found = lane.read_histogram(source, field, &mut buffer).consistent()?;
        let summary = HistogramSummary::from_lane(&found);
        (!summary.is_damaged()).then(|| Self::Histogram(summary, found.counts().collect()))
    }

    fn events<S: Source + ?Sized>(source: &S, field: &Field, lane: &Lane) -> Option<Self> {
        let newest = lane.newest(source, field);
        let mut buffer = vec![0; field.slot_size() as usize];
        let mut slots = Vec::new();
        for number in newest.saturating_sub(field.slots() - 2)..=newest {
            let slot = lane.read_number(source, field, number, &mut buffer);
            // Damaged lines are left out.
            if let Verdict::Consistent(slot) = slot
                && matches!(slot.value(field), Verdict::Consistent(_))
            {
                let (units, _) = slot.bytes().as_chunks::<8>();
                slots.push(units.iter().map(|unit| u64::from_le_bytes(*unit)).collect());
            }
        }
        Some(Self::Events(slots))
    }

    /// Adds the total of another lane.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Integers(all), Self::Integers(more)) => {
                all.iter_mut().zip(more).for_each(|(a, b)| *a = a.wrapping_add(b));
            }
            (Self::Floats(all), Self::Floats(more)) => {
                all.iter_mut().zip(more).for_each(|(a, b)| *a += b);
            }
            (Self::Timer(all), Self::Timer(more)) => all.merge(&more),
            (Self::Histogram(all, counts), Self::Histogram(more, more_counts)) => {
                all.merge(&more);
                counts.iter_mut().zip(more_counts).for_each(|(a, b)| *a = a.wrapping_add(b));
            }
            (Self::Events(all), Self::Events(more)) => {
                all.extend(more);
                // Unit 0 is the time. The sort is stable, so lines of one lane keep their order.
                all.sort_by_key(|slot| slot.first().copied());
            }
            _ => {}
        }
    }

    /// Arguments of [`Writer::restore`](mmstats_core::Writer::restore), in this order: units of a
    /// cell or slot, and elements.
    pub(crate) fn units(&self, ty: Option<DataType>) -> Vec<(Vec<u64>, &[u64])> {
        match self {
            Self::Integers(all) => vec![(all.clone(), &[])],
            Self::Floats(all) => {
                #[allow(clippy::cast_possible_truncation)] // A sum of f32 is stored as f32.
                let bits = |x: &f64| match ty {
                    Some(DataType::F32) => u64::from((*x as f32).to_bits()),
                    _ => x.to_bits(),
                };
                vec![(all.iter().map(bits).collect(), &[])]
            }
            Self::Timer(all) => vec![(all.value().to_elements().to_vec(), &[])],
            Self::Histogram(all, elements) => {
                let (min, max) = all.range().map_or((0, 0), |(a, b)| (a.to_bits(), b.to_bits()));
                #[allow(clippy::cast_possible_truncation)] // Wraps, as in a lane.
                let count = all.count() as u64;
                vec![(vec![count, 0, all.sum().to_bits(), min, max], elements)]
            }
            Self::Events(slots) => slots.iter().map(|slot| (slot.clone(), &[][..])).collect(),
        }
    }
}
