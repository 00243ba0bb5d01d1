//! Values of a lane in plain Rust, and the handles that store them.

use std::collections::VecDeque;
use std::rc::Rc;

use mmstats_core::read::{Field, Image, Scalar, Value, Verdict};
use mmstats_core::{
    Activity, ActivityRow, Array, Average, Blob, Buckets, Counter, Events, FieldId, Gauge,
    Histogram, InProgress, Lane, Rate, Region, State, StateSet, StaticMemory, Text, Timer,
    TimerTotals, Window,
};

/// Memory of all images here.
pub type Memory = StaticMemory;

/// Capacity of all texts, bytes and lines.
pub const CAPACITY: usize = 19;
/// Length of a window.
pub const WINDOW: u32 = 3;
/// Minimum number of lines of a ring, which has one less than slots.
pub const LINES: u32 = 3;
/// Number of rows of an activity.
pub const ROWS: u32 = 3;
/// Number of elements of an array.
pub const ELEMENTS: usize = 5;
/// The names of the states.
pub const STATES: &[&str] = &["idle", "busy", "\u{fc}ber"];

/// Buckets of histograms.
pub fn buckets() -> Buckets {
    Buckets::integers(0.2, 10, 100_000)
}

/// A state by its number.
#[derive(Debug, Clone, Copy)]
pub struct Phase(u32);

impl State for Phase {
    const NAMES: &'static [&'static str] = STATES;
    fn number(self) -> u32 {
        self.0
    }
    fn from_number(number: u32) -> Option<Self> {
        ((number as usize) < STATES.len()).then_some(Self(number))
    }
}

/// Type and kind of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Counter,
    U8,
    U16,
    U64,
    I8,
    I32,
    I64,
    F32,
    F64,
    Bool,
    Timestamp,
    Text,
    Bytes,
    Array,
    State,
    Timer,
    Running,
    Average,
    Window,
    Histogram,
    Events,
    Activity,
    /// A counter and its rate: two fields.
    Rate,
    InfoNumber,
    InfoText,
}

impl What {
    pub const ALL: &'static [Self] = &[
        Self::Counter,
        Self::U8,
        Self::U16,
        Self::U64,
        Self::I8,
        Self::I32,
        Self::I64,
        Self::F32,
        Self::F64,
        Self::Bool,
        Self::Timestamp,
        Self::Text,
        Self::Bytes,
        Self::Array,
        Self::State,
        Self::Timer,
        Self::Running,
        Self::Average,
        Self::Window,
        Self::Histogram,
        Self::Events,
        Self::Activity,
        Self::Rate,
        Self::InfoNumber,
        Self::InfoText,
    ];

    /// Whether it can be a member of a group.
    pub fn is_scalar(self) -> bool {
        (Self::U8 as usize..=Self::Bool as usize).contains(&(self as usize))
    }
}

/// Value of one field in one lane.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// No value.
    Nothing,
    Unsigned(u64),
    Signed(i64),
    F32(u32),
    F64(u64),
    Bool(bool),
    Text(String, bool),
    Bytes(Vec<u8>, bool),
    Array(Vec<u16>),
    Timer(TimerTotals),
    /// Bits of count and sum.
    Average([u64; 2]),
    Window(VecDeque<u64>),
    Histogram {
        counts: Vec<u64>,
        sum: u64,
        range: Option<(u64, u64)>,
    },
    Events(VecDeque<(u64, String, bool)>),
    /// Rows in use in the order of their begins, number of the last begin, begins without a row.
    Activity(Vec<Begun>, u64, u64),
}

/// A row of an activity: begin, number, text, whether it was cut.
pub type Begun = (u64, u64, String, bool, Rc<ActivityRow>);

impl Held {
    /// In a fresh lane.
    pub fn initial(what: What) -> Self {
        match what {
            What::Counter | What::Rate => Self::Unsigned(0),
            What::Timer => Self::Timer(TimerTotals::default()),
            What::Average => Self::Average([0; 2]),
            What::Window => Self::Window(VecDeque::new()),
            What::Histogram => {
                let counts = vec![0; buckets().elements() as usize];
                Self::Histogram { counts, sum: 0, range: None }
            }
            What::Events => Self::Events(VecDeque::new()),
            What::Activity => Self::Activity(Vec::new(), 0, 0),
            _ => Self::Nothing,
        }
    }

