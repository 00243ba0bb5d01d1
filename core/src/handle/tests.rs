//! Bytes stored by handles, compared with FORMAT.md without the reader.

use std::boxed::Box;
use std::vec::Vec;

use super::*;
use crate::layout::lane;
use crate::region::Source;
use crate::{
    AttachError, Buckets, Constant, DataType, FieldId, FieldSpec, Kind, Lane, Schema, StaticBytes,
    StaticMemory, Storage, Writer,
};

fn memory() -> StaticMemory {
    Box::leak(Box::new(StaticBytes::<8192>::new())).into_memory()
}

/// Lane `index`, from the offsets of FORMAT.md.
fn lane_at(writer: &Writer<StaticMemory>, index: u32) -> u32 {
    let region = writer.region();
    region.load32(76) + index * region.load32(80)
}

/// The cell of `field` in lane `index`, from the offsets of FORMAT.md.
fn cell(writer: &Writer<StaticMemory>, index: u32, field: FieldId) -> u32 {
    let region = writer.region();
    lane_at(writer, index) + region.load32(region.load32(56) + field.index() * 64 + 24)
}

fn bytes(writer: &Writer<StaticMemory>, offset: u32, len: usize) -> Vec<u8> {
    let mut out = std::vec![0; len];
    writer.region().copy(offset, &mut out);
    out
}

fn present(writer: &Writer<StaticMemory>, index: u32, field: FieldId) -> bool {
    let at = lane_at(writer, index) + lane::PRESENCE + field.index() / 32 * 4;
    writer.region().load32(at) >> (field.index() % 32) & 1 == 1
}

