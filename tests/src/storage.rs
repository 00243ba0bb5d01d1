//! One field of each storage class and size, with values from which their number follows.

use mmstats::{Array, Counter, Error, Events, FieldOptions, Group, Histogram, Info, Key};
use mmstats::{Lane, Options, Publisher, Schema, Text, Timer};
use mmstats_observe::{File, RawValue, RawVerdict, Scratch, Storage};

use crate::payload::{Eight, Numbers, text_of};

/// How a value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The name says it.
pub enum Class {
    Atomic,
    Latched8,
    Latched32,
    Latched64,
    Latched512,
    Latched4096,
    Text,
    Group,
    Timer,
    Histogram,
    Events,
    Constant,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Atomic,
        Self::Latched8,
        Self::Latched32,
        Self::Latched64,
        Self::Latched512,
        Self::Latched4096,
        Self::Text,
        Self::Group,
        Self::Timer,
        Self::Histogram,
        Self::Events,
        Self::Constant,
    ];

    /// As a word of a command.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Atomic => "atomic",
            Self::Latched8 => "latched-8",
            Self::Latched32 => "latched-32",
            Self::Latched64 => "latched-64",
            Self::Latched512 => "latched-512",
            Self::Latched4096 => "latched-4096",
            Self::Text => "text",
            Self::Group => "group",
            Self::Timer => "timer",
            Self::Histogram => "histogram",
            Self::Events => "events",
            Self::Constant => "constant",
        }
    }

    /// The class with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// How a writer of this machine stores it. A word of 8 bytes is latched where words have 4.
    #[must_use]
    pub const fn storage(self) -> Storage {
        match self {
            Self::Atomic if usize::BITS >= 64 => Storage::Atomic,
            Self::Histogram => Storage::Journal,
            Self::Constant => Storage::Constant,
            _ => Storage::Latched,
        }
    }
}

/// Bytes of a value of each class that is an array of words.
type Words<const N: usize> = Array<u64, N>;

/// A handle of a class.
#[derive(Debug)]
pub enum Handle {
    /// One word.
    Atomic(Counter),
    /// 8 bytes.
    Latched8(Words<1>),
    /// 32 bytes: the largest of two slots.
    Latched32(Words<4>),
    /// 64 bytes: four slots.
    Latched64(Words<8>),
    /// 512 bytes.
    Latched512(Box<(Words<64>, [u64; 64])>),
    /// 4 KiB.
    Latched4096(Box<(Words<512>, [u64; 512])>),
    /// 16 to 64 bytes.
    Text(Text<64>, String),
    /// Eight members.
    Group(Group<Eight>),
    /// Five words.
    Timer(Timer),
    /// A journal.
    Histogram(Histogram<u64>),
    /// A ring.
    Events(Events<64>),
    /// Nothing to update.
    Constant,
}

/// Label of the field.
pub const LABEL: &str = "value";

/// Lines of the events field.
pub const RING: u64 = 15;

/// The constant.
pub const CONSTANT: u64 = 0x0123_4567_89AB_CDEF;

/// Publishes one field of the class, and a [`Counter`] beside it.
///
/// # Errors
///
/// As [`Options::start`].
pub fn publish(options: Options, class: Class) -> Result<(Publisher<Lane>, Handle), Error> {
    let mut schema = Schema::new();
    macro_rules! start {
        ($type:ty, $options:expr, $make:expr) => {{
            let key: Key<$type> = schema.add(LABEL, $options);
            let publisher: Publisher<Lane> = options.schema(schema).start()?;
            let handle = publisher.lane()?.attach(key)?;
            Ok((publisher, $make(handle)))
        }};
    }
    match class {
        Class::Atomic => start!(Counter, FieldOptions::new(), Handle::Atomic),
        Class::Latched8 => start!(Words<1>, FieldOptions::new(), Handle::Latched8),
        Class::Latched32 => start!(Words<4>, FieldOptions::new(), Handle::Latched32),
        Class::Latched64 => start!(Words<8>, FieldOptions::new(), Handle::Latched64),
        Class::Latched512 => {
            start!(Words<64>, FieldOptions::new(), |h| Handle::Latched512(Box::new((h, [0; 64]))))
        }
        Class::Latched4096 => {
            start!(Words<512>, FieldOptions::new(), |h| Handle::Latched4096(Box::new((
                h, [0; 512]
            ))))
        }
        Class::Text => start!(Text<64>, FieldOptions::new(), |h| Handle::Text(h, String::new())),
        Class::Group => start!(Group<Eight>, FieldOptions::new(), Handle::Group),
        Class::Timer => start!(Timer, FieldOptions::new(), Handle::Timer),
        Class::Histogram => start!(Histogram<u64>, FieldOptions::new(), Handle::Histogram),
        Class::Events => {
            let lines = u32::try_from(RING).unwrap_or(u32::MAX);
            start!(Events<64>, FieldOptions::new().entries(lines), Handle::Events)
        }
        Class::Constant => {
            schema.add::<Info>(LABEL, FieldOptions::new().value(CONSTANT.cast_signed()));
            Ok((options.schema(schema).start()?, Handle::Constant))
        }
    }
}

