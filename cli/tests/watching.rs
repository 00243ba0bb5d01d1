//! Commands that repeat: what they wait for, and how they end.
#![cfg(unix)] // signals; Windows has interrupt.rs

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use common::{Printed, Publisher, mmstats, run, signal, wait_for};

/// A command that runs, and is ended at the end of its test.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = mmstats(directory);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// Reads its messages until one has these words.
    fn wait_for_message(&mut self, words: &str) {
        let messages = BufReader::new(self.child.stderr.as_mut().unwrap());
        let found = messages.lines().map(Result::unwrap).find(|line| line.contains(words));
        assert!(found.is_some(), "no message with {words}");
    }

    /// What it has printed when it has ended by itself.
    fn end(mut self) -> Printed {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        Printed { out, err, code: self.child.wait().unwrap().code() }
    }

    fn interrupt(self) -> Printed {
        // Before, the system ends it.
        let status = format!("/proc/{}/status", self.child.id());
        let is_ready = || {
            let status = std::fs::read_to_string(&status).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            (u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << 1 > 0).then_some(())
        };
        // Elsewhere there is no `/proc`.
        if cfg!(target_os = "linux") {
            wait_for(is_ready);
        }
        std::thread::sleep(Duration::from_millis(100));
        signal(self.child.id(), "INT");
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ctrl-C means the same everywhere: the end.
#[test]
fn commands_that_repeat_end_on_ctrl_c_with_code_0() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    let (pid, path) = (publisher.pid(), dir.path().join("web.jsonl.gz"));
    let path = path.to_str().unwrap();
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["poll", "-d0.05", "demo.blocks"],
        // During a long wait too.
        vec!["poll", "-d", "3600", "--follow", "demo.blocks", "web"],
        vec!["show", "-w", "-d0.05", &pid],
        vec!["events", "-f", "-d0.05", &pid],
        vec!["alert", "--wait", "-d0.05", &pid, "demo.blocks < 0"],
        vec!["alert", "--for", "1h", "-d0.05", &pid, "demo.failures > 0"],
    ];
    if cfg!(feature = "threads") {
        commands.push(vec!["threads", "-w", "-d0.05", &pid]);
    }
    if cfg!(feature = "record") {
        commands.push(vec!["record", "-o", path, &pid]);
    }
    for arguments in commands {
        let printed = Running::start(dir.path(), &arguments).interrupt();
        assert_eq!(printed.code, Some(0), "{arguments:?}: {} {}", printed.out, printed.err);
    }
}

/// What has not held for long enough is not known, and no OK.
#[test]
fn alert_that_is_interrupted_has_the_answer_of_then() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    let pid = publisher.pid();
    let has_begun = || run(dir.path(), &["alert", &pid, "demo.queue >= 0"]).code == Some(2);
    wait_for(|| has_begun().then_some(()));
    let running =
        Running::start(dir.path(), &["alert", "--for", "1h", "-d0.05", &pid, "demo.queue >= 0"]);
    std::thread::sleep(Duration::from_millis(500));
    let printed = running.interrupt();
    assert_eq!(printed.code, Some(3), "{}", printed.out);
    assert!(printed.out.contains("interrupted before a condition had held"), "{}", printed.out);
    assert!(printed.out.contains(", only for "), "{}", printed.out);
    let running = Running::start(dir.path(), &["alert", "--wait", "web", "dead"]);
    std::thread::sleep(Duration::from_millis(500));
    let printed = running.interrupt();
    assert_eq!(printed.code, Some(3), "{}", printed.out);
    assert!(printed.out.starts_with("UNKNOWN - web: no program of this name"), "{}", printed.out);
}

/// No other program has a process id: nothing is waited for.
#[test]
fn watch_of_process_says_that_it_died_and_ends_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["show", "threads"] {
        if command == "threads" && cfg!(not(feature = "threads")) {
            continue;
        }
        let mut publisher = Publisher::start(dir.path());
        let mut running =
            Running::start(dir.path(), &[command, "-w", "-d0.05", "--json", &publisher.pid()]);
        assert!(running.line().contains("\"live\""));
        publisher.kill();
        while !running.line().contains("\"dead\"") {}
        std::fs::remove_file(&publisher.path).unwrap();
        let printed = running.end();
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        let died = format!("mmstats-demo[{}] died", publisher.pid());
        assert_eq!(printed.err.matches(&died).count(), 1, "{}", printed.err);
        assert!(!printed.err.contains("waiting"), "{}", printed.err);
    }
    let printed = run(dir.path(), &["show", "-w", "4000000000"]);
    assert_eq!(printed.code, Some(1), "{}", printed.err);
}

