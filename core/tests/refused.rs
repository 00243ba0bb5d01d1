//! Handles that do not fit, writers without room, and their error texts; clones and `Debug` of
//! handles.
#![cfg(target_pointer_width = "64")] // Shared gauges, and 64 bits that are atomic.

use std::error::Error as _;

use mmstats_core::read::Image;
use mmstats_core::{
    Aggregation, Array, AttachError, Average, Blob, Buckets, Constant, Counter, DataType, Events,
    FieldId, FieldSpec, Gauge, Geometry, Group, Histogram, Kind, Lane, Level, MemberSpec, Rate,
    Record, Schema, SharedGauge, SpecError, State, StateSet, StaticBytes, StaticMemory, Storage,
    Text, Timer, Window, WriteError, Writer,
};

fn memory() -> StaticMemory {
    Box::leak(Box::new(StaticBytes::<32_768>::default())).into_memory()
}

#[derive(Clone, Copy)]
struct Phase;

impl State for Phase {
    const NAMES: &'static [&'static str] = &["one"];
    fn number(self) -> u32 {
        0
    }
    fn from_number(number: u32) -> Option<Self> {
        (number == 0).then_some(Self)
    }
}

struct Pair(u64, u64);

impl Record for Pair {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "a", spec: FieldSpec::gauge("", DataType::U64) },
        MemberSpec { label: "b", spec: FieldSpec::gauge("", DataType::U64) },
    ];
    type Words<'a> = [u64; 2];

    fn words(&self) -> Self::Words<'_> {
        [self.0, self.1]
    }
}

