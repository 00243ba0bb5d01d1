//! `events`: merging by time, following, reading after a crash.
#![cfg_attr(windows, allow(dead_code, unused_imports))] // for the tests that are for Unix

mod common;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // ended by a signal
use mmstats_windows as backend;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use backend::directory::Directory;
use backend::{Access, Mapping, OwnedFile};
use mmstats_core::{Constant, Events, FieldSpec, Schema};
use serde_json::{Value, json};

#[cfg(unix)] // Windows has no signals
use common::signal;
use common::{PATIENCE, mmstats, run};

const SECOND: u64 = 1_000_000_000;
/// 2026-01-02T03:04:05Z.
const START: u64 = 1_767_323_045 * SECOND;

type Ring = Events<32, Arc<Mapping>>;

/// A program with two rings, each of which holds three lines to read.
struct Program {
    log: Ring,
    audit: Ring,
    file: OwnedFile,
}

impl Program {
    fn start(directory: &Path, name: &str, pid: u32) -> Self {
        let mut schema = Schema::<16>::new();
        schema.add(FieldSpec::info("sys.pid", Constant::U64(pid.into()))).unwrap();
        schema.add(FieldSpec::info("sys.command", Constant::Text(name))).unwrap();
        let log = schema.add(FieldSpec::events("app.log", 3, 32)).unwrap();
        let audit = schema.add(FieldSpec::events("app.audit", 3, 32)).unwrap();
        let size = schema.geometry(1).file_size().unwrap();
        let directory = Directory::open(directory).unwrap();
        let file = backend::create(&directory, &format!("{name}.mmst"), size, Access::Owner);
        let file = file.unwrap();
        let mut instance = [7; 16];
        instance[..4].copy_from_slice(&pid.to_le_bytes());
        let mut writer = schema.create(Arc::clone(file.mapping()), 1, instance).unwrap();
        let lane = writer.lane().unwrap();
        let (log, audit) = (Ring::attach(&lane, log), Ring::attach(&lane, audit));
        Self { log: log.unwrap(), audit: audit.unwrap(), file: file.publish().unwrap() }
    }

    /// Records lines: seconds after the start, and text.
    fn record(&self, lines: &[(u64, &str)]) {
        for (seconds, text) in lines {
            self.log.record(START + seconds * SECOND, text);
        }
    }

    fn remove(self) {
        self.file.remove().unwrap();
    }
}

/// A dead program.
fn program(directory: &Path, name: &str, pid: u32, lines: &[(u64, &str)]) {
    let program = Program::start(directory, name, pid);
    program.record(lines);
    program.audit.record(START + 1, "audit of \u{1b}[2J");
}

#[test]
fn events_merges_programs_by_time() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "web", 7, &[(0, "one"), (20, "three"), (30, "four")]);
    program(dir.path(), "db", 8, &[(10, "two"), (25, "in\tbetween\n")]);
    let printed = run(dir.path(), &["events", "--filter", "*.log"]);
    assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
    let want = [
        "2026-01-02T03:04:05.000000000Z\t7\tweb\tapp.log\t0\tone",
        "2026-01-02T03:04:15.000000000Z\t8\tdb\tapp.log\t0\ttwo",
        "2026-01-02T03:04:25.000000000Z\t7\tweb\tapp.log\t0\tthree",
        "2026-01-02T03:04:30.000000000Z\t8\tdb\tapp.log\t0\tin\\tbetween\\n",
        "2026-01-02T03:04:35.000000000Z\t7\tweb\tapp.log\t0\tfour",
    ];
    assert_eq!(printed.out.lines().collect::<Vec<_>>(), want);
    // One program with all its rings; the last lines; live programs.
    let of_one = run(dir.path(), &["events", "8"]);
    let lines: Vec<&str> = of_one.out.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].ends_with("\tapp.audit\t0\taudit of \\u{1b}[2J"), "{}", lines[0]);
    let last = run(dir.path(), &["events", "-n2", "--filter=app.log"]);
    assert_eq!(last.out.lines().collect::<Vec<_>>(), want[3..]);
    assert_eq!(run(dir.path(), &["events", "--live"]).code, Some(1));

    let printed = run(dir.path(), &["events", "--json", "-n1"]);
    let document: Value = serde_json::from_str(&printed.out).unwrap();
    let path = dir.path().join("web.mmst");
    assert_eq!(
        document,
        json!({
            "time": START + 30 * SECOND, "time_text": (START + 30 * SECOND).to_string(), "pid": 7, "command": "web", "path": path.to_str().unwrap(),
            "label": "app.log", "lane": 0, "number": 3, "text": "four", "cut": false,
        })
    );
}

