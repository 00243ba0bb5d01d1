//! Forks never make two writers on one mapping.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mmstats_observe::{FileState, Observer};
use mmstats_tests::look::{file, in_lane, look, states, unsigned};
use mmstats_tests::system::{Signal, signal};

use mmstats_tests::actor::{Actor, directory};

/// Process id of the child, and the other lines of the two processes, in any order.
fn child_of(actor: &mut Actor, lines: usize) -> (u32, Vec<String>) {
    let (mut child, mut others) = (None, Vec::new());
    for _ in 0..lines {
        let line = actor.line();
        match line.strip_prefix("parent of ") {
            Some(pid) => child = Some(pid.parse().unwrap()),
            None => others.push(line),
        }
    }
    (child.expect("a parent"), others)
}

/// The parent's one file, as it was before the fork.
fn untouched(directory: &Path, state: FileState) {
    let observer = look(directory);
    assert_eq!(observer.files().len(), 1, "{:?}", states(&observer));
    let file = &observer.files()[0];
    assert_eq!((file.state(), file.lanes().owned), (state, 2));
    assert_eq!(unsigned(&observer, "counter"), 20);
    for lane in 0..2 {
        assert_eq!(in_lane(file, lane, "u32").value.unwrap().as_f64_of_one(), 10.0);
    }
}

trait One {
    fn as_f64_of_one(&self) -> f64;
}

impl One for mmstats_observe::OwnedValue {
    fn as_f64_of_one(&self) -> f64 {
        self.only().as_f64().unwrap()
    }
}

#[test]
fn child_that_drops_inherited_handles_leaves_parent_untouched() {
    let directory = directory();
    let mut actor = Actor::start("fork", directory.path(), &["drop"]);
    let (_, others) = child_of(&mut actor, 2);
    assert_eq!(others, ["dropped"]);
    assert_eq!(actor.ask("wait"), "done");
    untouched(directory.path(), FileState::Live);
    // The parent still writes to the published file.
    actor.ask("300");
    assert_eq!(unsigned(&look(directory.path()), "counter"), 600);
    actor.succeeds();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A further file under the parent's instance would be one program of two processes.
#[test]
fn child_that_needs_more_lanes_opens_no_file() {
    let directory = directory();
    let mut actor = Actor::start("fork", directory.path(), &["grow"]);
    let (_, others) = child_of(&mut actor, 2);
    assert!(others[0].starts_with("grown"), "{others:?}");
    assert_eq!(actor.ask("wait"), "done");
    untouched(directory.path(), FileState::Live);
}

#[test]
fn child_that_adds_fields_does_not_publish_them() {
    let directory = directory();
    let mut actor = Actor::start("fork", directory.path(), &["add"]);
    let (_, others) = child_of(&mut actor, 2);
    assert_eq!(others, ["added"]);
    assert_eq!(actor.ask("wait"), "done");
    let observer = look(directory.path());
    assert_eq!(observer.files().len(), 2, "{:?}", states(&observer));
    assert_eq!((unsigned(&observer, "counter"), unsigned(&observer, "later")), (20, 10));
    assert!(observer.files().iter().all(|file| file.find("child0").is_none()));
    actor.succeeds();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn child_that_publishes_does_not_keep_parent_alive() {
    let directory = directory();
    let mut actor = Actor::start("fork", directory.path(), &["publish"]);
    let (child, others) = child_of(&mut actor, 2);
    assert_eq!(others, [format!("published {child}")]);
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let of = |observer: &Observer, pid: u32| {
            let found = observer.files().iter().find(|file| file.identity().pid == Some(pid));
            found.unwrap_or_else(|| panic!("no {pid} in {:?}", states(observer))).path().to_owned()
        };
        let observer = look(directory.path());
        let (parents, childs) = (of(&observer, actor.pid()), of(&observer, child));
        assert_eq!(observer.programs().len(), 2, "two programs");
        assert_ne!(file(&observer, &parents).instance(), file(&observer, &childs).instance());
        assert_eq!(
            in_lane(file(&observer, &childs), 0, "u32").value.unwrap().as_f64_of_one(),
            55.0
        );
        assert_eq!(file(&observer, &parents).state(), FileState::Live);
        assert_eq!(file(&observer, &childs).state(), FileState::Live);

        // The child, which only sleeps, has a thread of its own that looks for its file.
        std::fs::remove_file(&childs).unwrap();
        let begin = Instant::now();
        while !childs.exists() {
            assert!(begin.elapsed() < Duration::from_secs(10), "not published again");
            sleep(Duration::from_millis(20));
        }

        actor.kill();
        let observer = look(directory.path());
        assert_eq!(file(&observer, &parents).state(), FileState::Dead, "though its child lives");
        assert_eq!(file(&observer, &childs).state(), FileState::Live);
        assert_eq!(unsigned(&look(&parents), "counter"), 20);
    }));
    signal(child, Signal::Kill).unwrap();
    checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
