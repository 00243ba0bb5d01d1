//! Live, stopped and killed programs, and the demo.
#![cfg_attr(windows, allow(dead_code, unused_imports))] // for the tests that are for Unix

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use common::{PATIENCE, Publisher, field, files, json, mmstats, printed, run, wait_for};
#[cfg(unix)] // Windows has no signals
use common::{exists, signal};

/// Path and state of every file, by `ls`.
fn states(directory: &std::path::Path) -> Vec<(String, String)> {
    let document = json(directory, &["ls", "--json"]);
    let files = document["files"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    files.map(|file| (text(&file["path"]), text(&file["state"]))).collect()
}

fn blocks(directory: &std::path::Path, target: &str) -> u64 {
    let document = json(directory, &["show", "--json", target]);
    // Absent until a thread has begun.
    field(&document, "demo.blocks")["value"].as_u64().unwrap_or(0)
}

#[cfg(unix)] // Windows has no signals
#[test]
fn commands_tell_live_stopped_and_killed_programs() {
    let dir = tempfile::tempdir().unwrap();
    let mut killed = Publisher::start(dir.path());
    let stopped = Publisher::start(dir.path());
    let living = Publisher::start(dir.path());
    for publisher in [&killed, &stopped, &living] {
        wait_for(|| (blocks(dir.path(), &publisher.pid()) > 2).then_some(()));
    }

    // Live: values change.
    let before = blocks(dir.path(), living.path());
    wait_for(|| (blocks(dir.path(), living.path()) > before).then_some(()));

    // Stopped: readable, live, and values stay.
    stopped.signal("STOP");
    let before = wait_for(|| {
        let before = blocks(dir.path(), &stopped.pid());
        std::thread::sleep(Duration::from_millis(50));
        (blocks(dir.path(), &stopped.pid()) == before).then_some(before)
    });
    let document = json(dir.path(), &["show", "--json", &stopped.pid()]);
    assert_eq!(document["files"][0]["state"], "live");
    assert_eq!(field(&document, "demo.blocks")["value"], before);
    for lane in document["files"][0]["fields"].as_array().unwrap() {
        assert_ne!(lane["verdict"], "contended", "{lane}");
    }

    // Killed: dead, with the last values.
    let before = blocks(dir.path(), &killed.pid());
    killed.kill();
    let document = json(dir.path(), &["show", "--all", "--json", killed.path()]);
    assert_eq!(document["files"][0]["state"], "dead");
    assert!(field(&document, "demo.blocks")["value"].as_u64().unwrap() >= before);
    assert!(field(&document, "demo.bytes_in")["value"].as_u64().unwrap() > 0);
    let all = json(dir.path(), &["show", "--all", "--json"]);
    assert_eq!(all["files"].as_array().unwrap().len(), 3);
    let live = json(dir.path(), &["show", "--json"]);
    assert_eq!(live["files"].as_array().unwrap().len(), 2);
    // Events of the killed one, of all, of live ones.
    let ready = |arguments: &[&str]| {
        let printed = run(dir.path(), &[&["events"], arguments].concat());
        assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
        printed.out.matches("\tworker ready\n").count()
    };
    assert_eq!(ready(&[&killed.pid()]), 2);
    assert_eq!((ready(&[]), ready(&["--live"])), (6, 4));
    // By process id, without a live file.
    assert!(blocks(dir.path(), &killed.pid()) >= before);

    let want = |path: &str| if path == killed.path() { "dead" } else { "live" };
    for (path, state) in states(dir.path()) {
        assert_eq!(state, want(&path), "{path}");
    }

    // Cleaned: only the dead one, and not by a dry run.
    let printed = run(dir.path(), &["clean", "--dry-run"]);
    assert!(printed.out.contains(&format!("would remove {}", killed.path())), "{}", printed.out);
    assert_eq!(files(dir.path()).len(), 3);
    let printed = run(dir.path(), &["clean", "--keep", "1"]);
    assert!(printed.out.contains("among the last of its command"), "{}", printed.out);
    assert_eq!(files(dir.path()).len(), 3);
    let printed = run(dir.path(), &["clean"]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert!(printed.out.contains(&format!("removed {}", killed.path())), "{}", printed.out);
    assert!(printed.out.contains(&format!("kept {}: stopped: its program lives", stopped.path())));
    let left = files(dir.path());
    assert!(left.contains(&stopped.path) && left.contains(&living.path) && left.len() == 2);
    stopped.signal("CONT");
}

#[test]
fn poll_shows_rates() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    wait_for(|| (blocks(dir.path(), publisher.path()) > 2).then_some(()));
    let printed = run(
        dir.path(),
        &["poll", "-d0.3", "-c3", "-p", "demo.", "blocks,bytes_in,ratio,latency", &publisher.pid()],
    );
    assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
    let lines: Vec<Vec<&str>> =
        printed.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["blocks/s", "bytes_in/s", "ratio", "latency/s", "latency:mean"]);
    assert_eq!(lines.len(), 4);
    for row in &lines[1..] {
        let numbers: Vec<f64> = row.iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(numbers.len(), 5);
        // Blocks have 64 KiB, except the last of the material.
        assert!(numbers[0] > 0.0 && numbers[1] > numbers[0], "{row:?}");
        assert!(numbers[2] > 0.0 && numbers[2] < 2.0, "{row:?}");
        assert!(numbers[4] > 0.0 && numbers[4] < 10.0, "{row:?}");
    }
    let printed = run(dir.path(), &["poll", "-d0.1", "-c2", "--json", "demo.bl*,demo.latency"]);
    let samples: Vec<Value> =
        printed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(samples.len(), 2);
    for sample in &samples {
        assert!(sample["seconds"].as_f64().unwrap() > 0.0);
        assert_eq!(sample["programs"], 1);
        let fields = sample["fields"].as_array().unwrap();
        let blocks = fields.iter().find(|field| field["label"] == "demo.blocks").unwrap();
        assert!(blocks["rate"].as_f64().unwrap() >= 0.0, "{sample}");
        assert!(blocks["total"].as_u64().unwrap() > 2, "{sample}");
    }

    let printed = run(dir.path(), &["poll", "-c1", "demo.blocks,demo.blokcs"]);
    assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""));
    assert!(printed.err.contains("no field 'demo.blokcs'"), "{}", printed.err);
    assert!(printed.err.contains("'demo.blocks'"), "{}", printed.err);
}