#[test]
fn events_without_rings_fails_with_reason() {
    let dir = tempfile::tempdir().unwrap();
    let printed = run(dir.path(), &["events"]);
    assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""));
    assert!(printed.err.contains("no program publishes in"), "{}", printed.err);
    program(dir.path(), "web", 7, &[]);
    assert_eq!(run(dir.path(), &["events", "--filter", "app.log"]).code, Some(0));
    assert_eq!(run(dir.path(), &["events", "--filter", "nothing"]).code, Some(1));
    assert_eq!(run(dir.path(), &["events", "--filter", "["]).code, Some(2));
}

#[test]
fn events_prints_lines_around_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.mmst");
    program(dir.path(), "web", 7, &[(0, "one"), (1, "broken"), (2, "three")]);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|window| window == b"broken").unwrap();
    bytes[at] = 0xff;
    std::fs::write(&path, bytes).unwrap();
    let printed = run(dir.path(), &["events", "--filter", "app.log"]);
    let texts: Vec<&str> =
        printed.out.lines().map(|line| line.rsplit('\t').next().unwrap()).collect();
    assert_eq!(texts, ["one", "damaged: value-utf8", "three"]);
}

/// `mmstats events -f` and its lines.
#[cfg(unix)] // ended by a signal
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

#[cfg(unix)] // ended by a signal
impl Follower {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The text of the next line.
    fn next(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).unwrap();
        line.rsplit('\t').next().unwrap().to_owned()
    }

    /// Ctrl-C. Returns the exit code and standard error.
    fn interrupt(mut self) -> (Option<i32>, String) {
        signal(self.child.id(), "INT");
        let code = self.child.wait().unwrap().code();
        let mut messages = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
        (code, messages)
    }
}

#[cfg(unix)] // Windows has no signals
#[test]
fn follow_prints_new_lines_and_counts_lost_ones() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "old", 7, &[(0, "long ago")]);
    let living = Program::start(dir.path(), "living", 8);
    let arguments = ["events", "-f", "-d0.02", "--filter=*.log"];
    let follower = Follower::start(mmstats(dir.path()).args(arguments));
    assert_eq!(follower.next(), "long ago");
    living.record(&[(1, "one")]);
    assert_eq!(follower.next(), "one");
    // A new program, its end with its file, and another one by the same name.
    let second = Program::start(dir.path(), "second", 9);
    second.record(&[(2, "I came")]);
    assert_eq!(follower.next(), "I came");
    second.record(&[(3, "I go")]);
    second.remove();
    assert_eq!(follower.next(), "I go");
    let second = Program::start(dir.path(), "second", 10);
    second.record(&[(4, "I came, too")]);
    assert_eq!(follower.next(), "I came, too");
    // Stopped, the follower reads nothing: 2 of 5 lines are overwritten.
    signal(follower.child.id(), "STOP");
    living.record(&[(5, "two"), (6, "three"), (7, "four"), (8, "five"), (9, "six")]);
    signal(follower.child.id(), "CONT");
    for text in ["four", "five", "six"] {
        assert_eq!(follower.next(), text);
    }
    let (code, messages) = follower.interrupt();
    assert_eq!((code, messages.as_str()), (Some(0), "mmstats: living[8]: 2 lines lost\n"));
}

