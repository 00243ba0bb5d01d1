//! Sweeping: removes dead files, keeps the newest and those of other users.

mod util;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use util::{names, new_file, published, symlink};

use crate::backend::directory::Directory;
use crate::backend::{
    FileId, FileType, Identify, Judged, Removal, SweepOptions, SweptProgram, info, remove_if_dead,
    remove_judged, reopen, sweep,
};

fn dead(place: &Path, name: &str, age: u64) {
    let path = place.join(name);
    fs::write(&path, "dead").unwrap();
    let then = SystemTime::now() - Duration::from_secs(age);
    fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn sweep_all(place: &Path, options: &SweepOptions) -> BTreeMap<String, Removal> {
    by_program(place, options, &|_, _| Some(SweptProgram::default()))
}

fn by_program(
    place: &Path,
    options: &SweepOptions,
    identify: &Identify<'_>,
) -> BTreeMap<String, Removal> {
    let swept = sweep(&Directory::open(place).unwrap(), options, Some(identify)).unwrap();
    assert!(swept.is_complete);
    swept
        .files
        .into_iter()
        .map(|swept| {
            let name = swept.path.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(swept.path.parent(), Some(place));
            (name, swept.removal)
        })
        .collect()
}

const NONE: SweepOptions = SweepOptions {
    keep: 0,
    temporary_age: Duration::from_secs(60),
    dry_run: false,
    time: Duration::MAX,
};

#[test]
fn sweep_keeps_newest_post_mortems() {
    let place = tempfile::tempdir().unwrap();
    for age in [50, 10, 40, 20, 30] {
        dead(place.path(), &format!("{age}.mmst"), age);
    }
    let dry = SweepOptions { keep: 2, dry_run: true, ..NONE };
    let swept = sweep_all(place.path(), &dry);
    assert_eq!(names(place.path()).len(), 5);
    assert!(matches!(swept["30.mmst"], Removal::WouldRemove), "{swept:?}");

    let swept = sweep_all(place.path(), &SweepOptions { keep: 2, ..NONE });
    assert_eq!(names(place.path()), ["10.mmst", "20.mmst"]);
    assert_eq!(swept.len(), 5);
    assert!(matches!(swept["20.mmst"], Removal::Kept), "{swept:?}");
    assert!(matches!(swept["50.mmst"], Removal::Removed), "{swept:?}");
    sweep_all(place.path(), &NONE);
    assert!(names(place.path()).is_empty());
}

#[test]
fn sweep_keeps_live_files() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "live.mmst", 64);
    let _half_built = new_file(place.path(), "half.mmst", 64);
    let now = SweepOptions { temporary_age: Duration::ZERO, ..NONE };
    let swept = sweep_all(place.path(), &now);
    assert_eq!(swept.len(), 2);
    assert!(swept.values().all(|removal| matches!(removal, Removal::Live)), "{swept:?}");
    assert_eq!(names(place.path()).len(), 2);
    assert!(matches!(remove_if_dead(file.path(), false).unwrap(), Removal::Live));
    let path = file.path().to_owned();
    drop(file);
    assert!(matches!(remove_if_dead(&path, true).unwrap(), Removal::WouldRemove));
    assert!(path.exists());
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Removed));
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::Vanished));
    assert!(matches!(remove_if_dead(Path::new("/no/such/x"), false).unwrap(), Removal::Vanished));
}

#[test]
fn remove_judged_removes_same_file_with_same_image_only() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.mmst");
    let directory = Directory::open(place.path()).unwrap();
    let remove = |judged: &Judged, dry| remove_judged(&directory, "x.mmst".as_ref(), judged, dry);
    fs::write(&path, "image one").unwrap();
    let one = Judged { id: info(&path).unwrap().id, start: b"image".to_vec() };
    assert!(matches!(remove(&one, true), Removal::WouldRemove));

    // Another image in the same file, and one that is shorter.
    for other in ["IMAGE one", "ima"] {
        fs::write(&path, other).unwrap();
        assert!(matches!(remove(&one, false), Removal::Vanished), "{other}");
    }
    // Another file with the same image.
    fs::rename(&path, place.path().join("y.mmst")).unwrap();
    fs::write(&path, "image one").unwrap();
    assert!(matches!(remove(&one, false), Removal::Vanished));
    assert_eq!(fs::read(&path).unwrap(), b"image one");

    let this = Judged { id: info(&path).unwrap().id, ..one };
    assert!(matches!(remove(&this, false), Removal::Removed));
    assert!(matches!(remove(&this, false), Removal::Vanished));
    assert_eq!(names(place.path()), ["y.mmst"]);
}

