//! Parts of a program, sums over programs, and counts of ended programs.

mod support;

use mmstats_core::{
    Aggregation, Constant, Counter, DataType, FieldSpec, Gauge, Kind, Level, Text, Timer,
};
use mmstats_observe::{
    FileState, Fold, Observer, OwnedValue, TimerValue, Totals, Verdict, rate, totals,
};
use support::{Published, Setup, id, observe, publish, simple, text, unsigned};

const HITS: FieldSpec<'_> = FieldSpec::counter("hits").unit("requests");
const LATENCY: FieldSpec<'_> = FieldSpec::timer("latency");
const LOAD: FieldSpec<'_> = FieldSpec::gauge("load", DataType::F64);

fn web(directory: &std::path::Path, name: &str, instance: u64, part: u32, hits: u64) -> Published {
    let fields = [
        HITS,
        LATENCY,
        LOAD,
        FieldSpec::info("name", Constant::Text("web")),
        FieldSpec::info("limit", Constant::U32(10)).aggregation(Aggregation::Sum),
        FieldSpec::text("doing", 16),
    ];
    let setup = Setup { instance, part, ..Setup::default() };
    let mut published = publish(directory, name, setup, |_| {}, &fields);
    let lane = published.lane();
    Counter::attach(&lane, id(0)).unwrap().add(hits);
    Timer::attach(&lane, id(1)).unwrap().record_nanos(hits);
    Gauge::<f64, _>::attach(&lane, id(2)).unwrap().set(0.5);
    Text::<16, _>::attach(&lane, id(5)).unwrap().set(name);
    published
}

/// A fold of some of the files.
fn fold(observer: &Observer, parts: &[Published], folded: &[usize]) -> Fold {
    let mut fold = Fold::new();
    for part in folded {
        let path = &parts[*part].path;
        let file = observer.files().iter().find(|file| file.path() == path).unwrap();
        assert!(fold.add(file));
    }
    fold
}

fn get(all: &[mmstats_observe::Total], label: &str) -> Option<OwnedValue> {
    let total = all.iter().find(|total| total.field.label == label).unwrap();
    assert!(total.reading.is_consistent(), "{total:?}");
    total.reading.value.clone()
}

#[test]
fn parts_of_instance_are_one_program() {
    let directory = tempfile::tempdir().unwrap();
    // In the order of names, part 1 comes first.
    let _parts = [
        web(directory.path(), "a.1.mmst", 7, 1, 100),
        web(directory.path(), "a.mmst", 7, 0, 10),
        web(directory.path(), "b.mmst", 8, 0, 1),
    ];
    let observer = observe(directory.path());
    let programs = observer.programs();
    assert_eq!(programs.len(), 2);
    let parts: Vec<_> = programs[0].files().iter().map(|file| file.part()).collect();
    assert_eq!((parts.as_slice(), programs[0].state()), ([0, 1].as_slice(), FileState::Live));
    assert_eq!(programs[0].instance().unwrap().to_string(), format!("{:016x}{:016x}", 7, 0));

    let all = programs[0].totals();
    assert_eq!(all.len(), 6);
    assert_eq!(get(&all, "hits"), unsigned(110));
    assert_eq!(get(&all, "name"), Some(text("web")), "taken once");
    assert_eq!(get(&all, "limit"), unsigned(10), "not added over parts");
    assert_eq!(get(&all, "load"), Some(OwnedValue::F64(1.0)));
    let timer = TimerValue { count: 2, sum: 110, min: Some(10), max: Some(100), last: Some(10) };
    assert_eq!(get(&all, "latency"), Some(OwnedValue::Timer(timer)));
    let Some(OwnedValue::Each(doing)) = get(&all, "doing") else { panic!() };
    let origins: Vec<_> = doing.iter().map(|each| (each.origin.part, each.origin.lane)).collect();
    assert_eq!(origins, [(0, Some(0)), (1, Some(0))]);

    let all = totals(observer.files());
    assert_eq!(get(&all, "hits"), unsigned(111));
    assert_eq!(get(&all, "limit"), unsigned(20), "added over programs");
    let Some(OwnedValue::Each(names)) = get(&all, "name") else { panic!() };
    let files: Vec<_> = names.iter().map(|each| each.origin.file).collect();
    assert_eq!((names.len(), files), (2, vec![1, 2]), "from the lowest part");
    let name = all.iter().find(|total| total.field.label == "name").unwrap();
    assert_eq!((name.files, name.reading.tally.values), (2, 2), "of one file each");
    let hits = all.iter().find(|total| total.field.label == "hits").unwrap();
    assert_eq!((hits.files, hits.field.unit.as_str()), (3, "requests"));
    assert_eq!(hits.field.properties.kind(), Some(Kind::Counter));
}

