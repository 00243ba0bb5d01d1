//! The twin of an image, and the mirror that copies lanes into it.
#![cfg(feature = "alloc")] // the mirror's buffers
#![allow(clippy::disallowed_types)] // Signals between the threads of a test.

#[path = "../../tests/shared/phase.rs"]
mod phase;

use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use mmstats_core::SharedGauge;
use mmstats_core::read::{Image, ImageState, LaneState, Value, Verdict};
use mmstats_core::{
    Array, Average, Buckets, Counter, DataType, Events, FieldId, FieldSpec, Flag, Gauge, Geometry,
    Histogram, Lane, Mirror, Rate, Region, State, StateSet, StaticBytes, StaticMemory, Text, Timer,
    Window, Writer,
};

use phase::Phase;

// There are no shared gauges where 64 bits are not atomic.
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
type Shared = SharedGauge<u64, StaticMemory>;
#[cfg(not(all(target_pointer_width = "64", target_has_atomic = "64")))]
type Shared = Gauge<u64, StaticMemory>;

fn memory() -> StaticMemory {
    Box::leak(Box::new(StaticBytes::<262_144>::new())).into_memory()
}

fn geometry() -> Geometry {
    let mut geometry = Geometry::new(3);
    geometry.reserve(80, 8_192, 32_768);
    geometry
}

fn source() -> Writer<StaticMemory> {
    Writer::create(memory(), &geometry(), [7; 16], 0).unwrap()
}

/// All values of all lanes, as texts.
fn values(region: &Region<StaticMemory>) -> Vec<String> {
    let image = Image::open(region).unwrap();
    let mut out = vec![0; 1 << 20];
    let mut values = Vec::new();
    for index in 0..image.header().lanes_used(region).unwrap() {
        let Verdict::Consistent(lane) = image.lane(index) else { panic!("lane {index}") };
        values.push(format!("lane {index}: {:?} {}", lane.state(), lane.owners(region)));
        for field in image.fields().map(Result::unwrap) {
            if field.retired(region) {
                continue;
            }
            let label = image.label(&field, &mut [0; 255]).to_owned();
            let reading = match image.read(index, &field, &mut out) {
                Verdict::Consistent(Value::Histogram(found)) => {
                    let counts: Vec<u64> = found.counts().collect();
                    format!("{} {:?} {counts:?}", found.sum_bits(), found.min_bits())
                }
                other => format!("{other:?}"),
            };
            let newest = lane.newest(region, &field);
            let kept = newest.saturating_sub(field.slots().saturating_sub(2)).max(1)..=newest;
            let ring = field.properties().ring().is_some();
            let ring = kept.filter(|_| ring && field.slot_size() > 0).map(|number| {
                let mut out = vec![0; field.slot_size() as usize];
                let slot = lane.read_number(region, &field, number, &mut out);
                format!("{number} {:?}", slot.map(|slot| slot.bytes().to_vec()))
            });
            let ring: Vec<String> = ring.collect();
            values.push(format!("{label}: {reading} {ring:?}"));
        }
    }
    values
}

struct Handles {
    counter: Counter<StaticMemory>,
    gauge: Gauge<i32, StaticMemory>,
    flag: Flag<StaticMemory>,
    shared: Shared,
    text: Text<40, StaticMemory>,
    array: Array<u16, 5, StaticMemory>,
    state: StateSet<Phase, StaticMemory>,
    timer: Timer<StaticMemory>,
    average: Average<StaticMemory>,
    integers: Histogram<u64, StaticMemory>,
    floats: Histogram<f64, StaticMemory>,
    events: Events<24, StaticMemory>,
    window: Window<u64, StaticMemory>,
    rate: Rate<StaticMemory>,
}

fn declare(writer: &mut Writer<StaticMemory>) -> Vec<FieldId> {
    let specs = [
        FieldSpec::counter("counter"),
        FieldSpec::gauge("gauge", DataType::I32),
        FieldSpec::gauge("flag", DataType::Bool),
        FieldSpec::gauge("shared", DataType::U64),
        FieldSpec::text("text", 40),
        FieldSpec::array("array", DataType::U16, 5),
        FieldSpec::state("state", Phase::NAMES),
        FieldSpec::timer("timer"),
        FieldSpec::average("average"),
        FieldSpec::histogram("integers", Buckets::integers(0.05, 1, 1_000_000)),
        FieldSpec::histogram("floats", Buckets::floats(0.05, 0.1, 1_000.0)),
        FieldSpec::events("events", 6, 24),
        FieldSpec::window("window", DataType::U64, 5),
    ];
    let mut ids: Vec<_> = specs.iter().map(|spec| writer.add(spec).unwrap()).collect();
    let rate = [FieldSpec::counter("rate"), FieldSpec::rate("rate.rate", 1_000, &["60"])];
    ids.push(writer.add_all(&rate).unwrap());
    ids
}