#[cfg(unix)] // ended by a signal
#[test]
fn follow_prints_last_lines_of_removed_file() {
    let dir = tempfile::tempdir().unwrap();
    let living = Program::start(dir.path(), "living", 8);
    living.record(&[(1, "hello")]);
    let follower = Follower::start(mmstats(dir.path()).args(["events", "-f", "-d0.5", "--json"]));
    assert!(follower.next().contains("hello"));
    living.record(&[(2, "good bye")]);
    living.remove();
    let last: Value = serde_json::from_str(&follower.next()).unwrap();
    assert_eq!((&last["text"], &last["number"]), (&json!("good bye"), &json!(2)));
    assert_eq!(follower.interrupt(), (Some(0), String::new()));
}

#[test]
fn follow_ends_quietly_on_broken_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let living = Program::start(dir.path(), "living", 8);
    living.record(&[(1, "hello")]);
    let mut follower = mmstats(dir.path())
        .args(["events", "-f", "-d0.02"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(follower.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.ends_with("\thello\n"), "{first}");
    let code = common::wait_for(|| {
        living.record(&[(2, "another line")]);
        follower.try_wait().unwrap()
    });
    let mut messages = String::new();
    follower.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    // Lost lines do not matter here.
    let other = messages.lines().find(|line| !line.ends_with(" lost"));
    assert_eq!((code.code(), other), (Some(0), None));
}

/// Files that are too large together are left out, which is said; those that no filter matches take
/// no part.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))] // sparse files in memory, and room to map them
#[test]
fn events_of_too_large_file_are_left_out_and_code_is_3() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    for (name, label) in [("a", "big.log"), ("b", "app.log")] {
        let path = dir.path().join(format!("{name}.mmst"));
        let mut schema = Schema::<16>::new();
        let log = schema.add(FieldSpec::events(label, 3, 32)).unwrap();
        common::image(&path, &schema, |writer| {
            let lane = writer.lane().unwrap();
            Events::<32, _>::attach(&lane, log).unwrap().record(START, label);
        });
        common::set_instance(&path, u32::from(name == "b"));
    }
    let big = std::fs::File::options().write(true).open(dir.path().join("a.mmst")).unwrap();
    big.set_len((8 << 30) + 4096).unwrap();
    let note = "the events of 1 file were not read";
    let printed = run(dir.path(), &["events"]);
    assert_eq!(printed.code, Some(3), "{}", printed.err);
    assert!(printed.err.contains(note), "{}", printed.err);
    assert!(printed.out.contains("app.log") && !printed.out.contains("big.log"), "{}", printed.out);
    let printed = run(dir.path(), &["events", "--filter", "app.*"]);
    assert_eq!((printed.code, &*printed.err), (Some(0), ""), "{}", printed.out);
    assert!(printed.out.contains("app.log"));
}

/// The panic of one thread, with what it was doing.
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As shared activities.
#[test]
fn events_have_activities_of_a_thread_that_panicked() {
    use mmstats::{Activity, FieldOptions, Lane, Options};

    const CHILD: &str = "MMSTATS_TEST_PANICS_OF_A_THREAD";
    if let Some(directory) = std::env::var_os(CHILD) {
        let publisher = Options::new().directory(directory).start::<Lane>().unwrap();
        publisher.record_panics().unwrap();
        let doing = publisher.add::<Activity>("doing", FieldOptions::new()).unwrap();
        let worker = std::thread::Builder::new().name("worker".to_owned());
        let panics = move || {
            let doing = publisher.lane().unwrap().attach(doing).unwrap();
            let _request = doing.begin("GET /\u{1b}[2J");
            let _parse = doing.begin("parse");
            panic!("on purpose");
        };
        worker.spawn(panics).unwrap().join().unwrap_err();
        std::process::abort();
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "events_have_activities_of_a_thread_that_panicked"]);
    child.env(CHILD, dir.path()).output().unwrap();
    let printed = run(dir.path(), &["events"]).out;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert!(lines[0].contains("thread 'worker' at ") && lines[0].ends_with(": on purpose"));
    assert!(lines[1].contains("thread 'worker' in doing: GET /\\u{1b}[2J ("), "{printed}");
    assert!(lines[1].contains(") > parse ("), "{printed}");
}
