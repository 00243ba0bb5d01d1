//! Ledgers: the sums of ended programs count once, and a forged one hides nothing.
#![allow(missing_docs)]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use mmstats_core::{Constant, FieldSpec};
use mmstats_observe::{File, FileState, Observer, OwnedValue, Sources, Totals};
use support::ledger::{LedgerName, MEMBER};
use support::{Published, Setup, publish};

const JOBS: FieldSpec<'_> = FieldSpec::counter("jobs");

/// The user id of this process's files.
fn owner(directory: &Path) -> u32 {
    static OWNER: OnceLock<u32> = OnceLock::new();
    *OWNER.get_or_init(|| {
        let path = directory.join("probe");
        std::fs::write(&path, "x").unwrap();
        let owner = support::owner(&path);
        std::fs::remove_file(path).unwrap();
        owner
    })
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

/// A ledger of this generation that took in `instances` instances, of which it names none.
fn many(directory: &Path, generation: u64, instances: u64) {
    write_ledger(directory, &name(directory, generation), generation, instances, &[], 0);
}

/// A ledger in a file with this name.
fn ledger(directory: &Path, name: &str, generation: u64, supersedes: &[u64], jobs: u64) {
    write_ledger(directory, name, generation, supersedes.len() as u64, supersedes, jobs);
}

fn write_ledger(
    directory: &Path,
    name: &str,
    generation: u64,
    count_of: u64,
    supersedes: &[u64],
    jobs: u64,
) {
    let mut instances = Vec::new();
    for instance in supersedes {
        instances.extend(instance.to_be_bytes());
        instances.extend([0; 8]);
    }
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
    // Without a ledger: a merge was killed before its first step.
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

/// A name says nothing if its file belongs to another user than the name says.
#[cfg(unix)] // elsewhere files cannot be given away
#[test]
fn file_of_another_user_with_the_name_of_a_ledger_replaces_none() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let _live = member(at, 1, "shop", 5);
    drop(member(at, 2, "shop", 7).file);
    ledger(at, &name(at, 1), 1, &[2], 7);
    for generation in [2, 999, u64::MAX - 1, u64::MAX] {
        let forged = at.join(name(at, generation));
        std::fs::write(&forged, "").unwrap();
        if std::os::unix::fs::chown(&forged, Some(54_321), None).is_err() {
            assert!(std::env::var_os("CI").is_none(), "cannot be run here: needs the super-user");
            return eprintln!("skipped: only root can make a file of another user");
        }
        assert_eq!(jobs(at), (12, vec!["too-short"]), "{generation}");
        std::fs::remove_file(forged).unwrap();
    }
    // A ledger with values of their own, under a name of theirs, is one; under ours it is none.
    let theirs = LedgerName::new("shop", 54_321, 1).to_string();
    for (forged, generation) in [(name(at, 8), 8), (theirs, 1)] {
        ledger(at, &forged, generation, &[1, 2], 0);
        std::os::unix::fs::chown(at.join(&forged), Some(54_321), None).unwrap();
        assert_eq!(jobs(at), (12, vec![]), "{forged}");
        std::fs::remove_file(at.join(forged)).unwrap();
    }
}

/// What cannot be read does not keep the look from its end: it is a problem of its own.
#[test]
fn ledger_that_cannot_be_opened_is_reported_and_others_count() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let _live = member(at, 1, "shop", 5);
    ledger(at, &name(at, 1), 1, &[2], 7);
    std::fs::create_dir(at.join(name(at, 3))).unwrap();
    assert_eq!(jobs(at), (12, vec!["not-regular"]));
    let other = LedgerName::new("bank", owner(at), 3).to_string();
    std::fs::create_dir(at.join(other)).unwrap();
    assert_eq!(jobs(at), (12, vec!["not-regular"; 2]));
}

#[test]
fn named_files_bring_no_ledger_of_their_directory() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    drop(member(at, 1, "shop", 5).file);
    for application in ["bank", "shop"] {
        let name = LedgerName::new(application, owner(at), 1).to_string();
        ledger(at, &name, 1, &[1], 5);
    }
    for file in ["m1.mmst".to_owned(), name(at, 1)] {
        let mut observer = Observer::new(Sources::new().path(at.join(&file)));
        for added in [1, 0] {
            assert_eq!(observer.refresh().added, added);
            let paths: Vec<_> = observer.files().iter().map(File::path).collect();
            assert_eq!(paths, [at.join(&file)]);
        }
    }
}

/// A look whose ledgers change as fast as they are read says that it may be wrong.
#[test]
fn look_that_does_not_settle_is_unsettled() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let _live = member(at, 1, "shop", 1);
    // A look takes longer than a ledger; with more files there are few looks.
    for n in 0..100 {
        std::fs::write(at.join(format!("z{n}.mmst")), "x").unwrap();
    }
    let over = std::sync::atomic::AtomicBool::new(false);
    let is_over = || over.load(std::sync::atomic::Ordering::Relaxed);
    let codes = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (1..).take_while(|_| !is_over()) {
                many(at, n, 1_000 * n);
                let _ = std::fs::remove_file(at.join(name(at, n - 1)));
            }
        });
        let mut observer = Observer::new(Sources::new().path(at));
        let begin = std::time::Instant::now();
        let mut codes = HashSet::new();
        while !codes.contains("unsettled") && begin.elapsed().as_secs() < 60 {
            observer.refresh();
            codes.extend(observer.problems().map(|problem| problem.code));
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        codes
    });
    assert!(codes.contains("unsettled"), "{codes:?}");
    let (jobs, codes) = jobs(at);
    assert!(jobs == 1 && !codes.contains(&"unsettled"), "settled again: {codes:?}");
}

/// Each refresh reads the newest ledger, and the members that it does not name.
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
