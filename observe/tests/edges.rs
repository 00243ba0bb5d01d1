//! Cases that mutation testing found untested.
#![cfg(unix)]

mod support;

use mmstats_core::{
    Aggregation, Array, Buckets, Counter, DataType, FieldSpec, Gauge, Histogram, Kind, Rate,
};
use mmstats_observe::{
    Fold, Number, OwnedValue, Quantile, RawValue, RawVerdict, Scalar, Scratch, Storage, Totals,
    Verdict, totals,
};
use support::{Setup, id, observe, only, publish, simple, unsigned};

/// The value of the only field, over all files.
fn sum(observer: &mmstats_observe::Observer) -> Option<OwnedValue> {
    let all = totals(observer.files());
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].reading.value.clone()
}

fn array(numbers: &[u128]) -> Option<OwnedValue> {
    Some(OwnedValue::Array(numbers.iter().map(|n| OwnedValue::Unsigned(*n)).collect()))
}

#[test]
fn counter_arrays_add_up_in_totals_and_folds() {
    let directory = tempfile::tempdir().unwrap();
    let spec = FieldSpec::array("n", DataType::U64, 3).kind(Kind::Counter);
    let files = [[1, 2, 3], [10, 20, u64::MAX]].map(|values| {
        let mut file = simple(directory.path(), &format!("{}.mmst", values[0]), &[spec]);
        Array::<u64, 3, _>::attach(&file.lane(), id(0)).unwrap().set(&values);
        file
    });
    let observer = observe(directory.path());
    let wanted = array(&[11, 22, u128::from(u64::MAX) + 3]);
    assert_eq!(sum(&observer), wanted);
    let mut fold = Fold::new();
    assert!(observer.files().iter().all(|file| fold.add(file)));
    let mut all = Totals::new();
    all.update(observer.files(), Some(&fold));
    assert_eq!(all.fields()[0].reading.value, wanted, "two folded files");
    drop(files);
}

#[test]
fn float_histograms_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let spec = FieldSpec::histogram("h", Buckets::floats(0.1, 0.01, 100.0));
    for (name, values) in [("a.mmst", [0.5, 2.5]), ("b.mmst", [-1.0, 40.0])] {
        let mut file = simple(directory.path(), name, &[spec]);
        let histogram = Histogram::<f64, _>::attach(&file.lane(), id(0)).unwrap();
        values.iter().for_each(|value| histogram.record(*value));
    }
    let Some(OwnedValue::Histogram(all)) = sum(&observe(directory.path())) else { panic!() };
    assert_eq!((all.count(), all.sum(), all.mean()), (4, Number::Float(42.0), Some(10.5)));
    let ends = (all.min(), all.max());
    assert_eq!(ends, (Some(Number::Float(-1.0)), Some(Number::Float(40.0))));
    assert!(all.is_float() && all.below() == 1 && all.above() == 0);
    assert_eq!([0.0, 1.0].map(|q| all.quantile(q).unwrap()), [-1.0, 40.0].map(Quantile::Value));
}

#[test]
fn rates_have_value_of_each_window() {
    let directory = tempfile::tempdir().unwrap();
    let specs = [FieldSpec::counter("hits"), FieldSpec::rate("rate", 1000, &["1", "10"])];
    let add = |writer: &mut mmstats_core::Writer<_>| {
        writer.add_all(&specs).unwrap();
    };
    // Room for 128 checkpoints.
    let setup = Setup { room: 40, ..Setup::default() };
    let mut file = publish(directory.path(), "a.mmst", setup, add, &[]);
    let second = 1_000_000_000;
    let start = 1_700_000_000 * second;
    for (lane, step) in [(file.lane(), 7), (file.lane(), 2)] {
        let rate = Rate::attach(&lane, id(0)).unwrap();
        (0..=20).for_each(|n| rate.add(step, start + n * second));
    }
    // Without a writer, windows end at the last checkpoint.
    let path = file.path.clone();
    drop(file);
    let observer = observe(&path);
    let file = only(&observer);
    let rates = |lane| -> Vec<_> {
        let rates = file.rates(1, lane).unwrap();
        rates.iter().map(|one| (one.window, one.rate.map(f64::round))).collect()
    };
    assert_eq!(rates(Some(0)), [(1, Some(7.0)), (10, Some(7.0))]);
    assert_eq!(rates(Some(1)), [(1, Some(2.0)), (10, Some(2.0))]);
    assert_eq!(rates(None), [(1, Some(9.0)), (10, Some(9.0))]);
    assert_eq!(rates(Some(9)), [(1, None), (10, None)], "no such lane");
    assert_eq!((file.rates(0, None), file.rates(7, None)), (None, None), "no rates");
}

