//! `mmstats threads` names the cause: real programs with a fault, live and after `kill -9`.
// /proc; the layer for tracing needs words of 64 bits.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

#[path = "../common/mod.rs"]
mod common;
mod programs;

use std::path::Path;

use serde_json::Value;

use common::{run, signal, wait_for};
use programs::Stuck;

/// The report of a program, when `is_ready` holds for it.
fn report(directory: &Path, name: &str, is_ready: impl Fn(&Value) -> bool) -> Value {
    wait_for(|| {
        let printed = run(directory, &["threads", "--json", name]);
        let document: Value = serde_json::from_str(&printed.out).ok()?;
        common::schema::Schema::load().validate("threads", &document).unwrap();
        let program = document["programs"].get(0)?.clone();
        is_ready(&program).then_some(program)
    })
}

fn finding<'a>(program: &'a Value, code: &str) -> Option<&'a str> {
    let findings = program["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["code"] == code)?["text"].as_str()
}

fn thread<'a>(program: &'a Value, name: &str) -> &'a Value {
    let threads = program["threads"].as_array().unwrap();
    let found = threads.iter().find(|thread| thread["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {program}"))
}

/// The texts of what a thread does.
fn doing<'a>(program: &'a Value, name: &str) -> Vec<&'a str> {
    let activities = thread(program, name)["activities"].as_array().unwrap();
    activities.iter().map(|activity| activity["text"].as_str().unwrap()).collect()
}

#[test]
fn deadlock_of_named_locks_is_named_live_and_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Stuck::start("deadlock", directory.path());
    let pid = program.pid();
    let has_all = |report: &Value| {
        let waiting = report["locks"].as_array().unwrap().iter();
        let waiting = waiting.map(|lock| lock["waiting"].as_array().unwrap().len());
        waiting.sum::<usize>() == 6 && finding(report, "deadlock").is_some()
    };
    let check = |report: &Value| {
        let text = finding(report, "deadlock").unwrap();
        let ends = [
            "worker-1 waits for \"accounts\" held by worker-2",
            "which waits for \"log\" held by worker-1",
        ];
        let others = [
            "worker-2 waits for \"log\" held by worker-1",
            "which waits for \"accounts\" held by worker-2",
        ];
        let is = |parts: &[&str]| parts.iter().all(|part| text.contains(part));
        assert!(is(&ends) || is(&others), "{text}");
        assert_eq!(thread(report, "worker-1")["wait"]["name"], "accounts");
        assert_eq!(doing(report, "worker-5"), ["transfer{from=5}"]);
        assert_eq!(thread(report, "worker-5")["wait"]["name"], "accounts");
        assert!(report["locks"][0]["held_since_at_least"].is_string(), "{report}");
    };
    let live = report(directory.path(), &pid, has_all);
    check(&live);
    assert_eq!(finding(&live, "died"), None);
    assert_eq!(thread(&live, "worker-1")["state"], "sleeping");
    program.kill();
    let dead = report(directory.path(), &pid, |_| true);
    check(&dead);
    assert!(finding(&dead, "died").is_some(), "{dead}");
    assert_eq!(thread(&dead, "worker-1")["state"], Value::Null);
}

#[test]
fn deadlock_with_spans_alone_shows_them_and_says_that_locks_are_not_published() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Stuck::start("deadlock-spans", directory.path());
    let pid = program.pid();
    let is_inside = |report: &Value| {
        let threads = report["threads"].as_array().unwrap().iter();
        let inside = threads.filter(|t| !t["activities"].as_array().unwrap().is_empty());
        inside.count() == 2
    };
    let live = report(directory.path(), &pid, is_inside);
    assert_eq!(doing(&live, "worker-2"), ["transfer{from=2}"]);
    assert_eq!(finding(&live, "deadlock"), None);
    assert_eq!(live["publishes"]["locks"], false);
    let text = run(directory.path(), &["threads", "--table", &pid]).out;
    assert!(
        text.contains("does not publish which locks its threads wait for (mmstats::sync)"),
        "{text}"
    );
    program.kill();
    let dead = report(directory.path(), &pid, |_| true);
    assert_eq!(doing(&dead, "worker-1"), ["transfer{from=1}"]);
}

#[test]
fn deadlock_without_spans_and_names_is_not_guessed() {
    let directory = tempfile::tempdir().unwrap();
    let program = Stuck::start("plain", directory.path());
    let both = |report: &Value| {
        let threads = report["threads"].as_array().unwrap().iter();
        threads.filter(|t| t["name"].as_str().is_some_and(|n| n.starts_with("worker"))).count() == 2
    };
    let live = report(directory.path(), &program.pid(), both);
    assert_eq!(live["findings"].as_array().unwrap().len(), 0, "{live}");
    let publishes = &live["publishes"];
    assert!(publishes["activities"] == false && publishes["locks"] == false, "{live}");
    assert_eq!(thread(&live, "worker-1")["state"], "sleeping");
}

#[test]
fn spinning_thread_is_busy_in_its_span() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Stuck::start("spin", directory.path());
    let pid = program.pid();
    // Others may want the processor too: what counts is that it is said when it has it.
    let live = report(directory.path(), &pid, |report| finding(report, "busy").is_some());
    let text = finding(&live, "busy").unwrap();
    assert!(text.starts_with("busy: parser uses ") && text.contains("in \"parse{file="), "{text}");
    program.kill();
    let dead = report(directory.path(), &pid, |_| true);
    assert_eq!(doing(&dead, "parser").len(), 1);
}

#[test]
fn stopped_program_is_stopped_and_shows_what_it_did() {
    let directory = tempfile::tempdir().unwrap();
    let program = Stuck::start("deadlock-spans", directory.path());
    let pid = program.pid();
    let is_inside = |report: &Value| report["activities"].as_array().unwrap().len() == 2;
    report(directory.path(), &pid, is_inside);
    signal(program.0.id(), "STOP");
    let stopped = report(directory.path(), &pid, |report| finding(report, "stopped").is_some());
    assert_eq!(thread(&stopped, "worker-1")["state"], "stopped");
    assert_eq!(doing(&stopped, "worker-1"), ["transfer{from=1}"]);
    signal(program.0.id(), "CONT");
}

#[test]
fn task_that_never_wakes_is_in_progress_in_no_thread() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Stuck::start("async", directory.path());
    let pid = program.pid();
    let live = report(directory.path(), &pid, |report| finding(report, "in-no-thread").is_some());
    let text = finding(&live, "in-no-thread").unwrap();
    assert!(text.contains("in no thread: \"fetch{id=7}\""), "{text}");
    assert!(!live.to_string().contains("fetch{id=8}"), "{live}");
    program.kill();
    let dead = report(directory.path(), &pid, |_| true);
    assert_eq!(dead["activities"][0]["text"], "fetch{id=7}");
}

#[test]
fn panic_in_one_thread_is_said_with_its_spans() {
    let directory = tempfile::tempdir().unwrap();
    let program = Stuck::start("panic", directory.path());
    let live = report(directory.path(), &program.pid(), |r| finding(r, "panicked").is_some());
    let text = finding(&live, "panicked").unwrap();
    for part in ["thread 'importer'", "no such column", "import{part=17}", "row{number=4}"] {
        assert!(text.contains(part), "{part} not in {text}");
    }
}

#[test]
fn program_that_crashed_shows_what_its_thread_did() {
    let directory = tempfile::tempdir().unwrap();
    let program = Stuck::start("segfault", directory.path());
    let dead = report(directory.path(), &program.pid(), |r| finding(r, "died").is_some());
    assert_eq!(doing(&dead, "importer"), ["decode{frame=3}"]);
}