/// A name or a directory is waited for, which is said.
#[test]
fn watch_of_name_says_what_it_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["show", "-w", "-d0.05", "mmstats-demo"], "waiting: mmstats-demo: no program of this"),
        (&["show", "-w", "-d0.05"], "waiting for a program in "),
        (&["poll", "-f", "-d0.05", "demo.blocks", "mmstats-demo"], "waiting: mmstats-demo: no"),
        (&["poll", "-f", "-d0.05", "demo.blocks"], "waiting for a program in "),
        (&["poll", "-f", "-d0.05", "demo.blocks", place], "waiting for the next program of /"),
    ];
    for (arguments, words) in cases {
        let mut running = Running::start(dir.path(), arguments);
        running.wait_for_message(words);
        let publisher = Publisher::start(dir.path());
        while !running.line().contains("demo.blocks") {}
        drop(running);
        drop(publisher);
        common::files(dir.path()).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }
    // Of one that has ended before too.
    let mut dead = Publisher::start(dir.path());
    dead.kill();
    let mut running =
        Running::start(dir.path(), &["poll", "-f", "-d0.05", "demo.blocks", &dead.pid()]);
    running.wait_for_message("waiting for the next program of");
    // What comes may lack the field.
    let mut running =
        Running::start(dir.path(), &["poll", "-f", "-d0.05", "demo.blokcs", "mmstats-demo"]);
    running.wait_for_message("waiting for the next program of");
    let _publisher = Publisher::start(dir.path());
    running.wait_for_message("no field 'demo.blokcs'; near it ");
}

/// The rate of a program that has ended is none, and no zero.
#[test]
fn poll_of_program_that_ends_has_no_rate_in_its_last_row() {
    let dir = tempfile::tempdir().unwrap();
    for count in [None, Some("-c1000")] {
        for by_path in [false, true] {
            let mut publisher = Publisher::start(dir.path());
            let name = if by_path { publisher.path().to_owned() } else { publisher.pid() };
            let mut arguments = vec!["poll", "-d0.2", "demo.blocks", &name];
            arguments.extend(count);
            let mut running = Running::start(dir.path(), &arguments);
            (0..3).for_each(|_| assert!(!running.line().is_empty()));
            publisher.kill();
            let printed = running.end();
            assert_eq!(printed.out.lines().last().map(str::trim), Some("-"), "{}", printed.out);
            let died = format!("mmstats-demo[{}] died", publisher.pid());
            assert!(printed.err.contains(&died), "{}", printed.err);
            // An error if rows are missing that were asked for.
            assert_eq!(printed.code, Some(i32::from(count.is_some())), "{}", printed.err);
            // It has ended before: an error, without waiting.
            let start = Instant::now();
            let printed = run(dir.path(), &["poll", "-d60", "demo.blocks", &name]);
            assert!(start.elapsed() < Duration::from_secs(30));
            assert_eq!(printed.code, Some(1), "{}", printed.err);
            let message = format!("; `mmstats show {name}` has its last values");
            assert!(printed.err.contains(&message), "{}", printed.err);
            assert!(printed.err.contains(&format!("{died} about ")), "{}", printed.err);
            assert_eq!(printed.out.lines().last().map(str::trim), Some("-"), "{}", printed.out);
        }
    }
}

/// The first argument of `poll` is a list of fields.
#[test]
fn poll_of_program_without_field_says_what_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut publisher = Publisher::start(dir.path());
    let (pid, path) = (publisher.pid(), publisher.path().to_owned());
    let say = || {
        for word in [&*pid, "mmstats-demo", &path] {
            let printed = run(dir.path(), &["poll", word]);
            assert_eq!((printed.code, printed.out.as_str()), (Some(2), ""), "{}", printed.err);
            let example = format!("`mmstats poll demo.bytes_in,demo.bytes_out {word}`");
            assert!(printed.err.contains("no field is named: "), "{}", printed.err);
            assert!(printed.err.contains(&example), "{}", printed.err);
        }
    };
    say();
    publisher.kill();
    say();
    let printed = run(dir.path(), &["poll", "4000000000"]);
    assert_eq!(printed.code, Some(2), "{}", printed.err);
    assert!(printed.err.contains("`mmstats poll FIELD,FIELD 4000000000`"), "{}", printed.err);
    // A field of that name is one.
    wait_for(|| {
        let _living = Publisher::start(dir.path());
        let printed = run(dir.path(), &["poll", "-c1", "-d0.05", "demo.blocks"]);
        (printed.code == Some(0)).then_some(())
    });
}

/// Names that differ in case alone are said to do so.
#[test]
fn message_about_name_in_other_case_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    let pid = publisher.pid();
    let case = "upper and lower case differ";
    for (arguments, name) in [
        (&["show", "MMSTATS-Demo"][..], "mmstats-demo"),
        (&["poll", "-c1", "demo.blocks", "MMSTATS-DEMO"], "mmstats-demo"),
        (&["events", "Mmstats-demo"], "mmstats-demo"),
        (&["ls", "MMSTATS-DEMO"], "mmstats-demo"),
        (&["alert", "MMSTATS-DEMO", "dead"], "mmstats-demo"),
        (&["show", "-F", "DEMO.Blocks", &pid], "'demo.blocks'"),
        (&["show", "-F", "Demo.block?", &pid], "'demo.blocks'"),
        (&["poll", "-c1", "Demo.Queue", &pid], "'demo.queue'"),
        (&["alert", &pid, "Demo.Queue > 3"], "'demo.queue'"),
    ] {
        let printed = run(dir.path(), arguments);
        assert_ne!(printed.code, Some(0), "{arguments:?}");
        let all = format!("{}{}", printed.out, printed.err);
        assert!(all.contains(&format!("there is {name}: {case}")), "{arguments:?}: {all}");
    }
}
