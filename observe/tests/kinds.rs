//! Timers, histograms, averages, windows and states: in a lane, over lanes and over programs.

#[path = "../../tests/shared/phase.rs"]
mod phase;
mod support;

use mmstats_core::{
    Average, Buckets, DataType, FieldSpec, Gauge, Histogram, State, StateSet, Window,
};
use mmstats_observe::{Fold, Number, OwnedValue, Quantile, Totals, Verdict};
use phase::Phase;
use support::{Published, id, observe, only, simple, value};

const BUCKETS: Buckets = Buckets::integers(0.02, 1, 1 << 30);
const FIELDS: [FieldSpec<'_>; 5] = [
    FieldSpec::state("phase", Phase::NAMES),
    FieldSpec::histogram("size", BUCKETS),
    FieldSpec::average("mean"),
    FieldSpec::window("recent", DataType::I64, 3),
    FieldSpec::timestamp("at"),
];

/// A program with `lanes` lanes; lane i records the numbers 1 to i + 1.
fn program(directory: &std::path::Path, name: &str, lanes: u64) -> Published {
    let mut published = simple(directory, name, &FIELDS);
    for i in 0..lanes {
        let lane = published.lane();
        let phase = if i % 2 == 0 { Phase::Idle } else { Phase::Busy };
        StateSet::attach(&lane, id(0)).unwrap().set(phase);
        Gauge::<u64, _>::attach(&lane, id(4)).unwrap().set(1_000 + i);
        for n in 1..=i + 1 {
            Histogram::attach(&lane, id(1)).unwrap().record(n * 100);
            #[allow(clippy::cast_precision_loss)]
            Average::attach(&lane, id(2)).unwrap().record(n as f64);
            Window::<i64, _>::attach(&lane, id(3)).unwrap().record(n.cast_signed());
        }
    }
    published
}

#[test]
fn kinds_without_records_are_absent_or_empty() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "a.mmst", &FIELDS);
    let _lane = published.lane();
    let observer = observe(directory.path());
    let file = only(&observer);
    for label in ["phase", "recent", "at"] {
        assert_eq!(value(file, label).verdict, Verdict::Absent, "{label}");
    }
    let Some(OwnedValue::Histogram(empty)) = value(file, "size").value else { panic!() };
    assert_eq!((empty.count(), empty.quantile(0.5), empty.max()), (0, None, None));
    let Some(OwnedValue::Average(empty)) = value(file, "mean").value else { panic!() };
    assert_eq!(empty.mean(), None);
}

#[test]
fn kinds_combine_over_lanes_and_programs() {
    let directory = tempfile::tempdir().unwrap();
    let _programs =
        [program(directory.path(), "a.mmst", 2), program(directory.path(), "b.mmst", 1)];
    let observer = observe(directory.path());
    let mut totals = Totals::new();
    // Twice: the second update uses the memory again.
    for _ in 0..2 {
        totals.update(observer.files(), None);
        let total = |label: &str| totals.get(label).next().unwrap().reading.value.clone().unwrap();
        let OwnedValue::State(phase) = total("phase") else { panic!() };
        assert!(phase.iter().eq([("idle", 2), ("busy", 1)]));
        assert_eq!(phase.only(), None);
        let OwnedValue::Histogram(size) = total("size") else { panic!() };
        assert_eq!((size.count(), size.sum()), (4, Number::Unsigned(500)));
        assert_eq!(size.max(), Some(Number::Unsigned(200)));
        assert_eq!(size.quantile(0.0), Some(Quantile::Value(100.0)));
        let median = size.quantile(0.5).unwrap().value().unwrap();
        assert!((median / 100.0 - 1.0).abs() <= size.relative_error());
        assert_eq!(size.buckets().map(|bucket| bucket.3).collect::<Vec<_>>(), [3, 1]);
        let OwnedValue::Average(mean) = total("mean") else { panic!() };
        assert_eq!((mean.count, mean.mean()), (4.0, Some(1.25)));
        let OwnedValue::Window(recent) = total("recent") else { panic!() };
        assert_eq!((recent.count, recent.sum), (4.0, 5.0));
        assert_eq!(total("at"), OwnedValue::Unsigned(1_001));
    }
}

#[test]
fn lane_values_are_of_one_lane() {
    let directory = tempfile::tempdir().unwrap();
    let _program = program(directory.path(), "a.mmst", 4);
    let observer = observe(directory.path());
    let readings = only(&observer).lane_values(3);
    let Some(OwnedValue::State(phase)) = &readings[0].value else { panic!() };
    assert_eq!(phase.only(), Some("busy"));
    let Some(OwnedValue::Histogram(size)) = &readings[1].value else { panic!() };
    assert_eq!(size.count(), 4);
    let Some(OwnedValue::Window(recent)) = &readings[3].value else { panic!() };
    assert_eq!(recent.mean(), Some(3.0), "2, 3 and 4");
}

#[test]
fn kinds_of_other_states_or_value_types_do_not_combine() {
    let directory = tempfile::tempdir().unwrap();
    let others = [
        FieldSpec::state("phase", &["up", "down"]),
        FieldSpec::histogram("size", Buckets::floats(0.1, 1.0, 1e9)),
    ];
    let _a = program(directory.path(), "a.mmst", 1);
    let mut other = simple(directory.path(), "b.mmst", &others);
    let lane = other.lane();
    Gauge::<u32, _>::attach(&lane, id(0)).unwrap().set(1);
    Histogram::attach(&lane, id(1)).unwrap().record(2.5);
    // Histograms with other buckets combine.
    let coarse = [FieldSpec::histogram("size", Buckets::integers(0.15, 10, 1 << 20))];
    let mut third = simple(directory.path(), "c.mmst", &coarse);
    Histogram::attach(&third.lane(), id(0)).unwrap().record(100_u64);
    let observer = observe(directory.path());
    let mut totals = Totals::new();
    totals.update(observer.files(), None);
    let count = |label: &str| totals.get(label).count();
    assert_eq!((count("phase"), count("size")), (2, 2));
    let counts = totals.get("size").map(|total| match &total.reading.value {
        Some(OwnedValue::Histogram(size)) => (size.is_float(), size.count(), total.files),
        other => panic!("{other:?}"),
    });
    assert!(counts.eq([(false, 2, 2), (true, 1, 1)]));
}

#[test]
fn fold_keeps_histograms_and_averages() {
    let directory = tempfile::tempdir().unwrap();
    let (mut fold, path) = (Fold::new(), directory.path().join("a.mmst"));
    let program_a = program(directory.path(), "a.mmst", 2);
    let _b = program(directory.path(), "b.mmst", 1);
    let mut observer = observe(directory.path());
    drop(program_a);
    let changes = observer.refresh();
    fold.add_ended(observer.files(), &changes.vanished);
    support::remove(&path);
    let changes = observer.refresh();
    fold.add_ended(observer.files(), &changes.vanished);
    let mut totals = Totals::new();
    totals.update(observer.files(), Some(&fold));
    let total = |label: &str| totals.get(label).next().unwrap().reading.value.clone().unwrap();
    let OwnedValue::Histogram(size) = total("size") else { panic!() };
    assert_eq!(size.count(), 4);
    let OwnedValue::Average(mean) = total("mean") else { panic!() };
    assert_eq!(mean.count, 4.0);
    let OwnedValue::State(phase) = total("phase") else { panic!() };
    assert_eq!(phase.only(), Some("idle"), "a state ends with its program");
}
