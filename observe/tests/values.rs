//! Values of every type, over lanes, and while they change.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use mmstats_core::{
    Aggregation, Array, Blob, Constant, Counter, DataType, FieldSpec, Flag, Gauge, Group, Kind,
    MemberSpec, Record, Text, Timer,
};
use mmstats_observe::{
    FieldRef, FileState, OwnedValue, RawValue, RawVerdict, Scalar, Scratch, Shape, Storage,
    TimerValue, Verdict, totals,
};
use support::{Setup, id, observe, only, publish, simple, text, unsigned, value};

#[test]
fn values_of_every_type_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(
        directory.path(),
        "a.mmst",
        &[
            FieldSpec::counter("counter").unit("requests").help("How many."),
            FieldSpec::gauge("i8", DataType::I8),
            FieldSpec::gauge("u16", DataType::U16).attributes(&[("route", "/a"), ("x", "")]),
            FieldSpec::gauge("f32", DataType::F32),
            FieldSpec::gauge("i64", DataType::I64),
            FieldSpec::gauge("flag", DataType::Bool).aggregation(Aggregation::Max),
            FieldSpec::text("text", 5),
            FieldSpec::bytes("bytes", 3),
            FieldSpec::array("array", DataType::I16, 3),
            FieldSpec::timer("timer"),
            FieldSpec::info("name", Constant::Text("web")),
            FieldSpec::info("ratio", Constant::F64(0.5)),
        ],
    );
    let lane = published.lane();
    Counter::attach(&lane, id(0)).unwrap().add(u64::MAX);
    Gauge::<i8, _>::attach(&lane, id(1)).unwrap().set(-128);
    Gauge::<u16, _>::attach(&lane, id(2)).unwrap().set(65_535);
    Gauge::<f32, _>::attach(&lane, id(3)).unwrap().set(0.1);
    Gauge::<i64, _>::attach(&lane, id(4)).unwrap().set(i64::MIN);
    Flag::attach(&lane, id(5)).unwrap().set(true);
    Text::<5, _>::attach(&lane, id(6)).unwrap().set("h\u{e4}llo world");
    Blob::<3, _>::attach(&lane, id(7)).unwrap().set(&[1, 0, 255]);
    Array::<i16, 3, _>::attach(&lane, id(8)).unwrap().set(&[1, -2, i16::MAX]);
    let timer = Timer::attach(&lane, id(9)).unwrap();
    [30, 10, 20].into_iter().for_each(|nanos| timer.record_nanos(nanos));

    let observer = observe(&published.path);
    let file = only(&observer);
    assert!(file.named());
    let values = file.values();
    let each = |value: OwnedValue| match value.only() {
        OwnedValue::Each(_) => panic!("{value:?}"),
        only => only.clone(),
    };
    let got: Vec<_> = values.iter().map(|reading| each(reading.value.clone().unwrap())).collect();
    let timer = TimerValue { count: 3, sum: 60, min: Some(10), max: Some(30), last: Some(20) };
    let want = [
        OwnedValue::Unsigned(u64::MAX.into()),
        OwnedValue::Signed(-128),
        OwnedValue::Unsigned(65_535),
        OwnedValue::F32(0.1),
        OwnedValue::Signed(i64::MIN.into()),
        OwnedValue::Bool(true),
        OwnedValue::Text { text: "h\u{e4}ll".to_owned(), cut: true },
        OwnedValue::Bytes { bytes: vec![1, 0, 255], cut: false },
        OwnedValue::Array([1, -2, 32_767].map(OwnedValue::Signed).to_vec()),
        OwnedValue::Timer(timer),
        text("web"),
        OwnedValue::F64(0.5),
    ];
    assert_eq!(got, want);
    assert!(values.iter().all(|reading| reading.is_consistent() && reading.tally.values == 1));
    assert!(matches!(values[6].value, Some(OwnedValue::Each(_))), "a lane's own text");
    assert_eq!(values[10].value, Some(text("web")), "a constant is plain");
    for (index, reading) in values.iter().enumerate() {
        assert_eq!(&file.value(index), reading, "one by one is the same");
        let lane = &file.lane_values(0)[index];
        assert_eq!(lane.value.as_ref(), Some(&want[index]));
    }

    let fields: Vec<_> = file.fields().collect();
    assert_eq!((fields[0].label(), fields[0].unit()), ("counter", "requests"));
    let properties: Vec<_> = fields.iter().map(FieldRef::properties).collect();
    assert_eq!((fields[0].help(), properties[0].kind()), ("How many.", Some(Kind::Counter)));
    let attributes: Vec<_> = fields[2].attributes().collect();
    assert_eq!(attributes, [("route", "/a"), ("x", "")]);
    assert_eq!(fields[8].shape(), Shape::Array(DataType::I16, 3));
    assert_eq!((fields[6].shape().to_string().as_str(), properties[6].count()), ("text", 5));
    assert!(fields[10].is_constant() && !fields[0].is_constant());
    assert!(properties[1].is_optional() && !properties[0].is_optional());
}