    /// After the lane was handed back: optional values are absent.
    pub fn hand_back(&mut self, what: What) {
        if Self::initial(what) == Self::Nothing {
            *self = Self::Nothing;
        }
        if let Self::Activity(rows, ..) = self {
            rows.clear();
        }
    }
}

/// A text that depends on `n`: of any length, with characters of two bytes.
pub fn words(n: u64) -> String {
    let length = usize::try_from(n % 29).unwrap();
    n.to_string().chars().chain("\u{e4}\u{df}x".chars()).cycle().take(length).collect()
}

/// At most `CAPACITY` bytes of whole characters.
fn cut(text: &str) -> (String, bool) {
    let fits = |end: &usize| text.is_char_boundary(*end) && *end <= CAPACITY;
    let end = (0..=text.len()).rev().find(fits).unwrap_or(0);
    (text[..end].to_owned(), end < text.len())
}

/// Stores a value that depends on `n` through a new handle, and in `held`. Returns whether it is a
/// sample that must be refused.
///
/// # Panics
///
/// If the handle does not fit.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // Any bits are valid.
pub fn publish(lane: &Lane<Memory>, field: FieldId, what: What, n: u64, held: &mut Held) -> bool {
    macro_rules! gauge {
        ($type:ty, $value:expr, $held:expr) => {{
            let gauge = Gauge::<$type, _>::attach(lane, field).unwrap();
            if n % 7 == 6 {
                gauge.clear();
                *held = Held::Nothing;
            } else {
                gauge.set($value);
                *held = $held;
            }
        }};
    }
    match what {
        What::Counter => {
            Counter::attach(lane, field).unwrap().add(n);
            let Held::Unsigned(sum) = held else { panic!() };
            *sum = sum.wrapping_add(n);
        }
        What::Rate => {
            Rate::attach(lane, field).unwrap().add(n, n);
            let Held::Unsigned(sum) = held else { panic!() };
            let Some(more) = sum.checked_add(n) else { return true };
            *sum = more;
        }
        What::U8 => gauge!(u8, n as u8, Held::Unsigned(u64::from(n as u8))),
        What::U16 => gauge!(u16, n as u16, Held::Unsigned(u64::from(n as u16))),
        What::U64 | What::Timestamp => gauge!(u64, n, Held::Unsigned(n)),
        What::I8 => gauge!(i8, n as i8, Held::Signed(i64::from(n as i8))),
        What::I32 => gauge!(i32, n as i32, Held::Signed(i64::from(n as i32))),
        What::I64 => gauge!(i64, n as i64, Held::Signed(n as i64)),
        What::F32 => gauge!(f32, f32::from_bits(n as u32), Held::F32(n as u32)),
        What::F64 => gauge!(f64, f64::from_bits(n), Held::F64(n)),
        What::Bool => gauge!(bool, n % 2 == 1, Held::Bool(n % 2 == 1)),
        What::Text => {
            let text = words(n);
            let (kept, short) = cut(&text);
            let whole = Text::<CAPACITY, _>::attach(lane, field).unwrap().set(&text);
            assert_eq!(whole, !short);
            *held = Held::Text(kept, short);
        }
        What::Bytes => {
            let bytes = words(n).into_bytes();
            let blob = Blob::<CAPACITY, _>::attach(lane, field).unwrap();
            let whole = blob.set(&bytes);
            assert_eq!(whole, bytes.len() <= CAPACITY);
            *held = Held::Bytes(bytes.into_iter().take(CAPACITY).collect(), !whole);
        }
        What::Array => {
            let values: [u16; ELEMENTS] = std::array::from_fn(|i| (n >> i) as u16);
            Array::<u16, ELEMENTS, _>::attach(lane, field).unwrap().set(&values);
            *held = Held::Array(values.to_vec());
        }
        What::State => {
            let state = n % STATES.len() as u64;
            StateSet::attach(lane, field).unwrap().set(Phase(state as u32));
            *held = Held::Unsigned(state);
        }
        What::Timer => {
            Timer::attach(lane, field).unwrap().record_nanos(n);
            let Held::Timer(totals) = held else { panic!() };
            if n >= 1 << 60 || totals.sum.checked_add(n).is_none() {
                return true;
            }
            let first = totals.count == 0;
            *totals = TimerTotals {
                count: totals.count + 1,
                sum: totals.sum + n,
                min: if first { n } else { n.min(totals.min) },
                max: n.max(totals.max),
                last: n,
            };
        }
        What::Running => {
            let sections = InProgress::attach(lane, field).unwrap();
            let word = if let Held::Unsigned(word) = held { *word } else { 0 };
            let (number, since) = (word >> 52, word & ((1 << 52) - 1));
            let now = n.clamp(1, (1 << 52) - 1);
            let (number, since) = if n.is_multiple_of(3) {
                // What began at another time, also one that did not.
                let begun = n / 3;
                sections.end(begun, || n);
                match number {
                    0 | 1 => (0, 0),
                    _ => (number - 1, if begun > since { since } else { now }),
                }
            } else if number < 4095 {
                assert_eq!(sections.begin(n), Some(now));
                (number + 1, if number == 0 { now } else { since })
            } else {
                assert_eq!(sections.begin(n), None);
                return false;
            };
            *held = Held::Unsigned(number << 52 | since);
        }
        What::Average => {
            let value = n as i32 as f64;
            Average::attach(lane, field).unwrap().record(value);
            let Held::Average([count, sum]) = held else { panic!() };
            *count = (f64::from_bits(*count) + 1.0).to_bits();
            *sum = (f64::from_bits(*sum) + value).to_bits();
        }
        What::Window => {
            Window::<u64, _>::attach(lane, field).unwrap().record(n);
            let Held::Window(values) = held else { panic!() };
            values.push_back(n);
            values.forget_all_but(WINDOW as usize);
        }
        What::Histogram => {
            let value = n % 1_000_000;
            Histogram::<u64, _>::attach(lane, field).unwrap().record(value);
            let Held::Histogram { counts, sum, range } = held else { panic!() };
            counts[buckets().element_of_int(value) as usize] += 1;
            *sum += value;
            let (min, max) = range.unwrap_or((value, value));
            *range = Some((value.min(min), value.max(max)));
        }
        What::Events => {
            let (text, time) = (words(n), n);
            let (kept, short) = cut(&text);
            Events::<CAPACITY, _>::attach(lane, field).unwrap().record(time, &text);
            let Held::Events(lines) = held else { panic!() };
            lines.push_back((time, kept, short));
            lines.forget_all_but(LINES as usize);
        }
        What::Activity => {
            let activity = Activity::<CAPACITY, _>::attach(lane, field).unwrap();
            let Held::Activity(rows, begun, refused) = held else { panic!() };
            let at = n / 4 % u64::try_from(rows.len().max(1)).unwrap();
            let (text, at) = (words(n), usize::try_from(at).unwrap());
            let (kept, short) = cut(&text);
            match n % 4 {
                2 if !rows.is_empty() => {
                    let row = &mut rows[at];
                    activity.set_row(&row.4, &text);
                    (row.2, row.3) = (kept, short);
                }
                3 if !rows.is_empty() => {
                    activity.end_row(Rc::into_inner(rows.remove(at).4).unwrap());
                }
                _ => match activity.begin_row(n, &text) {
                    Some(row) => {
                        *begun += 1;
                        rows.push((n, *begun, kept, short, Rc::new(row)));
                    }
                    None => {
                        assert_eq!(rows.len(), ROWS as usize);
                        *refused += 1;
                    }
                },
            }
        }
        What::InfoNumber | What::InfoText => {
            assert!(Counter::attach(lane, field).is_err(), "a constant has no handle");
        }
    }
    false
}

