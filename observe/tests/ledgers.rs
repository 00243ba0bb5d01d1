//! Ledgers: the sums of ended programs count once, and a forged one hides nothing.
#![allow(missing_docs)]

mod support;

use std::path::Path;

use mmstats_core::{Constant, FieldSpec};
use mmstats_observe::{FileState, Observer, OwnedValue, Sources, Totals};
use support::ledger::{LedgerName, MEMBER};
use support::{Published, Setup, publish};

const JOBS: FieldSpec<'_> = FieldSpec::counter("jobs");

/// The user id of this process's files.
fn owner(directory: &Path) -> u32 {
    let path = directory.join("probe");
    std::fs::write(&path, "x").unwrap();
    let owner = support::owner(&path);
    std::fs::remove_file(path).unwrap();
    owner
}

/// A member of the application, which has counted `jobs`.
fn member(directory: &Path, instance: u64, application: &str, jobs: u64) -> Published {
    let setup = Setup { instance, lanes: 1, ..Setup::default() };
    let fields = [FieldSpec::info(MEMBER, Constant::Text(application)), JOBS];
    let add = |writer: &mut mmstats_core::Writer<support::Memory>| count(writer, jobs);
    publish(directory, &format!("m{instance}.mmst"), setup, add, &fields)
}

/// Sets the last field.
fn count(writer: &mut mmstats_core::Writer<support::Memory>, jobs: u64) {
    let last = writer.field_count() - 1;
    let lane = writer.claim().unwrap();
    writer.restore(lane, support::id(last), &[jobs], &[]).unwrap();
}

/// A ledger in a file with this name.
fn ledger(directory: &Path, name: &str, generation: u64, supersedes: &[u64], jobs: u64) {
    let mut instances = Vec::new();
    for instance in supersedes {
        instances.extend(instance.to_be_bytes());
        instances.extend([0; 8]);
    }
    let count_of = supersedes.len() as u64;
    let fields = [
        FieldSpec::info("ledger.application", Constant::Text("shop")),
        FieldSpec::info("ledger.generation", Constant::U64(generation)),
        FieldSpec::info("ledger.instances", Constant::U64(count_of)),
        FieldSpec::info("ledger.incomplete", Constant::U64(0)),
        FieldSpec::info("ledger.supersedes", Constant::Bytes(&instances)),
        JOBS,
    ];
    let setup = Setup { instance: 1000 + generation, lanes: 1, ..Setup::default() };
    let add = |writer: &mut mmstats_core::Writer<support::Memory>| count(writer, jobs);
    let mut published = publish(directory, name, setup, add, &fields);
    published.writer.close();
}

fn name(directory: &Path, generation: u64) -> String {
    LedgerName::new("shop", owner(directory), generation).to_string()
}

/// The sum of the jobs, and the codes of problems.
fn jobs(directory: &Path) -> (u128, Vec<&'static str>) {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let codes = observer.problems().map(|problem| problem.code).collect();
    let mut totals = Totals::new();
    totals.update(observer.files(), None);
    let total = totals.get("jobs").next().and_then(|total| total.reading.value.clone());
    match total {
        Some(OwnedValue::Unsigned(n)) => (n, codes),
        None => (0, codes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn member_counts_once_before_and_after_it_is_taken_in() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let live = member(at, 1, "shop", 5);
    drop(member(at, 2, "shop", 7).file);
    let mut closed = member(at, 3, "shop", 11);
    closed.writer.close();
    // Nobody is taken in yet: as of a merge that was killed.
    assert_eq!(jobs(at).0, 23);
    ledger(at, &name(at, 1), 1, &[2], 7);
    assert_eq!(jobs(at), (23, vec![]));
    ledger(at, &name(at, 2), 2, &[2, 3], 18);
    // The older ledger is still there.
    assert_eq!(jobs(at), (23, vec![]));
    std::fs::remove_file(at.join(name(at, 1))).unwrap();
    std::fs::remove_file(at.join("m2.mmst")).unwrap();
    assert_eq!(jobs(at), (23, vec![]));
    drop(live.file);
    assert_eq!(jobs(at), (23, vec![]));
}

#[test]
fn forged_ledger_hides_neither_live_nor_foreign_programs() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let _live = member(at, 1, "shop", 5);
    drop(member(at, 2, "bank", 7).file);
    ledger(at, &name(at, 9), 9, &[1, 2], 0);
    assert_eq!(jobs(at), (12, vec!["ledger"]));
}

#[test]
fn ledger_whose_name_does_not_agree_supersedes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    drop(member(at, 2, "shop", 7).file);
    for other in [name(at, 5), LedgerName::new("bank", owner(at), 1).to_string()] {
        ledger(at, &other, 1, &[2], 0);
        let mut observer = Observer::new(Sources::new().path(at));
        observer.refresh();
        assert!(observer.files().iter().all(|file| file.ledger().is_none()), "{other}");
        assert_eq!(jobs(at).0, 7);
        std::fs::remove_file(at.join(other)).unwrap();
    }
}

#[test]
fn superseded_program_is_listed_and_named_one_shows_its_sums() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    drop(member(at, 2, "shop", 7).file);
    ledger(at, &name(at, 1), 1, &[2], 7);
    let mut observer = Observer::new(Sources::new().path(at));
    observer.refresh();
    let states: Vec<_> =
        observer.files().iter().map(|file| (file.state(), file.is_superseded())).collect();
    assert_eq!(states, [(FileState::Ledger, false), (FileState::Dead, true)]);
    let mut observer = Observer::new(Sources::new().path(at.join("m2.mmst")));
    observer.refresh();
    assert!(!observer.files()[0].is_superseded());
}

/// A ledger of a boot before, or of a merge after the look began, is found by a refresh.
#[test]
fn refresh_follows_generations() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let mut observer = Observer::new(Sources::new().path(at));
    let mut totals = Totals::new();
    let mut members = Vec::new();
    let mut superseded = Vec::new();
    for n in 1..=40_u64 {
        members.push(member(at, n, "shop", 1));
        if n > 3 {
            let ended = members.remove(0);
            drop(ended.file);
            superseded.push(n - 3);
            ledger(at, &name(at, n), n, &superseded, n - 3);
            std::fs::remove_file(ended.path).unwrap();
            if n > 4 {
                std::fs::remove_file(at.join(name(at, n - 1))).unwrap();
            }
        }
        observer.refresh();
        totals.update(observer.files(), None);
        let total = totals.get("jobs").next().unwrap().reading.value.clone();
        assert_eq!(total, Some(OwnedValue::Unsigned(n.into())), "{n}");
        assert_eq!(observer.problems().count(), 0);
    }
}
