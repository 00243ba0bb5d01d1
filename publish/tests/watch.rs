//! Programs that only update handles notice that their files are lost.
#![cfg(unix)] // Windows removes no name of a mapped file

mod support;

use std::fs;
use std::path::Path;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use mmstats::{Counter, Options, Publisher, Stats};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};
use support::{file_names, threads_named, wait_until};

#[derive(Stats)]
struct Quiet {
    requests: Counter,
}

/// Number of threads that look for files, which serve all publishers; `None` where the system does
/// not tell.
fn threads() -> Option<usize> {
    threads_named(["mmstats-watch"]).map(|[count]| count)
}

/// [`support::alone`], after the threads of earlier tests have ended.
fn alone() -> MutexGuard<'static, ()> {
    let alone = support::alone();
    wait_until(|| threads().is_none_or(|n| n == 0));
    alone
}

fn requests(directory: &Path) -> Option<OwnedValue> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let all = totals(observer.files());
    all.into_iter().find(|total| total.field.label == "requests")?.reading.value
}

type Fault = fn(&Path);

const FAULTS: [(&str, Fault); 4] = [
    ("name removed", |directory| {
        for name in file_names(directory) {
            fs::remove_file(directory.join(name)).unwrap();
        }
    }),
    ("directory removed", |directory| {
        fs::remove_dir_all(directory).unwrap();
    }),
    ("directory replaced", |directory| {
        fs::rename(directory, directory.with_extension("aside")).unwrap();
        fs::create_dir(directory).unwrap();
    }),
    ("file moved away", |directory| {
        let name = file_names(directory).remove(0);
        fs::rename(directory.join(name), directory.with_extension("away")).unwrap();
    }),
];

#[test]
fn handles_of_lost_files_are_seen_again_without_other_calls() {
    let _alone = alone();
    let all: Vec<_> = FAULTS
        .into_iter()
        .map(|(what, fault)| {
            let place = tempfile::tempdir().unwrap();
            let directory = place.path().join("stats");
            let publisher: Publisher<Quiet> = Options::new().directory(&directory).start().unwrap();
            let quiet = publisher.lane().unwrap();
            quiet.requests.add(5);
            fault(&directory);
            quiet.requests.add(2);
            (what, place, directory, publisher, quiet)
        })
        .collect();
    let begin = Instant::now();
    for (what, _place, directory, _publisher, quiet) in all {
        let is = |n| requests(&directory) == Some(OwnedValue::Unsigned(n));
        while !is(7) {
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "{what}: {:?}",
                requests(&directory)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        // The handle stays, and its updates go on being seen.
        quiet.requests.add(3);
        wait_until(|| is(10));
    }
}

#[test]
#[cfg(target_os = "linux")] // tells threads
fn publishers_share_one_thread_that_ends_with_the_last() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let start = || Options::new().directory(place.path()).start::<Quiet>().unwrap();
    let (first, second) = (start(), start());
    let third = start();
    wait_until(|| threads() == Some(1));
    drop(first);
    second.close();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(threads(), Some(1));
    // A program that publishes again and again does not start a thread each time.
    let begin = Instant::now();
    drop(third);
    let again = start();
    if begin.elapsed() < Duration::from_millis(500) {
        assert_eq!(threads(), Some(1));
    }
    drop(again);
    wait_until(|| threads() == Some(0));
    let again = start();
    wait_until(|| threads() == Some(1));
    drop(again);
}

#[test]
#[cfg(target_os = "linux")] // tells threads
fn hidden_and_unwatched_publishers_start_no_thread() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let options = || Options::new().directory(place.path());
    let hidden = options().hidden().start::<Quiet>().unwrap();
    let unwatched = options().without_watcher().start::<Quiet>().unwrap();
    unwatched.lane().unwrap().requests.add(5);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(threads(), Some(0));
    // Another call notices the loss.
    fs::remove_file(&unwatched.paths()[0]).unwrap();
    wait_until(|| unwatched.problem().is_none() && file_names(place.path()).len() == 1);
    assert_eq!(requests(place.path()), Some(OwnedValue::Unsigned(5)));
    drop((hidden, unwatched));
}
