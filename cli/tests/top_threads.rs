//! What `mmstats top` tells of threads, activities and locks.
// /proc, a controlling terminal by a program of util-linux, and locks, which need words of 64 bits.
#![cfg(all(target_os = "linux", target_pointer_width = "64", target_has_atomic = "64"))]

mod common;

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use mmstats::sync::{Condvar, Mutex};
use mmstats::{Activity, Options, SharedActivity};

use common::own::Program;
use common::pty::Terminal;
use common::{mmstats, signal};

#[derive(mmstats::Stats)]
struct Work {
    doing: Activity<32>,
    jobs: SharedActivity<32>,
}

static ACCOUNTS: Mutex<u64> = Mutex::new("accounts", 0);
static LOG: Mutex<u64> = Mutex::new("log", 0);
static TICKS: Mutex<u64> = Mutex::new("ticks", 0);
static QUEUE: Mutex<u64> = Mutex::new("queue", 0);
static READY: Condvar = Condvar::new("ready");
/// Both have their first lock before they ask for the other one.
static BOTH: Barrier = Barrier::new(2);

/// Runs in a process of its own: two threads in a deadlock, one that waits for a condition, and one that locks again
/// and again. The first thread does what it reads.
#[test]
#[ignore = "is run by the other tests"]
fn program() {
    let work = Options::from_env().name("bank").init::<Work>().unwrap();
    let start = |name: &str, work: fn()| {
        std::thread::Builder::new().name(name.to_owned()).spawn(work).unwrap()
    };
    start("transfer", || {
        let _first = ACCOUNTS.lock();
        BOTH.wait();
        drop(LOG.lock());
    });
    start("audit", || {
        let _first = LOG.lock();
        BOTH.wait();
        drop(ACCOUNTS.lock());
    });
    start("idle", || drop(READY.wait(QUEUE.lock().unwrap())));
    start("clerk", || {
        loop {
            *TICKS.lock().unwrap() += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let stats = work.lane().unwrap();
    let _job = stats.jobs.begin("job 7");
    let _serve = stats.doing.begin("serve");
    let step = stats.doing.begin("nothing");
    for line in std::io::stdin().lock().lines() {
        step.set(&line.unwrap());
    }
}

fn top(directory: &Path, columns: u16) -> Terminal {
    let mut command = mmstats(directory);
    command.args(["top", "-d0.2"]).env("TZ", "UTC");
    Terminal::start(&command, columns, 40)
}

/// The line of the screen that contains `text`.
fn line<'a>(screen: &'a str, text: &str) -> &'a str {
    screen.lines().find(|line| line.contains(text)).unwrap_or_default()
}

/// Each of these is a finding on the screen, once.
fn assert_once(screen: &str, findings: &[&str]) {
    for finding in findings {
        let found = screen.lines().filter(|line| line.starts_with('!') && line.contains(finding));
        assert_eq!(found.count(), 1, "{finding}:\n{screen}");
    }
}

#[test]
fn threads_and_locks_of_a_program_are_told_live_stopped_and_dead() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path());
    let terminal = top(directory.path(), 200);
    let screen = terminal.wait_for("deadlock: ");
    assert_once(&screen, &["deadlock: transfer waits for \"log\" held by audit"]);
    terminal.press("4");
    for (columns, deadlock) in [(200, "deadlock: "), (80, "deadlock: "), (40, "deadlock: ")] {
        terminal.resize(columns, 40);
        // Each word of it, on however many lines.
        let screen = terminal.wait("what each thread does", |screen| {
            let words: Vec<&str> = screen.split_whitespace().collect();
            let has = |wanted: &str| words.join(" ").contains(wanted);
            has("serve") && has("nothing") && has("job 7") && has("for \"log\" held by audit")
        });
        assert!(screen.contains("TID") && screen.contains("STATE"), "{screen}");
        assert_once(&screen, &[deadlock]);
        // Waiting for a condition is no waiting for its mutex.
        assert!(!screen.contains("waits for \"queue"), "{screen}");
    }
    terminal.press("7");
    for columns in [40, 80, 200] {
        terminal.resize(columns, 40);
        terminal.wait("locks", |screen| {
            let words: Vec<&str> = line(screen, "accounts ").split_whitespace().collect();
            words.starts_with(&["accounts", "transfer"]) && words.contains(&"1,")
        });
    }
    // At 200 columns also how often, as of two looks.
    terminal.wait("a rate", |screen| {
        let words: Vec<&str> = line(screen, "ticks ").split_whitespace().collect();
        words.get(4).and_then(|rate| rate.parse().ok()).is_some_and(|rate: f64| rate > 1.0)
    });
    terminal.press("\x7f\x7f");
    let screen = terminal.wait_for("1 program");
    assert_once(&screen, &["deadlock: "]);
    signal(program.child.id(), "STOP");
    let screen = terminal.wait_for("stopped (SIGSTOP)");
    assert_once(&screen, &["stopped (SIGSTOP)", "deadlock: "]);
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    let screen = terminal.wait("only what was so at its end", |screen| {
        screen.contains("died ") && screen.contains("deadlock: ") && !screen.contains("SIGSTOP")
    });
    assert_once(&screen, &["died ", "deadlock: "]);
    terminal.press("\r4");
    let screen = terminal.wait_for("the process has ended; its threads");
    let screen = if screen.contains("audit") { screen } else { terminal.wait_for("audit") };
    assert!(!screen.contains("sleeping"), "{screen}");
    terminal.press("7");
    terminal.wait("the lock", |screen| line(screen, "accounts ").contains("transfer"));
}

#[test]
fn rewound_and_frozen_screen_shows_what_threads_did_then() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path());
    let terminal = top(directory.path(), 120);
    terminal.wait_for("deadlock: ");
    terminal.press("4");
    let past = Duration::from_millis(2_500);
    for text in ["load-a", "load-b"] {
        program.does(text);
        terminal.wait_for(text);
        std::thread::sleep(past);
    }
    terminal.press(" ");
    terminal.settle();
    program.does("load-c");
    std::thread::sleep(past);
    let screen = terminal.screen();
    assert!(screen.contains("load-b") && !screen.contains("load-c"), "{screen}");
    // One second after the other back to the first.
    for _ in 0..10 {
        // Words that the keys, which are just taken away, do not have.
        let screen = terminal.screen();
        if screen.contains("load-a") && !screen.contains("load-b") {
            break;
        }
        terminal.press("\x1b[D");
        terminal.settle();
    }
    let screen = terminal.wait_for("load-a");
    assert!(!screen.contains("load-b"), "{screen}");
    terminal.press(" ");
    terminal.wait_for("load-c");
}