impl Handle {
    /// Publishes value number `n`; numbers are consecutive from 1.
    #[inline]
    pub fn publish(&mut self, n: u64) {
        match self {
            Self::Atomic(counter) => counter.set(n),
            Self::Latched8(array) => array.set(&[n]),
            Self::Latched32(array) => array.set(&words(n)),
            Self::Latched64(array) => array.set(&words(n)),
            Self::Latched512(array) => {
                array.1 = words(n);
                array.0.set(&array.1);
            }
            Self::Latched4096(array) => {
                array.1 = words(n);
                array.0.set(&array.1);
            }
            Self::Text(text, buffer) => {
                text_of(n, buffer);
                text.set(buffer);
            }
            Self::Group(group) => group.set(&Eight::of(n)),
            Self::Timer(timer) => timer.record_nanos(n),
            Self::Histogram(histogram) => histogram.record(n),
            Self::Events(events) => {
                events.record_fmt(format_args!("{n:016x} {:016x}", crate::payload::mix(n, 1)));
            }
            Self::Constant => {}
        }
    }
}

/// The words of value number `n`: from `n` upwards.
fn words<const N: usize>(n: u64) -> [u64; N] {
    let mut words = [n; N];
    for (index, word) in (0..).zip(words.iter_mut()) {
        *word += index;
    }
    words
}

/// Result of reading the field in lane 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Number of the value, which is whole.
    Value(u64),
    /// No value yet.
    Nothing,
    /// The verdict contended.
    Contended,
}

/// Reads the field in a lane.
///
/// # Errors
///
/// If the value is torn, mixed or damaged, or bytes of the file are missing.
pub fn read(file: &File, lane: u32, class: Class, scratch: &mut Scratch) -> Result<Seen, String> {
    let (mut seen, mut wrong) = (None, None);
    let (mut group, mut contended) = (Numbers::default(), false);
    let whole = file.visit_lane(lane, scratch, |field, verdict| {
        if !field.label().starts_with(LABEL) {
            return;
        }
        let judged = match verdict {
            RawVerdict::Consistent(value) if class == Class::Group => {
                let member = field.label().strip_prefix("value").unwrap_or_default();
                return match group.take_member(member, value) {
                    Ok(()) => {}
                    Err(error) => wrong = Some(error),
                };
            }
            RawVerdict::Consistent(value) => judge(class, value),
            RawVerdict::Absent => Ok(Seen::Nothing),
            RawVerdict::Contended => {
                contended = true;
                Ok(Seen::Contended)
            }
            other => Err(format!("{other:?}")),
        };
        match judged {
            Ok(found) => seen = Some(found),
            Err(error) => wrong = Some(error),
        }
    });
    if !whole {
        return Err(format!("bytes are missing: {:?}", file.problem()));
    }
    if let Some(wrong) = wrong {
        return Err(format!("{}: {wrong}", class.name()));
    }
    match (class, group.group) {
        (Class::Group, Some(_)) if contended => Err("a group of two reads".to_owned()),
        (Class::Group, Some(n)) => Ok(Seen::Value(n)),
        (Class::Events, _) => newest_event(file, lane),
        _ => seen.ok_or_else(|| format!("no field {LABEL}")),
    }
}

