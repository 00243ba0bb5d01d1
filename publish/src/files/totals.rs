//! The combined lanes of a field: the values that outlive a run, or a worker.

use mmstats_core::merge::{AverageValue, HistogramSummary, Number, TimerSum, TimerValue};
use mmstats_core::read::{Field, Lane, Scalar, Value, Verdict, constant};
use mmstats_core::{Aggregation, DataType, Kind, Source, Storage};

/// The combined lanes of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Total {
    /// Numbers that are combined by a rule, element by element.
    Numbers(Aggregation, Vec<Number>),
    /// A timer.
    Timer(TimerSum),
    /// A histogram, with its elements.
    Histogram(HistogramSummary, Vec<u64>),
    /// The slots of events, the oldest first.
    Events(Vec<Vec<u64>>),
}

/// A value that cannot be read, or is of a shape that cannot be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl Total {
    /// Combines the lanes of a field; `None` for kinds whose values end with their writer, and
    /// where there is no value. Lanes that cannot be read are left out.
    pub(crate) fn new<S: Source + ?Sized>(
        source: &S,
        field: &Field,
        lanes: &[Lane],
    ) -> Option<Self> {
        Self::combine(source, field, lanes).0
    }

    /// [`Total::new`], and whether all lanes could be read.
    pub(crate) fn combine<S: Source + ?Sized>(
        source: &S,
        field: &Field,
        lanes: &[Lane],
    ) -> (Option<Self>, bool) {
        let mut all: Option<Self> = None;
        let mut whole = true;
        // A constant is the same in every lane.
        let constant = field.storage() == Some(Storage::Constant);
        for lane in lanes.iter().take(if constant { 1 } else { usize::MAX }) {
            let one = match field.kind() {
                Some(Kind::Counter | Kind::Timer | Kind::Average) => {
                    Self::value(source, field, lane)
                }
                Some(Kind::Histogram) => Self::histogram(source, field, lane),
                Some(Kind::Events) => Ok(Some(Self::events(source, field, lane))),
                _ => return (None, true),
            };
            whole &= one.is_ok();
            match (&mut all, one.unwrap_or(None)) {
                (Some(all), Some(one)) => all.merge(one),
                (all @ None, one) => *all = one,
                _ => {}
            }
        }
        (all, whole)
    }

    fn value<S: Source + ?Sized>(
        source: &S,
        field: &Field,
        lane: &Lane,
    ) -> Result<Option<Self>, Unreadable> {
        let mut buffer = vec![0; field.buffer_size()];
        let read = if field.storage() == Some(Storage::Constant) {
            constant(source, field, &mut buffer)
        } else {
            lane.read(source, field, &mut buffer)
        };
        let Some(value) = found(read)? else { return Ok(None) };
        let scalars: Vec<Scalar> = match value {
            Value::U64(n) => vec![Scalar::U64(n)],
            Value::I64(n) => vec![Scalar::I64(n)],
            Value::F64(x) => vec![Scalar::F64(x)],
            Value::F32(x) => vec![Scalar::F32(x)],
            // Elements of narrow types are packed, which `units` does not.
            Value::Array(array) if array.ty().size() == 8 => array.iter().collect(),
            _ => return Err(Unreadable),
        };
        if field.kind() == Some(Kind::Timer) {
            let element = |scalar: &Scalar| match *scalar {
                Scalar::U64(n) => Ok(n),
                _ => Err(Unreadable),
            };
            let elements: Vec<u64> = scalars.iter().map(element).collect::<Result<_, _>>()?;
            let elements = elements.try_into().map_err(|_| Unreadable)?;
            return Ok(Some(Self::Timer(TimerValue::from_elements(elements).into())));
        }
        let number = |scalar: &Scalar| match *scalar {
            Scalar::U64(n) => Ok(Number::Unsigned(n.into())),
            Scalar::I64(n) => Ok(Number::Signed(n.into())),
            Scalar::F64(x) => Ok(Number::Float(x)),
            Scalar::F32(x) => Ok(Number::Float(x.into())),
            _ => Err(Unreadable),
        };
        let rule = match (field.kind(), field.properties().aggregation()) {
            (Some(Kind::Counter), rule @ (Aggregation::Min | Aggregation::Max)) => rule,
            _ => Aggregation::Sum,
        };
        let numbers: Vec<Number> = scalars.iter().map(number).collect::<Result<_, _>>()?;
        if let (Some(Kind::Average), [count, sum]) = (field.kind(), &*numbers) {
            let average = AverageValue { count: count.as_f64(), sum: sum.as_f64() };
            if average.count == 0.0 {
                return Ok(None);
            }
            if average.is_damaged() {
                return Err(Unreadable);
            }
        }
        Ok(Some(Self::Numbers(rule, numbers)))
    }

    fn histogram<S: Source + ?Sized>(
        source: &S,
        field: &Field,
        lane: &Lane,
    ) -> Result<Option<Self>, Unreadable> {
        let mut buffer = vec![0; field.buffer_size()];
        let found = found(lane.read_histogram(source, field, &mut buffer))?;
        let Some(found) = found else { return Ok(None) };
        let summary = HistogramSummary::from_lane(&found);
        if summary.is_damaged() {
            return Err(Unreadable);
        }
        Ok(Some(Self::Histogram(summary, found.counts().collect())))
    }

    fn events<S: Source + ?Sized>(source: &S, field: &Field, lane: &Lane) -> Self {
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
        Self::Events(slots)
    }

    /// Adds the total of another lane.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Numbers(rule, all), Self::Numbers(_, more)) => {
                all.iter_mut().zip(more).for_each(|(a, b)| a.merge(*rule, b));
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

    /// Reduces what a field of type `ty` cannot hold to the largest number that it can, and infinite
    /// sums to the largest finite one; whether nothing was reduced.
    pub(crate) fn fit(&mut self, ty: DataType) -> bool {
        match self {
            Self::Numbers(_, numbers) => {
                let fits = numbers.iter_mut().map(|number| fit_number(number, ty));
                fits.fold(true, |all, fits| all & fits)
            }
            // Written as the largest: see `TimerValue::to_elements`.
            Self::Timer(all) => {
                let value = all.value();
                value.count.max(value.sum) <= u64::MAX.into()
            }
            Self::Histogram(all, _) => {
                let mut sum = all.sum();
                let integer =
                    if matches!(sum, Number::Signed(_)) { DataType::I64 } else { DataType::U64 };
                let fits = fit_number(&mut sum, integer) && u64::try_from(all.count()).is_ok();
                *all = HistogramSummary::new(all.count().min(u64::MAX.into()), sum, all.range());
                fits
            }
            Self::Events(_) => true,
        }
    }

    /// Arguments of [`Writer::restore`](mmstats_core::Writer::restore), in this order: units of a
    /// cell or slot, and elements.
    pub(crate) fn units(&self, ty: Option<DataType>) -> Vec<(Vec<u64>, &[u64])> {
        match self {
            Self::Numbers(_, all) => {
                #[allow(clippy::cast_possible_truncation)] // A sum of f32 is stored as f32.
                let bits = |number: &Number| match (number, ty) {
                    (Number::Float(x), Some(DataType::F32)) => u64::from((*x as f32).to_bits()),
                    // The upper half of a narrow cell is zero.
                    (number, Some(ty)) if ty.size() < 8 => number.to_bits() & u64::from(u32::MAX),
                    (number, _) => number.to_bits(),
                };
                vec![(all.iter().map(bits).collect(), &[])]
            }
            Self::Timer(all) => vec![(all.value().to_elements().to_vec(), &[])],
            Self::Histogram(all, elements) => {
                let (min, max) = all.range().map_or((0, 0), |(a, b)| (a.to_bits(), b.to_bits()));
                let count = u64::try_from(all.count()).unwrap_or(u64::MAX);
                vec![(vec![count, 0, all.sum().to_bits(), min, max], elements)]
            }
            Self::Events(slots) => slots.iter().map(|slot| (slot.clone(), &[][..])).collect(),
        }
    }
}