/// One field of each shape, by label.
fn everything() -> (Writer<StaticMemory>, Lane<StaticMemory>, Vec<(&'static str, FieldId)>) {
    let pair = [FieldSpec::gauge("a", DataType::U64), FieldSpec::gauge("b", DataType::U64)];
    let hits = [FieldSpec::counter("hits"), FieldSpec::rate("rate", 100, &["1"])];
    let singles = [
        FieldSpec::counter("counter"),
        FieldSpec::gauge("gauge", DataType::F64),
        FieldSpec::gauge("small", DataType::U16),
        FieldSpec::text("text", 24),
        FieldSpec::bytes("bytes", 24),
        FieldSpec::array("array", DataType::U16, 5),
        FieldSpec::state("state", Phase::NAMES),
        FieldSpec::timer("timer"),
        FieldSpec::average("average"),
        FieldSpec::window("window", DataType::F64, 3),
        FieldSpec::histogram("histogram", Buckets::integers(0.2, 1, 1000)),
        FieldSpec::events("events", 3, 24),
        FieldSpec::info("info", Constant::U64(7)),
    ];
    let mut schema = Schema::<20>::default();
    let mut ids: Vec<_> =
        singles.iter().map(|spec| (spec.label, schema.add(*spec).unwrap())).collect();
    ids.push(("pair", schema.add_group(&pair).unwrap()));
    ids.push(("hits", schema.add_all(&hits).unwrap()));
    let mut writer = schema.create(memory(), 2, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    (writer, lane, ids)
}

/// Each handle attaches to the field of its own shape and to no other one.
#[test]
fn attach_only_to_own_shape() {
    let (_writer, lane, ids) = everything();
    let fits = |attach: &dyn Fn(FieldId) -> Option<AttachError>| -> Vec<&'static str> {
        let refused = |field| {
            let error = attach(field)?;
            assert!(error.to_string().len() > 15, "{error}");
            Some(error)
        };
        ids.iter().filter(|(_, field)| refused(*field).is_none()).map(|(name, _)| *name).collect()
    };
    macro_rules! fits {
        ($handle:ty) => {
            fits(&|field| <$handle>::attach(&lane, field).err())
        };
    }
    type M = StaticMemory;
    assert_eq!(fits!(Counter<M>), ["counter", "hits"]);
    assert_eq!(fits!(Gauge<f64, M>), ["gauge"]);
    assert_eq!(fits!(Gauge<u16, M>), ["small"]);
    assert_eq!(fits!(SharedGauge<f64, M>), ["gauge"]);
    assert_eq!(fits!(Text<24, M>), ["text"]);
    assert!(fits!(Text<25, M>).is_empty() && fits!(Blob<25, M>).is_empty());
    assert_eq!(fits!(Blob<24, M>), ["bytes"]);
    assert_eq!(fits!(Array<u16, 5, M>), ["array"]);
    // Another number of elements; no array; the first member of a group.
    assert!(fits!(Array<u16, 4, M>).is_empty() && fits!(Array<u16, 1, M>).is_empty());
    assert!(fits!(Array<u64, 1, M>).is_empty());
    assert_eq!(fits!(StateSet<Phase, M>), ["state"]);
    assert_eq!(fits!(Timer<M>), ["timer"]);
    assert_eq!(fits!(Average<M>), ["average"]);
    assert_eq!(fits!(Window<f64, M>), ["window"]);
    assert!(fits!(Window<u64, M>).is_empty());
    assert_eq!(fits!(Histogram<u64, M>), ["histogram"]);
    assert_eq!(fits!(Events<24, M>), ["events"]);
    assert!(fits!(Events<25, M>).is_empty());
    assert_eq!(fits!(Rate<M>), ["hits"]);
    assert_eq!(fits!(Group<Pair, M>), ["pair"]);
    let none = Counter::attach(&lane, FieldId::from_index(99)).unwrap_err();
    assert_eq!(none, AttachError::NoSuchField { index: 99, count: 17 });
    assert_eq!(none.to_string(), "there is no field 99: the image has 17");
}

/// A clone writes to the same cell, and `Debug` shows its value.
#[test]
fn handle_clone_writes_same_cell() {
    let (writer, lane, ids) = everything();
    let id = |name: &str| ids.iter().find(|(known, _)| *known == name).unwrap().1;
    let counter = Counter::attach(&lane, id("counter")).unwrap();
    counter.clone().add(3);
    assert_eq!(counter.get(), 3);
    assert!(format!("{counter:?}").contains('3'));
    let gauge = Gauge::<f64, _>::attach(&lane, id("gauge")).unwrap();
    gauge.clone().set(1.5);
    assert_eq!(gauge.get(), Some(1.5));
    assert!(format!("{gauge:?}").starts_with("Gauge"));
    let shared = SharedGauge::<f64, _>::attach(&lane, id("gauge")).unwrap();
    shared.clone().sub(0.5);
    shared.clone().add(2.0);
    assert_eq!((shared.get(), gauge.get()), (Some(3.0), Some(3.0)));
    assert!(format!("{shared:?}").starts_with("SharedGauge"));
    let state = StateSet::<Phase, _>::attach(&lane, id("state")).unwrap();
    state.clone().set(Phase);
    assert!(state.get().is_some() && format!("{state:?}").starts_with("StateSet"));
    let array = Array::<u16, 5, _>::attach(&lane, id("array")).unwrap();
    array.clone().set(&[1; 5]);
    assert!(format!("{array:?}").starts_with("Array"));
    let histogram = Histogram::<u64, _>::attach(&lane, id("histogram")).unwrap();
    histogram.clone().record(8);
    assert_eq!(histogram.count(), 1);
    assert_eq!(histogram.buckets(), Buckets::integers(0.2, 1, 1000));
    assert!(format!("{histogram:?}").contains("Journal"));
    let image = Image::open(writer.region()).unwrap();
    let field = image.fields().nth(id("histogram").index() as usize).unwrap().unwrap();
    let mut buffer = vec![0; field.buffer_size()];
    let mut number = || {
        let lane = image.lane(0).consistent().unwrap();
        lane.read_journal(writer.region(), &field, &mut buffer).consistent().unwrap().number()
    };
    let before = number();
    histogram.record(9);
    histogram.record(10);
    assert_eq!(number(), before + 2, "each change has a number");
    let window = Window::<f64, _>::attach(&lane, id("window")).unwrap();
    window.clone().record(2.0);
    assert!(format!("{window:?}").contains("Latch"));
    let group = Group::<Pair, _>::attach(&lane, id("pair")).unwrap();
    group.clone().set(&Pair(1, 2));
    assert!(format!("{group:?}").starts_with("Group"));
    let events = Events::<24, _>::attach(&lane, id("events")).unwrap();
    assert!(events.record(1, "a line"));
    // Cut at a character, and no text after that.
    assert!(!events.record_fmt(2, format_args!("{}{}", "\u{e4}".repeat(13), "x")));
    assert_eq!(events.clone().number(), 2);
    let blob = Blob::<24, _>::attach(&lane, id("bytes")).unwrap();
    assert!(blob.set(b"x"));
    blob.clear();
}

/// Invalid specifications, with their error texts.
#[test]
fn spec_invalid_has_reason() {
    let long = "x".repeat(5000);
    let pairs = [("k", long.as_str())];
    let refused = |spec: FieldSpec<'_>| {
        let error = spec.check().unwrap_err();
        assert_eq!(Geometry::new(1).add(&spec), Err(error));
        let error = WriteError::Spec(error);
        assert!(!error.is_full() && error.source().is_some());
        error.to_string()
    };
    let counter = FieldSpec::counter("c");
    assert_eq!(refused(FieldSpec::counter("")), "a label has 1 to 255 bytes, not 0");
    assert!(refused(counter.unit(&long[..64])).ends_with("63 bytes, not 64"));
    assert!(refused(counter.help(&long)).contains("4096 bytes, not 5000"));
    assert!(refused(counter.attributes(&pairs)).contains("4096 bytes, not 5002"));
    for pairs in [&[("", "")][..], &[("a b", "")], &[("a", "\0")], &[("a", ""), ("a", "")]] {
        assert!(refused(counter.attributes(pairs)).starts_with("attribute "), "{pairs:?}");
    }
    assert!(refused(FieldSpec::text("t", 0)).contains("1 to 1048560 is possible"));
    assert!(refused(FieldSpec::array("a", DataType::U64, 131_073)).contains("131072"));
    assert!(refused(counter.kind(Kind::State)).contains("cannot be"));
    for (spec, words) in [
        (FieldSpec::state("s", &[]), "a state set has"),
        (FieldSpec::state("s", &["a", "a"]), "a state set has"),
        (FieldSpec::window("w", DataType::U64, 0), "a window has"),
        (FieldSpec::events("e", 1 << 17, 8), "a ring has"),
        (FieldSpec::histogram("h", Buckets::from_param(0x0408, 3).unwrap()), "a histogram has"),
    ] {
        assert!(refused(spec).starts_with(words), "{spec:?}");
    }
    let alone = [FieldSpec::rate("r", 1, &["1"])];
    let error = Geometry::new(1).add_all(&alone).unwrap_err();
    assert_eq!(error, SpecError::Param { kind: Kind::Rate });
    assert!(error.to_string().starts_with("a rate follows"));
    let group = Geometry::new(1).add_group(&[]).unwrap_err();
    assert!(group.to_string().starts_with("a group of 0 fields"));
    assert_eq!(
        Geometry::new(1).add_group(&[FieldSpec::info("i", Constant::Bool(true))]),
        Err(SpecError::Group { members: 1 })
    );
}

