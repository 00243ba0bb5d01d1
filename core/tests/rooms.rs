//! Room of retired fields, used again: FORMAT.md section 4, PROTOCOL.md section 6.1.
#![allow(clippy::disallowed_types)] // Signals between the threads of a test.

use mmstats_core::layout::header as h;
use mmstats_core::read::{Field, FieldError, Image, Reading, Value, Verdict};
use mmstats_core::{
    Constant, Counter, DataType, FieldId, FieldSpec, Gauge, Geometry, Lane, Region, Source,
    StaticBytes, StaticMemory, Tenants, Text, Timer, WriteError, Writer,
};

const HEAP: u32 = 64;

fn one<'a>(spec: &'a FieldSpec<'a>) -> Tenants<'a> {
    Tenants { specs: std::slice::from_ref(spec), is_group: false }
}

/// A live image with room for some fields, in two lanes.
fn image(specs: &[FieldSpec<'_>]) -> (Writer<StaticMemory>, [Lane<StaticMemory>; 2]) {
    let memory = Box::leak(Box::new(StaticBytes::<65_536>::new())).into_memory();
    let mut geometry = Geometry::new(2);
    geometry.reserve(40, 4096, 4096);
    let mut writer = Writer::create(memory, &geometry, [7; 16], 0).unwrap();
    for spec in specs {
        writer.add_room(one(spec), HEAP).unwrap();
    }
    writer.go_live();
    let lanes = [writer.lane().unwrap(), writer.lane().unwrap()];
    (writer, lanes)
}

fn fields(region: &Region<StaticMemory>) -> Vec<Result<Field, FieldError>> {
    Image::open(region).unwrap().fields().collect()
}

/// The label of a field and its value in a lane.
fn read(
    region: &Region<StaticMemory>,
    lane: u32,
    index: usize,
    check: impl FnOnce(&str, Reading<'_>),
) {
    let image = Image::open(region).unwrap();
    let field = fields(region)[index].unwrap();
    let (mut label, mut out) = ([0; 255], vec![0; field.buffer_size()]);
    let label = image.label(&field, &mut label).to_owned();
    check(&label, image.read(lane, &field, &mut out));
}

const fn id(index: u32) -> FieldId {
    FieldId::from_index(index)
}

#[test]
fn reuse_gives_descriptor_strings_and_cells() {
    let old = FieldSpec::counter("the first owner's label").help("Of the first owner.");
    let next = FieldSpec::counter("keeps");
    let (mut writer, lanes) = image(&[old, next]);
    for (n, lane) in (1..).zip(&lanes) {
        Counter::attach(lane, id(0)).unwrap().add(100 * n);
        Counter::attach(lane, id(1)).unwrap().add(n);
    }
    let before = fields(writer.region());
    writer.retire(id(0)).unwrap();
    let new = FieldSpec::counter("second").attributes(&[("peer", "b")]);
    writer.reuse(id(0), one(&new), HEAP).unwrap();
    let region = writer.region();
    assert_eq!(region.load32(h::REUSES), 2);
    for lane in [0, 1] {
        read(region, lane, 0, |label, value| {
            assert_eq!(label, "second");
            assert!(value == Verdict::Consistent(Value::U64(0)), "{value:?}");
        });
        read(region, lane, 1, |label, value| {
            assert_eq!(label, "keeps");
            assert!(value == Verdict::Consistent(Value::U64(u64::from(lane) + 1)), "{value:?}");
        });
    }
    lanes[1].follow_reuse();
    Counter::attach(&lanes[1], id(0)).unwrap().add(7);
    read(region, 1, 0, |_, value| assert!(value == Verdict::Consistent(Value::U64(7))));
    // With the descriptor that a reader has decoded before.
    let image = Image::open(region).unwrap();
    assert!(image.read(1, &before[0].unwrap(), &mut [0; 8]) == Verdict::Retired);
    assert!(image.read(1, &before[1].unwrap(), &mut [0; 8]) == Verdict::Consistent(Value::U64(2)));
    // No text of the old field is left.
    let mut bytes = vec![0; region.size() as usize];
    region.copy(0, &mut bytes);
    assert!(!bytes.windows(5).any(|part| part == b"first"), "a text of the first owner");
}

#[test]
fn reuse_of_every_storage_reads_as_fresh() {
    let group = [FieldSpec::gauge("a", DataType::U64), FieldSpec::gauge("b", DataType::U8)];
    let specs = [
        FieldSpec::timer("t"),
        FieldSpec::histogram("h", mmstats_core::Buckets::integers(0.3, 1, 1000)),
        FieldSpec::text("x", 20),
        FieldSpec::info("i", Constant::Text("constant")),
    ];
    let (mut writer, lanes) = image(&specs);
    let members = Tenants { specs: &group, is_group: true };
    let rate = [FieldSpec::counter("c"), FieldSpec::rate("r", 1000, &["60"])];
    let pair = Tenants { specs: &rate, is_group: false };
    let first_of_group = writer.add_room(members, HEAP).unwrap();
    let first_of_rate = writer.add_room(pair, HEAP).unwrap();
    Timer::attach(&lanes[0], id(0)).unwrap().record_nanos(9);
    mmstats_core::Histogram::<u64, _>::attach(&lanes[0], id(1)).unwrap().record(9);
    for round in 0..3 {
        for index in 0..8 {
            writer.retire(id(index)).unwrap();
        }
        for (index, spec) in (0..).zip(&specs) {
            let label = format!("{}{round}", spec.label);
            writer.reuse(id(index), one(&FieldSpec { label: &label, ..*spec }), HEAP).unwrap();
        }
        writer.reuse(first_of_group, members, HEAP).unwrap();
        writer.reuse(first_of_rate, pair, HEAP).unwrap();
        let region = writer.region();
        assert_eq!(fields(region).len(), 8);
        read(region, 0, 0, |label, value| {
            let Verdict::Consistent(Value::Array(array)) = value else { panic!("{value:?}") };
            assert_eq!(label, format!("t{round}"));
            assert!(array.bytes().iter().all(|byte| *byte == 0));
        });
        read(region, 0, 1, |_, value| {
            let Verdict::Consistent(Value::Histogram(all)) = value else { panic!("{value:?}") };
            assert_eq!(all.count(), 0);
        });
        read(region, 0, 2, |_, value| assert!(value == Verdict::Absent));
        read(region, 0, 3, |_, value| {
            assert!(value == Verdict::Consistent(Value::Text { text: "constant", cut: false }));
        });
        for index in 4..8 {
            assert!(fields(region)[index].is_ok());
        }
        Timer::attach(&lanes[0], id(0)).unwrap().record_nanos(round);
        mmstats_core::Histogram::<u64, _>::attach(&lanes[0], id(1)).unwrap().record(5);
        read(region, 0, 1, |_, value| {
            let Verdict::Consistent(Value::Histogram(all)) = value else { panic!("{value:?}") };
            assert_eq!((all.count(), all.sum_bits()), (1, 5));
        });
    }
    assert_eq!(writer.region().load32(h::REUSES), 2 * 3 * 6);
}

#[test]
fn reuse_of_room_in_use_is_refused() {
    let spec = FieldSpec::text("conn", 16);
    let (mut writer, lanes) = image(&[spec, FieldSpec::counter("c")]);
    let not_free = |index| Err(WriteError::NotFree { index });
    assert_eq!(writer.reuse(id(0), one(&spec), HEAP), not_free(0), "not retired");
    let text = Text::<16, _>::attach(&lanes[1], id(0)).unwrap();
    text.set("open");
    writer.retire(id(0)).unwrap();
    assert_eq!(writer.reuse(id(0), one(&spec), HEAP), not_free(0), "a lane has a value");
    text.clear();
    writer.reuse(id(0), one(&spec), HEAP).unwrap();
    assert_eq!(writer.reuse(id(0), one(&spec), HEAP), not_free(0), "live again");
    let nowhere = writer.reuse(id(2), one(&spec), HEAP);
    assert_eq!(nowhere, Err(WriteError::NoSuchField { index: 2 }));
}

#[test]
fn reuse_that_does_not_fit_is_refused() {
    let (mut writer, _) = image(&[
        FieldSpec::text("a", 16),
        FieldSpec::info("b", Constant::U64(1)),
        FieldSpec::counter("c"),
    ]);
    for index in 0..3 {
        writer.retire(id(index)).unwrap();
    }
    let mut bytes = vec![0; writer.region().size() as usize];
    writer.region().copy(0, &mut bytes);
    let room = |index| Err(WriteError::Room { index });
    let long = "l".repeat(HEAP as usize);
    for (index, spec, heap) in [
        (0, FieldSpec::text("larger", 17), HEAP),
        (0, FieldSpec::text(&long, 16), HEAP),
        (0, FieldSpec::text("heap", 16), 1 << 20),
        (0, FieldSpec::info("constant", Constant::U64(1)), HEAP),
        (1, FieldSpec::counter("no constant"), HEAP),
        (2, FieldSpec::timer("larger"), HEAP),
    ] {
        assert_eq!(writer.reuse(id(index), one(&spec), heap), room(index), "{}", spec.label);
    }
    let group = [FieldSpec::gauge("a", DataType::U64)];
    assert_eq!(writer.reuse(id(0), Tenants { specs: &group, is_group: true }, HEAP), room(0));
    let mut after = vec![0; bytes.len()];
    writer.region().copy(0, &mut after);
    assert!(bytes == after, "a refused reuse has changed something");
    // A smaller cell fits.
    writer.reuse(id(0), one(&FieldSpec::text("less", 8)), HEAP).unwrap();
    assert!(fields(writer.region()).iter().all(Result::is_ok));
}

/// A reader that looks at any time, with what it decoded before, sees no value under a wrong label.
#[test]
fn reader_beside_reuses_sees_values_of_the_label() {
    fn gauge(label: &str) -> FieldSpec<'_> {
        FieldSpec::gauge(label, DataType::U64)
    }
    let (mut writer, [lane, _]) = image(&[gauge("0"), FieldSpec::counter("other")]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let seen = std::sync::atomic::AtomicU64::new(0);
    let reader_region = Region::new(*writer.region().memory()).unwrap();
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut cached = None;
            let image = Image::open(&reader_region).unwrap();
            while !stop.load(relaxed) {
                let before = image.reuses();
                let Some(Ok(field)) = image.fields().next() else { continue };
                let mut label = [0; 255];
                let label: Option<u64> = image.label(&field, &mut label).parse().ok();
                if image.header().reused_since(image.source(), before) {
                    continue;
                }
                let fresh = (field, label.expect("a label that was published"));
                // The one that was decoded before, as a reader with a cache does.
                for (field, label) in cached.replace(fresh).into_iter().chain([fresh]) {
                    match image.read(0, &field, &mut [0; 8]) {
                        Verdict::Consistent(Value::U64(n)) => {
                            assert_eq!(n, label);
                            seen.fetch_add(1, relaxed);
                        }
                        Verdict::Absent | Verdict::Retired | Verdict::Contended => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
        });
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        // On a busy machine the reader may begin late: until it has seen a value.
        let is_needed =
            |n: &u64| *n <= 20_000 || seen.load(relaxed) == 0 && std::time::Instant::now() < end;
        for n in (1..).take_while(is_needed) {
            writer.retire(id(0)).unwrap();
            writer.reuse(id(0), one(&gauge(&n.to_string())), HEAP).unwrap();
            lane.follow_reuse();
            let handle = Gauge::<u64, _>::attach(&lane, id(0)).unwrap();
            handle.set(n);
            if n % 64 == 0 {
                std::thread::yield_now();
            }
            handle.clear();
        }
        stop.store(true, relaxed);
        reader.join().unwrap();
    });
    assert!(seen.into_inner() > 0, "no value was seen");
    assert_eq!(fields(writer.region()).len(), 2);
}