impl Handles {
    fn attach(lane: &Lane<StaticMemory>, ids: &[FieldId]) -> Self {
        let mut ids = ids.iter().copied();
        let mut id = || ids.next().unwrap();
        Self {
            counter: Counter::attach(lane, id()).unwrap(),
            gauge: Gauge::attach(lane, id()).unwrap(),
            flag: Flag::attach(lane, id()).unwrap(),
            shared: Shared::attach(lane, id()).unwrap(),
            text: Text::attach(lane, id()).unwrap(),
            array: Array::attach(lane, id()).unwrap(),
            state: StateSet::attach(lane, id()).unwrap(),
            timer: Timer::attach(lane, id()).unwrap(),
            average: Average::attach(lane, id()).unwrap(),
            integers: Histogram::attach(lane, id()).unwrap(),
            floats: Histogram::attach(lane, id()).unwrap(),
            events: Events::attach(lane, id()).unwrap(),
            window: Window::attach(lane, id()).unwrap(),
            rate: Rate::attach(lane, id()).unwrap(),
        }
    }

    /// Updates all fields, differently for each `n`.
    fn update(&self, n: u32) {
        let wide = u64::from(n);
        self.counter.add(wide);
        self.gauge.set(-n.cast_signed());
        self.flag.set(n.is_multiple_of(2));
        self.shared.add(wide);
        self.text.set(&"x".repeat(n as usize % 41));
        self.array.set(&[u16::try_from(n % 65_536).unwrap(); 5]);
        self.state.set(Phase::Busy);
        self.timer.record_nanos(wide);
        self.average.record(wide as f64);
        self.integers.record(wide);
        self.floats.record(wide as f64 / 2.0);
        self.events.record(wide, &format!("event {n}"));
        self.window.record(wide);
        self.rate.add(1, wide * 1_000_000_000);
    }
}

#[test]
fn copy_every_kind_is_equal() {
    let mut from = source();
    let ids = declare(&mut from);
    let lane = from.lane().unwrap();
    let handles = Handles::attach(&lane, &ids);
    (1..=3).for_each(|n| handles.update(n));
    from.go_live();
    let mut to = from.twin(memory(), 4).unwrap();
    let mut mirror = Mirror::new();
    assert_eq!(mirror.copy(&from, &mut to, None), 0);
    assert!(Image::open(to.region()).is_err(), "building");
    to.go_live();
    assert_eq!(Image::open(to.region()).unwrap().header().part(), 4);
    assert_eq!(values(from.region()), values(to.region()));
    // One update, as many as a ring holds, a few more, and many more.
    let mut n = 4;
    for updates in [1, 0, 6, 7, 8, 13, 14, 15, 16, 100, 1] {
        (0..updates).for_each(|_| {
            handles.update(n);
            n += 1;
        });
        assert_eq!(mirror.copy(&from, &mut to, None), 0);
        assert_eq!(values(from.region()), values(to.region()), "{updates}");
    }
    handles.gauge.clear();
    handles.text.clear();
    handles.state.clear();
    assert_eq!(mirror.copy(&from, &mut to, None), 0);
    assert_eq!(values(from.region()), values(to.region()));
}

#[test]
fn copy_without_changes_stores_nothing() {
    let mut from = source();
    let ids = declare(&mut from);
    let lane = from.lane().unwrap();
    Handles::attach(&lane, &ids).update(7);
    from.go_live();
    let bytes = |writer: &Writer<StaticMemory>| {
        let mut bytes = vec![0; writer.region().size() as usize / 8 * 8];
        mmstats_core::Source::copy(writer.region(), 0, &mut bytes);
        bytes
    };
    let mut to = from.twin(memory(), 0).unwrap();
    let mut mirror = Mirror::new();
    mirror.copy(&from, &mut to, None);
    to.go_live();
    let first = bytes(&to);
    mirror.copy(&from, &mut to, None);
    assert!(first == bytes(&to));
}

#[test]
fn copy_follows_lanes_fields_and_retirement() {
    let mut from = source();
    let ids = declare(&mut from);
    let first = from.lane().unwrap();
    let handles = Handles::attach(&first, &ids);
    handles.update(5);
    from.go_live();
    let mut to = from.twin(memory(), 0).unwrap();
    let mut mirror = Mirror::new();
    mirror.copy(&from, &mut to, None);
    to.go_live();

    let late = FieldSpec::gauge("late", DataType::F64);
    let id = from.add(&late).unwrap();
    assert_eq!(to.add(&late).unwrap(), id);
    let second = from.lane().unwrap();
    Gauge::<f64, _>::attach(&second, id).unwrap().set(1.5);
    mirror.copy(&from, &mut to, None);
    assert_eq!(values(from.region()), values(to.region()));
    let state = |to: &Writer<StaticMemory>, index| {
        Image::open(to.region()).unwrap().lane(index).consistent().unwrap().state()
    };
    assert_eq!(state(&to, 1), LaneState::Owned);

    from.hand_back(first.index());
    for writer in [&mut from, &mut to] {
        writer.retire(ids[0]).unwrap();
    }
    mirror.copy(&from, &mut to, None);
    assert_eq!(values(from.region()), values(to.region()));
    assert_eq!(state(&to, 0), LaneState::HandedBack);

    // Handed back and claimed again between two copies.
    from.hand_back(second.index());
    let again = from.lane().unwrap();
    Handles::attach(&again, &ids).update(6);
    mirror.copy(&from, &mut to, None);
    assert_eq!(values(from.region()), values(to.region()));
    to.close();
    assert_eq!(Image::open(to.region()).unwrap().state().unwrap(), ImageState::Closed);
}

