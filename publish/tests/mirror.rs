//! Memory that observers do not see is published again.
#![cfg(unix)] // Windows removes no name of a mapped file

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use mmstats::{
    Average, Counter, Events, Family, FieldOptions, Gauge, Histogram, Lane, OnDrop, Options,
    Publisher, Rate, SharedGauge, Stats, Text, Timer, Window,
};
use mmstats_core::read::{Image, Value, Verdict};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};
use support::{file_names, wait_until};

#[derive(Stats)]
struct All {
    requests: Counter,
    level: Gauge<i64>,
    name: Text<40>,
    took: Timer,
    sizes: Histogram,
    mean: Average,
    last: Window<u64, 4>,
    bytes: Rate,
    log: Events,
    shared: SharedGauge<u64>,
    #[stats(labels("code"))]
    codes: Family<Counter, 1>,
}

impl All {
    fn update(&self, n: u64) {
        self.requests.add(n);
        self.level.set(n.cast_signed());
        self.name.set(&format!("number {n}"));
        self.took.record_nanos(n);
        self.sizes.record(n);
        self.mean.record(n as f64);
        self.last.record(n);
        self.bytes.add(n);
        self.log.record(&format!("event {n}"));
        self.shared.add(n);
        self.codes.get(&["200"]).add(n);
    }
}

/// What is seen of all files, by label.
fn seen(directory: &Path) -> HashMap<String, String> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let all = totals(observer.files()).into_iter();
    all.filter_map(|total| {
        let value = match total.reading.value? {
            OwnedValue::Unsigned(n) => n.to_string(),
            other => format!("{other:?}"),
        };
        let attributes: Vec<_> = total.field.attributes().map(|(_, value)| value).collect();
        Some((format!("{}{}", total.field.label, attributes.concat()), value))
    })
    .collect()
}

fn counts(directory: &Path, label: &str, n: u64) -> bool {
    seen(directory).get(label) == Some(&n.to_string())
}

/// Part, parts, lanes refused and fields refused of each file.
fn headers(directory: &Path) -> Vec<(u32, u32, u32, u32)> {
    let mut all: Vec<_> = file_names(directory)
        .iter()
        .map(|name| fs::read(directory.join(name)).unwrap())
        .map(|bytes| {
            let header = *Image::open(&bytes[..]).unwrap().header();
            let bytes = &bytes[..];
            (
                header.part(),
                header.parts(bytes).unwrap_or(0),
                header.lanes_refused(bytes),
                header.fields_refused(bytes),
            )
        })
        .collect();
    all.sort_unstable();
    all
}

/// A directory that does not exist, because a file is in its place.
fn blocked() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("stats");
    fs::write(&directory, "").unwrap();
    (place, directory)
}

fn unblock(directory: &Path) {
    fs::remove_file(directory).unwrap();
    fs::create_dir(directory).unwrap();
}

#[test]
fn values_of_every_kind_are_seen_when_directory_comes_back() {
    let (_place, directory) = blocked();
    let options = Options::new().directory(&directory).lanes(2).or_private();
    let all: Publisher<All> = options.start().unwrap();
    assert!(all.problem().is_some() && all.paths().is_empty());
    let kept = all.lane().unwrap();
    kept.update(1);
    all.with(|all| all.update(2));
    // A thread that ends leaves its counts.
    std::thread::scope(|scope| drop(scope.spawn(|| all.with(|all| all.update(3)))));
    let late = all.add::<Counter>("late", FieldOptions::new()).unwrap();
    let in_family = kept.codes.get(&["404"]);
    in_family.add(5);
    let shared = all.shared::<u64>("config", FieldOptions::new()).unwrap();
    shared.set(6);
    let registry = all.registry();
    registry.with(|lane| lane.attach(late).unwrap().add(7));

    unblock(&directory);
    wait_until(|| all.problem().is_none());
    let found = seen(&directory);
    assert_eq!(found["requests"], "6", "{found:?}");
    assert_eq!(found["late"], "7", "{found:?}");
    // Updates after that, of the same handles, other threads and other fields.
    kept.update(10);
    all.with(|all| all.update(20));
    std::thread::scope(|scope| drop(scope.spawn(|| all.with(|all| all.update(30)))));
    in_family.add(50);
    shared.set(60);
    registry.with(|lane| lane.attach(late).unwrap().add(70));
    let later = all.add::<Text<8>>("later", FieldOptions::new()).unwrap();
    registry.with(|lane| lane.attach(later).unwrap().set("seven"));
    wait_until(|| counts(&directory, "requests", 66) && counts(&directory, "late", 77));
    let found = seen(&directory);
    assert_eq!(found["codes200"], "66", "{found:?}");
    assert_eq!(found["codes404"], "55", "{found:?}");
    assert_eq!(found["shared"], "66", "{found:?}");
    assert_eq!(found["config"], "60", "{found:?}");
    assert!(found["later"].contains("seven"), "{found:?}");
    assert!(found["sizes"].contains("count: 6"), "{found:?}");
    assert!(found["mean"].contains("count: 6"), "{found:?}");
    assert!(found["took"].contains("count: 6"), "{found:?}");
    assert!(all.problem().is_none());
    assert!(headers(&directory).iter().all(|(_, _, lanes, fields)| (*lanes, *fields) == (0, 0)));
    drop((kept, all, registry, shared));
    assert_eq!(file_names(&directory), [""; 0]);
}