/// Samples refused in lane `index`.
fn refused(writer: &Writer<StaticMemory>, index: u32) -> u64 {
    let at = lane_at(writer, index) + lane::SAMPLES_REFUSED;
    u64::from_le_bytes(bytes(writer, at, 8).try_into().unwrap())
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A histogram of integers from 1 to 100 in the only lane.
fn histogram() -> (Writer<StaticMemory>, Histogram<u64, StaticMemory>) {
    let mut schema = Schema::<4>::new();
    let field = schema.add(FieldSpec::histogram("h", Buckets::integers(0.05, 1, 100))).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let histogram = Histogram::attach(&writer.lane().unwrap(), field).unwrap();
    (writer, histogram)
}

#[test]
fn gauge_scalar_is_widened_in_cell() {
    let mut schema = Schema::<8>::new();
    let small = schema.add(FieldSpec::gauge("i8", DataType::I8)).unwrap();
    let float = schema.add(FieldSpec::gauge("f32", DataType::F32)).unwrap();
    let flag = schema.add(FieldSpec::gauge("bool", DataType::Bool)).unwrap();
    let counter = schema.add(FieldSpec::counter("c")).unwrap();
    let mut writer = schema.create(memory(), 2, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();

    let gauge = Gauge::<i8, _>::attach(&lane, small).unwrap();
    assert!(!present(&writer, 0, small));
    assert_eq!(gauge.get(), None);
    gauge.set(-2);
    assert!(present(&writer, 0, small));
    assert!(!present(&writer, 1, small));
    assert_eq!(bytes(&writer, cell(&writer, 0, small), 8), [0xFE, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
    gauge.sub(127);
    assert_eq!(gauge.get(), Some(i8::MIN), "integers stop at their limits");
    gauge.clear();
    assert_eq!(gauge.get(), None);
    // A reader that has already loaded the bit gets the last value, not a zero.
    assert_eq!(writer.region().load32(cell(&writer, 0, small)), 0xFFFF_FF80);
    gauge.add(5);
    assert_eq!(gauge.get(), Some(5), "a cleared gauge starts at zero again");

    Gauge::<f32, _>::attach(&lane, float).unwrap().set(1.5);
    assert_eq!(bytes(&writer, cell(&writer, 0, float), 8), [0, 0, 0xC0, 0x3F, 0, 0, 0, 0]);
    Flag::attach(&lane, flag).unwrap().set(true);
    assert_eq!(bytes(&writer, cell(&writer, 0, flag), 8), [1, 0, 0, 0, 0, 0, 0, 0]);

    let count = Counter::attach(&lane, counter).unwrap();
    count.incr();
    count.clone().add(0x0102_0304_0506);
    assert_eq!(count.get(), 0x0102_0304_0507);
    count.set(u64::MAX);
    count.incr();
    assert_eq!(count.get(), 0, "wraps");
}

#[test]
fn attach_other_type_is_refused() {
    let pair = ["a", "b"].map(|label| FieldSpec::gauge(label, DataType::U64));
    let mut schema = Schema::<8>::new();
    let counter = schema.add(FieldSpec::counter("c")).unwrap();
    let text = schema.add(FieldSpec::text("t", 10)).unwrap();
    let info = schema.add(FieldSpec::info("i", Constant::U64(3))).unwrap();
    let gauge = schema.add(FieldSpec::gauge("g", DataType::U64)).unwrap();
    let counters = FieldSpec::array("cs", DataType::U64, 1).kind(Kind::Counter);
    let counters = schema.add(counters).unwrap();
    let pair = schema.add_group(&pair).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    assert!(Counter::attach(&lane, text).is_err());
    assert!(Counter::attach(&lane, gauge).is_err(), "same type, other kind");
    assert!(Gauge::<u64, _>::attach(&lane, counter).is_err());
    assert!(Gauge::<u64, _>::attach(&lane, info).is_err(), "a constant");
    assert!(Gauge::<i64, _>::attach(&lane, gauge).is_err());
    assert!(Text::<11, _>::attach(&lane, text).is_err());
    assert!(Text::<10, _>::attach(&lane, text).is_ok());
    assert!(Blob::<10, _>::attach(&lane, text).is_err());
    assert!(Timer::attach(&lane, text).is_err());
    assert!(Array::<u64, 2, _>::attach(&lane, gauge).is_err());
    assert!(Counter::attach(&lane, FieldId::from_index(7)).is_err());
    // Latched as the 64-bit scalars of a 32-bit machine, but not a scalar of its own.
    let (found, wanted) = (Storage::Latched.code(), Storage::Atomic);
    let other = Some(AttachError::OtherStorage { found, wanted });
    assert_eq!(Counter::attach(&lane, counters).err(), other);
    for member in [pair.index(), pair.index() + 1].map(FieldId::from_index) {
        assert_eq!(Gauge::<u64, _>::attach(&lane, member).err(), other, "{member:?}");
    }
    assert!(writer.lane().is_err(), "one lane, one owner");
}

#[test]
fn text_uses_slots_in_turn_and_cuts_at_character() {
    let mut schema = Schema::<8>::new();
    let field = schema.add(FieldSpec::text("t", 10)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    let text = Text::<10, _>::attach(&lane, field).unwrap();
    let at = cell(&writer, 0, field);
    assert!(text.set("first"));
    assert_eq!(writer.region().load32(at), 1);
    // capacity 10: slots of 24 bytes, two of them; value 1 is in slot 1.
    assert_eq!(bytes(&writer, at + 8 + 24, 16)[..13], *b"\x05\0\0\0\0\0\0\0first");
    assert!(!text.set("ab❤❤❤"), "eleven bytes do not fit");
    assert_eq!(bytes(&writer, at + 8, 16), *b"\x08\0\0\0\x01\0\0\0ab\xE2\x9D\xA4\xE2\x9D\xA4");
    assert_eq!(writer.region().load32(at), 2);
    text.clear();
    assert!(!present(&writer, 0, field));
    assert_eq!(writer.region().load32(at), 2, "nothing is published by taking a value away");
}

#[test]
fn array_elements_are_packed() {
    let mut schema = Schema::<8>::new();
    let field = schema.add(FieldSpec::array("a", DataType::I16, 5)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    Array::<i16, 5, _>::attach(&lane, field).unwrap().set(&[1, -1, 2, -2, 3]);
    let at = cell(&writer, 0, field) + 8 + 16;
    let expected = [1, 0, 0xFF, 0xFF, 2, 0, 0xFE, 0xFF, 3, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(bytes(&writer, at, 16), expected);
}

#[test]
fn timer_totals_in_slot() {
    let mut schema = Schema::<8>::new();
    let field = schema.add(FieldSpec::timer("t")).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    let timer = Timer::attach(&lane, field).unwrap();
    assert_eq!(timer.totals(), TimerTotals::default());
    for nanos in [30, 10, 20] {
        timer.record_nanos(nanos);
    }
    let expected = TimerTotals { count: 3, sum: 60, min: 10, max: 30, last: 20 };
    assert_eq!(timer.totals(), expected);
    // Value 3 is in slot 3 of 4.
    let at = cell(&writer, 0, field) + 8 + 3 * 40;
    assert_eq!(bytes(&writer, at, 40), words(&[3, 60, 10, 30, 20]));
}

struct Load {
    one: f64,
    ready: bool,
    queue: u16,
}

impl Record for Load {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "one", spec: FieldSpec::gauge("", DataType::F64) },
        MemberSpec { label: "ready", spec: FieldSpec::gauge("", DataType::Bool) },
        MemberSpec { label: "queue", spec: FieldSpec::gauge("", DataType::U16) },
    ];

    type Words<'a> = (&'a f64, (&'a bool, (&'a u16, ())));

    fn words(&self) -> Self::Words<'_> {
        (&self.one, (&self.ready, (&self.queue, ())))
    }
}

#[test]
fn group_members_share_cell_and_presence() {
    let specs = [
        FieldSpec::gauge("load.one", DataType::F64),
        FieldSpec::gauge("load.ready", DataType::Bool),
        FieldSpec::gauge("load.queue", DataType::U16),
    ];
    let mut schema = Schema::<40>::new();
    for _ in 0..30 {
        schema.add(FieldSpec::counter("c")).unwrap();
    }
    let first = schema.add_group(&specs).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane: Lane<_> = writer.lane().unwrap();
    let group = Group::<Load, _>::attach(&lane, first).unwrap();
    group.set(&Load { one: 0.5, ready: true, queue: 300 });
    for index in 30..33 {
        assert!(present(&writer, 0, FieldId::from_index(index)), "member {index}");
    }
    assert!(!present(&writer, 0, FieldId::from_index(29)));
    let at = cell(&writer, 0, first) + 8 + 24;
    assert_eq!(bytes(&writer, at, 24), words(&[0.5_f64.to_bits(), 1, 300]));
    assert!(Group::<Load, _>::attach(&lane, FieldId::from_index(31)).is_err());
}

/// The first member is not optional, the second one is.
struct Served {
    requests: u64,
    queue: u64,
}

impl Record for Served {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "requests", spec: FieldSpec::counter("served.requests") },
        MemberSpec { label: "queue", spec: FieldSpec::gauge("served.queue", DataType::U64) },
    ];

    type Words<'a> = [u64; 2];

    fn words(&self) -> Self::Words<'_> {
        [self.requests, self.queue]
    }
}

