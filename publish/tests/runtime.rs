//! Fields that are added and retired while the program runs.

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use mmstats::{
    Counter, Error, FieldOptions, Gauge, Group, Info, Key, Lane, OnDrop, Options, Publisher,
    Record, Stats, Text, Timer,
};
use mmstats_observe::{FileState, Observer, OwnedValue, Sources, Verdict, totals};
use support::{file_names, look};

/// All unsigned fields over all lanes and files, by label.
fn sums(directory: &Path) -> HashMap<String, u128> {
    let all = totals(look(directory).files()).into_iter();
    all.filter_map(|total| match total.reading.value {
        Some(OwnedValue::Unsigned(n)) => Some((total.field.label, n)),
        _ => None,
    })
    .collect()
}

fn start(directory: &Path, options: Options) -> Publisher<Lane> {
    options.directory(directory).without_system_fields().start().unwrap()
}

fn counter(publisher: &Publisher<Lane>, label: &str) -> Key<Counter> {
    publisher.add(label, FieldOptions::new()).unwrap()
}

#[test]
fn add_beyond_room_opens_doubled_files() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Options::new());
    assert_eq!(publisher.paths().len(), 1, "no file before it is needed");
    let lane = publisher.lane().unwrap();
    let keys: Vec<_> = (0..5000).map(|n| counter(&publisher, &format!("f{n}"))).collect();
    for (n, &key) in keys.iter().enumerate() {
        lane.attach(key).unwrap().add(n as u64);
    }
    // 1024, 2048, 4096.
    assert_eq!(publisher.paths().len(), 1 + 3);
    let seen = sums(directory.path());
    assert_eq!(seen.len(), 5000);
    assert!((0..5000).all(|n| seen[&format!("f{n}")] == n));
    let observer = look(directory.path());
    assert_eq!(observer.programs().len(), 1, "one program");
    drop((lane, publisher));
    assert_eq!(file_names(directory.path()).len(), 0, "all files are removed");
}

#[test]
fn reserve_keeps_fields_in_first_file() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Options::new().reserve(10, 200));
    let keys: Vec<_> = (0..10).map(|n| counter(&publisher, &format!("f{n}"))).collect();
    assert_eq!(publisher.paths().len(), 1);
    counter(&publisher, "one more");
    assert_eq!(publisher.paths().len(), 2);
    keys.iter().for_each(|&key| publisher.with(|lane| lane.attach(key).unwrap().incr()));
    assert!((0..10).all(|n| sums(directory.path())[&format!("f{n}")] == 1));
}

#[derive(Record)]
struct Point {
    x: u64,
    y: u64,
}

#[test]
fn add_takes_every_handle_type() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Options::new().lanes(1));
    fn numbered<H>(n: u32) -> FieldOptions<H> {
        FieldOptions::new().attribute("n", n.to_string())
    }
    let first = publisher.lane().unwrap();
    let mut others = Vec::new();
    for n in 0..100 {
        let timer = publisher.add::<Timer>("timer", numbered(n)).unwrap();
        let text = publisher.add::<Text<100>>("text", numbered(n)).unwrap();
        let group = publisher.add::<Group<Point>>("point", numbered(n)).unwrap();
        publisher.add::<Info>("info", numbered(n).value("constant")).unwrap();
        first.attach(timer).unwrap().record_nanos(u64::from(n));
        first.attach(text).unwrap().set(&n.to_string());
        first.attach(group).unwrap().set(&Point { x: n.into(), y: 7 });
        // Also fields in files where other threads have lanes.
        let second = publisher.lane().unwrap();
        second.attach(group).unwrap().set(&Point { x: 1, y: 0 });
        others.push(second);
    }
    let observer = look(directory.path());
    let all = totals(observer.files());
    assert_eq!(all.len(), 500);
    for n in 0..100_u32 {
        let find = |label: &str| {
            let mut found = all.iter().filter(|total| {
                total.field.label == label
                    && total.field.attributes().any(|pair| pair == ("n", &n.to_string()))
            });
            let one = found.next().unwrap_or_else(|| panic!("no {label} {n}"));
            assert!(found.next().is_none() && one.reading.is_consistent());
            format!("{:?}", one.reading.value)
        };
        assert!(find("text").contains(&format!("{n:?}")), "{}", find("text"));
        assert_eq!(find("point.x"), format!("{:?}", Some(OwnedValue::Unsigned(1 + u128::from(n)))));
        assert!(find("info").contains("constant"));
        assert!(find("timer").contains(&format!("sum: {n}")), "{}", find("timer"));
    }
}