#[test]
fn scan_and_visit_agree_with_value() {
    let directory = tempfile::tempdir().unwrap();
    let labels: Vec<_> = (0..100).map(|i| format!("g{i}")).collect();
    // Optional and required, wide and narrow, so that there are many runs.
    let fields: Vec<_> = (0_u32..)
        .zip(&labels)
        .map(|(i, label)| match i % 50 {
            0..30 => FieldSpec::gauge(label, DataType::U64),
            30..40 => FieldSpec::counter(label),
            40..45 => FieldSpec::gauge(label, DataType::U16),
            45 => FieldSpec::text(label, 20),
            46 => FieldSpec::info(label, Constant::U32(i)),
            _ => FieldSpec::gauge(label, DataType::F64),
        })
        .collect();
    let mut published = simple(directory.path(), "a.mmst", &fields);
    let lane = published.lane();
    for i in (0..100).filter(|i| i % 3 != 0) {
        match i % 50 {
            0..30 => Gauge::<u64, _>::attach(&lane, id(i)).unwrap().set(i.into()),
            30..40 => Counter::attach(&lane, id(i)).unwrap().add(i.into()),
            40..45 => Gauge::<u16, _>::attach(&lane, id(i)).unwrap().set(u16::try_from(i).unwrap()),
            45 => assert!(Text::<20, _>::attach(&lane, id(i)).unwrap().set("text")),
            46 => {}
            _ => Gauge::<f64, _>::attach(&lane, id(i)).unwrap().set(i.into()),
        }
    }
    let observer = observe(directory.path());
    let file = only(&observer);
    let mut seen = vec![None; 100];
    assert!(file.scan(0, |index, verdict| {
        let field = file.field(index as usize).unwrap();
        assert!(!field.is_constant() && field.properties().ty() != Some(DataType::Text));
        assert!(seen[index as usize].replace(verdict).is_none(), "{index} twice");
    }));
    for (i, scanned) in seen.iter().enumerate() {
        let reading = &file.lane_values(0)[i];
        let Some(scanned) = scanned else {
            // A text, a constant, and scalars larger than a word of the writer.
            let latched = usize::BITS < 64 && !matches!(i % 50, 40..45);
            assert!(latched || matches!(i % 50, 45 | 46), "{i}");
            assert_ne!(file.field(i).unwrap().storage(), Some(Storage::Atomic), "{i}");
            continue;
        };
        match scanned {
            RawVerdict::Consistent(scalar) => {
                assert_eq!(reading.value, Some(OwnedValue::from(*scalar)), "{i}");
                let kept = i % 50 >= 30 && i % 50 < 40;
                assert!(kept || i % 3 != 0, "{i} was never set");
                let want = if i % 3 == 0 { 0.0 } else { i as f64 };
                assert_eq!(reading.value.as_ref().unwrap().as_f64(), Some(want));
            }
            other => {
                assert_eq!(*other, RawVerdict::Absent);
                assert_eq!((reading.verdict, i % 3), (Verdict::Absent, 0), "{i}");
            }
        }
    }
    let mut visited = vec![0; 100];
    assert!(file.visit_lane(0, &mut Scratch::new(), |field, _| visited[field.index()] += 1));
    assert!(visited.iter().all(|n| *n == 1));
    // An unclaimed lane.
    file.scan(1, |_, verdict| assert_eq!(verdict, RawVerdict::Absent));
    file.scan(u32::MAX, |_, verdict| assert_eq!(verdict, RawVerdict::Absent));
    file.visit_lane(2, &mut Scratch::new(), |field, verdict| {
        assert_eq!(matches!(verdict, RawVerdict::Absent), !field.is_constant());
    });
}

