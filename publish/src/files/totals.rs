//! The combined lanes of a field: the values that outlive a run.

use mmstats_core::read::{Field, Lane, Scalar, Value, Verdict};
use mmstats_core::{DataType, Kind, Source};

/// The combined lanes of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Total {
    /// Sums of u64, by element.
    Integers(Vec<u64>),
    /// Sums of i64, by element.
    Signed(Vec<i64>),
    /// Sums of floats, by element.
    Floats(Vec<f64>),
    /// Count, sum, minimum, maximum and last of a timer.
    Timer([u64; 5]),
    /// A histogram; sum, minimum and maximum as bits.
    Histogram { float: bool, count: u64, sum: u64, range: Option<(u64, u64)>, elements: Vec<u64> },
    /// The slots of events, the oldest first.
    Events(Vec<Vec<u64>>),
}

impl Total {
    /// Combines the lanes of a field; `None` for kinds whose values end with their writer, and
    /// where there is no value.
    pub(crate) fn of<S: Source + ?Sized>(
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
            // Narrow elements of arrays are packed; nothing counts in them.
            Value::Array(array) if array.ty().size() == 8 => array.iter().collect(),
            _ => return None,
        };
        let integers = || {
            let integer = |scalar: &Scalar| match scalar {
                Scalar::U64(n) => Some(*n),
                _ => None,
            };
            scalars.iter().map(integer).collect::<Option<Vec<u64>>>()
        };
        Some(match (field.kind()?, scalars.first()?) {
            (Kind::Timer, _) => Self::Timer(integers()?.try_into().ok()?),
            (_, Scalar::U64(_)) => Self::Integers(integers()?),
            (_, Scalar::I64(_)) => Self::Signed(
                scalars.iter().map(|s| if let Scalar::I64(n) = s { *n } else { 0 }).collect(),
            ),
            _ => Self::Floats(
                scalars
                    .iter()
                    .map(|s| match s {
                        Scalar::F64(x) => *x,
                        Scalar::F32(x) => f64::from(*x),
                        _ => 0.0,
                    })
                    .collect(),
            ),
        })
    }

    fn histogram<S: Source + ?Sized>(source: &S, field: &Field, lane: &Lane) -> Option<Self> {
        let mut buffer = vec![0; field.buffer_size()];
        let found = lane.read_histogram(source, field, &mut buffer).consistent()?;
        Some(Self::Histogram {
            float: found.buckets().ty() == DataType::F64,
            count: found.count(),
            sum: found.sum_bits(),
            range: found.min_bits().zip(found.max_bits()),
            elements: found.counts().collect(),
        })
    }

    fn events<S: Source + ?Sized>(source: &S, field: &Field, lane: &Lane) -> Option<Self> {
        let newest = lane.newest(source, field);
        let mut buffer = vec![0; field.slot_size() as usize];
        let mut slots = Vec::new();
        for number in newest.saturating_sub(field.slots() - 2)..=newest {
            let slot = lane.read_number(source, field, number, &mut buffer);
            // A damaged line is left behind.
            if let Verdict::Consistent(slot) = slot
                && matches!(slot.value(field), Verdict::Consistent(_))
            {
                let (units, _) = slot.bytes().as_chunks::<8>();
                slots.push(units.iter().map(|unit| u64::from_le_bytes(*unit)).collect());
            }
        }
        Some(Self::Events(slots))
    }

    /// Takes another lane's in.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Integers(all), Self::Integers(more)) => {
                all.iter_mut().zip(more).for_each(|(a, b)| *a = a.wrapping_add(b));
            }
            (Self::Signed(all), Self::Signed(more)) => {
                all.iter_mut().zip(more).for_each(|(a, b)| *a = a.wrapping_add(b));
            }
            (Self::Floats(all), Self::Floats(more)) => {
                all.iter_mut().zip(more).for_each(|(a, b)| *a += b);
            }
            (Self::Timer(all), Self::Timer(more)) => merge_timer(all, more),
            (
                Self::Histogram { float, count, sum, range, elements },
                Self::Histogram { count: n, sum: s, range: r, elements: e, .. },
            ) => {
                let floats = *float;
                *sum = if floats {
                    (f64::from_bits(*sum) + f64::from_bits(s)).to_bits()
                } else {
                    sum.wrapping_add(s)
                };
                *range = match (*range, r) {
                    (Some((a, b)), Some((c, d))) => Some((
                        pick(floats, a, c, std::cmp::Ordering::Less),
                        pick(floats, b, d, std::cmp::Ordering::Greater),
                    )),
                    (one, other) => one.or(other),
                };
                *count = count.wrapping_add(n);
                elements.iter_mut().zip(e).for_each(|(a, b)| *a = a.wrapping_add(b));
            }
            (Self::Events(all), Self::Events(more)) => {
                all.extend(more);
                // Unit 0 is the time; lines of one lane stay in their order.
                all.sort_by_key(|slot| slot.first().copied());
            }
            _ => {}
        }
    }

    /// What to restore, in this order: units of a cell or slot, and elements.
    pub(crate) fn units(&self, ty: Option<DataType>) -> Vec<(Vec<u64>, &[u64])> {
        match self {
            Self::Integers(all) => vec![(all.clone(), &[])],
            Self::Signed(all) => {
                vec![(all.iter().map(|n| n.cast_unsigned()).collect(), &[])]
            }
            Self::Floats(all) => {
                #[allow(clippy::cast_possible_truncation)] // Sums of f32 are an f32 again.
                let bits = |x: &f64| match ty {
                    Some(DataType::F32) => u64::from((*x as f32).to_bits()),
                    _ => x.to_bits(),
                };
                vec![(all.iter().map(bits).collect(), &[])]
            }
            Self::Timer(all) => vec![(all.to_vec(), &[])],
            Self::Histogram { count, sum, range, elements, .. } => {
                let (min, max) = range.unwrap_or((0, 0));
                vec![(vec![*count, 0, *sum, min, max], elements)]
            }
            Self::Events(slots) => slots.iter().map(|slot| (slot.clone(), &[][..])).collect(),
        }
    }
}

/// Of two values, given as bits, the smaller or the larger.
fn pick(floats: bool, a: u64, b: u64, wanted: std::cmp::Ordering) -> u64 {
    let order = if floats { f64::from_bits(a).total_cmp(&f64::from_bits(b)) } else { a.cmp(&b) };
    if order == wanted { a } else { b }
}

/// As FORMAT.md section 4.3 combines timers.
fn merge_timer(all: &mut [u64; 5], more: [u64; 5]) {
    if more[0] == 0 {
        return;
    }
    if all[0] == 0 {
        *all = more;
        return;
    }
    let last = if more[0] > all[0] { more[4] } else { all[4] };
    *all = [
        all[0].wrapping_add(more[0]),
        all[1].wrapping_add(more[1]),
        all[2].min(more[2]),
        all[3].max(more[3]),
        last,
    ];
}