#[test]
fn group_first_member_counter_marks_other_members() {
    let specs: Vec<_> = Served::MEMBERS.iter().map(|member| member.spec).collect();
    let mut schema = Schema::<8>::new();
    let first = schema.add_group(&specs).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let group = Group::<Served, _>::attach(&writer.lane().unwrap(), first).unwrap();
    let queue = FieldId::from_index(first.index() + 1);
    assert!(!present(&writer, 0, queue));
    group.set(&Served { requests: 3, queue: 1 });
    assert!(present(&writer, 0, queue));
    // The counter has no presence bit.
    assert!(!present(&writer, 0, first));
}

/// One member of the type of the second one of `Served`.
struct Queue;

impl Record for Queue {
    const MEMBERS: &'static [MemberSpec] = Served::MEMBERS.split_at(1).1;

    type Words<'a> = [u64; 1];

    fn words(&self) -> Self::Words<'_> {
        [9]
    }
}

#[test]
fn group_inside_another_group_is_refused() {
    let specs: Vec<_> = Served::MEMBERS.iter().map(|member| member.spec).collect();
    let mut schema = Schema::<8>::new();
    let first = schema.add_group(&specs).unwrap();
    let alone = schema.add_group(&specs[1..]).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    assert!(Group::<Queue, _>::attach(&lane, alone).is_ok());
    // Its value would be stored over `requests`.
    let second = FieldId::from_index(first.index() + 1);
    let error = Group::<Queue, _>::attach(&lane, second).unwrap_err();
    assert!(matches!(error, AttachError::Place { .. }), "{error}");
}