/// Compares the reader's result with the published value.
///
/// # Panics
///
/// If they differ.
pub fn compare(image: &Image<&Region<Memory>>, lane: u32, field: &Field, what: What, held: &Held) {
    let mut buffer = vec![0; field.buffer_size().max(field.slot_size() as usize)];
    if what == What::Events {
        return compare_lines(image, lane, field, held);
    }
    let reading = image.read(lane, field, &mut buffer);
    let value = match (&reading, held) {
        (Verdict::Absent, Held::Nothing) => return,
        (Verdict::Absent, Held::Window(values)) if values.is_empty() => return,
        (Verdict::Consistent(value), _) => value,
        _ => panic!("{what:?}: {reading:?}, not {held:?}"),
    };
    let found = match (value, held) {
        (Value::U64(n), _) => Held::Unsigned(*n),
        (Value::I64(n), _) => Held::Signed(*n),
        (Value::F32(x), _) => Held::F32(x.to_bits()),
        (Value::F64(x), _) => Held::F64(x.to_bits()),
        (Value::Bool(b), _) => Held::Bool(*b),
        (Value::Text { text, cut }, _) => Held::Text((*text).to_owned(), *cut),
        (Value::Bytes { bytes, cut }, _) => Held::Bytes(bytes.to_vec(), *cut),
        (Value::Array(array), Held::Timer(_)) => {
            let [count, sum, min, max, last] = numbers(array.iter()).try_into().unwrap();
            Held::Timer(TimerTotals { count, sum, min, max, last })
        }
        (Value::Array(array), Held::Average(_)) => {
            Held::Average(numbers(array.iter()).try_into().unwrap())
        }
        (Value::Array(array), _) => {
            let numbers = numbers(array.iter()).into_iter();
            Held::Array(numbers.map(|n| u16::try_from(n).unwrap()).collect())
        }
        (Value::Table(table), Held::Activity(rows, _, refused)) => {
            let mut found: Vec<_> =
                table.rows().map(|(_, row)| row.consistent().unwrap()).collect();
            found.sort_by_key(mmstats_core::read::TableRow::number);
            let found = found
                .iter()
                .map(|row| (row.since().unwrap_or(0), row.number(), row.text(), row.cut()));
            let rows = rows.iter().map(|row| (row.0, row.1, &*row.2, row.3));
            assert!(found.eq(rows), "{table:?}");
            // A machine of 32 bits cannot read it.
            assert!(table.refused().is_none_or(|found| found == *refused), "{table:?}");
            return;
        }
        (Value::Window(sum), Held::Window(values)) => {
            assert_eq!(sum.count() as usize, values.len());
            #[allow(clippy::cast_precision_loss)] // Rounded once, as by the reader.
            let all = values.iter().map(|n| u128::from(*n)).sum::<u128>() as f64;
            assert_eq!(sum.sum().to_bits(), all.to_bits());
            return;
        }
        (Value::Histogram(histogram), _) => Held::Histogram {
            counts: histogram.counts().collect(),
            sum: histogram.sum_bits(),
            range: histogram.min_bits().zip(histogram.max_bits()),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(&found, held, "{what:?}");
}

fn numbers(scalars: impl Iterator<Item = Scalar>) -> Vec<u64> {
    let number = |scalar| match scalar {
        Scalar::U64(n) => n,
        Scalar::F64(x) => x.to_bits(),
        other => panic!("{other:?}"),
    };
    scalars.map(number).collect()
}

/// The lines of a ring.
fn compare_lines(image: &Image<&Region<Memory>>, lane: u32, field: &Field, held: &Held) {
    let Held::Events(lines) = held else { panic!() };
    let source = image.source();
    let lane = image.lane(lane).consistent().expect("a lane that was claimed");
    let newest = lane.newest(source, field);
    let mut buffer = vec![0; field.slot_size() as usize];
    for (back, (time, text, cut)) in (0..).zip(lines.iter().rev()) {
        let slot = lane.read_number(source, field, newest.wrapping_sub(back), &mut buffer);
        let slot = slot.consistent().expect("a line that is not overwritten");
        assert_eq!(slot.bytes()[..8], time.to_le_bytes());
        let line = Value::Text { text, cut: *cut };
        assert_eq!(slot.value(field), Verdict::Consistent(line));
    }
    if newest == 0 {
        assert!(lines.is_empty());
    }
}

/// Drops the oldest.
trait Forget {
    fn forget_all_but(&mut self, len: usize);
}

impl<T> Forget for VecDeque<T> {
    fn forget_all_but(&mut self, len: usize) {
        while self.len() > len {
            self.pop_front();
        }
    }
}
