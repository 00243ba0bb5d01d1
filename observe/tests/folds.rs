//! Constants of several parts, folded parts, and filters.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mmstats_core::{Aggregation, Constant, Counter, FieldSpec, Kind};
use mmstats_observe::{Fold, Observer, OwnedValue, Totals};
use support::{Published, Setup, id, observe, publish, simple, unsigned, word};

fn part(
    directory: &std::path::Path,
    name: &str,
    (instance, part): (u64, u32),
    fields: &[FieldSpec<'_>],
) -> Published {
    let setup = Setup { instance, part, ..Setup::default() };
    publish(directory, name, setup, |_| {}, fields)
}

fn folded(observer: &Observer, path: &std::path::Path) -> Fold {
    let mut fold = Fold::new();
    let file = observer.files().iter().find(|file| file.path() == path).unwrap();
    assert!(fold.add(file));
    fold
}

fn labels(totals: &Totals) -> Vec<(&str, Option<OwnedValue>)> {
    let all = totals.fields().iter();
    all.map(|total| (total.field.label.as_str(), total.reading.value.clone())).collect()
}

/// The file that is there again has all that the vanished one counted.
#[test]
fn vanished_file_that_is_there_again_is_not_folded() {
    let jobs = FieldSpec::counter("jobs");
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = part(one.path(), "a.mmst", (7, 0), &[jobs]);
    let mut observer = observe(one.path());
    drop(old.file);
    std::fs::remove_file(old.path).unwrap();
    let changes = observer.refresh();
    let _new = part(two.path(), "a.mmst", (7, 0), &[jobs]);
    let now = observe(two.path());
    let mut fold = Fold::new();
    assert_eq!(fold.add_ended(now.files(), &changes.vanished), 0);
    assert!(fold.is_empty());
    assert_eq!(fold.add_ended(&[], &changes.vanished), 1);
    assert_eq!(fold.add_ended(now.files(), &changes.vanished), 0);
    assert!(fold.is_empty());
}

/// In any order of the files.
#[test]
fn constant_is_of_lowest_part() {
    let name = FieldSpec::info("name", Constant::Text("web"));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let directory = tempfile::tempdir().unwrap();
        let _files: Vec<_> = ["a.mmst", "b.mmst", "c.mmst"]
            .iter()
            .zip(order)
            .map(|(file, number)| part(directory.path(), file, (7, number), &[name]))
            .collect();
        let other = part(directory.path(), "d.mmst", (8, 5), &[name]);
        let observer = observe(directory.path());
        let mut all = Totals::new();
        all.update(observer.files(), None);
        let Some(OwnedValue::Each(each)) = &all.fields()[0].reading.value else { panic!() };
        let mut parts: Vec<_> = each.iter().map(|one| one.origin.part).collect();
        parts.sort_unstable();
        assert_eq!((parts, all.fields()[0].files), (vec![0, 5], 2), "{order:?}");
        drop(other);
    }
}

#[test]
fn fold_has_constants_of_its_parts_only() {
    let directory = tempfile::tempdir().unwrap();
    let constant = |label, n| {
        let spec = FieldSpec::info(label, Constant::U64(n));
        spec.kind(Kind::Counter).aggregation(Aggregation::Sum)
    };
    let first = part(directory.path(), "a.mmst", (1, 0), &[constant("starts", 5)]);
    let second = [constant("starts", 5), constant("stops", 3)];
    let _second = part(directory.path(), "b.mmst", (1, 1), &second);
    let observer = observe(directory.path());
    let fold = folded(&observer, &first.path);
    let mut all = Totals::new();
    all.update(observer.files(), Some(&fold));
    let mut found = labels(&all);
    found.sort_by_key(|(label, _)| *label);
    assert_eq!(found, [("starts", unsigned(5)), ("stops", unsigned(3))]);
}

#[test]
fn fold_keeps_only_fields_with_value() {
    let directory = tempfile::tempdir().unwrap();
    let never = simple(directory.path(), "a.mmst", &[FieldSpec::counter("never")]);
    let mut once = simple(directory.path(), "b.mmst", &[FieldSpec::counter("once")]);
    Counter::attach(&once.lane(), id(0)).unwrap().add(1);
    let observer = observe(directory.path());
    let mut all = Totals::new();
    for (path, wanted) in [(&never.path, vec![]), (&once.path, vec![("once", unsigned(1))])] {
        // The same totals with another fold, and again without files.
        all.update(&[], Some(&folded(&observer, path)));
        assert_eq!(labels(&all), wanted);
    }
    all.update(&[], Some(&Fold::new()));
    assert!(all.fields().is_empty());
}

#[test]
fn filter_is_called_once_while_files_stay_same() {
    let directory = tempfile::tempdir().unwrap();
    let fields = [FieldSpec::counter("hits"), FieldSpec::counter("misses")];
    let setup = Setup { room: 1, ..Setup::default() };
    let mut published = publish(directory.path(), "a.mmst", setup, |_| {}, &fields);
    let _other = simple(directory.path(), "b.mmst", &fields);
    let mut observer = observe(directory.path());
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let mut all = Totals::filtered(move |field| {
        count.fetch_add(1, Ordering::Relaxed);
        field.label() != "misses"
    });
    for _ in 0..3 {
        all.update(observer.files(), None);
        assert!(observer.refresh().is_empty());
        assert_eq!((asked.load(Ordering::Relaxed), all.fields().len()), (4, 1));
    }
    published.writer.add(&FieldSpec::counter("more")).unwrap();
    observer.refresh();
    all.update(observer.files(), None);
    assert_eq!((asked.load(Ordering::Relaxed), all.fields().len()), (4 + 5, 2));
    assert_eq!(labels(&all)[0].0, "hits");
}