#[test]
fn poll_ends_with_named_program() {
    let dir = tempfile::tempdir().unwrap();
    let mut publisher = Publisher::start(dir.path());
    wait_for(|| (blocks(dir.path(), publisher.path()) > 2).then_some(()));
    let mut child = mmstats(dir.path())
        .args(["poll", "-d0.05", "demo.blocks", &publisher.pid()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        lines.next().unwrap().unwrap();
    }
    publisher.kill();
    let start = Instant::now();
    assert!(lines.all(|line| line.is_ok() && start.elapsed() < PATIENCE));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)] // Windows has no signals
#[test]
fn poll_reports_truncated_file_once() {
    let dir = tempfile::tempdir().unwrap();
    let (publisher, other) = (Publisher::start(dir.path()), Publisher::start(dir.path()));
    wait_for(|| (blocks(dir.path(), publisher.path()) > 2).then_some(()));
    wait_for(|| (blocks(dir.path(), other.path()) > 2).then_some(()));
    // Truncation would kill it.
    publisher.signal("STOP");
    let mut child = mmstats(dir.path())
        .args(["poll", "-d0.05", "-c20", "demo.blocks", publisher.path(), other.path()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        lines.next().unwrap().unwrap();
    }
    let file = std::fs::OpenOptions::new().write(true).open(publisher.path()).unwrap();
    file.set_len(300).unwrap();
    assert!(lines.count() > 5, "poll continues with the other file");
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    let reports = err.lines().filter(|line| line.contains(publisher.path())).count();
    assert_eq!(reports, 1, "{err}");
}

#[test]
fn poll_and_demo_end_on_broken_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    wait_for(|| (blocks(dir.path(), publisher.path()) > 2).then_some(()));
    for arguments in [&["poll", "-d0.05", "demo.blocks"][..], &["demo", "--seconds=60"]] {
        let mut command = mmstats(dir.path());
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let printed = printed(child.wait_with_output().unwrap());
        assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
    wait_for(|| (files(dir.path()) == [publisher.path.clone()]).then_some(()));
}

#[test]
fn piped_demo_shows_growing_counters() {
    let dir = tempfile::tempdir().unwrap();
    let printed = run(dir.path(), &["demo", "--seconds", "3", "--threads", "2"]);
    assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
    let numbers: Vec<u64> = printed
        .out
        .lines()
        .filter_map(|line| line.split(' ').find_map(|word| word.strip_prefix("bytes_in=")))
        .map(|number| number.parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 3, "{}", printed.out);
    assert!(numbers.is_sorted_by(|a, b| a < b), "{}", printed.out);
    assert!(!printed.out.contains('\u{1b}'), "no drawing in a pipe");
    assert!(printed.out.contains("mmstats show "), "{}", printed.out);
    assert!(printed.out.contains("ended cleanly"), "{}", printed.out);
    assert!(files(dir.path()).is_empty(), "a clean end leaves no file");
}

/// Starts the demo. Returns its process, its lines and the process id of its publisher.
fn demo(directory: &std::path::Path) -> (std::process::Child, impl Iterator<Item = String>, u32) {
    let mut child = mmstats(directory)
        .args(["demo", "--seconds", "60", "--threads", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let pid = wait_for(|| {
        let listed = json(directory, &["ls", "--json"]);
        listed["files"][0]["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap())
    });
    (child, lines, pid)
}

#[cfg(unix)] // Windows has no signals
#[test]
fn demo_names_file_of_killed_publisher() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, mut lines, pid) = demo(dir.path());
    assert!(lines.any(|line| line.contains("bytes_in=")));
    signal(pid, "KILL");
    assert!(lines.any(|line| line.contains("mmstats show ")));
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(states(dir.path())[0].1, "dead");
    let document = json(dir.path(), &["show", "--all", "--json"]);
    assert!(field(&document, "demo.bytes_in")["value"].as_u64().unwrap() > 0);
}

#[cfg(unix)] // Windows has no signals
#[test]
fn publisher_ends_with_demo() {
    for (name, code) in [("INT", Some(0)), ("TERM", Some(0)), ("KILL", None)] {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, _lines, pid) = demo(dir.path());
        signal(child.id(), name);
        assert_eq!(child.wait().unwrap().code(), code, "{name}");
        wait_for(|| (!exists(pid)).then_some(()));
        // A clean end in each case: its pipe was closed.
        wait_for(|| files(dir.path()).is_empty().then_some(()));
    }
}