#[test]
fn remove_judged_keeps_live_file() {
    let place = tempfile::tempdir().unwrap();
    let file = published(place.path(), "live.mmst", 64);
    let judged = Judged { id: info(file.path()).unwrap().id, start: Vec::new() };
    let directory = Directory::open(place.path()).unwrap();
    let removal = remove_judged(&directory, "live.mmst".as_ref(), &judged, false);
    assert!(matches!(removal, Removal::Live), "{removal:?}");
    assert!(file.path().exists());
}

#[cfg(unix)] // Windows refuses to rename a directory that is open
#[test]
fn remove_judged_stays_in_open_directory() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::create_dir(path("stats")).unwrap();
    fs::create_dir(path("victim")).unwrap();
    fs::write(path("stats/x.mmst"), "judged").unwrap();
    let directory = Directory::open(&path("stats")).unwrap();
    let judged = Judged { id: info(&path("stats/x.mmst")).unwrap().id, start: Vec::new() };
    // The same file has a name in the directory that the path leads to by now.
    fs::hard_link(path("stats/x.mmst"), path("victim/x.mmst")).unwrap();
    fs::rename(path("stats"), path("moved")).unwrap();
    std::os::unix::fs::symlink("victim", path("stats")).unwrap();
    let removal = remove_judged(&directory, "x.mmst".as_ref(), &judged, false);
    assert!(matches!(removal, Removal::Removed), "{removal:?}");
    assert!(!path("moved/x.mmst").exists());
    assert!(path("victim/x.mmst").exists());
}

#[test]
fn sweep_examines_regular_candidates_only() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    dead(place.path(), "victim", 100);
    dead(place.path(), "other.txt", 100);
    dead(place.path(), ".hidden.mmst", 100);
    dead(place.path(), "mine.mmst", 100);
    dead(place.path(), "yours.mmst", 100);
    fs::create_dir(path("directory.mmst")).unwrap();
    let mut want = vec![(path("directory.mmst"), FileType::Directory)];
    let mut left = vec![".hidden.mmst", "directory.mmst", "other.txt", "victim", "yours.mmst"];
    if symlink(&path("victim"), &path("link.mmst")) {
        want.push((path("link.mmst"), FileType::Link));
        left.push("link.mmst");
    }
    #[cfg(unix)] // Windows has no pipes in directories
    {
        util::mkfifo(&path("pipe.mmst"));
        want.push((path("pipe.mmst"), FileType::Pipe));
        left.push("pipe.mmst");
    }
    left.sort_unstable();
    let directory = Directory::open(place.path()).unwrap();
    let identify = |name: &OsStr, _: FileId| (name != "yours.mmst").then(SweptProgram::default);
    let swept = sweep(&directory, &NONE, Some(&identify)).unwrap();
    let mut stayed: Vec<_> = swept
        .files
        .into_iter()
        .filter_map(|swept| match swept.removal {
            Removal::NotRegular(kind) => Some((swept.path, kind)),
            Removal::Removed => None,
            other => panic!("{:?}: {other:?}", swept.path),
        })
        .collect();
    stayed.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(stayed, want);
    assert_eq!(names(place.path()), left);
}

