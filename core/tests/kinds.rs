//! Each kind from its handle to the reader, and a journal under concurrent writes.
#![allow(clippy::disallowed_types)] // Signals between the threads of a test.

#[path = "../../tests/shared/phase.rs"]
mod phase;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mmstats_core::read::{Field, Image, Value, Verdict};
use mmstats_core::{
    Average, Buckets, Counter, DataType, Events, FieldSpec, Gauge, Histogram, Kind, Rate, Region,
    Schema, State, StateSet, StaticBytes, StaticMemory, Window, WriteError, Writer,
};

use phase::Phase;

fn memory() -> StaticMemory {
    Box::leak(Box::new(StaticBytes::<65_536>::new())).into_memory()
}

fn image(writer: &Writer<StaticMemory>) -> (Image<&Region<StaticMemory>>, Vec<Field>) {
    let image = Image::open(writer.region()).unwrap();
    let fields = image.fields().map(Result::unwrap).collect();
    (image, fields)
}

#[test]
fn state_read_is_a_name() {
    let mut schema = Schema::<4>::new();
    let field = schema.add(FieldSpec::state("phase", Phase::NAMES)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    let phase = StateSet::<Phase, _>::attach(&lane, field).unwrap();
    let (image, fields) = image(&writer);
    assert_eq!(fields[0].kind(), Some(Kind::State));
    assert_eq!(fields[0].states(), 2);
    assert_eq!(fields[0].detail().read(image.source(), &mut [0; 64]), "idle\0busy");
    assert_eq!(image.read(0, &fields[0], &mut []), Verdict::Absent);
    assert_eq!(phase.get(), None);
    phase.set(Phase::Busy);
    assert_eq!(image.read(0, &fields[0], &mut []), Verdict::Consistent(Value::U64(1)));
    assert_eq!(phase.get(), Some(Phase::Busy));
    // A number without a name is damaged.
    Gauge::<u32, _>::attach(&lane, field).unwrap().set(2);
    let Verdict::Damaged(error) = image.read(0, &fields[0], &mut []) else { panic!() };
    assert_eq!(error.code(), "value-range");
    phase.clear();
    assert_eq!(image.read(0, &fields[0], &mut []), Verdict::Absent);
}

#[test]
fn histogram_count_sum_and_buckets() {
    let mut schema = Schema::<4>::new();
    let ints = Buckets::integers(0.05, 100, 1_000_000);
    let floats = Buckets::floats(0.05, 0.001, 10.0);
    let a = schema.add(FieldSpec::histogram("a", ints)).unwrap();
    let b = schema.add(FieldSpec::histogram("b", floats)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    assert!(Histogram::<f64, _>::attach(&lane, a).is_err(), "other values");
    let of_ints = Histogram::<u64, _>::attach(&lane, a).unwrap();
    let of_floats = Histogram::<f64, _>::attach(&lane, b).unwrap();
    let (image, fields) = image(&writer);
    let mut buffer = vec![0; fields.iter().map(Field::buffer_size).max().unwrap()];
    let lane = image.lane(0).consistent().unwrap();
    {
        let empty =
            lane.read_histogram(image.source(), &fields[0], &mut buffer).consistent().unwrap();
        assert_eq!((empty.count(), empty.sum_bits(), empty.min_bits()), (0, 0, None));
    }
    for value in [500, 7, 2_000_000, 500, 0] {
        of_ints.record(value);
    }
    for value in [-1.0, 0.5, f64::NAN, 99.0] {
        of_floats.record(value);
    }
    let found = lane.read_histogram(image.source(), &fields[0], &mut buffer).consistent().unwrap();
    assert_eq!((found.count(), found.sum_bits()), (5, 2_001_007));
    assert_eq!((found.min_bits(), found.max_bits()), (Some(0), Some(2_000_000)));
    assert_eq!(found.buckets(), ints);
    let counts: Vec<_> = found.counts().collect();
    assert_eq!(counts[0], 2, "below the range: 7 and 0");
    assert_eq!(counts[ints.element_of_int(500) as usize], 2);
    assert_eq!(*counts.last().unwrap(), 1, "above the range");
    assert_eq!(counts.iter().sum::<u64>(), 5);
    let found = lane.read_histogram(image.source(), &fields[1], &mut buffer).consistent().unwrap();
    assert_eq!((found.count(), f64::from_bits(found.sum_bits())), (3, 98.5));
    assert_eq!(found.min_bits().map(f64::from_bits), Some(-1.0));
    assert_eq!(found.max_bits().map(f64::from_bits), Some(99.0));
    let Verdict::Consistent(Value::Histogram(same)) = image.read(0, &fields[1], &mut buffer) else {
        panic!()
    };
    assert_eq!((same.count(), same.buckets()), (3, floats));
}

/// Each change keeps elements, total, sum, minimum and maximum consistent.
#[test]
fn journal_read_whole_while_written() {
    let mut schema = Schema::<4>::new();
    let field = schema.add(FieldSpec::histogram("h", Buckets::integers(0.2, 1, 1 << 20))).unwrap();
    let memory = memory();
    let mut writer = schema.create(memory, 1, [7; 16]).unwrap();
    let lane = writer.claim().unwrap();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let lane = mmstats_core::Lane::new(Region::new(memory).unwrap(), lane);
            let histogram = Histogram::<u64, _>::attach(&lane, field).unwrap();
            // Value number i is i mod 1000 + 1, so that the count determines all values.
            for i in 0.. {
                histogram.record(i % 1_000 + 1);
                written.store(i + 1, Ordering::Relaxed);
                // Bursts, and pauses in which a read must succeed.
                if i % 64 == 0 {
                    std::thread::yield_now();
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let (image, fields) = image(&writer);
        let lane = image.lane(0).consistent().unwrap();
        let mut buffer = vec![0; fields[0].buffer_size()];
        let buckets = fields[0].buckets().unwrap();
        let mut expected = vec![0_u64; buckets.elements() as usize];
        let (mut upto, mut good, mut contended) = (0_u64, 0, 0);
        let begin = std::time::Instant::now();
        // The writer may start late.
        while (good < 2_000 || upto == 0) && begin.elapsed().as_secs() < 10 {
            match lane.read_histogram(image.source(), &fields[0], &mut buffer) {
                Verdict::Consistent(found) => {
                    let count = found.count();
                    assert!(count >= upto, "went back from {upto} to {count}");
                    for i in upto..count {
                        expected[buckets.element_of_int(i % 1_000 + 1) as usize] += 1;
                    }
                    upto = count;
                    assert!(found.counts().eq(expected.iter().copied()), "mixed at {count}");
                    let (whole, rest) = (count / 1_000, count % 1_000);
                    assert_eq!(found.sum_bits(), whole * 500_500 + rest * (rest + 1) / 2);
                    assert_eq!(found.max_bits().unwrap_or(0), count.min(1_000));
                    good += 1;
                }
                Verdict::Contended => contended += 1,
                other => panic!("{other:?}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        eprintln!("{good} good, {contended} contended, {} values", written.load(Ordering::Relaxed));
        assert!(good >= 100 && upto > 0, "{good} good, {contended} contended");
    });
}

#[test]
fn average_count_and_sum() {
    let mut schema = Schema::<4>::new();
    let field = schema.add(FieldSpec::average("a")).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let average = Average::attach(&writer.lane().unwrap(), field).unwrap();
    assert_eq!(average.mean(), None);
    [1.0, 2.0, 6.0].into_iter().for_each(|value| average.record(value));
    assert_eq!(average.mean(), Some(3.0));
    let (image, fields) = image(&writer);
    let mut buffer = [0; 16];
    let Verdict::Consistent(Value::Array(array)) = image.read(0, &fields[0], &mut buffer) else {
        panic!()
    };
    assert_eq!(array.bytes(), [3.0_f64, 9.0].map(f64::to_le_bytes).as_flattened());
}

#[test]
fn window_drops_oldest() {
    let mut schema = Schema::<4>::new();
    let field = schema.add(FieldSpec::window("w", DataType::F64, 3)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let window = Window::<f64, _>::attach(&writer.lane().unwrap(), field).unwrap();
    (1..=20).for_each(|i| window.record(f64::from(i)));
    let (image, fields) = image(&writer);
    assert_eq!((fields[0].properties().param(), fields[0].slots()), (3, 8));
    let lane = image.lane(0).consistent().unwrap();
    let newest = lane.newest(image.source(), &fields[0]);
    assert_eq!(newest, 20);
    let mut buffer = [0; 8];
    let Verdict::Consistent(Value::Window(sum)) = image.read(0, &fields[0], &mut buffer) else {
        panic!()
    };
    assert_eq!((sum.count(), sum.sum()), (3, 18.0 + 19.0 + 20.0));
    for number in 0..=newest {
        let read = lane.read_number(image.source(), &fields[0], number, &mut buffer);
        // 7 of 8 slots can be read.
        let expected = (number >= 14).then(|| Value::F64(f64::from(number)));
        assert_eq!(read.and_then(|slot| slot.value(&fields[0])).consistent(), expected);
    }
}

#[test]
fn events_whole_and_in_order() {
    let mut schema = Schema::<4>::new();
    let field = schema.add(FieldSpec::events("e", 3, 12)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    assert!(Events::<13, _>::attach(&lane, field).is_err());
    let events = Events::<12, _>::attach(&lane, field).unwrap();
    assert!(events.record(10, "first"));
    assert!(!events.record(20, "elevenxx❤❤"));
    assert!(events.record_fmt(30, format_args!("{}+{}", 1, 2)));
    assert!(!events.record_fmt(40, format_args!("{}{}", "0123456789❤", "x")));
    let (image, fields) = image(&writer);
    let lane = image.lane(0).consistent().unwrap();
    let mut buffer = vec![0; fields[0].slot_size() as usize];
    let mut all = Vec::new();
    for number in 1..=lane.newest(image.source(), &fields[0]) {
        let read = lane.read_number(image.source(), &fields[0], number, &mut buffer);
        let Verdict::Consistent(slot) = read else { continue };
        let time = u64::from_le_bytes(slot.bytes()[..8].try_into().unwrap());
        let Verdict::Consistent(Value::Text { text, cut }) = slot.value(&fields[0]) else {
            panic!()
        };
        all.push((number, time, text.to_owned(), cut));
    }
    let line = |number, time, text: &str, cut| (number, time, text.to_owned(), cut);
    assert_eq!(
        all,
        [
            line(2, 20, "elevenxx❤", true),
            line(3, 30, "1+2", false),
            line(4, 40, "0123456789", true),
        ]
    );
}

#[test]
fn rate_checkpoints_of_counter() {
    let specs = [FieldSpec::counter("c"), FieldSpec::rate("c.rate", 1_000, &["60", "300"])];
    let mut schema = Schema::<4>::new();
    assert!(schema.add(FieldSpec::rate("r", 1, &["60"])).is_err(), "without its counter");
    let field = schema.add_all(&specs).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let rate = Rate::attach(&writer.lane().unwrap(), field).unwrap();
    let second = 1_000_000_000;
    for (n, now) in [(1, 5 * second), (2, 5 * second + 1), (4, 6 * second), (8, 3 * second)] {
        rate.add(n, now);
    }
    assert_eq!(rate.get(), 15);
    let (image, fields) = image(&writer);
    let lane = image.lane(0).consistent().unwrap();
    let mut buffer = [0; 16];
    let checkpoints: Vec<_> = (1..=lane.newest(image.source(), &fields[1]))
        .map(|number| {
            let read = lane.read_number(image.source(), &fields[1], number, &mut buffer);
            let bytes = read.consistent().unwrap().bytes();
            let word = |i: usize| u64::from_le_bytes(bytes[i * 8..][..8].try_into().unwrap());
            (word(0), word(1))
        })
        .collect();
    // A clock that was set back adds a checkpoint.
    assert_eq!(checkpoints, [(5 * second, 0), (6 * second, 3), (3 * second, 7)]);
}

#[test]
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // `SharedGauge` exists only there.
fn shared_gauge_set_by_any_thread() {
    use mmstats_core::SharedGauge;
    let mut schema = Schema::<4>::new();
    let a = schema.add(FieldSpec::gauge("a", DataType::I64)).unwrap();
    let b = schema.add(FieldSpec::gauge("b", DataType::F32)).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    let (a, b) = (
        SharedGauge::<i64, _>::attach(&lane, a).unwrap(),
        SharedGauge::<f32, _>::attach(&lane, b).unwrap(),
    );
    assert_eq!(a.get(), None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| a.add(3)));
            scope.spawn(|| (0..10_000).for_each(|_| b.set(0.5)));
        }
    });
    assert_eq!((a.get(), b.get()), (Some(120_000), Some(0.5)));
    let (image, fields) = image(&writer);
    assert_eq!(image.read(0, &fields[0], &mut []), Verdict::Consistent(Value::I64(120_000)));
    assert_eq!(image.read(0, &fields[1], &mut []), Verdict::Consistent(Value::F32(0.5)));
}

#[test]
fn spec_wrong_parameter_is_refused() {
    let refused = |spec: FieldSpec<'_>| {
        let mut schema = Schema::<4>::new();
        matches!(schema.add(spec), Err(WriteError::Spec(_)))
    };
    assert!(refused(FieldSpec::state("s", &[])));
    assert!(refused(FieldSpec::state("s", &["a", "a"])));
    assert!(refused(FieldSpec::state("s", &["a", ""])));
    assert!(refused(FieldSpec::state("s", &["a\0b"])));
    assert!(refused(FieldSpec::window("w", DataType::F64, 0)));
    assert!(refused(FieldSpec::window("w", DataType::F64, 40_000)));
    assert!(refused(FieldSpec::window("w", DataType::F32, 3)));
    assert!(refused(FieldSpec::events("e", 70_000, 10)));
    let group = [FieldSpec::events("e", 3, 8)];
    let ok = [FieldSpec::counter("c"), FieldSpec::rate("r", 1, &["60"])];
    let mut schema = Schema::<4>::new();
    for (interval, windows) in [(0, &["60"][..]), (1, &[]), (1, &["0"]), (1, &["6x"])] {
        let specs = [FieldSpec::counter("c"), FieldSpec::rate("r", interval, windows)];
        assert!(schema.add_all(Vec::leak(specs.to_vec())).is_err(), "{interval} {windows:?}");
    }
    assert!(schema.add_group(&group).is_err(), "a ring has a cell of its own");
    let id = schema.add_all(&ok).unwrap();
    let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
    Counter::attach(&writer.lane().unwrap(), id).unwrap().incr();
}

#[test]
fn restore_values_of_another_image() {
    let specs = [
        FieldSpec::counter("c"),
        FieldSpec::histogram("h", Buckets::integers(0.1, 1, 1_000)),
        FieldSpec::events("e", 3, 12),
    ];
    let mut geometry = mmstats_core::Geometry::new(1);
    specs.iter().for_each(|spec| geometry.add(spec).unwrap());
    let mut writer = Writer::create(memory(), &geometry, [7; 16], 0).unwrap();
    let [c, h, e] = [0, 1, 2].map(|i| writer.add(&specs[i]).unwrap());
    assert!(writer.restore(0, c, &[1], &[]).is_err(), "no lane is claimed");
    let lane = writer.claim().unwrap();
    writer.restore(lane, c, &[41], &[]).unwrap();
    let mut elements = vec![0; specs[1].properties.count() as usize];
    (elements[3], elements[5]) = (2, 1);
    writer.restore(lane, h, &[3, 0, 60, 10, 30], &elements).unwrap();
    for (time, text) in [(1, u64::from_le_bytes(*b"one\0\0\0\0\0")), (2, 0)] {
        writer.restore(lane, e, &[time, 3, text], &[]).unwrap();
    }
    writer.hand_back(lane);
    writer.go_live();
    assert_eq!(writer.restore(lane, c, &[1], &[]), Err(WriteError::Live));

    let handles = writer.lane().unwrap();
    Counter::attach(&handles, c).unwrap().incr();
    let histogram = Histogram::<u64, _>::attach(&handles, h).unwrap();
    histogram.record(20);
    let (image, fields) = image(&writer);
    // Atomic, or latched if a word is smaller.
    let mut buffer = vec![0; fields[0].buffer_size()];
    assert_eq!(image.read(0, &fields[0], &mut buffer), Verdict::Consistent(Value::U64(42)));
    let lane = image.lane(0).consistent().unwrap();
    let mut buffer = vec![0; fields[1].buffer_size()];
    let found = lane.read_histogram(image.source(), &fields[1], &mut buffer).consistent().unwrap();
    assert_eq!((found.count(), found.sum_bits(), found.max_bits()), (4, 80, Some(30)));
    assert_eq!(found.counts().sum::<u64>(), 4);
    assert_eq!(lane.newest(image.source(), &fields[2]), 2);
}
