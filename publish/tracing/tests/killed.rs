//! What is left of a program that was killed, or that a panic ended.
#![allow(missing_docs, unsafe_code)]
#![cfg(unix)] // SIGKILL
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{Seen, age, seen};
use tracing::{error, info_span};
use tracing_subscriber::prelude::*;

const CHILD: &str = "MMSTATS_TEST_KILLED";

/// Runs this test again as a program of its own, until it says `ready`.
fn start(name: &str, how: &str, place: &std::path::Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, how)
        .env("MMSTATS_PATH", place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let ready = out.lines().any(|line| line.unwrap().contains("ready"));
    assert!(ready, "it ended early");
    child
}

/// A server that hangs.
fn hang() -> ! {
    let _mmstats = mmstats::init();
    tracing_subscriber::registry().with(mmstats_tracing::layer()).init();
    for _ in 0..10 {
        info_span!("request", path = "/ok").in_scope(|| ());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let never = async {
        std::future::pending::<()>().await;
    };
    runtime.spawn(tracing::Instrument::instrument(never, info_span!("task", n = 17)));
    let spins = std::thread::Builder::new().name("spins".to_owned());
    spins
        .spawn(|| {
            let _request = info_span!("request", path = "/hangs").entered();
            let _parse = info_span!("parse").entered();
            error!(line = 3, "bad input");
            println!("ready");
            loop {
                std::hint::spin_loop();
                std::thread::sleep(Duration::from_millis(1));
            }
        })
        .unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn killed_program_leaves_what_it_did() {
    if std::env::var_os(CHILD).is_some() {
        hang();
    }
    let place = tempfile::tempdir().unwrap();
    let mut child = start("killed_program_leaves_what_it_did", "hang", place.path());
    let check = |seen: &Seen| {
        assert_eq!(seen.stack("spins"), [r#"request{path="/hangs"}"#, "parse"], "{seen:?}");
        let mut open = seen.open();
        open.sort_unstable();
        assert_eq!(open, ["parse", r#"request{path="/hangs"}"#, "task{n=17}"]);
        assert!(age(&seen.open[0]) < Duration::from_secs(600));
        assert_eq!(seen.lines, ["ERROR killed in parse: bad input line=3"]);
        assert_eq!(Seen::latency(&seen.busy, "request").0, 10);
        assert_eq!(Seen::latency(&seen.idle, "request").0, 10);
        assert_eq!(seen.levels["error"], 1);
    };
    support::wait(place.path(), |seen| seen.open.len() == 3);
    check(&seen(place.path()));
    child.kill().unwrap();
    child.wait().unwrap();
    check(&seen(place.path()));
}

/// Kills at any instruction of enter, exit, open and close.
#[test]
fn program_killed_at_any_moment_is_readable() {
    if std::env::var_os(CHILD).is_some() {
        let _mmstats = mmstats::init();
        tracing_subscriber::registry().with(mmstats_tracing::layer()).init();
        println!("ready");
        loop {
            let _outer = info_span!("outer", a = 1).entered();
            let _inner = info_span!("inner", b = "text").entered();
            error!("again");
        }
    }
    for round in 0..10 {
        let place = tempfile::tempdir().unwrap();
        let mut child = start("program_killed_at_any_moment_is_readable", "loop", place.path());
        support::wait(place.path(), |seen| seen.lines.len() > 1);
        std::thread::sleep(Duration::from_millis(round));
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = seen(place.path());
        let texts: Vec<_> = seen.stacks.values().flatten().map(|row| &*row.text).collect();
        let wanted = ["outer{a=1}", "inner{b=\"text\"}"];
        assert!(wanted.starts_with(&texts), "{texts:?}");
        assert!(seen.open.len() <= 2 && seen.lines.len() > 1, "{seen:?}");
        assert!(seen.lines.iter().all(|line| line == "ERROR killed in inner: again"), "{seen:?}");
    }
}

/// A panic in one thread within nested spans, of which the black box keeps what it was in.
#[test]
fn panic_is_kept_with_the_spans_of_its_thread() {
    if std::env::var_os(CHILD).is_some() {
        let mmstats = mmstats::init();
        mmstats.record_panics().unwrap();
        tracing_subscriber::registry().with(mmstats_tracing::layer()).init();
        let _main = info_span!("main").entered();
        let worker = std::thread::Builder::new().name("worker".to_owned());
        let panics = || {
            let _request = info_span!("request", path = "/").entered();
            let _parse = info_span!("parse", line = 7).entered();
            panic!("on purpose");
        };
        worker.spawn(panics).unwrap().join().unwrap_err();
        println!("ready");
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    let place = tempfile::tempdir().unwrap();
    let mut child = start("panic_is_kept_with_the_spans_of_its_thread", "panic", place.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let mut observer =
        mmstats_observe::Observer::new(mmstats_observe::Sources::new().path(place.path()));
    observer.refresh();
    let mut lines = Vec::new();
    for file in observer.files() {
        let all = file.fields().filter(|field| field.label() == "panics");
        for (index, lane) in
            all.flat_map(|field| (0..file.lanes().used).map(move |n| (field.index(), n)))
        {
            let events = file.events(index, lane, 0).unwrap_or_default();
            lines.extend(events.into_iter().map(|event| event.line.unwrap().text));
        }
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with(": on purpose"), "{lines:?}");
    assert!(lines[1].starts_with("  thread 'worker' in spans: request{path=\"/\"} ("), "{lines:?}");
    assert!(lines[1].contains(") > parse{line=7} ("), "{lines:?}");
    // Unwinding has ended them; the rest stays.
    let seen = seen(place.path());
    assert_eq!(seen.open(), ["main"]);
}
