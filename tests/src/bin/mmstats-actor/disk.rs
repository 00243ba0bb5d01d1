//! File systems that are full or read-only, and directories that belong to others.
//!
//! `disk` runs in its own mount namespace, whose mounts end with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mmstats::{Counter, Error, FamilyKey, FieldOptions, Lane, Options, Publisher, Schema};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};
use mmstats_tests::everything::Everything;
use mmstats_tests::look::{look, states, unsigned};
use mmstats_tests::system;

use crate::lines::say;

/// User id of a user with a quota.
const USER: u32 = 54_321;

type Started = Result<Publisher<Everything>, Error>;

pub(crate) fn run(directory: &Path, words: &[String]) {
    let [scenario] = words else { panic!("SCENARIO") };
    let options = match scenario.as_str() {
        "quota" => "size=1m,mode=0700,usrquota,usrquota_block_hardlimit=64k",
        // A file for fields added at run time has about 210 KiB; there are two, and the first file.
        "growth-family" => "size=768k,mode=0700",
        _ => "size=256k,mode=0700",
    };
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(directory).status();
    if !mounted.is_ok_and(|status| status.success()) {
        if scenario == "quota" {
            // Linux 6.6 and later, if it was built so.
            say("no quotas here");
            return;
        }
        say("skipped: no tmpfs can be mounted here");
        return;
    }
    match scenario.as_str() {
        "full" => full(directory),
        "nearly-full" => nearly_full(directory),
        "private" => private(directory),
        "growth" => growth(directory, false),
        "growth-private" => growth(directory, true),
        "growth-family" => growth_of_a_family(directory),
        "quota" => quota(directory),
        "read-only" => read_only(directory),
        other => panic!("no scenario {other:?}"),
    }
    say("passed");
}

fn options(directory: &Path) -> Options {
    Options::new().directory(directory)
}

/// Fills the file system and leaves `rest` pages free.
fn fill(directory: &Path, rest: usize) {
    let mut file = File::create(directory.join("filler")).expect("a file");
    await_room_of_removed_files(directory);
    let page = [1; 4096];
    let mut pages = 0;
    while file.write_all(&page).is_ok() {
        pages += 1;
        assert!(pages <= 192, "the file system is larger than it was told");
    }
    let pages = u64::try_from(pages - rest).expect("a size");
    file.set_len(pages * 4096).expect("a smaller file");
}

