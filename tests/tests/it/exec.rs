//! `exec` and child processes: the lock on a file ends with the program image that took it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mmstats_observe::FileState;
use mmstats_tests::look::{file, look, states, unsigned};
use mmstats_tests::system::{Signal, signal};

use mmstats_tests::actor::{Actor, directory, path_of};

/// The same process id twice: one file is dead, one lives.
#[test]
fn exec_leaves_one_dead_and_one_live_file() {
    let directory = directory();
    let mut actor = Actor::start("idle", directory.path(), &["name=old"]);
    let old = path_of(&actor.line());
    actor.ask("update 41");
    // A second thread does not survive it either.
    assert!(actor.ask("thread 2").starts_with("thread"));
    let new = path_of(&actor.ask("exec name=new"));
    assert_ne!(old, new);
    actor.ask("update 5");
    actor.ask("update 6");

    let observer = look(directory.path());
    assert_eq!(observer.programs().len(), 2, "{:?}", states(&observer));
    for (path, name, state, counter) in
        [(&old, "old", FileState::Dead, 43), (&new, "new", FileState::Live, 6)]
    {
        let file = file(&observer, path);
        assert_eq!(file.identity().pid, Some(actor.pid()), "exec keeps the process id");
        assert_eq!(file.identity().command.as_deref(), Some(name));
        assert_eq!((file.state(), unsigned(&look(path), "counter")), (state, counter));
    }
    // Once more, and this one tidies up.
    let newest = path_of(&actor.ask("exec name=newest post=0"));
    assert!(!old.exists() && !new.exists() && newest.exists());
    actor.kill();
    assert_eq!(look(&newest).files()[0].state(), FileState::Dead);
}

/// A file name made of the process id alone is the same for both images.
#[test]
fn exec_with_the_same_name_replaces_the_file() {
    let directory = directory();
    let words = ["files={CMD}-{PID}.mmst"];
    let mut actor = Actor::start("idle", directory.path(), &words);
    let old = path_of(&actor.line());
    actor.ask("update 41");
    let instance = look(&old).files()[0].instance();
    let new = path_of(&actor.ask(&format!("exec {}", words[0])));
    assert_eq!(old, new);
    actor.ask("update 5");
    let observer = look(directory.path());
    assert_eq!(states(&observer), [(new, FileState::Live)]);
    assert_ne!(observer.files()[0].instance(), instance);
    assert_eq!(unsigned(&observer, "counter"), 5);
}

#[test]
fn children_of_a_dead_program_hold_no_lock() {
    for how in ["spawn", "spawn fork"] {
        let directory = directory();
        let mut actor = Actor::start("idle", directory.path(), &[]);
        let path = path_of(&actor.line());
        let child = Survivor(actor.ask(how).parse().unwrap());
        wait_until_executed(&child, actor.pid());
        let open = open_files(child.0);
        assert!(!open.iter().any(|open| open.starts_with(directory.path())), "{how}: {open:?}");
        assert_eq!(look(&path).files()[0].state(), FileState::Live);
        actor.kill();
        assert_eq!(look(&path).files()[0].state(), FileState::Dead, "{how}");
        assert!(Path::new(&format!("/proc/{}/stat", child.0)).exists(), "the child lives on");
    }
}

/// A process that outlives its parent, but not the test.
struct Survivor(u32);

impl Drop for Survivor {
    fn drop(&mut self) {
        let _ = signal(self.0, Signal::Kill);
    }
}

/// Before `exec` a child has all open files of its parent.
fn wait_until_executed(child: &Survivor, parent: u32) {
    let program = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    let start = Instant::now();
    while program(child.0) == program(parent) {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not execute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn open_files(pid: u32) -> Vec<PathBuf> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok()).collect()
}