#[test]
fn add_longest_help_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Options::new());
    let helps: Vec<String> = (0..20).map(|n| format!("{n:04}").repeat(1024)).collect();
    for (n, help) in helps.iter().enumerate() {
        let options = FieldOptions::new().help(help.clone());
        publisher.add::<Counter>(format!("f{n}"), options).unwrap();
    }
    let observer = look(directory.path());
    let all = totals(observer.files());
    for (n, help) in helps.iter().enumerate() {
        let field = all.iter().find(|total| total.field.label == format!("f{n}")).unwrap();
        assert_eq!(*field.field.help, **help);
    }
    let long = FieldOptions::new().help("h".repeat(4097));
    let error = publisher.add::<Counter>("long", long).unwrap_err();
    assert!(matches!(&error, Error::Field { label, .. } if label == "long"), "{error}");
}

#[test]
fn retire_frees_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = mmstats::Schema::new();
    let declared: Key<Counter> = schema.add("declared", FieldOptions::new());
    let publisher = start(directory.path(), Options::new().schema(schema));
    let lane = publisher.lane().unwrap();
    let duplicate = |label: &str| {
        let again = publisher.add::<Gauge<f64>>(label, FieldOptions::new());
        matches!(again, Err(Error::Duplicate { label: found }) if found == label)
    };
    let added = counter(&publisher, "added");
    let other = FieldOptions::new().attribute("k", "v");
    publisher.add::<Counter>("added", other.clone()).unwrap();
    assert!(publisher.add::<Counter>("added", other).is_err());
    let group = publisher.add::<Group<Point>>("p", FieldOptions::new()).unwrap();
    assert!(duplicate("declared") && duplicate("added") && duplicate("p.x") && duplicate("p.y"));

    let (old, old_declared) = (lane.attach(added).unwrap(), lane.attach(declared).unwrap());
    for _ in 0..2 {
        publisher.retire(added).unwrap();
        publisher.retire(declared).unwrap();
        publisher.retire(group).unwrap();
    }
    assert!(!sums(directory.path()).contains_key("declared"));
    let new = publisher.add::<Counter>("added", FieldOptions::new()).unwrap();
    publisher.add::<Gauge<f64>>("declared", FieldOptions::new()).unwrap();
    publisher.add::<Counter>("p.y", FieldOptions::new()).unwrap();
    // The old key does not retire the new field, and the old handle does not write to it.
    publisher.retire(added).unwrap();
    publisher.retire(group).unwrap();
    assert!(duplicate("added") && duplicate("declared") && duplicate("p.y"));
    old.add(100);
    old_declared.add(100);
    lane.attach(new).unwrap().add(3);
    assert_eq!((old.get(), sums(directory.path())["added"]), (100, 3));

    // Further files of the first segment have the same retired fields.
    let many: Vec<_> = (0..9).map(|_| publisher.lane().unwrap()).collect();
    many.iter().for_each(|lane| lane.attach(new).unwrap().incr());
    let seen = sums(directory.path());
    assert_eq!((seen["added"], seen.contains_key("p.x")), (12, false));
}

#[test]
fn key_of_other_publisher_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Options::new());
    let other = start(directory.path(), Options::new());
    let key = counter(&publisher, "here");
    let none = other.retire(key).unwrap_err();
    assert!(matches!(none, Error::Attach(_)), "{none}");
    assert!(other.lane().unwrap().attach(key).is_err());
    publisher.close();
    assert!(matches!(publisher.retire(key), Err(Error::Closed)));
    let late = publisher.add::<Counter>("late", FieldOptions::new());
    assert!(matches!(late, Err(Error::Closed)));
    assert_eq!(publisher.with(|lane| lane.attach(key).map(|c| c.get())).unwrap(), 0);
}

