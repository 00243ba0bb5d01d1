//! Sweeping at the start of a publisher.

use std::fs::{self, File};
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mmstats::{Options, Publisher};
use mmstats_tests::everything::Everything;
use mmstats_tests::look::{look, unsigned};
use mmstats_tests::system::is_root;

use mmstats_tests::actor::{Actor, directory, path_of};

/// File of a killed program, modified `age` seconds ago.
fn dead(directory: &Path, age: u64) -> PathBuf {
    let (actor, path) = live(directory);
    drop(actor);
    set_age(&path, age);
    path
}

fn live(directory: &Path) -> (Actor, PathBuf) {
    let mut actor = Actor::start("idle", directory, &[]);
    let path = path_of(&actor.line());
    (actor, path)
}

fn set_age(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn start(directory: &Path, keep: Option<usize>) -> Publisher<Everything> {
    Options::new().directory(directory).post_mortems(keep).start().unwrap()
}

#[test]
fn sweep_keeps_newest_post_mortems() {
    let directory = directory();
    let dead: Vec<_> = (1..=5).map(|n| dead(directory.path(), n * 100)).collect();
    let there = || dead.iter().map(|path| path.exists()).collect::<Vec<_>>();

    drop(start(directory.path(), None));
    assert_eq!(there(), [true; 5], "not asked to tidy up");
    drop(start(directory.path(), Some(5)));
    assert_eq!(there(), [true; 5]);
    let publisher = start(directory.path(), Some(2));
    assert_eq!(there(), [true, true, false, false, false]);
    assert_eq!(look(directory.path()).files().len(), 3);
    drop(start(directory.path(), Some(0)));
    assert_eq!(there(), [false; 5]);
    assert!(publisher.paths()[0].exists(), "the one of this process lives");
}

#[test]
fn sweep_leaves_other_files_alone() {
    let directory = directory();
    let old = dead(directory.path(), 500);
    let (mut program, alive) = live(directory.path());
    set_age(&alive, 100_000);
    program.ask("update 3");

    let mut others = Vec::new();
    let mut plant = |name: &str| {
        let path = directory.path().join(name);
        others.push(path.clone());
        path
    };
    fs::write(plant("notes.txt"), "text").unwrap();
    fs::write(plant("notes.mmst"), "not one of ours, whatever its name").unwrap();
    fs::write(plant("empty.mmst"), "").unwrap();
    fs::create_dir(plant("directory.mmst")).unwrap();
    symlink(&old, plant("link.mmst")).unwrap();
    if is_root() {
        let foreign = dead(directory.path(), 600);
        chown(&foreign, Some(12_345), None).unwrap();
        others.push(foreign);
    }

    let publisher = start(directory.path(), Some(0));
    assert!(!old.exists(), "a dead file goes");
    for path in &others {
        assert!(path.symlink_metadata().is_ok(), "{} is gone", path.display());
    }
    assert!(alive.exists());
    program.ask("update 4");
    assert_eq!(unsigned(&look(&alive), "counter"), 4);
    drop(publisher);
}
