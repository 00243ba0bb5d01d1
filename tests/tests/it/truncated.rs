//! A file that is truncated while an observer has it mapped is reported as damaged; the
//! observer keeps running and reads the other files.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mmstats_observe::{FileState, Observer, Sources};
use mmstats_tests::look::{file, unsigned, value};

use mmstats_tests::actor::{Actor, directory};

/// The files of two programs: one that was killed, and one that lives.
fn two_programs(directory: &Path) -> (PathBuf, Actor, PathBuf) {
    let start = |name: &str| {
        let mut actor = Actor::start("idle", directory, &[&format!("name={name}")]);
        let ready = actor.line();
        actor.ask("update 5");
        (actor, PathBuf::from(ready.splitn(3, ' ').nth(2).unwrap()))
    };
    let (mut dead, victim) = start("victim");
    dead.kill();
    let (live, other) = start("other");
    (victim, live, other)
}

fn truncate(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// Between two looks: to nothing, into the header, by a page, by a byte.
#[test]
fn truncation_between_looks_is_damage() {
    for cut in [|_| 0, |_| 100, |len: u64| len / 2 / 4096 * 4096, |len| len - 1] {
        let directory = directory();
        let (victim, _live, other) = two_programs(directory.path());
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.refresh();
        assert_eq!(file(&observer, &victim).state(), FileState::Dead);
        let len = std::fs::metadata(&victim).unwrap().len();
        truncate(&victim, cut(len));

        // Without asking the system again: whatever it says, it is no invention.
        for reading in file(&observer, &victim).values() {
            drop(reading);
        }
        let changes = observer.refresh();
        assert!(!changes.is_empty());
        let damaged = file(&observer, &victim);
        assert_eq!(damaged.state(), FileState::Damaged, "cut to {} of {len}", cut(len));
        let problem = damaged.problem().expect("a problem").to_string();
        assert!(problem.contains(victim.to_str().unwrap()), "{problem}");
        assert!(observer.problems().any(|problem| problem.path == victim));
        // The other program is still read, with new values too.
        assert_eq!(file(&observer, &other).state(), FileState::Live);
        assert_eq!(value(file(&observer, &other), "counter").value.unwrap().as_f64(), Some(5.0));
        // And sums are of the files that can be read.
        assert_eq!(unsigned(&observer, "counter"), 5);
    }
}

#[test]
fn truncation_during_a_look_is_damage() {
    let directory = directory();
    let (victim, mut live, other) = two_programs(directory.path());
    let (reading, truncated) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut observer = Observer::new(Sources::new().path(directory.path()));
            observer.refresh();
            // Reads without a pause, and without asking the system anything.
            let (mut looks, mut damaged, start) = (0, 0, Instant::now());
            while damaged < 100 && start.elapsed() < Duration::from_secs(20) {
                let readings = file(&observer, &victim).values();
                reading.store(true, Ordering::Release);
                if file(&observer, &victim).state() == FileState::Damaged {
                    damaged += 1;
                    continue;
                }
                looks += 1;
                // Before the truncation each value is a published one; a value from a lost page
                // would be 0.
                if !truncated.load(Ordering::Acquire) {
                    assert_eq!(readings.len(), file(&observer, &victim).field_count());
                }
                let counter = value(file(&observer, &victim), "counter");
                let number = counter.value.and_then(|value| value.as_f64());
                if file(&observer, &victim).state() != FileState::Damaged {
                    assert_eq!(number, Some(5.0));
                }
            }
            assert_eq!(damaged, 100, "never told of the damage in {looks} looks");
            observer
        });
        while !reading.load(Ordering::Acquire) {
            assert!(!reader.is_finished());
            std::thread::yield_now();
        }
        truncated.store(true, Ordering::Release);
        truncate(&victim, 0);
        let mut observer = reader.join().unwrap();
        live.ask("update 6");
        observer.refresh();
        assert_eq!(value(file(&observer, &other), "counter").value.unwrap().as_f64(), Some(6.0));
    });
}

/// Truncating a program's own file stops none of its operations. Observers report the damage of the
/// file; threads that start later publish in the next file.
#[test]
fn truncation_under_its_publisher_stops_no_program() {
    for len in [0, 100, 4096] {
        let directory = directory();
        let mut actor = Actor::start("idle", directory.path(), &[]);
        let path = PathBuf::from(actor.line().splitn(3, ' ').nth(2).unwrap());
        actor.ask("update 5");
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.refresh();
        truncate(&path, len);
        actor.ask("update 6");
        for _ in 0..3 {
            assert!(actor.ask("thread 7").starts_with("thread"));
        }
        actor.ask("panic 8");
        actor.ask("update 9");
        observer.refresh();
        let damaged = file(&observer, &path);
        assert_eq!(damaged.state(), FileState::Damaged, "{:?}", damaged.problem());
        // Three threads that live, and one that counted 8.
        assert_eq!(unsigned(&observer, "counter"), 3 * 7 + 8);
        assert_eq!(actor.ask("drop"), "dropped");
        actor.succeeds();
    }
}

/// Other operations of a publisher, in this process.
#[test]
fn truncation_under_a_growing_publisher_stops_no_program() {
    use mmstats::{Counter, Events, FieldOptions, Lane, Options, Timer};
    for len in [0, 64, 200, 4096, 8192] {
        let directory = directory();
        let options = Options::new().directory(directory.path()).lanes(2).reserve(4, 400);
        let publisher = options.start::<Lane>().unwrap();
        let add = |label: &str| publisher.add::<Counter>(label, FieldOptions::new());
        let first = add("first").unwrap();
        let family = publisher.add_family::<Counter, 1>("family", ["n"], FieldOptions::new());
        let lane = publisher.lane().unwrap();
        let family = lane.family(family.unwrap()).unwrap();
        let handle = lane.attach(first).unwrap();
        truncate(&publisher.paths()[0], len);
        handle.incr();
        // Whatever these say, they say it.
        for n in 0..50 {
            let label = format!("later.{n}");
            if let Ok(key) = add(&label)
                && let Ok(handle) = lane.attach(key)
            {
                handle.incr();
            }
            family.get(&[&label]).incr();
        }
        let _ = publisher.add::<Timer>("timer", FieldOptions::new());
        let _ = publisher.add::<Events>("events", FieldOptions::new());
        let _ = publisher.retire(first);
        let _ = publisher.flush(true);
        for _ in 0..2 {
            std::thread::scope(|scope| {
                scope.spawn(|| publisher.with(|lane| lane.attach(first).map(|first| first.incr())));
            });
        }
        let _ = publisher.problem();
        drop((handle, family, lane));
        drop(publisher);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "cut to {len}");
    }
}