/// Waits until files without a name hold no room: the thread that looks for the files of publishers may
/// still have one mapped that was just removed.
fn await_room_of_removed_files(directory: &Path) {
    let held = || {
        let system = rustix::fs::statvfs(directory).expect("a file system");
        let all = (system.f_blocks - system.f_bfree) * system.f_frsize;
        let blocks = |name: &String| fs::metadata(directory.join(name)).map_or(0, |m| m.blocks());
        all - names(directory).iter().map(blocks).sum::<u64>() * 512
    };
    let start = Instant::now();
    while held() != 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "{} bytes are still held", held());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The names in a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries.map(|e| name(e).to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// No space: the error names the reason and the path, and no file is left.
fn refused(directory: &Path, started: Started) {
    let error = started.expect_err("there is no space").to_string();
    assert!(error.contains("no space left"), "{error}");
    assert!(error.contains(directory.to_str().expect("UTF-8")), "{error}");
    assert!(error.contains(".mmst"), "{error}");
    assert_eq!(names(directory), ["filler"]);
}

fn full(directory: &Path) {
    fill(directory, 0);
    refused(directory, options(directory).start());
    fs::remove_file(directory.join("filler")).expect("the filler");
    let publisher: Publisher<Everything> = options(directory).start().expect("there is space now");
    publisher.with(|stats| stats.update(1));
}

/// Some pages are free, but not enough: a file without reserved space would cause SIGBUS later.
fn nearly_full(directory: &Path) {
    let size = {
        let publisher: Publisher<Everything> =
            options(directory).lanes(30).start().expect("a publisher");
        fs::metadata(&publisher.paths()[0]).expect("a file").len()
    };
    let pages = usize::try_from(size.div_ceil(4096)).expect("a size");
    assert!((4..60).contains(&pages), "{size} bytes do not suit this test");
    for free in [1, 2, pages - 1] {
        fill(directory, free);
        refused(directory, options(directory).lanes(30).start());
    }
    fill(directory, pages);
    let publisher: Publisher<Everything> =
        options(directory).lanes(30).start().expect("just enough space");
    publisher.with(|stats| stats.update(1));
}

/// With private memory as second choice the program runs, and knows why it is not published.
fn private(directory: &Path) {
    fill(directory, 1);
    let publisher: Publisher<Everything> = options(directory).or_private().start().expect("memory");
    let problem = publisher.problem().expect("a problem").to_string();
    assert!(problem.contains("no space left"), "{problem}");
    assert_eq!(publisher.paths(), [""; 0].map(std::path::PathBuf::from));
    // More threads than the lanes of a file.
    let lanes: Vec<_> = (0..20).map(|_| publisher.lane().expect("a lane")).collect();
    lanes.iter().for_each(|stats| stats.update(5));
    assert!(lanes.iter().all(|stats| stats.counter.get() == 5));
    publisher.with(|stats| stats.added.add(2));
    assert_eq!(publisher.with(|stats| stats.added.get()), 2);
    assert_eq!(names(directory), ["filler"]);
}

/// The first file fits, the second one does not.
fn growth(directory: &Path, or_private: bool) {
    let options = options(directory).lanes(2);
    let options = if or_private { options.or_private() } else { options };
    let publisher: Publisher<Everything> = options.start().expect("a publisher");
    let (first, second) = (publisher.lane().expect("a lane"), publisher.lane().expect("a lane"));
    fill(directory, 1);
    assert!(publisher.problem().is_none());
    first.update(3);

    // `with` needs a third lane, and a further thread a fourth one.
    publisher.with(|stats| stats.update(4));
    assert_eq!(publisher.with(|stats| stats.counter.get()), 4);
    publisher.with(|stats| stats.added.add(4));
    std::thread::scope(|scope| {
        scope.spawn(|| publisher.with(|stats| stats.added.add(5)));
    });
    let problem = publisher.problem().expect("a problem").to_string();
    assert!(problem.contains("no space left"), "{problem}");
    match publisher.lane() {
        Ok(stats) => {
            assert!(or_private, "a lane of nowhere was not asked for");
            stats.added.add(6);
        }
        Err(error) => {
            assert!(!or_private, "{error}");
            assert!(error.to_string().contains("no space left"), "{error}");
        }
    }

    // The first file is intact and still written to.
    second.update(30);
    let observer = look(directory);
    assert_eq!(states(&observer).len(), 1, "{:?}", names(directory));
    assert_eq!(unsigned(&observer, "counter"), 33);

    // And when there is space again, all threads are seen.
    fs::remove_file(directory.join("filler")).expect("the filler");
    std::thread::scope(|scope| {
        scope.spawn(|| publisher.with(|stats| stats.added.add(100)));
    });
    // Each of three updates added 3.
    let all = 9 + 4 + 5 + 100 + if or_private { 6 } else { 0 };
    let begin = Instant::now();
    while unsigned(&look(directory), "added") != all {
        let seen = unsigned(&look(directory), "added");
        assert!(begin.elapsed() < Duration::from_secs(30), "{seen}, not {all}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(publisher.problem().is_none(), "{:?}", publisher.problem());
    // The lane of a thread that continues is copied.
    publisher.with(|stats| stats.added.add(1_000));
    publisher.flush(false).expect("memory");
    assert_eq!(unsigned(&look(directory), "added"), all + 1_000);
    assert_eq!(unsigned(&look(directory), "counter"), 37);
}

/// Without room for a new field of a family, or for another thread's lane in a further file, counts
/// go to the overflow field; after room is freed, to fields of their own.
fn growth_of_a_family(directory: &Path) {
    let mut schema = Schema::new();
    let key: FamilyKey<Counter, 1> = schema.add_family("f", ["k"], FieldOptions::new());
    let options = options(directory).lanes(2).schema(schema);
    let publisher: Publisher<Lane> = options.start().expect("a publisher");
    let lanes = [(); 3].map(|()| publisher.lane().expect("a lane"));
    let [first, second, third] = lanes.each_ref().map(|lane| lane.family(key).expect("a family"));
    // A further file; its two lanes are taken.
    first.get(&["old"]).incr();
    second.get(&["old"]).incr();
    fill(directory, 0);
    for _ in 0..1000 {
        third.get(&["old"]).incr();
        (0..100).for_each(|n| first.get(&[&n.to_string()]).incr());
    }
    let seen = of_family(directory);
    assert_eq!(seen.values().sum::<u128>(), 101_002, "{seen:?}");
    assert_eq!(seen["old"], 2, "{seen:?}");
    assert!(seen[""] >= 1000, "{seen:?}");
    assert!(publisher.paths().len() < 8, "{:?}", publisher.paths());

    fs::remove_file(directory.join("filler")).expect("the filler");
    let begin = Instant::now();
    for n in 1.. {
        third.get(&["old"]).incr();
        first.get(&["new"]).incr();
        let seen = of_family(directory);
        assert_eq!(seen.values().sum::<u128>(), 101_002 + 2 * n, "{seen:?}");
        if seen["old"] > 2 && seen.contains_key("new") {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{seen:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Counts of a family by the value of its attribute; the overflow field has none.
fn of_family(directory: &Path) -> BTreeMap<String, u128> {
    let found = totals(look(directory).files()).into_iter().filter(|t| t.field.label == "f");
    found
        .map(|total| {
            let value = total.field.attributes().find(|(key, _)| *key == "k");
            let value = value.map_or_else(String::new, |(_, value)| value.to_owned());
            match total.reading.value {
                Some(OwnedValue::Unsigned(n)) => (value, n),
                other => panic!("{value}: {other:?}"),
            }
        })
        .collect()
}

/// With a quota of 64 KiB, a file of a megabyte: the error names the reason, and no file is left.
fn quota(directory: &Path) {
    let target = directory.join("published");
    fs::create_dir(&target).expect("a directory");
    std::os::unix::fs::chown(&target, Some(USER), Some(USER)).expect("the super-user may");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("the owner may");
    system::become_user(USER).expect("the super-user may");
    bounded(&target, "quota");
}

/// Where a file of 2 lanes fits and one of 100 does not: an error at the start; a running program
/// gets lanes while there is room, then private memory.
pub(crate) fn bounded(directory: &Path, why: &str) {
    let started: Started = options(directory).lanes(100).start();
    let error = started.expect_err("it is above the limit").to_string();
    assert!(error.contains(why), "{error}");
    assert_eq!(names(directory), [""; 0]);
    let private: Publisher<Everything> =
        options(directory).lanes(100).or_private().start().expect("memory");
    assert!(private.problem().is_some());
    private.with(|stats| stats.update(1));

    let first: Publisher<Everything> =
        options(directory).lanes(2).start().expect("room for a file");
    let lanes: Vec<_> = std::iter::from_fn(|| first.lane().ok()).take(1000).collect();
    assert!((2..1000).contains(&lanes.len()), "{} lanes", lanes.len());
    lanes.iter().for_each(|stats| stats.update(1));
    first.with(|stats| stats.update(2));
    let problem = first.problem().expect("a problem").to_string();
    assert!(problem.contains(why), "{problem}");
    let count = u128::try_from(lanes.len()).expect("a number");
    assert_eq!(unsigned(&look(directory), "counter"), count);
    assert!(names(directory).iter().all(|name| !name.starts_with('.')), "{:?}", names(directory));
}

fn read_only(directory: &Path) {
    let target = directory.join("published");
    fs::create_dir(&target).expect("a directory");
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(directory).status();
    assert!(remounted.is_ok_and(|status| status.success()), "a tmpfs can be remounted");
    for path in [target, directory.join("not-there")] {
        let started: Started = options(&path).start();
        let error = started.expect_err("the file system is read-only").to_string();
        assert!(error.contains("read-only"), "{error}");
        assert!(error.contains(path.to_str().expect("UTF-8")), "{error}");
        let publisher: Publisher<Everything> = options(&path).or_private().start().expect("memory");
        assert!(publisher.problem().is_some());
        publisher.with(|stats| stats.update(1));
    }
}

/// A directory in which this process must not write.
pub(crate) fn as_nobody(directory: &Path) {
    if system::is_root() {
        system::become_user(65_534).expect("the super-user may");
    }
    let started: Started = options(directory).start();
    let error = started.expect_err("the directory belongs to others").to_string();
    assert!(error.contains("permission denied"), "{error}");
    assert!(error.contains(directory.to_str().expect("UTF-8")), "{error}");
    let publisher: Publisher<Everything> = options(directory).or_private().start().expect("memory");
    let problem = publisher.problem().expect("a problem").to_string();
    assert!(problem.contains("permission denied"), "{problem}");
    publisher.with(|stats| stats.update(1));
    say("passed");
}

/// The directory that this user would take was made by another user: publishers and observers pass
/// it over and leave it as it is.
pub(crate) fn planted(directory: &Path, words: &[String]) {
    let [plant] = words else { panic!("PLANT") };
    // A planted image.
    let image = {
        let publisher: Publisher<Everything> = options(directory).start().expect("a publisher");
        publisher.with(|stats| stats.update(1000));
        fs::read(&publisher.paths()[0]).expect("a file")
    };
    for place in ["/dev/shm", "/tmp"] {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "mode=1777", "tmpfs", place]).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a tmpfs can be mounted");
    }
    let own = Path::new("/dev/shm").join(format!("mmstats-{USER}"));
    let target = Path::new("/dev/shm/target");
    fs::create_dir(target).expect("a directory");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let fill = |place: &Path| {
        fs::write(place.join("planted.mmst"), &image).expect("a file");
        mode(&place.join("planted.mmst"), 0o644).expect("the owner may");
    };
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(USER), Some(USER));
    match plant.as_str() {
        "none" => {}
        "link" => {
            fill(target);
            give(target).and_then(|()| mode(target, 0o700)).expect("the super-user may");
            std::os::unix::fs::symlink(target, &own).expect("a link");
        }
        // Only its owner can write to the second one.
        "owner" | "readable" | "mode" => {
            fs::create_dir(&own).expect("a directory");
            fill(&own);
            if plant == "mode" {
                give(&own).expect("the super-user may");
            }
            mode(&own, if plant == "readable" { 0o755 } else { 0o777 }).expect("the owner may");
        }
        "file" => fs::write(&own, "a file").expect("a file"),
        "pipe" => {
            let made = Command::new("mkfifo").arg(&own).status();
            assert!(made.is_ok_and(|status| status.success()), "a pipe");
        }
        other => panic!("no plant {other:?}"),
    }
    let before = (names(target), fs::symlink_metadata(&own).ok().map(|data| data.len()));
    system::become_user(USER).expect("the super-user may");
    let publisher: Publisher<Everything> = Options::new().start().expect("the second choice");
    publisher.with(|stats| stats.update(7));
    let path = publisher.paths().swap_remove(0);
    let mut observer = Observer::new(Sources::new());
    observer.refresh();
    assert_eq!(states(&observer).len(), 1, "{:?}", states(&observer));
    assert_eq!(unsigned(&observer, "counter"), 7);
    if plant == "none" {
        assert!(path.starts_with(&own), "{}", path.display());
    } else {
        assert!(path.starts_with(format!("/tmp/mmstats-{USER}")), "{}", path.display());
        let after = (names(target), fs::symlink_metadata(&own).ok().map(|data| data.len()));
        assert_eq!(before, after, "the planted entry was changed");
    }
    say("passed");
}