/// Reduces a number to what a scalar can hold; whether it was not changed.
fn fit_number(number: &mut Number, ty: DataType) -> bool {
    let bits = 8 * ty.size();
    let fitting = match *number {
        Number::Unsigned(n) => Number::Unsigned(n.min((1 << bits) - 1)),
        Number::Signed(n) => Number::Signed(n.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
        Number::Float(x) => {
            let most = if ty == DataType::F32 { f32::MAX.into() } else { f64::MAX };
            Number::Float(if x.is_nan() { 0.0 } else { x.clamp(-most, most) })
        }
    };
    std::mem::replace(number, fitting) == fitting
}

/// The value of a lane; `None` if it has none.
fn found<T>(verdict: Verdict<T>) -> Result<Option<T>, Unreadable> {
    match verdict {
        Verdict::Consistent(value) => Ok(Some(value)),
        Verdict::Absent | Verdict::Retired => Ok(None),
        _ => Err(Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_reduces_sums_beyond_their_type() {
        let fit = |number, ty| {
            let mut total = Total::Numbers(Aggregation::Sum, vec![number]);
            let fits = total.fit(ty);
            let Total::Numbers(_, numbers) = total else { panic!() };
            (numbers[0], fits)
        };
        let (most, least) = (u128::from(u64::MAX), i128::from(i64::MIN));
        let unsigned = |n, ty| fit(Number::Unsigned(n), ty);
        assert_eq!(unsigned(most, DataType::U64), (Number::Unsigned(most), true));
        assert_eq!(unsigned(most + 1, DataType::U64), (Number::Unsigned(most), false));
        assert_eq!(unsigned(1 << 32, DataType::U32).0, Number::Unsigned((1 << 32) - 1));
        assert_eq!(fit(Number::Signed(least), DataType::I64), (Number::Signed(least), true));
        assert_eq!(fit(Number::Signed(least - 1), DataType::I64), (Number::Signed(least), false));
        let (largest, infinite) = (Number::Float(f64::MAX), Number::Float(f64::INFINITY));
        assert_eq!(fit(infinite, DataType::F64), (largest, false));
        assert_eq!(fit(largest, DataType::F64), (largest, true));

        let mut timer = TimerSum::from(TimerValue::from_elements([1, u64::MAX, 1, 1, 1]));
        assert!(Total::Timer(timer).fit(DataType::U64));
        timer.add(TimerValue::from_elements([1, 1, 1, 1, 1]));
        assert!(!Total::Timer(timer).fit(DataType::U64));
    }
}