#[test]
fn writer_full_error_says_what() {
    let mut geometry = Geometry::new(1);
    geometry.reserve(1, 64, 8);
    let mut writer = Writer::create_zeroed(memory(), &geometry, [7; 16], 0).unwrap();
    let heap = writer.add(&FieldSpec::counter(&"l".repeat(80))).unwrap_err();
    let lane = writer.add(&FieldSpec::text("t", 900)).unwrap_err();
    writer.add(&FieldSpec::counter("a")).unwrap();
    let table = writer.add(&FieldSpec::counter("b")).unwrap_err();
    writer.lane().unwrap();
    let lanes = writer.lane().unwrap_err();
    for (error, text) in [
        (heap, "the heap of 64 bytes is full"),
        (lane, "lanes of 192 bytes are full"),
        (table, "all 1 descriptors are used"),
        (lanes, "all 1 lanes are owned"),
    ] {
        assert!(error.is_full() && error.source().is_none());
        assert_eq!(error.to_string(), text);
    }
    let none = writer.retire(FieldId::from_index(9)).unwrap_err();
    assert_eq!(none.to_string(), "there is no field 9");
    writer.go_live();
    let live = writer.restore(0, FieldId::from_index(0), &[], &[]).unwrap_err();
    assert_eq!(live.to_string(), "the image is live");
    writer.hand_back(7);

    let mut large = Geometry::new(1);
    large.reserve(0, 1 << 20, 0);
    let error = Writer::create(memory(), &large, [7; 16], 0).unwrap_err();
    assert!(error.to_string().ends_with("there are 32768"), "{error}");
    let error = Writer::create(memory(), &Geometry::new(0), [7; 16], 0).unwrap_err();
    assert_eq!((error, error.source().is_none()), (WriteError::TooLarge, true));
    assert!(error.to_string().contains("1 to 65536 lanes"));
    let mut schema = Schema::<1>::new();
    schema.add(FieldSpec::counter("a")).unwrap();
    let error = schema.add(FieldSpec::counter("b")).unwrap_err();
    assert_eq!(error, WriteError::TableFull { capacity: 1 });
}

