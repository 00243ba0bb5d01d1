//! Daemons: programs that publish before or after they go into the background.

use std::path::Path;
use std::time::{Duration, Instant};

use mmstats_observe::FileState;
use mmstats_tests::look::{file, look, states, unsigned};

use mmstats_tests::actor::{Actor, directory};

/// The daemon: process id, file, and the problem of the publisher that it inherited.
fn daemon(actor: &mut Actor) -> (u32, String, String) {
    let line = actor.line();
    let mut words = line.splitn(3, ' ').map(str::to_owned);
    let mut word = || words.next().unwrap();
    let (pid, path, told) = (word().parse::<u32>().unwrap(), word(), word());
    assert_ne!(pid, actor.pid(), "it is a grandchild");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap();
    assert_ne!(session, actor.pid().to_string(), "of another session");
    assert_ne!(session, pid.to_string(), "and not its leader");
    (pid, path, told)
}

/// The publisher of the parent reports in the daemon that it belongs to the parent.
#[test]
fn daemon_of_an_earlier_publisher_leaves_a_dead_file() {
    let directory = directory();
    let mut actor = Actor::start("daemon", directory.path(), &["before"]);
    let (pid, path, told) = daemon(&mut actor);
    assert_eq!(told, "the publisher belongs to the parent process");
    wait_until_gone(&actor);

    let observer = look(directory.path());
    assert_eq!(observer.files().len(), 2, "{:?}", states(&observer));
    for found in observer.files() {
        let own = found.path() == Path::new(&path);
        let (of, state, counter) =
            if own { (pid, FileState::Live, 55) } else { (actor.pid(), FileState::Dead, 10) };
        assert_eq!(found.identity().pid, Some(of));
        assert_eq!((found.state(), unsigned(&look(found.path()), "counter")), (state, counter));
    }
}

/// One program, one file, live as long as the daemon.
#[test]
fn daemon_that_publishes_itself_is_live() {
    let directory = directory();
    let mut actor = Actor::start("daemon", directory.path(), &["after"]);
    let (pid, path, told) = daemon(&mut actor);
    assert_eq!(told, "nothing");
    wait_until_gone(&actor);

    let observer = look(directory.path());
    assert_eq!(states(&observer), [(path.clone().into(), FileState::Live)]);
    assert_eq!(file(&observer, Path::new(&path)).identity().pid, Some(pid));
    assert_eq!(unsigned(&observer, "counter"), 55);
    // It ends with its input, cleanly.
    actor.succeeds();
    let start = Instant::now();
    while Path::new(&path).exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the first process is a zombie: its exit code was not asked for yet.
fn wait_until_gone(actor: &Actor) {
    let start = Instant::now();
    let ended = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", actor.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('Z')
    };
    while !ended() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}