#[test]
fn copy_own_field_stays() {
    let mut from = source();
    let own = from.add(&FieldSpec::timestamp("own")).unwrap();
    let lane = from.lane().unwrap();
    Gauge::<u64, _>::attach(&lane, own).unwrap().set(1);
    from.go_live();
    let mut to = from.twin(memory(), 0).unwrap();
    let mut mirror = Mirror::new();
    mirror.copy(&from, &mut to, Some(own));
    to.go_live();
    let copy = Lane::new(to.region().clone(), 0);
    let copied = Gauge::<u64, _>::attach(&copy, own).unwrap();
    assert_eq!(copied.get(), None);
    copied.set(2);
    mirror.copy(&from, &mut to, Some(own));
    assert_eq!(copied.get(), Some(2));
    from.hand_back(0);
    mirror.copy(&from, &mut to, Some(own));
    assert_eq!(copied.get(), None);
}

#[test]
fn copy_of_large_counts_takes_small_steps() {
    let mut from = source();
    let ids = declare(&mut from);
    let lane = from.lane().unwrap();
    let handles = Handles::attach(&lane, &ids);
    let mut to = from.twin(memory(), 0).unwrap();
    to.go_live();
    let mut mirror = Mirror::new();
    mirror.copy(&from, &mut to, None);
    // As after 2^40 values of 1: the slot of change 4 under another number.
    from.restore(0, ids[9], &[1 << 40, 0, 1 << 40, 1, 1], &[0, 1 << 40]).unwrap();
    from.go_live();
    assert_eq!(mirror.copy(&from, &mut to, None), 0);
    assert_eq!(values(from.region()), values(to.region()));
    handles.integers.record(1);
    assert_eq!(mirror.copy(&from, &mut to, None), 0);
    assert_eq!(values(from.region()), values(to.region()));
}

/// A writer, the mirror and a reader at once.
#[test]
fn copy_while_fields_change_is_not_torn() {
    let mut from = source();
    let ids = declare(&mut from);
    let region = from.region().clone();
    let index = from.claim().unwrap();
    from.go_live();
    let mut to = from.twin(memory(), 0).unwrap();
    to.go_live();
    let twin = to.region().clone();
    let stop = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let handles = Handles::attach(&Lane::new(region, index), &ids);
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                handles.update(n);
            }
            n
        });
        let copier = scope.spawn(|| {
            let mut mirror = Mirror::new();
            while !stop.load(Ordering::Relaxed) {
                mirror.copy(&from, &mut to, None);
            }
            writer.join().unwrap();
            assert_eq!(mirror.copy(&from, &mut to, None), 0);
            to
        });
        let image = Image::open(&twin).unwrap();
        let fields: Vec<_> = image.fields().map(Result::unwrap).collect();
        let mut out = vec![0; 65_536];
        let (mut last, mut most) = (0, 0);
        let end = std::time::Instant::now() + std::time::Duration::from_millis(500);
        while std::time::Instant::now() < end {
            if let Verdict::Consistent(Value::Array(array)) = image.read(0, &fields[5], &mut out) {
                let all: Vec<_> = array.iter().collect();
                assert!(all.iter().all(|one| *one == all[0]), "torn: {all:?}");
            }
            if let Verdict::Consistent(Value::Text { text, .. }) =
                image.read(0, &fields[4], &mut out)
            {
                assert!(text.bytes().all(|byte| byte == b'x'));
            }
            match image.read(0, &fields[9], &mut out) {
                Verdict::Consistent(Value::Histogram(found)) => {
                    assert_eq!(found.counts().sum::<u64>(), found.count());
                    assert!(found.count() >= last, "{} after {last}", found.count());
                    last = found.count();
                    most = most.max(last);
                }
                Verdict::Contended | Verdict::Absent => {}
                other => panic!("{other:?}"),
            }
            if let Verdict::Damaged(error) = image.read(0, &fields[11], &mut out) {
                panic!("{error}");
            }
        }
        stop.store(true, Ordering::Relaxed);
        let to = copier.join().unwrap();
        assert_eq!(values(from.region()), values(to.region()));
        most
    });
    assert!(most > 0);
}