#[test]
fn values_combine_lanes_and_keep_counters_of_ended_threads() {
    let directory = tempfile::tempdir().unwrap();
    let fields = [
        FieldSpec::counter("sum"),
        FieldSpec::gauge("min", DataType::I32).aggregation(Aggregation::Min),
        FieldSpec::gauge("mean", DataType::U8).aggregation(Aggregation::Mean),
        FieldSpec::gauge("on", DataType::Bool),
        FieldSpec::text("what", 16),
        FieldSpec::timer("timer"),
        FieldSpec::array("array", DataType::U32, 2),
    ];
    let mut published = simple(directory.path(), "a.mmst", &fields);
    for i in 1..=3_u8 {
        let lane = published.lane();
        Counter::attach(&lane, id(0)).unwrap().add(u64::MAX);
        Gauge::<i32, _>::attach(&lane, id(1)).unwrap().set(-i32::from(i));
        Gauge::<u8, _>::attach(&lane, id(2)).unwrap().set(i);
        Flag::attach(&lane, id(3)).unwrap().set(i != 2);
        Text::<16, _>::attach(&lane, id(4)).unwrap().set(&format!("lane {i}"));
        let timer = Timer::attach(&lane, id(5)).unwrap();
        (0..i).for_each(|_| timer.record_nanos(u64::from(i) * 10));
        Array::<u32, 2, _>::attach(&lane, id(6)).unwrap().set(&[u32::MAX, i.into()]);
    }
    let observer = observe(directory.path());
    let file = only(&observer);
    let get = |label| value(file, label);
    assert_eq!(get("sum").value, unsigned(3 * u128::from(u64::MAX)));
    assert_eq!(get("min").value, Some(OwnedValue::Signed(-3)));
    assert_eq!(get("mean").value, Some(OwnedValue::F64(2.0)));
    assert_eq!(get("on").value, unsigned(2));
    let Some(OwnedValue::Each(texts)) = get("what").value else { panic!() };
    assert_eq!(texts.len(), 3);
    assert_eq!((texts[2].value.clone(), texts[2].origin.lane), (Some(text("lane 3")), Some(2)));
    let timer = TimerValue { count: 6, sum: 140, min: Some(10), max: Some(30), last: Some(30) };
    assert_eq!(get("timer").value, Some(OwnedValue::Timer(timer)));
    let array = vec![OwnedValue::Unsigned(3 * u128::from(u32::MAX)), OwnedValue::Unsigned(6)];
    assert_eq!(get("array").value, Some(OwnedValue::Array(array)));
    assert_eq!(get("sum").tally.values, 3);
    let lanes = file.lanes();
    assert_eq!((lanes.used, lanes.owned, lanes.capacity), (3, 3, 4));

    published.writer.hand_back(2);
    let lanes = file.lanes();
    assert_eq!((lanes.used, lanes.owned), (3, 2));
    assert_eq!(file.lane(2).map(|lane| (lane.owned, lane.owners)), Some((false, 1)));
    assert_eq!(file.lane(3), None);
    assert_eq!(get("sum").value, unsigned(3 * u128::from(u64::MAX)), "counters stay");
    assert_eq!(get("min").value, Some(OwnedValue::Signed(-2)), "gauges go");
    assert_eq!((get("min").tally.values, get("min").tally.absent), (2, 1));
    assert!(get("min").is_consistent());
    let Some(OwnedValue::Each(texts)) = get("what").value else { panic!() };
    assert_eq!(texts.len(), 2);
    // The next thread continues from there.
    Counter::attach(&published.lane(), id(0)).unwrap().add(0);
    assert_eq!(file.lane(2).map(|lane| (lane.owned, lane.owners)), Some((true, 2)));
}

/// Stops a thread at the end of the test, also if it fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A group whose members always have the same number.
struct Pair(u64);

impl Record for Pair {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "left", spec: FieldSpec::gauge("", DataType::U64) },
        MemberSpec { label: "right", spec: FieldSpec::gauge("", DataType::U64) },
    ];

    type Words<'a> = [u64; 2];

    fn words(&self) -> Self::Words<'_> {
        [self.0; 2]
    }
}

