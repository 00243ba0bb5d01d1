//! Liveness by the lock, also of killed and stopped processes.

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mmstats_core::{Constant, Counter, FieldSpec};
use mmstats_observe::{FileState, Observer, Sources};
use support::{Setup, id, observe, only, publish, simple, unsigned, value};

const HITS: FieldSpec<'_> = FieldSpec::counter("hits");

#[test]
fn state_is_live_then_closed() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "a.mmst", &[HITS]);
    let lane = published.lane();
    Counter::attach(&lane, id(0)).unwrap().add(3);
    let mut observer = observe(directory.path());
    assert_eq!(only(&observer).state(), FileState::Live);
    assert_eq!(only(&observer).format(), Some(3));

    published.writer.close();
    assert_eq!(only(&observer).state(), FileState::Live, "as of the last refresh");
    let changes = observer.refresh();
    assert_eq!(changes.changed, 1);
    assert_eq!(only(&observer).state(), FileState::Closed, "although the lock is still held");
    drop(published);
    assert!(observer.refresh().is_empty());
    assert_eq!(only(&observer).state(), FileState::Closed);
    assert_eq!(value(only(&observer), "hits").value, unsigned(3));
}

#[test]
fn state_is_dead_without_lock() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "a.mmst", &[HITS]);
    let counter = Counter::attach(&published.lane(), id(0)).unwrap();
    counter.add(3);
    for handles in [0, 256] {
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.keep_handles(handles);
        observer.refresh();
        assert_eq!(only(&observer).state(), FileState::Live);
        assert!(observer.refresh().is_empty());
    }
    let mut observer = observe(directory.path());
    drop(published);
    assert_eq!(observer.refresh().changed, 1);
    assert_eq!(only(&observer).state(), FileState::Dead);
    assert_eq!(value(only(&observer), "hits").value, unsigned(3), "the last value is there");
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    observer.keep_handles(0);
    observer.refresh();
    assert_eq!(only(&observer).state(), FileState::Dead, "also without an open handle");
}

#[test]
fn state_is_building_without_values_before_live() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { live: false, ..Setup::default() };
    let mut published = publish(directory.path(), "a.mmst", setup, |_| {}, &[HITS]);
    let mut observer = observe(directory.path());
    let file = only(&observer);
    assert_eq!((file.state(), file.format()), (FileState::Building, None));
    assert_eq!(file.problem().unwrap().code, "building");
    assert_eq!(file.field_count(), 0);
    assert_eq!(observer.problems().count(), 0, "the user did not name it");
    let named = observe(&published.path);
    assert_eq!(named.problems().next().unwrap().code, "building");

    published.writer.go_live();
    assert_eq!(observer.refresh().changed, 1);
    assert_eq!(only(&observer).state(), FileState::Live);
    assert_eq!(only(&observer).field_count(), 1);
}

/// No test: the child processes of the tests below.
#[test]
fn child() {
    let Some(directory) = std::env::var_os("MMSTATS_TEST_CHILD") else { return };
    let pid = FieldSpec::info("sys.pid", Constant::U32(std::process::id()));
    let command = FieldSpec::info("sys.command", Constant::Text("child"));
    let mut published = simple(Path::new(&directory), "child.mmst", &[HITS, pid, command]);
    let counter = Counter::attach(&published.lane(), id(0)).unwrap();
    for _ in 0..1_000_000 {
        counter.incr();
    }
    std::fs::write(Path::new(&directory).join("ready"), "").unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// A process that is killed at the end of the test, also if it fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(directory: &Path) -> Killed {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env("MMSTATS_TEST_CHILD", directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Killed)
        .unwrap();
    until(|| directory.join("ready").exists());
    child
}

fn until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_process_leaves_last_values() {
    let directory = tempfile::tempdir().unwrap();
    let child = spawn(directory.path());
    let mut observer = observe(directory.path());
    let file = only(&observer);
    assert_eq!(file.state(), FileState::Live);
    assert_eq!(file.identity().pid, Some(child.0.id()));
    assert_eq!(file.identity().command.as_deref(), Some("child"));
    assert_eq!(value(file, "hits").value, unsigned(1_000_000));

    // A stopped process is live.
    #[cfg(unix)] // Windows has no signals
    {
        let pid = child.0.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    }
    assert!(observer.refresh().is_empty());
    assert_eq!(only(&observer).state(), FileState::Live);
    assert_eq!(value(only(&observer), "hits").value, unsigned(1_000_000));

    // This is SIGKILL.
    drop(child);
    assert_eq!(observer.refresh().changed, 1);
    assert_eq!(only(&observer).state(), FileState::Dead);
    assert_eq!(value(only(&observer), "hits").value, unsigned(1_000_000));
    let fresh = observe(directory.path());
    assert_eq!(only(&fresh).state(), FileState::Dead);
    assert_eq!(value(only(&fresh), "hits").value, unsigned(1_000_000));
}

#[test]
fn pid_source_searches_default_directories() {
    let directory = tempfile::tempdir().unwrap();
    let child = spawn(directory.path());
    // In a child: threads share the environment of a process.
    let look = |pid: u32| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "look_for_pid", "--nocapture"])
            .env("MMSTATS_PATH", directory.path())
            .env("MMSTATS_TEST_PID", pid.to_string())
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let found = look(child.0.id());
    assert!(found.contains("files=1 problems=[]"), "{found}");
    let missed = look(u32::MAX);
    assert!(missed.contains("files=0 problems=[(\"no-such-pid\", true)]"), "{missed}");
}

/// No test: the child process of `pid_source_searches_default_directories`.
#[test]
fn look_for_pid() {
    let Ok(pid) = std::env::var("MMSTATS_TEST_PID") else { return };
    let mut observer = Observer::new(Sources::new().pid(pid.parse().unwrap()));
    observer.refresh();
    // Again: files of other processes are kept, but not shown.
    assert!(observer.refresh().is_empty());
    let problems: Vec<_> = observer.problems().map(|p| (p.code, p.named)).collect();
    println!("files={} problems={problems:?}", observer.files().len());
}