/// The next thread takes over the lanes in further files, with their counts.
#[test]
fn lane_is_handed_on_in_all_files() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Options::new().lanes(2));
    let counters: Vec<_> = (0..500).map(|n| counter(&publisher, &format!("c{n}"))).collect();
    let level = publisher.add::<Gauge<i64>>("level", FieldOptions::new()).unwrap();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                publisher.with(|lane| {
                    for &key in &counters {
                        lane.attach(key).unwrap().incr();
                    }
                    lane.attach(level).unwrap().set(5);
                });
                let seen = look(directory.path());
                assert!(seen.files().iter().all(|file| file.lanes().owned == 1));
            });
            // Joined: a lane is handed back when the thread has ended.
            thread.join().unwrap();
        });
    }
    let seen = look(directory.path());
    let all = totals(seen.files());
    let value = |label: &str| all.iter().find(|t| t.field.label == label).unwrap();
    assert!(
        (0..500)
            .all(|n| { value(&format!("c{n}")).reading.value == Some(OwnedValue::Unsigned(20)) })
    );
    assert_eq!(value("level").reading.value, None, "no thread has a level");
    // The empty file of the schema, and one for 1024 fields: no file for more lanes.
    assert_eq!(seen.files().len(), 2);
    assert!(seen.files().iter().all(|file| file.lanes().owned == 0));
}

/// A thread uses one lane through the publisher and its registries.
#[test]
fn registry_shares_lane_of_thread() {
    #[derive(Stats)]
    struct Web {
        requests: Counter,
    }
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().directory(directory.path()).lanes(1);
    let web: Publisher<Web> = options.start().unwrap();
    let registry = web.registry();
    let key = registry.add::<Counter>("library.calls", FieldOptions::new()).unwrap();
    web.with(|stats| stats.requests.incr());
    registry.with(|lane| lane.attach(key).unwrap().incr());
    assert_eq!(web.paths().len(), 2, "one for each segment");
    drop(web);
    registry.with(|lane| lane.attach(key).unwrap().incr());
    let seen = sums(directory.path());
    assert_eq!((seen["requests"], seen["library.calls"]), (1, 2));
}

/// A file name without room for the number of a second file, which cannot be opened.
fn longest_name() -> String {
    format!("{}.mmst", "w".repeat(mmstats_system::name::MAX - 5))
}

#[test]
fn add_without_room_is_refused_or_private() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().files(longest_name()).reserve(1, 100);
    let publisher = start(directory.path(), options.clone());
    let refused = || look(directory.path()).files()[0].fields_refused();
    let here = counter(&publisher, "here");
    let error = publisher.add::<Counter>("there", FieldOptions::new()).unwrap_err();
    assert!(matches!(error, Error::System(_)), "{error}");
    assert_eq!(refused(), 1);
    // Its name is free, and other fields work.
    assert!(publisher.add::<Counter>("there", FieldOptions::new()).is_err());
    assert_eq!(refused(), 2);
    assert!(matches!(
        publisher.add::<Counter>("here", FieldOptions::new()),
        Err(Error::Duplicate { .. })
    ));
    assert_eq!(refused(), 2, "a mistake is no lack of room");
    publisher.with(|lane| lane.attach(here).unwrap().incr());
    assert_eq!(sums(directory.path())["here"], 1);
    assert!(publisher.problem().is_none());
    drop(publisher);

    let publisher = start(directory.path(), options.or_private());
    counter(&publisher, "here");
    let there: Vec<_> = (0..100).map(|n| counter(&publisher, &format!("there{n}"))).collect();
    assert_eq!(refused(), 100, "observers do not see them");
    assert!(publisher.problem().is_some());
    let (first, second) = (publisher.lane().unwrap(), publisher.lane().unwrap());
    for &key in &there {
        let (a, b) = (first.attach(key).unwrap(), second.attach(key).unwrap());
        a.add(3);
        b.incr();
        assert_eq!((a.get(), b.get()), (3, 1));
    }
    publisher.retire(there[0]).unwrap();
    assert_eq!(sums(directory.path()).len(), 1);
}

#[test]
fn attach_without_lane_in_further_file_is_refused_or_private() {
    let directory = tempfile::tempdir().unwrap();
    // The first file has one lane, with room for all fields.
    let options = Options::new().files(longest_name()).reserve(10, 500).lanes(1);
    let publisher = start(directory.path(), options);
    let lane = publisher.lane().unwrap();
    let old = counter(&publisher, "old");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            publisher.with(|private| private.attach(old).unwrap().add(5));
            // Later fields are in this thread's private memory too.
            let new = counter(&publisher, "new");
            publisher.with(|private| {
                assert_eq!(private.attach(old).unwrap().get(), 5);
                private.attach(new).unwrap().add(6);
                assert_eq!(private.attach(new).unwrap().get(), 6);
            });
            lane_is_refused(&publisher);
        });
    });
    assert!(publisher.problem().is_some());
    lane.attach(old).unwrap().add(7);
    let seen = sums(directory.path());
    assert_eq!((seen["old"], seen["new"]), (7, 0));
}