/// A persistent program starts with the counts of its earlier run, and a ledger has those of the
/// ended instances of an application.
#[test]
fn fold_leaves_out_counts_that_are_kept_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let run = |name: &str, instance, hits, kept: &[FieldSpec<'_>]| {
        let fields = [&[FieldSpec::counter("hits")], kept].concat();
        let mut file = part(directory.path(), name, (instance, 0), &fields);
        Counter::attach(&file.lane(), id(0)).unwrap().add(hits);
        file
    };
    let hits = |observer: &Observer, fold: &Fold| {
        let mut all = Totals::filtered(|field| field.label() == "hits");
        all.update(observer.files(), Some(fold));
        all.fields().first().and_then(|total| total.reading.value.clone())
    };
    for kept in [
        FieldSpec::info("sys.declared", Constant::U32(1)),
        FieldSpec::info("sys.application", Constant::Text("web")),
    ] {
        let (mut fold, ended) = (Fold::new(), run("a.mmst", 1, 5, &[kept]));
        // Its second part does not say it.
        let second = part(directory.path(), "a.1.mmst", (1, 1), &[FieldSpec::counter("hits")]);
        let other = run("b.mmst", 3, 100, &[]);
        let paths = [ended.path.clone(), second.path.clone(), other.path.clone()];
        drop((ended, second, other));
        let mut observer = observe(directory.path());
        assert_eq!(fold.add_ended(observer.files(), []), 1);
        assert_eq!(hits(&observer, &fold), unsigned(105));
        // The next run has all.
        paths.iter().for_each(|path| support::remove(path));
        let next = run("c.mmst", 2, 7, &[kept]);
        let changes = observer.refresh();
        assert_eq!(fold.add_ended(observer.files(), &changes.vanished), 0);
        assert_eq!(hits(&observer, &fold), unsigned(107));
        let path = next.path.clone();
        drop(next);
        support::remove(&path);
    }
}

/// A program whose file was removed under it publishes it again.
#[test]
fn fold_takes_back_file_that_is_there_again() {
    let directory = tempfile::tempdir().unwrap();
    let hits = [FieldSpec::counter("hits")];
    let mut first = part(directory.path(), "a.mmst", (1, 0), &hits);
    Counter::attach(&first.lane(), id(0)).unwrap().add(5);
    let mut ended = part(directory.path(), "b.mmst", (2, 0), &hits);
    Counter::attach(&ended.lane(), id(0)).unwrap().add(100);
    drop(ended);
    let mut observer = observe(directory.path());
    let (mut fold, mut all) = (Fold::new(), Totals::new());
    assert_eq!(fold.add_ended(observer.files(), []), 1);
    // Windows removes no mapped file.
    let away = directory.path().join("a.gone");
    if std::fs::rename(&first.path, &away).is_err() {
        return;
    }
    let changes = observer.refresh();
    assert_eq!(fold.add_ended(observer.files(), &changes.vanished), 1);
    all.update(observer.files(), Some(&fold));
    assert_eq!(labels(&all), [("hits", unsigned(105))]);
    // The same part with another file.
    let mut again = part(directory.path(), "c.mmst", (1, 0), &hits);
    Counter::attach(&again.lane(), id(0)).unwrap().add(7);
    let changes = observer.refresh();
    assert_eq!(fold.add_ended(observer.files(), &changes.vanished), 0);
    all.update(observer.files(), Some(&fold));
    assert_eq!(labels(&all), [("hits", unsigned(107))]);
    drop(again);
    observer.refresh();
    assert_eq!(fold.add_ended(observer.files(), []), 1);
    all.update(observer.files(), Some(&fold));
    assert_eq!(labels(&all), [("hits", unsigned(107))]);
}

/// The sum of a file that ended lacks a lane, and says so also after the file is gone.
#[test]
fn fold_of_damaged_lane_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let hits = [FieldSpec::counter("hits")];
    let mut good = simple(directory.path(), "a.mmst", &hits);
    Counter::attach(&good.lane(), id(0)).unwrap().add(5);
    let mut damaged = simple(directory.path(), "b.mmst", &hits);
    Counter::attach(&damaged.lane(), id(0)).unwrap().add(7);
    let bytes = std::fs::read(&damaged.path).unwrap();
    let lane = word(&bytes, mmstats_core::layout::header::LANES_OFFSET);
    // No state of a lane.
    damaged.poke(lane.into(), &[9]);
    drop(damaged.file);
    let observer = observe(directory.path());
    let mut all = Totals::new();
    all.update(observer.files(), None);
    let before = all.fields()[0].reading.clone();
    assert_eq!((before.value.clone(), before.tally.damaged), (unsigned(5), 1));
    let mut fold = Fold::new();
    assert_eq!(fold.add_ended(observer.files(), &[]), 1);
    all.update(observer.files(), Some(&fold));
    assert_eq!(all.fields()[0].reading, before);
}