/// Every type, required and optional, through each reading method.
#[test]
fn scan_and_visit_agree_for_every_type() {
    let directory = tempfile::tempdir().unwrap();
    let types = [
        DataType::U8,
        DataType::U16,
        DataType::U32,
        DataType::U64,
        DataType::I8,
        DataType::I16,
        DataType::I32,
        DataType::I64,
        DataType::F32,
        DataType::F64,
        DataType::Bool,
    ];
    let mut specs: Vec<_> = types.iter().map(|ty| FieldSpec::gauge(ty.name(), *ty)).collect();
    specs.push(FieldSpec::counter("count"));
    let mut file = simple(directory.path(), "a.mmst", &specs);
    let lane = file.lane();
    macro_rules! set {
        ($($at:literal $type:ty = $value:expr;)*) => {
            $(Gauge::<$type, _>::attach(&lane, id($at)).unwrap().set($value);)*
        };
    }
    // The first i32 and the f64 have no value.
    set! {
        0 u8 = 200; 1 u16 = 60_000; 2 u32 = 4_000_000_000; 3 u64 = u64::MAX; 4 i8 = -100;
        5 i16 = -30_000; 7 i64 = i64::MIN; 8 f32 = -0.5; 10 bool = true;
    }
    Counter::attach(&lane, id(11)).unwrap().add(5);
    let wanted = [
        Some(Scalar::U64(200)),
        Some(Scalar::U64(60_000)),
        Some(Scalar::U64(4_000_000_000)),
        Some(Scalar::U64(u64::MAX)),
        Some(Scalar::I64(-100)),
        Some(Scalar::I64(-30_000)),
        None,
        Some(Scalar::I64(i64::MIN)),
        Some(Scalar::F32(-0.5)),
        None,
        Some(Scalar::Bool(true)),
        Some(Scalar::U64(5)),
    ];
    let observer = observe(&file.path);
    let seen = only(&observer);
    let mut scanned = vec![None; wanted.len()];
    assert!(seen.scan(0, |index, raw| scanned[index as usize] = Some(raw)));
    for (index, (scanned, wanted)) in scanned.iter().zip(wanted).enumerate() {
        // A type larger than a word of the writer is latched.
        let field = seen.field(index).unwrap();
        let word = field.properties().ty().unwrap().size() <= usize::BITS / 8;
        let storage = if word { Storage::Atomic } else { Storage::Latched };
        assert_eq!(field.storage(), Some(storage), "{}", field.label());
        let wanted = wanted.map_or(RawVerdict::Absent, RawVerdict::Consistent);
        assert_eq!(*scanned, word.then_some(wanted), "{}", field.label());
    }
    let mut visited = 0;
    assert!(seen.visit_lane(0, &mut Scratch::new(), |field, raw| {
        visited += 1;
        let wanted = wanted[field.index()].map(RawValue::from);
        assert_eq!(raw.consistent(), wanted, "{}", field.label());
    }));
    assert_eq!(visited, wanted.len());
    // An unclaimed lane has no values.
    let mut absent = 0;
    seen.visit_lane(1, &mut Scratch::new(), |_, raw| {
        absent += u32::from(raw == RawVerdict::Absent);
    });
    assert_eq!(absent, 12);
}

#[test]
fn format_1_has_one_lane() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.mmstats");
    let bytes = b"\x01\x04\x00hits\x01\x00I\x01\x2A\x00\x00\x00\x29\x00\x00\x00\x00\x00";
    std::fs::write(&path, bytes).unwrap();
    let observer = observe(&path);
    let file = only(&observer);
    assert!(file.lane(0).is_some_and(|lane| lane.owned && lane.index == 0));
    assert!(file.lane(1).is_none());
    let mut visits = [0, 0];
    for lane in [0, 1] {
        file.visit_lane(lane, &mut Scratch::new(), |field, raw| {
            let value = RawVerdict::Consistent(RawValue::U64(42));
            assert_eq!((field.label(), raw), ("hits", value));
            visits[lane as usize] += 1;
        });
    }
    assert_eq!(visits, [1, 0]);
    let mut scans = [0, 0];
    for lane in [0, 1] {
        assert!(file.scan(lane, |_, _| scans[lane as usize] += 1));
    }
    assert_eq!(scans, [1, 0]);
    assert_eq!(file.lane_values(0)[0].value, unsigned(42));
    let second = &file.lane_values(1)[0];
    assert_eq!((&second.value, second.verdict), (&None, Verdict::Absent));
}