#[test]
fn totals_add_up_equal_descriptions_only() {
    let directory = tempfile::tempdir().unwrap();
    let base = FieldSpec::counter("n");
    let others = [
        base.unit("bytes"),
        base.attributes(&[("a", "1")]),
        base.attributes(&[("a", "2")]),
        base.aggregation(Aggregation::Max),
        base.kind(Kind::Gauge),
        FieldSpec::gauge("n", DataType::U32),
        FieldSpec::array("n", DataType::U64, 2),
        FieldSpec::array("n", DataType::U64, 3),
        FieldSpec::text("n", 3),
        FieldSpec::counter("m"),
    ];
    // Each is compared with the first.
    let same = [base.help("Another help is no other field."), base];
    let files: Vec<_> = others
        .iter()
        .flat_map(|other| [&base, other])
        .chain(&same)
        .chain(&[FieldSpec::text("n", 4)])
        .enumerate()
        .map(|(i, field)| support::simple(directory.path(), &format!("{i:02}.mmst"), &[*field]))
        .collect();
    assert_eq!(files.len(), 23);
    let observer = observe(directory.path());
    let all = totals(observer.files());
    let files: Vec<_> = all.iter().map(|total| total.files).collect();
    assert_eq!(files, [12, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1], "{all:#?}");
    assert_eq!(Totals::new().get("n").count(), 0);
}

#[test]
fn totals_follow_new_vanished_and_grown_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut observer = observe(directory.path());
    let mut all = Totals::filtered(|field| field.label() != "doing");
    all.update(observer.files(), None);
    assert!(all.fields().is_empty());
    let mut files = Vec::new();
    for i in 0..5_u64 {
        files.push(web(directory.path(), &format!("{i}.mmst"), i, 0, 10));
        observer.refresh();
        all.update(observer.files(), None);
        assert_eq!(all.get("hits").next().unwrap().reading.value, unsigned(10 * u128::from(i + 1)));
        assert_eq!(all.fields().len(), 5);
    }
    let lane = mmstats_core::Lane::new(files[0].writer.region().clone(), 0);
    Counter::attach(&lane, id(0)).unwrap().add(1);
    Gauge::<f64, _>::attach(&lane, id(2)).unwrap().clear();
    all.update(observer.files(), None);
    let hits = all.get("hits").next().unwrap();
    assert_eq!(hits.reading.value, unsigned(51));
    let load = all.get("load").next().unwrap();
    assert_eq!(load.reading.value, Some(OwnedValue::F64(2.0)));
    assert_eq!((load.reading.tally.values, load.reading.tally.absent), (4, 1));
    assert!(matches!(all.get("name").next().unwrap().reading.value, Some(OwnedValue::Each(_))));

    files[1].writer.retire(id(0)).unwrap();
    observer.refresh();
    all.update(observer.files(), None);
    let hits = all.get("hits").next().unwrap();
    assert_eq!((hits.reading.value.clone(), hits.files), (unsigned(41), 4));
    files[0].file.remove().unwrap();
    observer.refresh();
    all.update(observer.files(), None);
    assert_eq!(all.get("hits").next().unwrap().reading.value, unsigned(30));
    // The files in another order, and no files.
    all.update(observer.files().iter().rev(), None);
    assert_eq!(all.get("hits").next().unwrap().reading.value, unsigned(30));
    all.update([], None);
    assert!(all.fields().is_empty());
}

/// The live files.
fn live(observer: &Observer) -> impl Iterator<Item = &mmstats_observe::File> {
    observer.files().iter().filter(|file| file.state() == FileState::Live)
}

#[test]
fn totals_with_fold_do_not_drop_when_files_end() {
    let directory = tempfile::tempdir().unwrap();
    let one = web(directory.path(), "1.mmst", 1, 0, 100);
    let two = web(directory.path(), "2.mmst", 2, 0, 10);
    let mut three = web(directory.path(), "3.mmst", 3, 0, 1);
    let mut observer = observe(directory.path());
    let (mut fold, mut all) = (Fold::new(), Totals::new());
    let mut step = |observer: &mut Observer| {
        let changes = observer.refresh();
        let new = fold.add_ended(observer.files(), &changes.vanished);
        all.update(live(observer), Some(&fold));
        let value = |label| all.get(label).next().map(|total| total.reading.clone());
        let load = value("load").and_then(|reading| reading.value);
        (new, value("hits").unwrap(), load, value("latency").unwrap().value)
    };
    let timer = |count, sum, max, last| {
        let (min, max, last) = (Some(1), Some(max), Some(last));
        Some(OwnedValue::Timer(TimerValue { count, sum, min, max, last }))
    };
    let (new, hits, load, latency) = step(&mut observer);
    assert_eq!((new, hits.value, load), (0, unsigned(111), Some(OwnedValue::F64(1.5))));
    assert_eq!(latency, timer(3, 111, 100, 100));

    // Killed.
    let path = one.path.clone();
    drop(one);
    let (new, hits, load, latency) = step(&mut observer);
    assert_eq!((new, hits.value, load), (1, unsigned(111), Some(OwnedValue::F64(1.0))));
    assert!(matches!(latency, Some(OwnedValue::Timer(timer)) if timer.sum == 111));
    // Removed, after it was folded.
    support::remove(&path);
    let (new, hits, ..) = step(&mut observer);
    assert_eq!((new, hits.value), (0, unsigned(111)));
    // Killed and removed between two refreshes.
    two.file.remove().unwrap();
    drop(two);
    let (new, hits, load, _) = step(&mut observer);
    assert_eq!((new, hits.value), (1, unsigned(111)));
    assert_eq!(load, Some(OwnedValue::F64(0.5)));
    // Closed: no program lives, and the sum stays.
    three.writer.close();
    let (new, hits, load, _) = step(&mut observer);
    assert_eq!((new, hits.value, hits.verdict), (1, unsigned(111), Verdict::Consistent));
    assert_eq!(load, None);
    // A new program counts from zero, and the sum grows.
    let _four = web(directory.path(), "4.mmst", 4, 0, 5);
    let (_, again, ..) = step(&mut observer);
    assert_eq!(again.value, unsigned(116));
    let second = std::time::Duration::from_secs(1);
    assert_eq!(rate(Some(Kind::Counter), &hits_of(111), &again, second), Some(5.0));

    // With all files, folded ones are left out.
    all.update(observer.files(), Some(&fold));
    assert_eq!(all.get("hits").next().unwrap().reading.value, unsigned(116));
    assert_eq!(all.get("hits").next().unwrap().files, 1);
    assert!(fold.contains(&observer.files()[0]) && !fold.add(&observer.files()[0]));
    // Without the fold, all existing files are added.
    all.update(observer.files(), None);
    assert_eq!(all.get("hits").next().unwrap().reading.value, unsigned(6));
}

