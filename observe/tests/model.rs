//! Totals of random programs, against plain sums over all samples.
#![allow(clippy::cast_precision_loss)] // Of small numbers, or compared with a margin.

mod support;

use std::collections::BTreeMap;

use mmstats_core::{
    Aggregation, Average, Buckets, Counter, DataType, FieldSpec, Gauge, Histogram, Timer,
};
use mmstats_observe::{
    Fold, HistogramValue, Kind, Number, OwnedValue, Quantile, Total, Totals, Verdict,
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Published, Setup, id, observe, publish};

/// Label, unit, kind and attribute, as numbers.
type Name = (usize, usize, usize, usize);
/// For each lane the samples of each field.
type Lanes = Vec<Vec<Vec<u64>>>;
/// The samples of all lanes of a series, of each lane by itself.
type Model = BTreeMap<Name, Vec<Vec<u64>>>;

#[derive(Debug, Clone)]
struct Program {
    fields: Vec<Name>,
    lanes: Lanes,
    /// Range of its histograms.
    range: usize,
    ended: bool,
}

const LABELS: [&str; 2] = ["a", "b"];
const UNITS: [&str; 2] = ["seconds", "milliseconds"];
const RULES: [Aggregation; 4] =
    [Aggregation::Sum, Aggregation::Min, Aggregation::Max, Aggregation::Mean];
const RANGES: [Buckets; 3] = [
    Buckets::integers(0.05, 1, u64::MAX),
    Buckets::integers(0.2, 100, 10_000),
    Buckets::integers(0.01, 1_000, 1 << 40),
];
const GAUGES: std::ops::Range<usize> = 4..8;

fn spec(name: Name, range: usize) -> FieldSpec<'static> {
    let (label, unit, kind, attribute) = name;
    let spec = match kind {
        0 => FieldSpec::counter(LABELS[label]),
        1 => FieldSpec::histogram(LABELS[label], RANGES[range]),
        2 => FieldSpec::timer(LABELS[label]),
        3 => FieldSpec::average(LABELS[label]),
        gauge => {
            FieldSpec::gauge(LABELS[label], DataType::F64).aggregation(RULES[gauge - GAUGES.start])
        }
    };
    let attributes: [&[(&str, &str)]; 2] = [&[("x", "0")], &[("x", "1")]];
    // A timer's unit is given.
    let spec = if kind == 2 { spec } else { spec.unit(UNITS[unit]) };
    spec.attributes(attributes[attribute])
}

fn start(directory: &std::path::Path, number: usize, program: &Program) -> Published {
    let fields: Vec<_> = program.fields.iter().map(|name| spec(*name, program.range)).collect();
    let setup = Setup { instance: 7 + number as u64, ..Setup::default() };
    let mut published = publish(directory, &format!("{number}.mmst"), setup, |_| {}, &fields);
    for samples in &program.lanes {
        let lane = published.lane();
        for ((name, samples), field) in program.fields.iter().zip(samples).zip(0..) {
            let field = id(field);
            match name.2 {
                0 => Counter::attach(&lane, field).unwrap().add(samples[0]),
                1 => {
                    let histogram = Histogram::<u64, _>::attach(&lane, field).unwrap();
                    samples.iter().for_each(|n| histogram.record(n >> 4));
                }
                2 => {
                    let timer = Timer::attach(&lane, field).unwrap();
                    samples.iter().for_each(|n| timer.record_nanos(n >> 4));
                }
                3 => {
                    let average = Average::attach(&lane, field).unwrap();
                    samples.iter().for_each(|n| average.record((n >> 54) as f64));
                }
                _ => Gauge::<f64, _>::attach(&lane, field).unwrap().set((samples[0] >> 54) as f64),
            }
        }
    }
    published
}

fn names() -> impl Strategy<Value = Vec<Name>> {
    vec((0..2_usize, 0..2_usize, 0..GAUGES.end, 0..2_usize), 1..5).prop_map(|mut names| {
        for name in &mut names {
            name.1 *= usize::from(name.2 != 2);
        }
        // A file has a label with its attributes once.
        names.sort_unstable_by_key(|name| (name.0, name.3));
        names.dedup_by_key(|name| (name.0, name.3));
        names
    })
}

fn program() -> impl Strategy<Value = Program> {
    names().prop_flat_map(|fields| {
        let sample = prop_oneof![0..100_000_u64, any::<u64>(), Just(u64::MAX), Just(0)];
        let lanes = vec(vec(vec(sample, 1..6), fields.len()), 1..4);
        (Just(fields), lanes, 0..RANGES.len(), any::<bool>())
            .prop_map(|(fields, lanes, range, ended)| Program { fields, lanes, range, ended })
    })
}

/// All samples by series, without the attribute if `family`; gauges of ended programs are left
/// out if `folded`.
fn model(programs: &[Program], family: bool, folded: bool) -> Model {
    let mut model = Model::new();
    for program in programs {
        for (at, &(label, unit, kind, attribute)) in program.fields.iter().enumerate() {
            if folded && program.ended && GAUGES.contains(&kind) {
                continue;
            }
            let name = (label, unit, kind, if family { 0 } else { attribute });
            let samples = program.lanes.iter().map(|lane| lane[at].clone());
            model.entry(name).or_default().extend(samples);
        }
    }
    model
}