/// Memory in shared owners, with a guard.
#[cfg(feature = "alloc")]
#[test]
fn memory_shared_owners_and_guard() {
    use mmstats_core::{Guarded, Latch, Memory, Region, RegionError};
    use std::{rc::Rc, sync::Arc};

    struct Dropped(Arc<()>);
    let memory = memory();
    assert!(!memory.is_empty());
    let guard = Arc::new(());
    let guarded = Rc::new(Guarded::new(Arc::new(memory), Dropped(Arc::clone(&guard))));
    assert_eq!((guarded.len(), guarded.base()), (memory.len(), memory.base()));
    let mut schema = Schema::<1>::new();
    let field = schema.add(FieldSpec::counter("c")).unwrap();
    let mut writer = schema.create(Rc::clone(&guarded), 1, [7; 16]).unwrap();
    let counter = Counter::attach(&writer.lane().unwrap(), field).unwrap();
    assert_eq!(Arc::strong_count(&guarded.guard.0), 2);
    drop((guarded, writer));
    counter.add(2);
    assert_eq!((counter.get(), Arc::strong_count(&guard)), (2, 2), "the handle keeps the guard");
    drop(counter);
    assert_eq!(Arc::strong_count(&guard), 1);

    let region = Region::new(memory).unwrap();
    assert!(format!("{region:?}").contains("32768"));
    assert_eq!(region.memory().base(), memory.base());
    for (offset, slots, size) in
        [(0, 3, 8), (0, 1, 8), (0, 2, 12), (0, 2, 0), (4, 2, 8), (0, 2, 32_760), (32_760, 2, 8)]
    {
        assert!(Latch::new(&region, offset, slots, size).is_none(), "{offset} {slots} {size}");
    }
    let latch = Latch::new(&region, 64, 2, 16).unwrap();
    assert!(format!("{latch:?}").contains("slots: 2"));
    assert_eq!(latch.clone().slot_words(), latch.slot_words());
    let error = RegionError::Misaligned { rest: 8 };
    assert_eq!(error.to_string(), "memory starts 8 bytes after a multiple of 64");
    let large = RegionError::TooLarge { len: 1 << 33 };
    assert!(large.to_string().starts_with("memory of 8589934592 bytes"));
    assert!(WriteError::Region(large).source().is_some());
    assert_eq!(WriteError::Region(error).to_string(), error.to_string());
}