#[test]
fn gauges_combine_lanes_by_each_rule() {
    for (rule, wanted) in [
        (Aggregation::Sum, Some(OwnedValue::Signed(-2))),
        (Aggregation::Min, Some(OwnedValue::Signed(-9))),
        (Aggregation::Max, Some(OwnedValue::Signed(7))),
        (Aggregation::Mean, Some(OwnedValue::F64(-1.0))),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let spec = FieldSpec::gauge("g", DataType::I16).aggregation(rule);
        let mut file = simple(directory.path(), "a.mmst", &[spec]);
        for value in [7, -9] {
            Gauge::<i16, _>::attach(&file.lane(), id(0)).unwrap().set(value);
        }
        let observer = observe(&file.path);
        assert_eq!(only(&observer).value(0).value, wanted, "{rule}");
    }
}

#[test]
fn floats_of_both_sizes_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let specs = [FieldSpec::gauge("x", DataType::F64), FieldSpec::gauge("y", DataType::F32)];
    let mut file = simple(directory.path(), "a.mmst", &specs);
    for value in [0.5_f32, -2.25] {
        let lane = file.lane();
        Gauge::<f64, _>::attach(&lane, id(0)).unwrap().set(value.into());
        Gauge::<f32, _>::attach(&lane, id(1)).unwrap().set(value);
    }
    let observer = observe(&file.path);
    for index in [0, 1] {
        let value = only(&observer).value(index);
        assert_eq!(value.value, Some(OwnedValue::F64(-1.75)));
        assert_eq!(only(&observer).values()[index], value);
    }
}

#[test]
fn average_of_any_type_has_mean() {
    let directory = tempfile::tempdir().unwrap();
    let average = |label, ty| {
        FieldSpec::array(label, ty, 2).kind(Kind::Average).aggregation(Aggregation::Sum)
    };
    let specs = [average("u", DataType::U64), average("i", DataType::I64)];
    let mut file = simple(directory.path(), "a.mmst", &specs);
    for (count, sum) in [(3, 30), (1, -10)] {
        let lane = file.lane();
        let unsigned = [count, 2 * count].map(i64::cast_unsigned);
        Array::<u64, 2, _>::attach(&lane, id(0)).unwrap().set(&unsigned);
        Array::<i64, 2, _>::attach(&lane, id(1)).unwrap().set(&[count, sum]);
    }
    let observer = observe(&file.path);
    let average = |reading: &mmstats_observe::Reading| match reading.value {
        Some(OwnedValue::Average(all)) => (all.count, all.sum, all.mean().unwrap()),
        _ => panic!("{reading:?}"),
    };
    let file = only(&observer);
    assert_eq!(average(&file.value(0)), (4.0, 8.0, 2.0));
    assert_eq!(average(&file.value(1)), (4.0, 20.0, 5.0));
    assert_eq!(average(&file.lane_values(1)[1]), (1.0, -10.0, -10.0));
}

#[test]
fn histogram_has_count_above_and_scale() {
    let directory = tempfile::tempdir().unwrap();
    for error in [0.5, 0.2, 0.05, 0.01] {
        let spec = FieldSpec::histogram("h", Buckets::integers(error, 100, 10_000));
        let mut file = simple(directory.path(), "a.mmst", &[spec]);
        let histogram = Histogram::attach(&file.lane(), id(0)).unwrap();
        [1, 2, 5_000, 1 << 20, 1 << 21, 1 << 22].into_iter().for_each(|n| histogram.record(n));
        let observer = observe(&file.path);
        let Some(OwnedValue::Histogram(all)) = only(&observer).value(0).value else { panic!() };
        assert_eq!((all.below(), all.above(), all.count()), (2, 3, 6));
        let buckets: Vec<_> = all.buckets().collect();
        let [(_, low, high, 1)] = buckets[..] else { panic!("{buckets:?}") };
        assert!(low < 5_000.0 && 5_000.0 <= high);
        let octave = (high / low).powf(f64::from(all.scale()).exp2());
        assert!((octave - 2.0).abs() < 1e-9, "{low} to {high} at scale {}", all.scale());
        file.file.remove().unwrap();
    }
}

#[test]
fn totals_debug_shows_fields() {
    let directory = tempfile::tempdir().unwrap();
    let _file = simple(directory.path(), "a.mmst", &[FieldSpec::counter("hits")]);
    let mut all = Totals::new();
    all.update(observe(directory.path()).files(), None);
    let shown = format!("{all:?}");
    assert!(shown.starts_with("Totals {") && shown.contains("\"hits\""), "{shown}");
}
