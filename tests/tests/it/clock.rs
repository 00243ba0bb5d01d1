//! A system clock that is wrong and then set right.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats_observe::{FileState, OwnedValue};
use mmstats_tests::look::{file, look, states, total, unsigned};

use mmstats_tests::actor::{Actor, directory, path_of};

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

fn live(directory: &Path, words: &[&str]) -> (Actor, PathBuf) {
    let mut actor = Actor::start("idle", directory, words);
    let path = path_of(&actor.line());
    (actor, path)
}

/// Starts a program that sweeps by its options, and ends it cleanly.
fn tidy_up(directory: &Path, words: &[&str]) {
    let (mut actor, path) = live(directory, words);
    assert_eq!(actor.ask("drop"), "dropped");
    assert!(!path.exists());
}

/// A file of a program that was killed, modified so many seconds from now.
fn dead(directory: &Path, from_now: i64) -> PathBuf {
    let (actor, path) = live(directory, &[]);
    drop(actor);
    set_time(&path, from_now);
    path
}

fn set_time(path: &Path, from_now: i64) {
    let (now, distance) = (SystemTime::now(), Duration::from_secs(from_now.unsigned_abs()));
    let time = if from_now < 0 { now - distance } else { now + distance };
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Seconds from now until publishing began.
fn created(path: &Path) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    look(path).files()[0].identity().created.unwrap() - now.as_secs_f64()
}

/// Other programs sweep with a right, a slow and a fast clock.
#[test]
fn clock_set_back_keeps_live_programs_live() {
    let directory = directory();
    let ahead = format!("clock={YEAR}");
    let (mut a, of_a) = live(directory.path(), &[&ahead]);
    set_time(&of_a, YEAR);
    assert!((created(&of_a) - YEAR as f64).abs() < 100.0, "{}", created(&of_a));
    a.ask("update 10");
    let timer = || match total(&look(&of_a), "timer").value {
        Some(OwnedValue::Timer(timer)) => timer,
        other => panic!("{other:?}"),
    };
    let before = timer();
    a.ask(&format!("clock {}", 2 * YEAR));
    a.ask(&format!("clock -{YEAR}"));
    let after = timer();
    assert_eq!(after.count, before.count + 2);
    // The durations are short, though the clock moved by years.
    assert!(after.sum - before.sum < 10_000_000_000, "{before:?} {after:?}");
    a.ask("update 20");

    // Sweeps with the right clock, a slow and a fast one.
    for clock in [0, -HOUR, 2 * YEAR] {
        let words = [&format!("clock={clock}"), "post=0"];
        let (mut b, of_b) = live(directory.path(), &words);
        assert!((created(&of_b) - clock as f64).abs() < 100.0, "{}", created(&of_b));
        assert_eq!(b.ask("look counter"), "2 of 2 live, 20");
        let observer = look(directory.path());
        assert_eq!(observer.programs().len(), 2, "{:?}", states(&observer));
        assert_eq!(file(&observer, &of_a).state(), FileState::Live);
        b.ask("drop");
        assert!(!of_b.exists() && of_a.exists());
    }
    a.kill();
    assert_eq!(look(&of_a).files()[0].state(), FileState::Dead);
    assert_eq!(unsigned(&look(&of_a), "counter"), 20);
}

/// Files from before the clock was set back look newer than all later ones.
#[test]
fn sweep_after_clock_set_back_keeps_newest_of_both_times() {
    let directory = directory();
    let times = [3 * HOUR, 2 * HOUR, HOUR, -100, -200, -300];
    let dead = times.map(|time| dead(directory.path(), time));
    let there = || dead.iter().map(|path| path.exists()).collect::<Vec<_>>();
    tidy_up(directory.path(), &["post=3"]);
    assert_eq!(there(), [true; 6]);
    tidy_up(directory.path(), &["post=2"]);
    assert_eq!(there(), [true, true, false, true, true, false]);
    // For a program with a slow clock all files come from the future.
    let (_program, alive) = live(directory.path(), &[]);
    let behind = format!("clock=-{YEAR}");
    tidy_up(directory.path(), &[&behind, "post=3"]);
    assert_eq!(there(), [true, true, false, true, false, false]);
    tidy_up(directory.path(), &[&behind, "post=0"]);
    assert_eq!(there(), [false; 6]);
    assert!(alive.exists());
}

/// Files that may still be in the making stay.
#[test]
fn sweep_removes_abandoned_temporary_files_from_the_future() {
    let directory = directory();
    let complete = dead(directory.path(), 0);
    let mut number = 0;
    let mut plant = |from_now| {
        number += 1;
        let name = format!(".web-17.mmst.tmp-{number:016x}");
        let path = directory.path().join(name);
        fs::copy(&complete, &path).unwrap();
        set_time(&path, from_now);
        path
    };
    let (future, past) = (plant(YEAR), plant(-HOUR));
    let (soon, now, locked) = (plant(20), plant(0), plant(YEAR));
    let holder = File::open(&locked).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();

    tidy_up(directory.path(), &["post=8"]);
    assert!(!past.exists(), "abandoned");
    assert!(!future.exists(), "abandoned before the clock was set back");
    for path in [&soon, &now, &locked] {
        assert!(path.exists(), "{} may be in the making", path.display());
    }
    // Not by a drop: a child of another test holds the descriptor until its exec.
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::Unlock).unwrap();
    tidy_up(directory.path(), &["post=8"]);
    assert!(!locked.exists() && soon.exists());
}