fn judge(class: Class, value: RawValue<'_>) -> Result<Seen, String> {
    match (class, value) {
        (Class::Atomic, RawValue::U64(0)) => Ok(Seen::Nothing),
        (Class::Atomic, RawValue::U64(n)) => Ok(Seen::Value(n)),
        (Class::Constant, RawValue::I64(n)) if n.cast_unsigned() == CONSTANT => Ok(Seen::Value(0)),
        (Class::Text, RawValue::Text { text, cut }) => {
            let mut numbers = Numbers::default();
            numbers.take_text(text, cut)?;
            Ok(numbers.text.map_or(Seen::Nothing, Seen::Value))
        }
        (Class::Timer, RawValue::Array(array)) => timer(array.bytes()),
        (Class::Histogram, RawValue::Histogram(found)) => {
            let (n, sum) = (found.count(), found.sum_bits());
            let inside = found.counts().fold(0, u64::wrapping_add);
            let right = sum == sum_to(n) && inside == n;
            let ends = (found.min_bits(), found.max_bits());
            match (n, right && (n == 0 || ends == (Some(1), Some(n)))) {
                (0, true) => Ok(Seen::Nothing),
                (_, true) => Ok(Seen::Value(n)),
                _ => Err(format!("{n} values, sum {sum}, {inside} counted, {ends:?}")),
            }
        }
        // Looked at line by line.
        (Class::Events, _) => Ok(Seen::Nothing),
        (_, RawValue::Array(array)) => {
            let mut words = array.bytes().as_chunks::<8>().0.iter();
            let n = words.next().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            match (1..).zip(words).find(|(index, word)| u64::from_le_bytes(**word) != n + index) {
                None => Ok(Seen::Value(n)),
                Some((index, word)) => {
                    let word = u64::from_le_bytes(*word);
                    Err(format!("torn: word {index} of value {n} is {word}"))
                }
            }
        }
        (_, other) => Err(format!("it is {other:?}")),
    }
}

/// A timer that recorded 1, 2, 3 and so on.
fn timer(bytes: &[u8]) -> Result<Seen, String> {
    let mut words = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let mut next = || words.next().unwrap_or(u64::MAX);
    let found = [next(), next(), next(), next(), next()];
    match found {
        [0, ..] => Ok(Seen::Nothing),
        [n, sum, 1, max, last] if sum == sum_to(n) && max == n && last == n => Ok(Seen::Value(n)),
        other => Err(format!("torn timer {other:?}")),
    }
}

/// 1 + 2 + ... + n, modulo 2^64.
const fn sum_to(n: u64) -> u64 {
    if n.is_multiple_of(2) { (n / 2).wrapping_mul(n + 1) } else { n.wrapping_mul(n.div_ceil(2)) }
}

/// The lines are whole, and none is missing between the newest and the oldest.
fn newest_event(file: &File, lane: u32) -> Result<Seen, String> {
    let field = file.find(LABEL).ok_or("no field")?;
    let events = file.events(field.index(), lane, 0).ok_or("bytes are missing")?;
    let mut newest = None;
    for event in &events {
        let line = event.line.as_ref().map_err(|damage| format!("{damage:?}"))?;
        let n = u64::from(event.number);
        let whole = format!("{n:016x} {:016x}", crate::payload::mix(n, 1));
        if line.text != whole || line.cut {
            return Err(format!("torn line {n}: {:?}", line.text));
        }
        newest = Some(n);
    }
    Ok(newest.map_or(Seen::Nothing, Seen::Value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::look;

    #[test]
    fn each_class_is_stored_as_it_says_and_read_as_it_was_written() {
        for class in Class::ALL {
            assert_eq!(Class::named(class.name()), Some(class));
            let directory = tempfile::tempdir().unwrap();
            let options = Options::new().directory(directory.path());
            let (_publisher, mut handle) = publish(options, class).unwrap();
            for n in 1..100 {
                handle.publish(n);
            }
            let observer = look(directory.path());
            let file = &observer.files()[0];
            let field = file.fields().find(|field| field.label().starts_with(LABEL)).unwrap();
            assert_eq!(field.storage(), Some(class.storage()), "{class:?}");
            let seen = read(file, 0, class, &mut Scratch::new());
            let want = if class == Class::Constant { 0 } else { 99 };
            assert_eq!(seen, Ok(Seen::Value(want)), "{class:?}");
        }
    }

    #[test]
    fn sums() {
        for n in 0..100 {
            assert_eq!(sum_to(n), (1..=n).sum());
        }
    }

    #[test]
    fn torn_values_are_told() {
        let mut words: Vec<u8> = (5_u64..10).flat_map(u64::to_le_bytes).collect();
        assert!(timer(&words).is_err());
        words[..8].copy_from_slice(&[0; 8]);
        assert_eq!(timer(&words), Ok(Seen::Nothing));
    }
}