#[test]
fn group_members_are_of_one_publish() {
    let directory = tempfile::tempdir().unwrap();
    let members = [
        FieldSpec::gauge("pair.left", DataType::U64),
        FieldSpec::gauge("pair.right", DataType::U64),
    ];
    let setup = Setup { room: 4, ..Setup::default() };
    let add = |writer: &mut mmstats_core::Writer<_>| {
        writer.add_group(&members).unwrap();
    };
    let before = FieldSpec::text("before", 8);
    let mut published = publish(directory.path(), "a.mmst", setup, add, &[before]);
    let lane_index = published.writer.claim().unwrap();
    let region = published.writer.region().clone();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let lane = mmstats_core::Lane::new(region.clone(), lane_index);
            let group = Group::<Pair, _>::attach(&lane, id(1)).unwrap();
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                group.set(&Pair(n));
            }
        });
        let stop = Stop(&stop);
        let observer = observe(directory.path());
        let file = only(&observer);
        let (mut consistent, mut scratch) = (0, Scratch::new());
        // Under wine, each check of the file size asks another process.
        for _ in 0..if cfg!(windows) { 2000 } else { 20_000 } {
            let mut pair = [None; 2];
            file.visit_lane(0, &mut scratch, |field, verdict| {
                if let (1 | 2, RawVerdict::Consistent(RawValue::U64(n))) = (field.index(), verdict)
                {
                    pair[field.index() - 1] = Some(n);
                }
            });
            // The presence bit of the first member is set last: the group is present in part.
            if pair[0].is_none() && consistent == 0 {
                continue;
            }
            assert_eq!(pair[0], pair[1]);
            consistent += i32::from(pair[0].is_some());
            let values = file.values();
            if values[1].is_consistent() {
                assert_eq!(values[1].value, values[2].value);
            }
        }
        drop(stop);
        assert!(consistent > 0);
    });
    let observer = observe(directory.path());
    let values = only(&observer).values();
    assert!(values[1].is_consistent() && values[1].value == values[2].value);
    assert_eq!(values[0].verdict, Verdict::Absent);
    let mut kinds = only(&observer).fields().skip(1).map(|field| field.properties().kind());
    assert!(kinds.all(|kind| kind == Some(Kind::Gauge)));

    // A single member can be without a value.
    let bytes = std::fs::read(&published.path).unwrap();
    let at = mmstats_core::layout::header::LANES_OFFSET as usize;
    let lanes = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    published.poke(u64::from(lanes + mmstats_core::layout::lane::PRESENCE), &[0b010]);
    let values = only(&observer).values();
    assert!(values[1].is_consistent());
    assert_eq!((values[2].verdict, values[2].value.as_ref()), (Verdict::Absent, None));
    published.poke(u64::from(lanes + mmstats_core::layout::lane::PRESENCE), &[0b100]);
    let values = only(&observer).values();
    assert_eq!(values[1].verdict, Verdict::Absent);
    assert!(values[2].is_consistent());
}

/// Files are checked in the same buffer.
#[test]
fn growing_files_keep_own_strings() {
    let directory = tempfile::tempdir().unwrap();
    let setup = |instance| Setup { room: 20, instance, ..Setup::default() };
    let first = |unit| FieldSpec::counter("first").unit(unit).help("The same for all.");
    let units = ["apples", "oranges of some kind"];
    let mut files: Vec<_> = (0_u64..)
        .zip(units)
        .map(|(i, unit)| {
            publish(directory.path(), &format!("{i}.mmst"), setup(i), |_| {}, &[first(unit)])
        })
        .collect();
    let mut observer = observe(directory.path());
    for round in 0..10 {
        let label = format!("later {round}");
        for (published, unit) in files.iter_mut().zip(units) {
            let spec = FieldSpec::counter(&label).unit(unit).help("The same for all.");
            published.writer.add(&spec).unwrap();
        }
        assert_eq!(observer.refresh().grown, 2);
        for (file, unit) in observer.files().iter().zip(units) {
            assert_eq!(file.field_count(), round + 2);
            for field in file.fields() {
                assert_eq!((field.damage(), field.unit()), (None, unit));
                assert_eq!(field.help(), "The same for all.");
            }
        }
    }
}