fn hits_of(n: u128) -> mmstats_observe::Reading {
    mmstats_observe::Reading::consistent(OwnedValue::Unsigned(n))
}

/// A copy has the instance of its original. It is reported and not counted, unless the original
/// is gone.
#[test]
fn copy_is_reported_and_not_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "b.mmst", &[FieldSpec::counter("hits")]);
    let lane = published.lane();
    Counter::attach(&lane, id(0)).unwrap().add(7);
    // Before and after the live one in the order of names.
    for name in ["a.mmst", "c.mmst"] {
        std::fs::copy(&published.path, directory.path().join(name)).unwrap();
    }
    let mut observer = observe(directory.path());
    for _ in 0..2 {
        assert_eq!(observer.files().len(), 1);
        assert_eq!(observer.files()[0].path(), published.path);
        assert_eq!(totals(observer.files())[0].reading.value, unsigned(7));
        let codes: Vec<_> = observer.problems().map(|problem| problem.code).collect();
        assert_eq!(codes, ["copy", "copy"]);
        observer.refresh();
    }
    published.file.remove().unwrap();
    support::remove(&directory.path().join("a.mmst"));
    observer.refresh();
    assert_eq!(observer.files().len(), 1, "a copy alone is shown");
    assert_eq!(observer.problems().count(), 0);
}

/// A constant counter is of the whole program. Found by fuzzing.
#[test]
fn constant_of_several_parts_is_folded_once() {
    let directory = tempfile::tempdir().unwrap();
    let starts = FieldSpec::info("starts", Constant::U64(5))
        .kind(Kind::Counter)
        .aggregation(Aggregation::Sum);
    let parts = [(1, 0), (1, 1), (2, 0)].map(|(instance, part)| {
        let setup = Setup { instance, part, ..Setup::default() };
        publish(directory.path(), &format!("{instance}-{part}.mmst"), setup, |_| {}, &[starts])
    });
    let observer = observe(directory.path());
    assert_eq!(get(&totals(observer.files()), "starts"), unsigned(10));
    // Folded: none, the first part, the second, both, and all.
    for folded in [&[][..], &[0], &[1], &[0, 1], &[1, 0], &[0, 1, 2]] {
        let mut all = Totals::new();
        all.update(observer.files(), Some(&fold(&observer, &parts, folded)));
        assert_eq!(get(all.fields(), "starts"), unsigned(10), "{folded:?}");
    }
}

/// Files may describe a field differently, or have no value for it: the sum is the same with any
/// number of them folded. Found by fuzzing.
#[test]
fn totals_of_differing_descriptions_are_same_when_folded() {
    let directory = tempfile::tempdir().unwrap();
    let debug = FieldSpec::counter("hits").level(Level::Debug).help("Said by one.");
    let plain = FieldSpec::counter("hits");
    let mut parts = [(1, debug), (2, plain), (3, debug)].map(|(instance, spec)| {
        let setup = Setup { instance, ..Setup::default() };
        publish(directory.path(), &format!("{instance}.mmst"), setup, |_| {}, &[spec])
    });
    for (index, published) in parts.iter_mut().enumerate().skip(1) {
        Counter::attach(&published.lane(), id(0)).unwrap().add(1 << index);
    }
    let observer = observe(directory.path());
    for folded in [&[][..], &[0], &[1], &[0, 1], &[2], &[0, 2, 1]] {
        let mut all = Totals::new();
        all.update(observer.files(), Some(&fold(&observer, &parts, folded)));
        assert_eq!(get(all.fields(), "hits"), unsigned(6), "{folded:?}");
        assert_eq!(all.fields().len(), 1, "{folded:?}");
    }
}