#[test]
fn name_removed_is_made_again_with_the_same_values() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let all: Publisher<All> = Options::new().directory(directory).lanes(2).start().unwrap();
    all.with(|all| all.update(1_000));
    let names = file_names(directory);
    let before = seen(directory);
    fs::remove_file(directory.join(&names[0])).unwrap();
    wait_until(|| all.problem().is_none() && file_names(directory) == names);
    assert!(all.problem().is_none());
    let after = seen(directory);
    for label in ["requests", "level", "name", "took", "sizes", "mean", "last", "log"] {
        assert_eq!(before.get(label), after.get(label), "{label}");
    }
    // Threads that start later, and one that continues without a call of the publisher.
    let threads: Vec<_> = (0..5).map(|_| all.clone()).collect();
    std::thread::scope(|scope| {
        for all in &threads {
            scope.spawn(|| all.with(|all| all.update(1)));
        }
    });
    all.with(|all| all.update(1_000));
    wait_until(|| counts(directory, "requests", 2_005));
    let headers = headers(directory);
    let parts = u32::try_from(headers.len()).unwrap();
    assert_eq!(headers[0], (0, parts, 0, 0), "{headers:?}");
    drop((threads, all));
    assert_eq!(file_names(directory), [""; 0]);
}

#[test]
fn directory_removed_or_moved_is_published_again() {
    for moved in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("stats");
        let options = Options::new().directory(&directory).lanes(1).on_drop(OnDrop::Keep);
        let all: Publisher<All> = options.start().unwrap();
        // Three files.
        let lanes: Vec<_> = (0..4).map(|_| all.lane().unwrap()).collect();
        lanes.iter().for_each(|all| all.update(1));
        if moved {
            fs::rename(&directory, place.path().join("other")).unwrap();
        } else {
            fs::remove_dir_all(&directory).unwrap();
        }
        fs::create_dir(&directory).unwrap();
        wait_until(|| all.problem().is_none() && counts(&directory, "requests", 4));
        lanes.iter().for_each(|all| all.update(1));
        drop(lanes);
        all.close();
        // Closed files, exact, nothing twice.
        let found = seen(&directory);
        assert_eq!(found["requests"], "8", "{found:?}");
        assert_eq!(found["codes200"], "8", "{found:?}");
        assert!(found["sizes"].contains("count: 8"), "{found:?}");
    }
}

#[test]
fn lanes_without_room_are_counted_until_they_are_seen() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("stats");
    let options = Options::new().directory(&directory).lanes(2).or_private();
    let all: Publisher<All> = options.start().unwrap();
    let seen_lane = all.lane().unwrap();
    seen_lane.update(1);
    // No further file finds a directory: the path leads to a file.
    fs::rename(&directory, place.path().join("other")).unwrap();
    fs::write(&directory, "").unwrap();
    wait_until(|| all.problem().is_some());
    let hidden: Vec<_> = (0..3).map(|_| all.lane().unwrap()).collect();
    hidden.iter().for_each(|all| all.update(1));
    assert!(all.problem().is_some());
    unblock(&directory);
    wait_until(|| all.problem().is_none() && counts(&directory, "requests", 4));
    let headers = headers(&directory);
    let parts = u32::try_from(headers.len()).unwrap();
    assert_eq!(headers[0], (0, parts, 0, 0), "{headers:?}");
    assert!(headers.iter().zip(0..).all(|(header, number)| header.0 == number), "{headers:?}");
}

/// A file that was moved away is truncated: its copy keeps the values from before.
#[test]
fn file_moved_and_truncated_leaves_values_of_its_copy() {
    let place = tempfile::tempdir().unwrap();
    let (directory, away) = (place.path().join("stats"), place.path().join("away"));
    let all: Publisher<All> = Options::new().directory(&directory).start().unwrap();
    let kept = all.lane().unwrap();
    kept.update(7);
    fs::rename(&all.paths()[0], &away).unwrap();
    wait_until(|| all.problem().is_none() && counts(&directory, "requests", 7));
    fs::OpenOptions::new().write(true).open(&away).unwrap().set_len(0).unwrap();
    wait_until(|| all.problem().is_some_and(|problem| problem.to_string().contains("smaller")));
    kept.update(1);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(seen(&directory)["requests"], "7");
    assert!(headers(&directory)[0].2 > 0, "later updates are lost: {:?}", headers(&directory));
}

