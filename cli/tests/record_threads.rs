//! Threads in recordings: `mmstats record`, `threads --at`, and `replay` on the screen and on the page.
// /proc, pseudo terminals, and locks, which need words of 64 bits.
#![cfg(all(target_os = "linux", target_pointer_width = "64", target_has_atomic = "64"))]

mod common;

use std::io::{BufRead as _, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant, SystemTime};

use mmstats::sync::Mutex;
use mmstats::{Activity, Options};
use serde_json::Value;

use common::http::Server;
use common::own::Program;
use common::pty::Terminal;
use common::{PATIENCE, mmstats, run, signal};

#[derive(mmstats::Stats)]
struct Work {
    doing: Activity<32>,
}

static ACCOUNTS: Mutex<u64> = Mutex::new("accounts", 0);
static LOG: Mutex<u64> = Mutex::new("log", 0);
static BOTH: Barrier = Barrier::new(2);

/// Runs in a process of its own: at the line `lock` two threads wait for each other; others are its activity.
#[test]
#[ignore = "is run by the other tests"]
fn program() {
    let work = Options::from_env().name("bank").init::<Work>().unwrap();
    let stats = work.lane().unwrap();
    let step = stats.doing.begin("wait for work");
    let lock = |name: &str, first: &'static Mutex<u64>, second: &'static Mutex<u64>| {
        let work = move || {
            let _first = first.lock();
            BOTH.wait();
            drop(second.lock());
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(work).unwrap();
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        step.set(&line);
        if line == "lock" {
            lock("transfer", &ACCOUNTS, &LOG);
            lock("audit", &LOG, &ACCOUNTS);
        }
    }
}

struct Recorded {
    _directory: tempfile::TempDir,
    stats: PathBuf,
    file: PathBuf,
    /// Before and after the program was told to lock up, and the end.
    before: SystemTime,
    after: SystemTime,
}

/// A program that is in a deadlock from the middle of the recording on.
fn recorded(arguments: &[&str]) -> Recorded {
    let directory = tempfile::tempdir().unwrap();
    let (stats, file) = (directory.path().join("stats"), directory.path().join("bank.jsonl.gz"));
    std::fs::create_dir(&stats).unwrap();
    let mut program = Program::start(&stats);
    let mut command = mmstats(&stats);
    command.args(["record", "--every", "0.1", "-o"]).arg(&file).args(arguments);
    let mut recorder = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while file.metadata().map_or(0, |metadata| metadata.len()) == 0 {
        assert!(Instant::now() < end, "nothing is written");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(2_500));
    let before = SystemTime::now();
    program.does("lock");
    std::thread::sleep(Duration::from_secs(5));
    let after = SystemTime::now();
    std::thread::sleep(Duration::from_millis(1_000));
    signal(recorder.id(), "TERM");
    let mut told = String::new();
    recorder.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(recorder.wait().unwrap().success() && !told.contains("left out"), "{told}");
    Recorded { _directory: directory, stats, file, before, after }
}

fn at(time: SystemTime) -> String {
    format!("@{:.3}", time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64())
}

impl Recorded {
    fn threads(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = mmstats(&self.stats);
        command.arg("threads").args(arguments).arg(&self.file);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }
}

const DEADLOCK: &str = "\tfinding\tdeadlock\tdeadlock: ";

#[test]
fn deadlock_of_a_recording_is_told_from_its_time_on() {
    let recorded = recorded(&[]);
    let [before, after] = [at(recorded.before), at(recorded.after)];

    // Lines.
    let (is_ok, lines, notes) = recorded.threads(&["--at", &before]);
    assert!(is_ok && notes.is_empty(), "{notes}");
    assert!(!lines.contains("deadlock") && lines.contains("wait for work"), "{lines}");
    let (is_ok, lines, notes) = recorded.threads(&["--at", &after, "bank"]);
    assert!(is_ok && notes.is_empty(), "{notes}");
    let deadlock = lines.lines().next().unwrap();
    assert!(deadlock.contains(DEADLOCK), "{lines}");
    for text in
        ["transfer waits for \"log\" held by audit (", "waits for \"accounts\" held by transfer"]
    {
        assert!(deadlock.contains(text), "{deadlock}");
    }
    assert_eq!(recorded.threads(&["bank"]).1.lines().count(), lines.lines().count(), "at its end");
    let (is_ok, lines, notes) = recorded.threads(&["--at", &after, "nothing"]);
    assert!(!is_ok && lines.is_empty() && notes.contains("no such program at"), "{notes}");

    // JSON, as of live programs.
    let (_, text, _) = recorded.threads(&["--json", "--at", &after]);
    let document: Value = serde_json::from_str(&text).unwrap();
    common::schema::Schema::load().validate("threads", &document).unwrap();
    let program = &document["programs"][0];
    assert_eq!(program["findings"][0]["code"], "deadlock");
    assert_eq!(program["file"]["state"], "live");
    let threads = program["threads"].as_array().unwrap();
    let waits = threads.iter().filter(|thread| thread["wait"]["name"] == "log");
    assert_eq!(waits.map(|thread| &thread["name"]).collect::<Vec<_>>(), ["transfer"]);
    let age = threads.iter().find_map(|thread| thread["wait"]["age_seconds"].as_f64()).unwrap();
    assert!((2.5..6.0).contains(&age), "{age}");

    // The recording itself.
    let zcat = Command::new("zcat").arg(&recorded.file).output().unwrap();
    let first = zcat
        .stdout
        .split(|byte| *byte == b'\n')
        .find(|line| line.windows(18).any(|part| part == br#""code":"deadlock","#));
    let line: Value = serde_json::from_slice(first.unwrap()).unwrap();
    let time = line["time"].as_f64().unwrap();
    let told = recorded.before.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((0.5..5.0).contains(&(time - told)), "{time} {told}");

    on_the_screen(&recorded);
    on_the_page(&recorded, [&before, &after]);
}

/// The threads and findings of a rewound `top`.
fn on_the_screen(recorded: &Recorded) {
    let mut command = mmstats(&recorded.stats);
    command.arg("replay").arg(&recorded.file);
    let mut terminal = Terminal::start(&command, 80, 30);
    terminal.wait_for("deadlock: transfer waits for \"log\"");
    terminal.press("4");
    let screen = terminal.wait_for("sleeping");
    assert!(screen.matches("held by audit").count() == 2, "{screen}");
    terminal.press("7");
    let screen = terminal.wait_for("HOLDER");
    assert!(screen.lines().any(|line| line.starts_with("accounts")), "{screen}");
    terminal.press("4");
    terminal.wait_for("sleeping");
    // Seven seconds back.
    for _ in 0..7 {
        terminal.press("\u{1b}[D");
    }
    let screen = terminal.wait_for("wait for work");
    assert!(!screen.contains("deadlock") && !screen.contains("audit"), "{screen}");
    terminal.press("q");
    assert!(terminal.end().success());
}

/// The API of the page.
fn on_the_page(recorded: &Recorded, [before, after]: [&String; 2]) {
    let mut command = mmstats(&recorded.stats);
    command.args(["replay", "--serve", "--listen", "127.0.0.1:0"]).arg(&recorded.file);
    let mut server = Server::run(&mut command);
    let home = server.json("/api/1/programs");
    let program = &home["programs"][0];
    assert_eq!(program["findings"][0]["code"], "deadlock", "{home}");
    let id = program["id"].as_str().unwrap();
    let threads = |time: &str| {
        let document = server.json(&format!("/api/1/programs/{id}/threads?at={}", &time[1..]));
        document["programs"][0].clone()
    };
    assert_eq!(threads(after)["findings"][0]["code"], "deadlock");
    let early = threads(before);
    assert_eq!(early["findings"], serde_json::json!([]));
    assert!(early.to_string().contains("wait for work"), "{early}");
    signal(server.child.id(), "TERM");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn recording_without_threads_is_not_one_of_a_program_without_threads() {
    let recorded = recorded(&["--no-threads"]);
    for arguments in [&["bank"][..], &["--json"], &["--at", "-1s"]] {
        let (is_ok, lines, notes) = recorded.threads(arguments);
        assert!(!is_ok && lines.is_empty(), "{lines}");
        assert!(notes.contains("threads are not recorded"), "{notes}");
    }
    let mut command = mmstats(&recorded.stats);
    command.arg("replay").arg(&recorded.file);
    let mut terminal = Terminal::start(&command, 80, 30);
    for tab in ["4", "7"] {
        terminal.press(tab);
        terminal.wait_for("threads are not recorded");
        terminal.press("1");
        terminal.wait_for("doing");
    }
    terminal.press("q");
    assert!(terminal.end().success());
    let wrong = run(&recorded.stats, &["threads", "--at", "-1s"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("--at needs a recording"), "{}", wrong.err);
}
