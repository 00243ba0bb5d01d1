//! Edges of PROTOCOL.md sections 2.3, 2.5 and 9 in real memory: numbers that wrap to 0, readers
//! that stall, and the limits of verdicts. Numbers start shortly below 2^32.

use std::cell::Cell;

use mmstats_core::protocol::{ATTEMPTS, Site};
use mmstats_core::read::{Field, Image, Lane as Seen, Value, Verdict};
use mmstats_core::{
    Array, Atom32, Average, Buckets, Counter, DataType, Events, FieldId, FieldSpec, Histogram,
    Lane, Rate, Region, Schema, Source, StaticBytes, StaticMemory, Text, Timer, Window, Writer,
};

type Memory = StaticMemory;

const FIELDS: [FieldSpec<'_>; 7] = [
    FieldSpec::text("text", 16),
    FieldSpec::array("array", DataType::U64, 2),
    FieldSpec::timer("timer"),
    FieldSpec::average("average"),
    FieldSpec::window("window", DataType::U64, 5),
    FieldSpec::events("events", 7, 16),
    FieldSpec::histogram("histogram", Buckets::integers(0.5, 1, 1000)),
];
const TEXT: usize = 0;
const ARRAY: usize = 1;
const TIMER: usize = 2;
const AVERAGE: usize = 3;
const WINDOW: usize = 4;
const EVENTS: usize = 5;
const HISTOGRAM: usize = 6;

/// An image with one lane whose cells have the number `from`, rounded down to a multiple of their
/// slots, so that the newest slot is the first one as in a fresh cell.
struct Old {
    writer: Writer<Memory>,
    lane: Lane<Memory>,
}

impl Old {
    fn new(specs: &'static [FieldSpec<'static>], from: u32) -> Self {
        let mut schema = Schema::<16>::new();
        schema.add_all(specs).unwrap();
        let memory = Box::leak(Box::new(StaticBytes::<65_536>::new())).into_memory();
        let mut writer = schema.create(memory, 1, [7; 16]).unwrap();
        let lane = writer.lane().unwrap();
        let old = Self { writer, lane };
        for field in old.fields().iter().filter(|field| field.slots() > 0) {
            old.seq(field).store(begin(field, from));
        }
        old
    }

    fn image(&self) -> Image<&Region<Memory>> {
        Image::open(self.writer.region()).unwrap()
    }

    fn fields(&self) -> Vec<Field> {
        self.image().fields().map(Result::unwrap).collect()
    }

    fn seen(&self) -> Seen {
        self.image().lane(0).consistent().unwrap()
    }

    fn seq(&self, field: &Field) -> Atom32<Memory> {
        Atom32::new(self.writer.region(), self.seen().offset() + field.place()).unwrap()
    }

    fn read<R>(&self, field: &Field, look: impl FnOnce(Value<'_>) -> R) -> R {
        let mut out = vec![0; field.buffer_size()];
        look(self.image().read(0, field, &mut out).consistent().unwrap())
    }
}

fn begin(field: &Field, from: u32) -> u32 {
    from & !(field.slots() - 1)
}

/// The number of a cell after `n` more publishes.
fn number(field: &Field, n: u64) -> u32 {
    begin(field, LATE).wrapping_add(u32::try_from(n).unwrap())
}

fn id(index: usize) -> FieldId {
    FieldId::from_index(u32::try_from(index).unwrap())
}

/// Sixteen numbers before the wrap.
const LATE: u32 = u32::MAX - 15;

#[test]
fn latched_values_number_wraps() {
    let old = Old::new(&FIELDS, LATE);
    let fields = old.fields();
    let text = Text::<16, _>::attach(&old.lane, id(TEXT)).unwrap();
    let array = Array::<u64, 2, _>::attach(&old.lane, id(ARRAY)).unwrap();
    let timer = Timer::attach(&old.lane, id(TIMER)).unwrap();
    let average = Average::attach(&old.lane, id(AVERAGE)).unwrap();
    let mut out = [0; 64];
    for n in 1..=40_u64 {
        let line = format!("number {n}");
        text.set(&line);
        array.set(&[n, 10 * n]);
        timer.record_nanos(n);
        average.record(1.0);
        old.read(&fields[TEXT], |value| {
            assert_eq!(value, Value::Text { text: &line, cut: false });
        });
        let slot = old.image().read_slot(0, &fields[ARRAY], &mut out).consistent().unwrap();
        assert_eq!(slot.number(), number(&fields[ARRAY], n));
        old.read(&fields[ARRAY], |value| {
            let Value::Array(values) = value else { panic!("{value:?}") };
            assert_eq!(values.bytes(), [n.to_le_bytes(), (10 * n).to_le_bytes()].as_flattened());
        });
        // These add to the last slot, also if its number is 0.
        assert_eq!((timer.totals().count, timer.totals().sum), (n, n * (n + 1) / 2));
        old.read(&fields[TIMER], |value| {
            let Value::Array(values) = value else { panic!("{value:?}") };
            assert_eq!(values.get(0), Some(mmstats_core::read::Scalar::U64(n)));
        });
        assert_eq!(average.mean(), Some(1.0));
    }
}

