//! Containers that share a directory: every program is process 1, and liveness is a lock.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mmstats_observe::FileState;
use mmstats_tests::look::{file, look, states, unsigned};

use mmstats_tests::actor::{Actor, directory, path_of, skip};

/// Two programs with the process id 1 in one directory.
fn two(directory: &Path) -> Option<[(Actor, PathBuf); 2]> {
    let start = || {
        let mut actor = Actor::start_as_first("idle", directory, &["name=web"])?;
        let path = path_of(&actor.line());
        Some((actor, path))
    };
    match (start(), start()) {
        (Some(a), Some(b)) => Some([a, b]),
        _ => {
            skip("no pid namespaces");
            None
        }
    }
}

/// `unshare` is killed; its process 1 dies a moment later.
fn wait_until_dead(path: &Path) {
    let start = Instant::now();
    while look(path).files()[0].state() == FileState::Live {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn programs_with_process_id_1_are_separate() {
    let directory = directory();
    let Some([(mut a, of_a), (mut b, of_b)]) = two(directory.path()) else { return };
    a.ask("update 10");
    b.ask("update 200");
    let observer = look(directory.path());
    assert_eq!(observer.programs().len(), 2, "{:?}", states(&observer));
    for (path, counter) in [(&of_a, 10), (&of_b, 200)] {
        let file = file(&observer, path);
        assert_eq!((file.state(), file.identity().pid), (FileState::Live, Some(1)));
        assert_eq!(unsigned(&look(path), "counter"), counter);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("web-1-"), "{name}");
    }
    let namespace = |path| file(&observer, path).identity().pid_ns.unwrap();
    assert_ne!(namespace(&of_a), namespace(&of_b));

    // They see each other, and a third one sees both, which have no process id in its namespace.
    assert_eq!(a.ask("look counter"), "2 of 2 live, 210");
    let mut third = Actor::start_as_first("idle", directory.path(), &["post=0"]).unwrap();
    let of_third = path_of(&third.line());
    assert!(of_a.exists() && of_b.exists(), "it tidied up, and they live");
    assert_eq!(third.ask("look counter"), "3 of 3 live, 210");

    // One dies, the other lives.
    a.kill();
    wait_until_dead(&of_a);
    let observer = look(directory.path());
    assert_eq!(file(&observer, &of_a).state(), FileState::Dead);
    assert_eq!(file(&observer, &of_b).state(), FileState::Live);
    assert_eq!(b.ask("look counter"), "2 of 3 live, 210");
    assert_eq!(b.ask("update 300"), "done");
    assert_eq!(third.ask("look counter"), "2 of 3 live, 310");

    // The next one sweeps the dead one alone.
    let mut fourth = Actor::start_as_first("idle", directory.path(), &["post=0"]).unwrap();
    let of_fourth = path_of(&fourth.line());
    let mut left: Vec<_> = states(&look(directory.path()));
    left.sort_by_key(|(path, _)| path.clone());
    let mut want = [of_b, of_third, of_fourth].map(|path| (path, FileState::Live));
    want.sort_by_key(|(path, _)| path.clone());
    assert_eq!(left, want);
}

/// The second program gets an error, and the first keeps its file.
#[test]
fn name_of_the_process_id_alone_collides() {
    let directory = directory();
    let words = ["files={CMD}-{PID}.mmst"];
    let Some(mut a) = Actor::start_as_first("idle", directory.path(), &words) else {
        skip("no pid namespaces");
        return;
    };
    let path = path_of(&a.line());
    a.ask("update 10");
    let mut b = Actor::start_as_first("idle", directory.path(), &words).unwrap();
    assert!(!b.wait().success());
    let errors = b.errors();
    assert!(errors.contains("the name is already taken"), "{errors}");
    a.ask("update 11");
    let observer = look(directory.path());
    assert_eq!(states(&observer), [(path.clone(), FileState::Live)]);
    assert_eq!(unsigned(&observer, "counter"), 11);

    // After the death of the first one the name is free.
    a.kill();
    wait_until_dead(&path);
    let mut c = Actor::start_as_first("idle", directory.path(), &words).unwrap();
    assert_eq!(path_of(&c.line()), path);
    assert_eq!(look(&path).files()[0].state(), FileState::Live);
}