/// A later version may store a member in an unknown way.
#[test]
fn unknown_storage_of_member_keeps_other_members() {
    use mmstats_core::RawDescriptor;
    use mmstats_core::checksum::Fletcher64;
    for unknown in 0..2_u32 {
        let directory = tempfile::tempdir().unwrap();
        let members = [
            FieldSpec::gauge("pair.left", DataType::U64),
            FieldSpec::gauge("pair.right", DataType::U64),
        ];
        let setup = Setup { room: 4, ..Setup::default() };
        let add = |writer: &mut mmstats_core::Writer<_>| {
            writer.add_group(&members).unwrap();
        };
        let mut published = publish(directory.path(), "a.mmst", setup, add, &[]);
        let lane = published.lane();
        Group::<Pair, _>::attach(&lane, id(0)).unwrap().set(&Pair(7));
        // The storage code, and the checksum over descriptor and label.
        let at = 192 + unknown * 64;
        published.poke(u64::from(at) + 19, &[77]);
        let bytes = std::fs::read(&published.path).unwrap();
        let raw = RawDescriptor::load(bytes.as_slice(), at);
        let mut sum = Fletcher64::new();
        sum.range(bytes.as_slice(), at, 48);
        let len = u32::from(u16::from_le_bytes([
            bytes[raw.label as usize],
            bytes[raw.label as usize + 1],
        ]));
        sum.range(bytes.as_slice(), raw.label, (2 + len).next_multiple_of(4));
        published.poke(u64::from(at) + 56, &sum.finish().to_le_bytes());

        let observer = observe(directory.path());
        let values = only(&observer).values();
        assert_eq!(values[unknown as usize].verdict, Verdict::Unknown, "{values:?}");
        assert_eq!(values[1 - unknown as usize].value, unsigned(7), "{values:?}");
    }
}

#[test]
fn fields_added_and_retired_are_noticed_at_refresh() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { room: 200, ..Setup::default() };
    let first = FieldSpec::counter("first");
    let mut published = publish(directory.path(), "a.mmst", setup, |_| {}, &[first]);
    let lane = published.lane();
    Counter::attach(&lane, id(0)).unwrap().add(1);
    let mut observer = observe(directory.path());
    assert_eq!(only(&observer).field_count(), 1);
    for i in 1..=100_u32 {
        let label = format!("field {i}");
        let field = published.writer.add(&FieldSpec::counter(&label).unit("things")).unwrap();
        Counter::attach(&lane, field).unwrap().add(i.into());
        let changes = observer.refresh();
        assert_eq!((changes.grown, changes.added, changes.changed), (1, 0, 0));
        let file = only(&observer);
        assert_eq!(file.field_count(), i as usize + 1);
        assert_eq!(value(file, &label).value, unsigned(i.into()));
        assert_eq!(file.find(&label).unwrap().unit(), "things");
    }
    assert_eq!(value(only(&observer), "first").value, unsigned(1));
    assert!(observer.refresh().is_empty());

    published.writer.retire(id(50)).unwrap();
    assert!(!only(&observer).field(50).unwrap().is_retired(), "as of the last refresh");
    assert_eq!(observer.refresh().grown, 1);
    let file = only(&observer);
    assert!(file.field(50).unwrap().is_retired());
    assert_eq!(file.find("field 50").map(|field| field.index()), None);
    assert_eq!(file.value(50).verdict, Verdict::Retired);
    assert_eq!(file.values()[50].verdict, Verdict::Retired);
    assert_eq!(file.lane_values(0)[50].verdict, Verdict::Retired);
    file.scan(0, |index, _| assert_ne!(index, 50));
    let (mut sum, mut scanned) = (0, 0);
    file.visit_lane(0, &mut Scratch::new(), |_, verdict| {
        if let RawVerdict::Consistent(RawValue::U64(n)) = verdict {
            sum += n;
        }
    });
    assert_eq!(sum, 1 + 5050 - 50);
    file.scan(0, |_, verdict| {
        if let RawVerdict::Consistent(Scalar::U64(n)) = verdict {
            scanned += n;
        }
    });
    // Counters are larger than a word of a 32-bit writer.
    assert_eq!(scanned, if usize::BITS >= 64 { sum } else { 0 });
    assert_eq!(totals(observer.files()).len(), 100);
    let fresh = observe(directory.path());
    assert!(only(&fresh).field(50).unwrap().is_retired());
    assert!(observer.refresh().is_empty(), "noticed once");
    assert_eq!(only(&observer).state(), FileState::Live);
}