#[test]
fn sweep_removes_old_temporary_files() {
    let place = tempfile::tempdir().unwrap();
    let (old, young) = (".x.mmst.tmp-0123456789abcdef", ".y.mmst.tmp-0123456789abcdef");
    dead(place.path(), old, 61);
    dead(place.path(), young, 10);
    // They do not count as kept files.
    dead(place.path(), "z.mmst", 100);
    let swept = sweep_all(place.path(), &SweepOptions { keep: 1, ..NONE });
    assert!(matches!(swept[old], Removal::Removed), "{swept:?}");
    assert!(matches!(swept[young], Removal::TooYoung), "{swept:?}");
    assert!(matches!(swept["z.mmst"], Removal::Kept), "{swept:?}");
    assert_eq!(names(place.path()), [young, "z.mmst"]);
}

#[cfg(unix)] // Windows cannot change the owner
#[test]
fn sweep_keeps_files_of_other_users() {
    if !util::is_root() {
        util::skip("only root can make a file of another user");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    dead(place.path(), "theirs.mmst", 100);
    dead(place.path(), ".t.mmst.tmp-0123456789abcdef", 100);
    for name in names(place.path()) {
        std::os::unix::fs::chown(place.path().join(name), Some(12_345), None).unwrap();
    }
    let swept = sweep_all(place.path(), &NONE);
    assert_eq!(swept.len(), 2);
    for removal in swept.values() {
        assert!(matches!(removal, Removal::NotOurs { owner: 12_345 }), "{removal:?}");
    }
    let path = place.path().join("theirs.mmst");
    assert!(matches!(remove_if_dead(&path, false).unwrap(), Removal::NotOurs { owner: 12_345 }));
    assert_eq!(names(place.path()).len(), 2);
}

#[test]
fn sweep_beside_sweepers_and_returning_writers_loses_no_file() {
    let place = tempfile::tempdir().unwrap();
    for at in 0..300 {
        dead(place.path(), &format!("{at}.mmst"), 100);
    }
    std::thread::scope(|scope| {
        let sweepers: Vec<_> =
            (0..3).map(|_| scope.spawn(|| sweep_all(place.path(), &NONE))).collect();
        // A file that was reopened is not removed.
        let back: Vec<_> = (0..300)
            .rev()
            .filter_map(|at| reopen(&place.path().join(format!("{at}.mmst"))).ok())
            .collect();
        let mut removed = BTreeSet::new();
        for sweeper in sweepers {
            for (name, removal) in sweeper.join().unwrap() {
                match removal {
                    // Only one sweeper removes a name; but old versions of Windows keep the name
                    // until both have closed the file.
                    Removal::Removed => assert!(removed.insert(name) || cfg!(windows)),
                    Removal::Vanished | Removal::Live => {}
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
        for file in &back {
            assert!(file.path().exists(), "{:?}", file.path());
        }
        if util::is_wine() {
            // It lets a writer open a file whose removal is pending.
            assert!(removed.len() + back.len() >= 300);
        } else {
            assert_eq!(removed.len() + back.len(), 300);
        }
        assert_eq!(names(place.path()).len(), back.len());
    });
}

#[test]
fn sweep_of_ten_thousand_files_takes_less_than_ten_seconds() {
    let place = tempfile::tempdir().unwrap();
    // Each file takes a call of another process under wine.
    let count = if util::is_wine() { 1000 } else { 10_000 };
    for at in 0..count {
        fs::write(place.path().join(format!("{at}.mmst")), "x").unwrap();
    }
    let started = std::time::Instant::now();
    let swept = sweep_all(place.path(), &SweepOptions { keep: 10, ..NONE });
    eprintln!("{count} files swept in {:?}", started.elapsed());
    assert_eq!(swept.len(), count);
    assert_eq!(names(place.path()).len(), 10);
    assert!(started.elapsed() < Duration::from_secs(10) || util::is_wine());
}

/// The program that the name of a file says: `COMMAND-INSTANCE[.PART].mmst`, with `parts` in part 0.
fn named(name: &OsStr, parts: Option<u32>) -> Option<SweptProgram> {
    let text = name.to_str()?.strip_suffix(".mmst")?;
    let (first, part) = text.split_once('.').unwrap_or((text, "0"));
    let (command, instance) = first.split_once('-')?;
    Some(SweptProgram {
        instance: Some([instance.parse().ok()?; 16]),
        command: Some(command.to_owned()),
        parts: parts.filter(|_| part == "0"),
    })
}

#[test]
fn sweep_keeps_or_removes_all_files_of_a_program() {
    for parts in [None, Some(9)] {
        let place = tempfile::tempdir().unwrap();
        for (instance, age) in [(1, 300), (2, 200), (3, 100)] {
            dead(place.path(), &format!("web-{instance}.mmst"), age);
            for part in 1..9 {
                // Modification times of the parts of different programs overlap.
                dead(place.path(), &format!("web-{instance}.{part}.mmst"), age + part * 50);
            }
        }
        let options = SweepOptions { keep: 2, ..NONE };
        let swept = by_program(place.path(), &options, &|name, _| named(name, parts));
        assert_eq!(swept.len(), 27);
        let left = names(place.path());
        assert_eq!(left.len(), 18);
        assert!(left.iter().all(|name| !name.starts_with("web-1")), "{left:?}");
    }
}

#[test]
fn sweep_beside_a_crash_loop_keeps_other_commands() {
    let place = tempfile::tempdir().unwrap();
    dead(place.path(), "service-200.mmst", 1_000_000);
    dead(place.path(), "service-200.1.mmst", 1_000_000);
    for instance in 0..50 {
        dead(place.path(), &format!("loop-{instance}.mmst"), instance);
    }
    let options = SweepOptions { keep: 8, ..NONE };
    by_program(place.path(), &options, &|name, _| named(name, None));
    let left = names(place.path());
    assert_eq!(left.len(), 10, "{left:?}");
    assert!(left.contains(&"service-200.1.mmst".to_owned()), "{left:?}");
}

/// A program that dies releases its locks one after the other.
#[test]
fn sweep_leaves_program_with_a_living_part() {
    let place = tempfile::tempdir().unwrap();
    let alive = published(place.path(), "web-1.1.mmst", 64);
    for name in ["web-1.mmst", "web-1.2.mmst", "web-2.mmst"] {
        dead(place.path(), name, 100);
    }
    let sweep = || by_program(place.path(), &NONE, &|name, _| named(name, None));
    let swept = sweep();
    assert!(matches!(swept["web-1.1.mmst"], Removal::Live), "{swept:?}");
    assert!(matches!(swept["web-1.2.mmst"], Removal::Kept), "{swept:?}");
    assert_eq!(names(place.path()), ["web-1.1.mmst", "web-1.2.mmst", "web-1.mmst"]);
    drop(alive);
    sweep();
    assert!(names(place.path()).is_empty());
}

#[test]
fn sweep_without_time_for_all_files_removes_whole_programs_only() {
    let place = tempfile::tempdir().unwrap();
    for instance in 0..120 {
        for part in ["", ".1"] {
            dead(place.path(), &format!("web-{instance}{part}.mmst"), 100);
        }
    }
    let directory = Directory::open(place.path()).unwrap();
    let slow = |name: &OsStr, _: FileId| {
        std::thread::sleep(Duration::from_micros(100));
        named(name, Some(2))
    };
    let options = SweepOptions { time: Duration::from_millis(10), ..NONE };
    let swept = sweep(&directory, &options, Some(&slow)).unwrap();
    assert!(!swept.is_complete);
    let left = names(place.path());
    let whole = |name: &String| {
        let other = match name.strip_suffix(".1.mmst") {
            Some(first) => format!("{first}.mmst"),
            None => name.replace(".mmst", ".1.mmst"),
        };
        left.contains(&other)
    };
    assert!(left.len() >= 110 && left.iter().all(whole), "{left:?}");
    // Later ones remove more.
    for _ in 0..200 {
        if names(place.path()).len() < 100 {
            return;
        }
        let _ = sweep(
            &directory,
            &SweepOptions { time: Duration::from_millis(40), ..options },
            Some(&slow),
        );
    }
    panic!("{} files left", names(place.path()).len());
}
