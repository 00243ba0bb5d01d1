//! One image in memory: writers on their lanes, readers of all lanes, fields that are added and
//! retired, lanes that are claimed and released.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use mmstats_core::read::{Image, Value, Verdict};
use mmstats_core::{
    Activity, Average, Buckets, Counter, DataType, Events, FieldId, FieldSpec, Gauge, Geometry,
    Group, Histogram, Lane, MemberSpec, Memory, Rate, Record, Region, SharedActivity, SharedGauge,
    StaticBytes, StaticMemory, Text, Timer, Window, Writer,
};

use crate::meetings::Meetings;

type Bytes = StaticBytes<262_144>;

/// Members that must be equal.
struct Pair(u64);

impl Record for Pair {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "a", spec: FieldSpec::gauge("", DataType::U64) },
        MemberSpec { label: "b", spec: FieldSpec::gauge("", DataType::U64) },
    ];

    type Words<'a> = [u64; 2];

    fn words(&self) -> Self::Words<'_> {
        [self.0; 2]
    }
}

const COUNTER: u32 = 0;
const GAUGE: u32 = 1;
const TEXT: u32 = 2;
const PAIR: u32 = 3;
const TIMER: u32 = 5;
const HISTOGRAM: u32 = 6;
const AVERAGE: u32 = 7;
const WINDOW: u32 = 8;
const EVENTS: u32 = 9;
const RATE: u32 = 10;
const SHARED: u32 = 12;
const ACTIVITY: u32 = 13;
const LATE: u32 = 14;

fn field(number: u32) -> FieldId {
    FieldId::from_index(number)
}

fn writer(memory: StaticMemory) -> Writer<StaticMemory> {
    let pair = [FieldSpec::gauge("a", DataType::U64), FieldSpec::gauge("b", DataType::U64)];
    let rate = [FieldSpec::counter("rate"), FieldSpec::rate("rate.rate", 1, &["1"])];
    let mut geometry = Geometry::new(4);
    geometry.reserve(64, 4096, 8192);
    let mut writer = Writer::create(memory, &geometry, [7; 16], 0).expect("room");
    let mut add = |spec: &FieldSpec<'_>| writer.add(spec).expect("room");
    add(&FieldSpec::counter("counter"));
    add(&FieldSpec::gauge("gauge", DataType::U64));
    add(&FieldSpec::text("text", 64));
    writer.add_group(&pair).expect("room");
    let mut add = |spec: &FieldSpec<'_>| writer.add(spec).expect("room");
    add(&FieldSpec::timer("timer"));
    add(&FieldSpec::histogram("histogram", Buckets::integers(0.1, 1, 1_000_000)));
    add(&FieldSpec::average("average"));
    add(&FieldSpec::window("window", DataType::U64, 10));
    add(&FieldSpec::events("events", 15, 32));
    writer.add_all(&rate).expect("room");
    writer.add(&FieldSpec::gauge("shared", DataType::U64)).expect("room");
    // Fewer rows than the threads begin at once.
    writer.add(&FieldSpec::activity("activity", 3, 32)).expect("room");
    writer.go_live();
    writer
}

/// Activities in progress, of all threads.
type Together = SharedActivity<32, StaticMemory>;

/// What an activity shows: one letter.
const LETTERS: [&str; 3] = ["aaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccccccccccccccc"];

/// Updates a lane and the fields that all threads share, for a while.
fn publish(region: &Region<StaticMemory>, lane: u32, together: &Together) {
    let lane = Lane::new(region.clone(), lane);
    let counter = Counter::attach(&lane, field(COUNTER)).expect("a counter");
    let gauge = Gauge::<u64, _>::attach(&lane, field(GAUGE)).expect("a gauge");
    let text = Text::<64, _>::attach(&lane, field(TEXT)).expect("a text");
    let pair = Group::<Pair, _>::attach(&lane, field(PAIR)).expect("a group");
    let timer = Timer::attach(&lane, field(TIMER)).expect("a timer");
    let histogram = Histogram::<u64, _>::attach(&lane, field(HISTOGRAM)).expect("a histogram");
    let average = Average::attach(&lane, field(AVERAGE)).expect("an average");
    let window = Window::<u64, _>::attach(&lane, field(WINDOW)).expect("a window");
    let events = Events::<32, _>::attach(&lane, field(EVENTS)).expect("events");
    let rate = Rate::attach(&lane, field(RATE)).expect("a rate");
    let activity = Activity::<32, _>::attach(&lane, field(ACTIVITY)).expect("an activity");
    for n in 1..=300_u64 {
        counter.incr();
        gauge.set(n);
        if n.is_multiple_of(7) {
            gauge.clear();
        }
        text.set(&"abcdefgh".repeat((n % 9) as usize));
        pair.set(&Pair(n));
        timer.record_nanos(n);
        histogram.record(n);
        average.record(1.0);
        window.record(n);
        events.record(n, "one line of some bytes");
        rate.add(1, n * 1_000_000);
        let [first, second, third] = LETTERS;
        let (outer, joint) = (activity.begin(n, first), together.begin(n, second));
        let (inner, more) = (activity.begin(n, third), together.begin(n, first));
        outer.set(second);
        joint.set(third);
        drop((outer, joint));
        drop((inner, more));
    }
}