fn name(total: &Total) -> Name {
    let field = &total.field;
    let (kind, rule) = (field.properties.kind().unwrap(), field.properties.aggregation());
    let kind = match kind {
        Kind::Counter => 0,
        Kind::Histogram => 1,
        Kind::Timer => 2,
        Kind::Average => 3,
        _ => GAUGES.start + RULES.iter().position(|other| *other == rule).unwrap(),
    };
    let place = |all: &[&str], text: &str| all.iter().position(|other| *other == text).unwrap();
    let unit = if kind == 2 { 0 } else { place(&UNITS, &field.unit) };
    let attribute = field.attributes().any(|(_, value)| value == "1");
    (place(&LABELS, &field.label), unit, kind, attribute.into())
}

fn check(totals: &Totals, model: &Model) {
    let found: BTreeMap<Name, &Total> =
        totals.fields().iter().map(|total| (name(total), total)).collect();
    assert_eq!(found.len(), totals.fields().len(), "no series is there twice");
    assert!(found.keys().eq(model.keys()), "{found:?}");
    for (name, lanes) in model {
        let reading = &found[name].reading;
        assert_eq!(reading.verdict, Verdict::Consistent);
        let value = reading.value.as_ref().unwrap();
        let firsts = || lanes.iter().map(|samples| samples[0]);
        let all = || lanes.iter().flatten().copied();
        match (name.2, value) {
            (0, OwnedValue::Unsigned(sum)) => {
                assert_eq!(*sum, firsts().map(u128::from).sum::<u128>());
            }
            (1, OwnedValue::Histogram(value)) => check_histogram(value, all().map(|n| n >> 4)),
            (2, OwnedValue::Timer(value)) => {
                let nanos = || all().map(|n| n >> 4);
                assert_eq!(value.count, nanos().count() as u128);
                assert_eq!(value.sum, nanos().map(u128::from).sum::<u128>());
                assert_eq!((value.min, value.max), (nanos().min(), nanos().max()));
            }
            (3, OwnedValue::Average(value)) => {
                assert_eq!(value.count, all().count() as f64);
                assert_eq!(value.sum, all().map(|n| (n >> 54) as f64).sum::<f64>());
            }
            (gauge, value) => {
                let values = || firsts().map(|n| (n >> 54) as f64);
                let sum = values().sum::<f64>();
                let wanted = match RULES[gauge - GAUGES.start] {
                    Aggregation::Sum => sum,
                    Aggregation::Min => values().fold(f64::INFINITY, f64::min),
                    Aggregation::Max => values().fold(0.0, f64::max),
                    _ => sum / values().count() as f64,
                };
                assert_eq!(value.as_f64(), Some(wanted));
            }
        }
    }
}

fn check_histogram(value: &HistogramValue, samples: impl Iterator<Item = u64>) {
    let mut samples: Vec<u64> = samples.collect();
    samples.sort_unstable();
    let count = samples.len();
    assert_eq!(value.count(), count as u128);
    let sum = samples.iter().map(|n| u128::from(*n)).sum();
    assert_eq!(value.sum(), Number::Unsigned(sum));
    assert!(value.mean().is_some(), "the sum is possible");
    let end = |n: Option<&u64>| n.map(|n| Number::Unsigned((*n).into()));
    assert_eq!((value.min(), value.max()), (end(samples.first()), end(samples.last())));
    for q in [0.0, 0.1, 0.5, 0.9, 0.99, 1.0] {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = ((q * count as f64).ceil() as usize).clamp(1, count);
        let exact = samples[rank - 1] as f64;
        match value.quantile(q).unwrap() {
            Quantile::Value(found) => {
                let error = (value.relative_error() + 1e-9) * exact + 1e-9;
                assert!((found - exact).abs() <= error, "{q}: {found}, exactly {exact}");
            }
            Quantile::Below(bound) => assert!(exact <= bound, "{q}: {exact} <= {bound}"),
            Quantile::Above(bound) => assert!(exact > bound, "{q}: {exact} > {bound}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// With units, kinds and rules that differ, by series and by family, and with the counts of
    /// ended programs kept in a fold.
    #[test]
    fn totals_are_sums_over_all_samples(programs in vec(program(), 1..5)) {
        let directory = tempfile::tempdir().unwrap();
        let mut published: Vec<Option<Published>> = programs
            .iter()
            .enumerate()
            .map(|(number, program)| Some(start(directory.path(), number, program)))
            .collect();
        let mut observer = observe(directory.path());
        let (mut series, mut families) = (Totals::new(), Totals::new().of_families());
        series.update(observer.files(), None);
        families.update(observer.files(), None);
        check(&series, &model(&programs, false, false));
        check(&families, &model(&programs, true, false));
        for (program, published) in programs.iter().zip(&mut published) {
            if program.ended {
                *published = None;
            }
        }
        let changes = observer.refresh();
        let mut fold = Fold::new();
        fold.add_ended(observer.files(), &changes.vanished);
        for _ in 0..2 {
            series.update(observer.files(), Some(&fold));
            families.update(observer.files(), Some(&fold));
            check(&series, &model(&programs, false, true));
            check(&families, &model(&programs, true, true));
        }
    }
}