#[test]
fn lane_claimed_again_keeps_counters_only() {
    let mut schema = Schema::<8>::new();
    let c = schema.add(FieldSpec::counter("c")).unwrap();
    let g = schema.add(FieldSpec::gauge("g", DataType::U32).kind(Kind::Gauge)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    {
        let lane = writer.lane().unwrap();
        Counter::attach(&lane, c).unwrap().add(41);
        Gauge::<u32, _>::attach(&lane, g).unwrap().set(9);
    }
    writer.hand_back(0);
    assert!(!present(&writer, 0, g));
    let lane = writer.lane().unwrap();
    assert_eq!(lane.index(), 0);
    let counter = Counter::attach(&lane, c).unwrap();
    counter.incr();
    assert_eq!(counter.get(), 42);
    assert_eq!(Gauge::<u32, _>::attach(&lane, g).unwrap().get(), None);
}

#[test]
fn handles_work_while_fields_are_added_and_retired() {
    let mut schema = Schema::<8>::new();
    let c = schema.add(FieldSpec::counter("c")).unwrap();
    let mut geometry = schema.geometry(1);
    geometry.reserve(1, 16, 8);
    let mut writer = Writer::create(memory(), &geometry, [7; 16], 0).unwrap();
    writer.add(&FieldSpec::counter("c")).unwrap();
    writer.go_live();
    let lane = writer.lane().unwrap();
    let counter = Counter::attach(&lane, c).unwrap();
    let late = writer.add(&FieldSpec::counter("late")).unwrap();
    let other = Counter::attach(&lane, late).unwrap();
    counter.incr();
    other.add(2);
    assert_eq!((counter.get(), other.get()), (1, 2));
    let full = writer.add(&FieldSpec::counter("more")).unwrap_err();
    assert!(full.is_full(), "{full}");
    assert_eq!(writer.field_count(), 2);
    writer.retire(late).unwrap();
    other.incr();
    assert!(writer.retire(FieldId::from_index(2)).is_err());
}

#[test]
fn blob_clear_is_absent() {
    let mut schema = Schema::<2>::new();
    let field = schema.add(FieldSpec::bytes("b", 8)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let blob = Blob::<8, _>::attach(&writer.lane().unwrap(), field).unwrap();
    assert!(blob.set(&[1, 2, 3]) && present(&writer, 0, field));
    blob.clear();
    assert!(!present(&writer, 0, field));
}

/// Sets the group that it belongs to, from within.
struct Nested<'a>(&'a dyn Fn(), [u64; 2]);

impl Record for Nested<'_> {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "a", spec: FieldSpec::gauge("", DataType::U64) },
        MemberSpec { label: "b", spec: FieldSpec::gauge("", DataType::U64) },
    ];

    type Words<'a>
        = [u64; 2]
    where
        Self: 'a;

    fn words(&self) -> Self::Words<'_> {
        (self.0)();
        self.1
    }
}

#[test]
fn group_set_from_its_own_record_publishes_whole_values() {
    let specs = ["a", "b"].map(|label| FieldSpec::gauge(label, DataType::U64));
    let mut schema = Schema::<8>::new();
    let first = schema.add_group(&specs).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    let group = Group::<Nested<'_>, _>::attach(&lane, first).unwrap();
    let raw = lane.descriptor(first);
    let seen = core::cell::RefCell::new(Vec::new());
    let at = cell(&writer, 0, first);
    // The slot of the value that readers take.
    let published = || {
        let seq = bytes(&writer, at, 8)[0];
        bytes(&writer, at + 8 + u32::from(seq) % raw.properties.slots() * raw.slot_size, 16)
    };
    let inner = || {
        group.set(&Nested(&|| (), [2, 2]));
        seen.borrow_mut().push(published());
    };
    group.set(&Nested(&inner, [1, 1]));
    seen.borrow_mut().push(published());
    assert_eq!(*seen.borrow(), [words(&[2, 2]), words(&[1, 1])]);
}