/// Reads everything once; returns the number of updates.
fn look(region: &Region<StaticMemory>) -> u128 {
    let image = Image::open(region).expect("a valid image");
    let mut buffer = vec![0; 4096];
    let mut updates = 0;
    for field in image.fields() {
        let field = field.expect("a valid field");
        for lane in 0..4 {
            match image.read(lane, &field, &mut buffer) {
                Verdict::Damaged(error) => panic!("field {}: {error}", field.index()),
                Verdict::Consistent(Value::U64(n)) if field.index() == COUNTER => {
                    updates += u128::from(n);
                }
                Verdict::Consistent(Value::Text { text, .. }) if field.index() == TEXT => {
                    assert!("abcdefgh".repeat(8).starts_with(text), "torn: {text}");
                }
                Verdict::Consistent(Value::Histogram(histogram)) => {
                    let sum: u64 = histogram.counts().sum();
                    assert_eq!(sum, histogram.count(), "torn");
                }
                Verdict::Consistent(Value::Table(table)) => {
                    for (_, row) in table.rows() {
                        let Some(row) = row.consistent() else { continue };
                        assert!(LETTERS.contains(&row.text()), "torn: {}", row.text());
                    }
                }
                _ => {}
            }
            if field.index() == PAIR
                && let Verdict::Consistent(slot) = image.read_slot(lane, &field, &mut buffer)
            {
                let (a, b) = slot.bytes().split_at(8);
                assert_eq!(a, &b[..8], "torn");
            }
            if let (EVENTS, Verdict::Consistent(lane)) = (field.index(), image.lane(lane)) {
                let newest = lane.newest(region, &field);
                for back in 0..newest.min(15) {
                    lane.read_number(region, &field, newest - back, &mut buffer);
                }
            }
        }
    }
    updates
}

/// The planted fault: a plain store into the slot of a text.
#[allow(unsafe_code)]
fn plain_store(region: &Region<StaticMemory>) {
    let image = Image::open(region).expect("a valid image");
    let text = image.fields().flatten().find(|field| field.index() == TEXT).expect("the text");
    let Verdict::Consistent(lane) = image.lane(0) else { panic!("lane 0 was claimed") };
    // Behind the cell's head, and the length in the first slot.
    let offset = (lane.offset() + text.place() + 16) as usize;
    // SAFETY: the offset is one of a cell inside the memory, which lives for ever.
    let at = unsafe { region.memory().base().add(offset) }.cast::<u64>();
    // SAFETY:
    // - valid and aligned: in the middle of a slot, whose words are multiples of 8 from a base
    //   that is a multiple of 64;
    // - a data race, on purpose: other threads load this word meanwhile. They only compare the
    //   loaded value, and the process ends with a report.
    unsafe { at.write(u64::from_le_bytes(*b"abcdefgh")) };
}

pub(crate) fn run(planted: bool) {
    let memory = Box::leak(Box::new(Bytes::new())).into_memory();
    let writer = Mutex::new(writer(memory));
    let lock = || writer.lock().unwrap_or_else(PoisonError::into_inner);
    let region = lock().region().clone();
    let common = Lane::new(region.clone(), lock().claim().expect("a lane"));
    let shared = SharedGauge::<u64, _>::attach(&common, field(SHARED)).expect("a gauge");
    let together = Together::attach(&common, field(ACTIVITY)).expect("an activity");
    let done = AtomicBool::new(false);
    let write = || {
        while !done.load(Ordering::Relaxed) {
            let lane = lock().claim().expect("a lane");
            // Each round in a new thread: lanes are handed on.
            thread::scope(|inner| {
                // Begins here and ends there.
                let begun = together.begin(1, LETTERS[0]);
                let updates = || {
                    publish(&region, lane, &together);
                    drop(begun);
                };
                inner.spawn(updates).join()
            })
            .expect("updates");
            shared.set(1);
            shared.add(1);
            if planted {
                plain_store(&region);
            }
            let mut writer = lock();
            writer.hand_back(lane);
            // Adds and retires fields as long as there is room.
            if let Ok(id) = writer.add(&FieldSpec::counter("late")) {
                assert!(id.index() >= LATE);
                writer.retire(id).expect("the field exists");
            }
        }
    };
    let read = || {
        let (mut meetings, mut last) = (Meetings::new(), 0);
        loop {
            let now = look(&region);
            if !meetings.go_on(now != last) {
                break;
            }
            last = now;
        }
    };
    thread::scope(|scope| {
        let writers = [scope.spawn(write), scope.spawn(write)];
        let readers = [scope.spawn(read), scope.spawn(read)];
        // The readers have ended before the writers stop.
        let results = readers.map(thread::ScopedJoinHandle::join);
        done.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().expect("a writer"));
        results.into_iter().for_each(|result| result.expect("a reader"));
    });
    lock().close();
    look(&region);
}