fn lane_is_refused(publisher: &Publisher<Lane>) {
    assert!(matches!(publisher.lane(), Err(Error::System(_))));
}

/// More threads than lanes and more fields than room, while an observer scans.
#[test]
fn add_retire_and_count_from_many_threads() {
    const THREADS: u32 = 8;
    const FIELDS: u32 = 300;
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().lanes(2).on_drop(OnDrop::Keep);
    let publisher = start(directory.path(), options);
    let shared = counter(&publisher, "shared");
    let (done, barrier) = (AtomicBool::new(false), Barrier::new(8));
    std::thread::scope(|scope| {
        let (publisher, barrier, done) = (&publisher, &barrier, &done);
        let work = move |thread: u32| {
            barrier.wait();
            let mut kept = Vec::new();
            for n in 0..FIELDS {
                let key = counter(publisher, &format!("t{thread}.f{n}"));
                let short = counter(publisher, &format!("t{thread}.short"));
                publisher.with(|lane| {
                    let handle = lane.attach(key).unwrap();
                    handle.add(n.into());
                    kept.push(handle);
                    lane.attach(short).unwrap().incr();
                    lane.attach(shared).unwrap().incr();
                });
                publisher.retire(short).unwrap();
                kept.iter().for_each(|handle| handle.add(1));
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|t| scope.spawn(move || work(t))).collect();
        let scanner = scope.spawn(move || {
            let mut observer = Observer::new(Sources::new().path(directory_of(publisher)));
            let mut last = HashMap::new();
            let mut scans = 0;
            while !done.load(Ordering::Relaxed) || scans < 3 {
                observer.refresh();
                assert!(observer.problems().next().is_none());
                for total in totals(observer.files()) {
                    // A new field in no lane has no value, nor one that was retired since the look.
                    let verdict = total.reading.verdict;
                    let absent = matches!(verdict, Verdict::Absent | Verdict::Retired);
                    assert!(absent || total.reading.is_consistent(), "{total:?}");
                    let Some(OwnedValue::Unsigned(n)) = total.reading.value else { continue };
                    if total.field.label.ends_with("short") {
                        continue;
                    }
                    let before = last.insert(total.field.label.clone(), n).unwrap_or(0);
                    assert!(before <= n, "{} fell from {before} to {n}", total.field.label);
                }
                scans += 1;
            }
        });
        let ends: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        // Also after a failure, so that the scanner ends.
        done.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok));
        scanner.join().unwrap();
    });
    let check = || {
        let seen = sums(directory.path());
        assert_eq!(seen["shared"], u128::from(THREADS * FIELDS));
        for (thread, n) in (0..THREADS).flat_map(|t| (0..FIELDS).map(move |n| (t, n))) {
            // n, and one for each later round.
            assert_eq!(seen[&format!("t{thread}.f{n}")], u128::from(FIELDS), "{n} + the rest");
        }
        assert_eq!(seen.len(), 1 + 8 * 300, "retired fields are gone");
    };
    check();
    let paths = publisher.paths();
    drop(publisher);
    check();
    assert_eq!(file_names(directory.path()).len(), paths.len());
    let observer = look(directory.path());
    assert!(
        observer.files().iter().all(|file| file.state() == FileState::Closed && file.is_whole())
    );
}

fn directory_of(publisher: &Publisher<Lane>) -> std::path::PathBuf {
    publisher.paths()[0].parent().unwrap().to_path_buf()
}

/// 16 threads add the same fields; one of them succeeds for each.
#[test]
fn add_same_name_from_many_threads_succeeds_once() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Options::new());
    let barrier = Barrier::new(16);
    let added: usize = std::thread::scope(|scope| {
        let work = || {
            barrier.wait();
            (0..200)
                .filter(|n| match publisher.add::<Counter>(format!("f{n}"), FieldOptions::new()) {
                    Ok(_) => true,
                    Err(Error::Duplicate { .. }) => false,
                    Err(other) => panic!("{other}"),
                })
                .count()
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((added, totals(look(directory.path()).files()).len()), (200, 200));
}