#[test]
#[allow(clippy::cast_precision_loss)] // Any value.
fn record_many_equals_single_records() {
    let kinds = [Buckets::integers(0.17, 1, 1_000), Buckets::floats(0.17, 1.0, 1e3)];
    let mut schema = Schema::<8>::new();
    let [integers, floats] =
        kinds.map(|buckets| schema.add(FieldSpec::histogram("h", buckets)).unwrap());
    let mut writer = schema.create(memory(), 2, [7; 16]).unwrap();
    for at_once in [false, true] {
        let lane = writer.lane().unwrap();
        let integers = Histogram::<u64, _>::attach(&lane, integers).unwrap();
        let floats = Histogram::<f64, _>::attach(&lane, floats).unwrap();
        for (value, n) in [(7, 3), (1_000_000, 2), (7, 1), (0, 4), (u64::MAX, 5)] {
            if at_once {
                integers.record_many(value, n);
                floats.record_many(value as f64, n);
            } else {
                (0..n).for_each(|_| integers.record(value));
                (0..n).for_each(|_| floats.record(value as f64));
            }
        }
        assert_eq!((integers.count(), floats.count()), (10, 15));
    }
    for (field, buckets) in [integers, floats].into_iter().zip(kinds) {
        let slots = Lane::new(writer.region().clone(), 0).descriptor(field).properties.slots();
        // The elements, behind the slots of 40 bytes.
        let elements = |lane| {
            let at = cell(&writer, lane, field) + 8 + slots * 40;
            bytes(&writer, at, buckets.elements() as usize * 8)
        };
        assert!(elements(0).iter().any(|byte| *byte != 0));
        assert_eq!(elements(0), elements(1));
    }
    assert_eq!((refused(&writer, 0), refused(&writer, 1)), (5, 5));
}

#[test]
fn record_many_beyond_one_change_is_counted_whole() {
    let (_writer, histogram) = histogram();
    histogram.record_many(3, 5_000_000_000);
    histogram.record_many(3, 0);
    assert_eq!(histogram.count(), 5_000_000_000);
    // No room in the sum: refused, and not in the buckets.
    histogram.record_many((1 << 60) - 1, 1 << 20);
    assert_eq!(histogram.count(), 5_000_000_000);
}

#[test]
fn record_many_of_too_many_is_refused_at_once() {
    let (writer, histogram) = histogram();
    let refused = || refused(&writer, 0);
    let most = ((1 << 30) - 1) << 20;
    histogram.record_many(1, most + 1);
    // The count saturates at `usize::MAX`.
    let word = u64::try_from(usize::MAX).unwrap();
    assert_eq!((histogram.count(), refused()), (0, (most + 1).min(word)));
    histogram.record_many(1, u64::MAX);
    assert_eq!((histogram.count(), refused()), (0, word));
    histogram.record_many(1, most);
    assert_eq!(histogram.count(), most);
}

#[test]
fn record_many_that_overflows_refuses_the_rest() {
    let (writer, histogram) = histogram();
    // The sum has room for four changes; the last, smaller one would fit, but comes after a refused one.
    let (one, n) = ((1 << 30) - 1, 5 * ((1 << 30) - 1) + 1);
    histogram.record_many(1 << 32, n);
    assert_eq!((histogram.count(), refused(&writer, 0)), (4 * one, one + 1));
}

#[test]
fn lane_clear_removes_optional_values_only() {
    let mut schema = Schema::<4>::new();
    let gauge = schema.add(FieldSpec::gauge("g", DataType::U64)).unwrap();
    let counter = schema.add(FieldSpec::counter("c")).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    let handle = Gauge::<u64, _>::attach(&lane, gauge).unwrap();
    let requests = Counter::attach(&lane, counter).unwrap();
    handle.set(3);
    requests.add(2);
    lane.clear(gauge).unwrap();
    lane.clear(counter).unwrap();
    assert_eq!((handle.get(), requests.get()), (None, 2));
    assert!(lane.clear(FieldId::from_index(2)).is_err());
}