#[test]
fn histogram_number_wraps() {
    let old = Old::new(&FIELDS, LATE - 100);
    let fields = old.fields();
    let mut recorded = 0;
    // A new owner every ten values, each of which adds the number of slots to the number.
    for _ in 0..5 {
        let histogram = Histogram::<u64, _>::attach(&old.lane, id(HISTOGRAM)).unwrap();
        for _ in 0..10 {
            recorded += 1;
            histogram.record(recorded);
            assert_eq!(histogram.count(), recorded);
            old.read(&fields[HISTOGRAM], |value| {
                let Value::Histogram(seen) = value else { panic!("{value:?}") };
                assert_eq!(
                    (seen.count(), seen.sum_bits()),
                    (recorded, recorded * (recorded + 1) / 2)
                );
                assert_eq!(seen.counts().sum::<u64>(), recorded);
            });
        }
    }
    assert!(old.seq(&fields[HISTOGRAM]).load() < 1000, "the number wrapped around");
}

/// After the wrap a ring shows fewer values until all slots are rewritten, and never a wrong one.
#[test]
fn rings_number_wraps() {
    let old = Old::new(&FIELDS, LATE);
    let fields = old.fields();
    let events = Events::<16, _>::attach(&old.lane, id(EVENTS)).unwrap();
    let window = Window::<u64, _>::attach(&old.lane, id(WINDOW)).unwrap();
    let (field, seen) = (&fields[EVENTS], old.seen());
    let region = old.writer.region();
    for n in 1..=40_u64 {
        events.record(n, &format!("line {n}"));
        window.record(n);
        let newest = seen.newest(region, field);
        assert_eq!(newest, number(field, n));
        let mut out = vec![0; field.slot_size() as usize];
        let mut found = 0;
        for back in 0..field.slots() + 2 {
            let number = newest.wrapping_sub(back);
            let Verdict::Consistent(slot) = seen.read_number(region, field, number, &mut out)
            else {
                continue;
            };
            // Before the first line there is an empty one.
            let line = n.checked_sub(back.into()).filter(|line| *line > 0);
            let text = line.map_or_else(String::new, |line| format!("line {line}"));
            assert_eq!(
                slot.value(field),
                Verdict::Consistent(Value::Text { text: &text, cut: false })
            );
            found += 1;
        }
        // One slot is being overwritten, and number 0 is no value.
        let hidden = u32::from(newest < field.slots() - 1);
        assert_eq!(found, field.slots() - 1 - hidden, "after {n} lines");
        let mut out = vec![0; fields[WINDOW].buffer_size()];
        match old.image().read(0, &fields[WINDOW], &mut out) {
            Verdict::Consistent(Value::Window(sum)) => {
                let least = newest.min(5);
                assert_eq!(sum.count(), least);
                let first = (n + 1).saturating_sub(least.into());
                #[allow(clippy::cast_precision_loss)]
                let expected = (first..=n).sum::<u64>() as f64;
                assert!((sum.sum() - expected).abs() < 1e-9, "{} {expected}", sum.sum());
            }
            Verdict::Absent => assert_eq!(newest, 0),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rate_number_wraps() {
    const RATE: [FieldSpec<'_>; 2] =
        [FieldSpec::counter("rate"), FieldSpec::rate("rate.rate", 1, &["1"])];
    let old = Old::new(&RATE, LATE);
    let fields = old.fields();
    let (rate, counter) =
        (Rate::attach(&old.lane, id(0)).unwrap(), Counter::attach(&old.lane, id(0)).unwrap());
    let mut out = [0; 16];
    for n in 1..=200_u64 {
        rate.add(1, n * 1_000_000);
        assert_eq!(counter.get(), n);
        let seen = old.seen();
        let newest = seen.newest(old.writer.region(), &fields[1]);
        assert_eq!(newest, number(&fields[1], n));
        let slot = seen.read_number(old.writer.region(), &fields[1], newest, &mut out);
        if newest == 0 {
            assert_eq!(slot, Verdict::Absent);
        } else {
            // The sum before that addition.
            let expected = [n * 1_000_000, n - 1].map(u64::to_le_bytes);
            assert_eq!(slot.consistent().unwrap().bytes(), expected.as_flattened());
        }
    }
}

/// A region that calls `meanwhile` when the number of a cell is loaded: as if the reader stopped
/// there.
struct Stalled<'a, F> {
    region: &'a Region<Memory>,
    seq: u32,
    loads: Cell<u32>,
    meanwhile: F,
}

impl<F: Fn(u32)> Source for Stalled<'_, F> {
    fn size(&self) -> u32 {
        self.region.size()
    }

    fn load32(&self, offset: u32) -> u32 {
        let value = self.region.load32(offset);
        if offset == self.seq {
            self.loads.set(self.loads.get() + 1);
            // After the load, so that the loaded number is old.
            (self.meanwhile)(self.loads.get());
        }
        value
    }

    fn load64(&self, offset: u32) -> Option<u64> {
        self.region.load64(offset)
    }

    fn fence(&self, site: Site) {
        self.region.fence(site);
    }

    fn copy(&self, offset: u32, out: &mut [u8]) {
        self.region.copy(offset, out);
    }
}

/// Reads `field`, with `meanwhile` after load number `load` of the cell's number. Returns the
/// verdict and the number of loads.
fn stalled<R>(
    old: &Old,
    field: &Field,
    meanwhile: impl Fn(u32),
    look: impl FnOnce(Verdict<Value<'_>>) -> R,
) -> (R, u32) {
    let (region, seq) = (old.writer.region(), old.seen().offset() + field.place());
    let source = Stalled { region, seq, loads: Cell::new(0), meanwhile };
    let mut out = vec![0; field.buffer_size()];
    let result = look(Image::open(&source).unwrap().read(0, field, &mut out));
    (result, source.loads.get())
}

/// S - 2 publishes during a pass keep the value, S - 1 do not; also near the wrap.
#[test]
fn latch_stalled_reader_keeps_value_for_slots_minus_two() {
    for from in [16, LATE, LATE + 12, LATE + 8] {
        let old = Old::new(&FIELDS, from);
        let fields = old.fields();
        let array = Array::<u64, 2, _>::attach(&old.lane, id(ARRAY)).unwrap();
        let field = &fields[ARRAY];
        array.set(&[1, 10]);
        let last = Cell::new(1);
        let publish = |count| {
            for _ in 0..count {
                last.set(last.get() + 1);
                array.set(&[last.get(), 10 * last.get()]);
            }
        };
        for (during, accepted) in [(field.slots() - 2, true), (field.slots() - 1, false)] {
            let before = last.get();
            let meanwhile = |load| {
                if load == 1 {
                    publish(during);
                }
            };
            let (seen, loads) = stalled(&old, field, meanwhile, |verdict| {
                let Some(Value::Array(values)) = verdict.consistent() else { panic!("no value") };
                u64::from_le_bytes(*values.bytes().first_chunk().unwrap())
            });
            // Refused once; the next attempt succeeds.
            let expected = if accepted { (before, 2) } else { (last.get(), 4) };
            assert_eq!((seen, loads), expected, "{during} publishes in a pass, from {from}");
        }
    }
}

/// A number that went back (in a hostile file) or nearly wrapped is far away, not near.
#[test]
fn latch_nearly_wrapped_is_refused() {
    let old = Old::new(&FIELDS, LATE);
    let fields = old.fields();
    let array = Array::<u64, 2, _>::attach(&old.lane, id(ARRAY)).unwrap();
    array.set(&[1, 10]);
    let field = &fields[ARRAY];
    let seq = old.seq(field);
    for away in [1_u32, field.slots() - 1, u32::MAX - field.slots(), u32::MAX / 2] {
        let meanwhile = |load: u32| {
            if load % 2 == 1 {
                seq.store(seq.load().wrapping_sub(away));
            }
        };
        let (contended, loads) =
            stalled(&old, field, meanwhile, |verdict| verdict == Verdict::Contended);
        let wrapping = away.wrapping_neg();
        assert_eq!(contended, wrapping > field.slots() - 2, "{away} back");
        assert_eq!(loads, 2 * ATTEMPTS);
    }
}

/// S - 1 publishes in each pass: contended after 16 attempts, in which the number wraps.
#[test]
fn latch_contended_after_sixteen_attempts() {
    let old = Old::new(&FIELDS, LATE);
    let fields = old.fields();
    let array = Array::<u64, 2, _>::attach(&old.lane, id(ARRAY)).unwrap();
    let field = &fields[ARRAY];
    array.set(&[1, 10]);
    for (rests_after, expected) in [(ATTEMPTS, None), (ATTEMPTS - 1, Some(2 * ATTEMPTS))] {
        let meanwhile = |load: u32| {
            if load % 2 == 1 && load < 2 * rests_after {
                (1..field.slots()).for_each(|n| array.set(&[n.into(), 10 * u64::from(n)]));
            }
        };
        let (contended, loads) =
            stalled(&old, field, meanwhile, |verdict| verdict == Verdict::Contended);
        assert_eq!(contended, expected.is_none(), "one that rests after {rests_after}");
        assert_eq!(loads, 2 * ATTEMPTS);
    }
    assert!(old.seq(field).load() < LATE, "the number wrapped around");
    assert_eq!(ATTEMPTS, 16, "PROTOCOL.md section 2.2");
}

/// A journal loads the number three times in each attempt.
#[test]
fn journal_contended_after_sixteen_attempts() {
    let old = Old::new(&FIELDS, LATE);
    let fields = old.fields();
    let field = &fields[HISTOGRAM];
    let histogram = Histogram::<u64, _>::attach(&old.lane, id(HISTOGRAM)).unwrap();
    let slots = field.slots();
    // As many changes as a pass may span, and one more, during the loads of the elements and
    // afterwards.
    for (at, count, expected) in [
        (1, slots - 2, None),
        // An attempt ends as soon as it fails.
        (1, slots - 1, Some(2 * 16)),
        (2, slots - 2, None),
        (2, slots - 1, Some(3 * 16)),
    ] {
        let passes = Cell::new(0);
        let begin = Cell::new(old.seq(field).load());
        let meanwhile = |_load: u32| {
            // Number of the load in its attempt.
            let now = old.seq(field).load();
            if passes.get() == 0 {
                begin.set(now);
            }
            passes.set(passes.get() + 1);
            if passes.get() == at {
                (0..count).for_each(|n| histogram.record(n.into()));
            }
            let ends_early = at == 1 && count > slots - 2;
            if passes.get() == 3 || (ends_early && passes.get() == 2) {
                passes.set(0);
            }
        };
        let (contended, loads) = stalled(&old, field, meanwhile, |verdict| match verdict {
            Verdict::Consistent(Value::Histogram(seen)) => {
                assert_eq!(seen.counts().sum::<u64>(), seen.count(), "torn");
                false
            }
            Verdict::Contended => true,
            other => panic!("{other:?}"),
        });
        assert_eq!(contended, expected.is_some(), "{count} changes after load {at}");
        assert_eq!(loads, expected.unwrap_or(3), "{count} changes after load {at}");
    }
    assert!(old.seq(field).load() < LATE, "the number wrapped around");
}

/// A window that always changes is contended; a line of a ring is absent or right.
#[test]
fn ring_stalled_reader() {
    let old = Old::new(&FIELDS, LATE);
    let fields = old.fields();
    let window = Window::<u64, _>::attach(&old.lane, id(WINDOW)).unwrap();
    let field = &fields[WINDOW];
    (0..10).for_each(|n| window.record(n));
    let every = |_load: u32| (0..field.slots()).for_each(|n| window.record(n.into()));
    let (contended, _) = stalled(&old, field, every, |verdict| verdict == Verdict::Contended);
    assert!(contended);
    // A stall that keeps the oldest requested value keeps all of them.
    let spare = field.slots() - 1 - 5;
    let once = |load: u32| {
        if load == 1 {
            (0..spare).for_each(|_| window.record(1));
        }
    };
    let (count, _) = stalled(&old, field, once, |verdict| match verdict {
        Verdict::Consistent(Value::Window(sum)) => sum.count(),
        other => panic!("{other:?}"),
    });
    assert_eq!(count, 5);
}