#[test]
fn file_in_place_of_name_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let all: Publisher<All> = Options::new().directory(directory).start().unwrap();
    all.with(|all| all.update(1));
    let path = all.paths().remove(0);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "of somebody else").unwrap();
    wait_until(|| all.problem().is_none() && counts(directory, "requests", 1));
    assert_eq!(fs::read_to_string(&path).unwrap(), "of somebody else");
    assert!(!all.paths().contains(&path), "{:?}", all.paths());
    drop(all);
    assert_eq!(file_names(directory).len(), 1);
}

/// Another user knows the names of further files from that of the first one.
#[test]
fn further_file_whose_names_are_taken_gets_another_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let all: Publisher<All> = Options::new().directory(directory).lanes(1).start().unwrap();
    let first = all.lane().unwrap();
    let stem = file_names(directory)[0].strip_suffix(".mmst").unwrap().to_owned();
    let planted = [1, 2, u32::MAX - 1, u32::MAX - 2];
    let planted = planted.map(|number| directory.join(format!("{stem}.{number}.mmst")));
    planted.iter().for_each(|path| fs::write(path, "of somebody else").unwrap());
    let others: Vec<_> = (0..4).map(|_| all.lane().unwrap()).collect();
    others.iter().chain([&first]).for_each(|all| all.update(1));
    assert!(all.problem().is_none(), "{:?}", all.problem());
    assert!(all.paths().len() > 2 && all.paths().iter().all(|path| !planted.contains(path)));
    assert!(counts(directory, "requests", 5));
    drop((first, others, all));
    // The file of somebody else stays.
    assert_eq!(file_names(directory).len(), planted.len());
    assert!(planted.iter().all(|path| fs::read(path).unwrap() == b"of somebody else"));
}

#[test]
fn hidden_publisher_makes_no_file_and_has_no_problem() {
    let directory = tempfile::tempdir().unwrap();
    let all: Publisher<All> = Options::new().directory(directory.path()).hidden().start().unwrap();
    all.with(|all| all.update(1));
    assert!(all.problem().is_none());
    assert_eq!(file_names(directory.path()), [""; 0]);
}

/// Thread id and name of each owned lane of each file.
fn owners(directory: &Path) -> Vec<(u64, String)> {
    let mut owners = Vec::new();
    for name in file_names(directory) {
        let bytes = fs::read(directory.join(name)).unwrap();
        let image = Image::open(&bytes[..]).unwrap();
        for lane in 0..image.header().lanes_used(&bytes[..]).unwrap() {
            let (mut tid, mut thread) = (None, None);
            for field in image.fields().map(Result::unwrap) {
                let label = image.label(&field, &mut [0; 255]).to_owned();
                match (label.as_str(), image.read(lane, &field, &mut [0; 64])) {
                    ("sys.tid", Verdict::Consistent(Value::U64(id))) => tid = Some(id),
                    ("sys.thread", Verdict::Consistent(Value::Text { text, .. })) => {
                        thread = Some(text.to_owned());
                    }
                    _ => {}
                }
            }
            owners.extend(tid.zip(thread));
        }
    }
    owners
}

#[test]
#[cfg(target_os = "linux")] // tells thread ids
fn lanes_of_one_thread_have_its_id_and_name_in_every_file() {
    let directory = tempfile::tempdir().unwrap();
    let publisher: Publisher<Lane> = Options::new().directory(directory.path()).start().unwrap();
    let work = || {
        for n in 0..200 {
            let label = format!("{:?}.{n}", std::thread::current().name());
            let key = publisher.add::<Counter>(label, FieldOptions::new()).unwrap();
            publisher.with(|lane| lane.attach(key).unwrap().incr());
        }
        let found = owners(directory.path());
        let name = std::thread::current().name().unwrap().to_owned();
        let mine: Vec<_> = found.iter().filter(|(_, thread)| *thread == name).collect();
        assert!(mine.len() >= 2, "{found:?}");
        assert!(mine.iter().all(|(tid, _)| *tid == mine[0].0), "{found:?}");
    };
    for name in ["worker-1", "worker-2"] {
        let thread = std::thread::Builder::new().name(name.to_owned());
        std::thread::scope(|scope| {
            thread.spawn_scoped(scope, work).unwrap().join().unwrap();
        });
    }
    // Threads that ended own no lane.
    assert!(owners(directory.path()).is_empty());
}