/// Codes and names of the enumerations.
#[test]
fn codes_and_names_round_trip() {
    for code in 0..=255 {
        let level = Level::from_code(code);
        assert_eq!(level.code(), code.min(2));
        assert_eq!(level.name(), ["info", "diagnostic", "debug"][usize::from(code.min(2))]);
        if let Some(ty) = DataType::from_code(code) {
            assert_eq!((ty.code(), ty.to_string()), (code, ty.name().to_owned()));
            assert_eq!(ty.is_scalar(), code <= 11);
        }
        if let Some(kind) = Kind::from_code(code) {
            assert_eq!((kind.code(), kind.to_string()), (code, kind.name().to_owned()));
        }
        if let Some(rule) = Aggregation::from_code(code) {
            assert_eq!((rule.code(), rule.to_string()), (code, rule.name().to_owned()));
        }
        if let Some(storage) = Storage::from_code(code) {
            assert_eq!((storage.code(), storage.to_string()), (code, storage.name().to_owned()));
            assert_eq!(storage.has_slots(), code > 2);
        }
    }
    let known = |from: &dyn Fn(u8) -> bool| (0..=255).filter(|code| from(*code)).count();
    assert_eq!(known(&|code| DataType::from_code(code).is_some()), 13);
    assert_eq!(known(&|code| Kind::from_code(code).is_some()), 13);
    assert_eq!(known(&|code| Aggregation::from_code(code).is_some()), 5);
    assert_eq!(known(&|code| Storage::from_code(code).is_some()), 5);
}

/// Types of each kind, scalar or array of a length: KINDS.md section 1.
#[test]
fn kind_allows_types_of_document() {
    use DataType::{Bool, Bytes, F32, F64, I8, I16, I32, I64, Text, U8, U16, U32, U64};
    let all = [U8, U16, U32, U64, I8, I16, I32, I64, F32, F64, Bool, Text, Bytes];
    let wide = [U64, I64, F64];
    for ty in all {
        for (count, array) in [(1, false), (1, true), (2, true), (3, true), (5, true), (2, false)] {
            let fits = |kind: Kind| kind.allows_type(ty, count, array);
            let pair = array && count == 2;
            let unsigned = [U8, U16, U32, U64].contains(&ty);
            assert!(fits(Kind::Gauge) && fits(Kind::Info));
            assert_eq!(fits(Kind::Counter), unsigned || ty == F32 || ty == F64, "{ty}");
            assert_eq!(fits(Kind::State), unsigned && ty != U64 && !array, "{ty}");
            assert_eq!(fits(Kind::Activity), ty == Text, "{ty}");
            assert_eq!(fits(Kind::Histogram), ty == U64 && array && count >= 3, "{ty} {count}");
            assert_eq!(fits(Kind::Average), wide.contains(&ty) && pair, "{ty} {count}");
            assert_eq!(fits(Kind::Timer), ty == U64 && array && count == 5, "{ty} {count}");
            assert_eq!(fits(Kind::Events), ty == Text);
            assert_eq!(fits(Kind::Window), wide.contains(&ty) && !array, "{ty}");
            assert_eq!(fits(Kind::Rate), ty == U64 && pair, "{ty} {count}");
            assert_eq!(fits(Kind::Running), ty == U64 && !array, "{ty}");
            assert_eq!(fits(Kind::Timestamp), (ty == U64 || ty == I64) && !array, "{ty}");
        }
    }
}

/// The coarsest scale of each error: the table of KINDS.md section 4.
#[test]
fn buckets_coarsest_scale_for_error() {
    // Rounded up.
    let percent = [17.2, 8.65, 4.33, 2.17, 1.09, 0.542];
    for (scale, error) in (1..=6).zip(percent) {
        let asked = error / 100.0;
        let buckets = [Buckets::integers(asked, 1, 1000), Buckets::floats(asked, 1.0, 1000.0)];
        for buckets in buckets {
            assert_eq!(buckets.scale(), scale, "{asked}");
            assert!(buckets.relative_error() <= asked);
        }
        // Slightly less than the error of that scale.
        let finer = Buckets::integers(buckets[0].relative_error() * 0.999, 1, 1000).scale();
        assert_eq!(finer, (scale + 1).min(6), "{asked}");
    }
}
