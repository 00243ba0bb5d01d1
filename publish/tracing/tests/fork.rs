//! A layer in a forked child.
#![allow(missing_docs, unsafe_code)]
#![cfg(target_os = "linux")] // fork
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{Seen, seen_of};
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

const PARENT: &str = "MMSTATS_TEST_FORK";

fn sleep() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Publishes, forks within a span, and publishes in the child.
fn parent() -> ! {
    let _guard = mmstats::init();
    tracing_subscriber::registry().with(mmstats_tracing::layer()).init();
    let _main = info_span!("main", n = 1).entered();
    let waits = info_span!("waits");
    info_span!("before").in_scope(|| info!("before"));
    // SAFETY: this thread is the only one of the program that uses the library.
    let child = unsafe { libc::fork() };
    if child == 0 {
        info_span!("unseen").in_scope(|| info!("unseen")); // Nobody publishes it.
        let _mine = mmstats::init();
        let _in_child = info_span!("in child").entered();
        info_span!("after").in_scope(|| info!("after"));
        drop(waits);
        std::thread::spawn(|| info_span!("after").in_scope(|| ())).join().unwrap();
        println!("ready {}", std::process::id());
        sleep();
    }
    sleep();
}

#[test]
fn child_that_publishes_shows_its_spans() {
    if std::env::var_os(PARENT).is_some() {
        parent();
    }
    let place = tempfile::tempdir().unwrap();
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_publishes_shows_its_spans", "--nocapture"])
        .env(PARENT, "1")
        .env("MMSTATS_PATH", place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(program.stdout.take().unwrap());
    let pid = |line: String| line.split("ready ").nth(1).and_then(|pid| pid.trim().parse().ok());
    let child: u32 = out.lines().map_while(Result::ok).find_map(pid).unwrap();
    let (of_parent, of_child) =
        (seen_of(place.path(), Some(program.id())), seen_of(place.path(), Some(child)));
    // SAFETY: has no precondition; the child is still there, because it only sleeps.
    unsafe { libc::kill(i32::try_from(child).unwrap(), libc::SIGKILL) };
    program.kill().unwrap();
    program.wait().unwrap();
    let stack = |seen: &Seen| -> Vec<String> {
        seen.stacks.values().flatten().map(|row| row.text.clone()).collect()
    };
    assert_eq!(stack(&of_parent), ["main{n=1}"]);
    assert_eq!(of_parent.open(), ["main{n=1}", "waits"]);
    assert_eq!(of_parent.lines, ["INFO fork in before: before"]);
    assert_eq!(stack(&of_child), ["main{n=1}", "in child"]);
    assert_eq!(of_child.open(), ["main{n=1}", "in child"]);
    assert_eq!(of_child.lines, ["INFO fork in after: after"]);
    let counts =
        ["before", "unseen", "after", "waits"].map(|name| Seen::latency(&of_child.busy, name).0);
    assert_eq!(counts, [0, 0, 2, 1]);
}
