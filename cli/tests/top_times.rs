//! Times and memory of `mmstats top` with 10,000 fields, for a quiet machine and a release build:
//! `cargo test --release -p mmstats-cli --test top_times -- --ignored --test-threads 1`.
#![cfg(target_os = "linux")] // /proc, and a controlling terminal by a program of util-linux

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mmstats::{Counter, FieldOptions, Lane, Options};

use common::mmstats;
use common::pty::Terminal;

const FIELDS: u32 = 10_000;

/// Publishes counters that all change ten times a second while `work` runs.
fn with_fields(work: impl FnOnce(&Path) + Send) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().directory(directory.path()).reserve(FIELDS, FIELDS * 32);
    let publisher = options.start::<Lane>().unwrap();
    let lane = publisher.lane().unwrap();
    let counters: Vec<_> = (0..FIELDS)
        .map(|number| {
            let label = format!("group{}.part{}.counter{number}", number % 10, number % 100);
            let key = publisher.add::<Counter>(label, FieldOptions::new()).unwrap();
            lane.attach(key).unwrap()
        })
        .collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        let path = directory.path();
        let worker = scope.spawn(move || {
            work(path);
            done.store(true, Ordering::Relaxed);
        });
        // Handles stay with their thread.
        while !done.load(Ordering::Relaxed) && !worker.is_finished() {
            counters.iter().for_each(|counter| counter.add(1));
            std::thread::sleep(Duration::from_millis(100));
        }
    });
}

fn top(directory: &Path, arguments: &[&str]) -> Terminal {
    let mut command = mmstats(directory);
    command.arg("top").args(arguments);
    Terminal::start(&command, 200, 50)
}

/// Processor time of a process, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Resident memory of a process, in MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "needs a quiet machine and a release build"]
fn search_shows_a_field_of_10_000_within_200_ms() {
    with_fields(|directory| {
        let terminal = top(directory, &[]);
        terminal.wait_for("group0");
        std::thread::sleep(Duration::from_secs(2));
        terminal.press("/counter777");
        terminal.wait_for("/counter777");
        let start = Instant::now();
        terminal.press("7");
        terminal.wait("one field", |screen| {
            screen.contains("counter7777 ") && !screen.contains("counter7771 ")
        });
        let time = start.elapsed();
        println!("search: {time:?}");
        assert!(time < Duration::from_millis(200), "{time:?}");
    });
}

#[test]
#[ignore = "takes two minutes"]
fn rewinding_30_s_shows_what_was_recorded_and_a_freeze_of_10_s_leaves_no_gap() {
    for (columns, rows) in [(80, 24), (200, 50)] {
        let directory = tempfile::tempdir().unwrap();
        let publisher = Options::new().directory(directory.path()).start::<Lane>().unwrap();
        let lane = publisher.lane().unwrap();
        let key = publisher.add::<Counter>("steps", FieldOptions::new()).unwrap();
        let counter = lane.attach(key).unwrap();
        let mut command = mmstats(directory.path());
        command.arg("top");
        let terminal = Terminal::start(&command, columns, rows);
        terminal.wait_for("steps");
        let shows = |wanted: u32| {
            terminal.wait(&format!("the value {wanted}"), |screen| {
                let line = screen.lines().find(|line| line.contains("steps")).unwrap_or_default();
                line.split_whitespace().nth(1) == Some(&wanted.to_string())
            });
        };
        // A step each second; keys are pressed in the middle of one.
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let publish = |steps: std::ops::RangeInclusive<u32>| {
            let until = *steps.end();
            for step in steps {
                let due = start + second * step;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                counter.add(1);
            }
            let middle = start + second * until + second / 2;
            std::thread::sleep(middle.saturating_duration_since(Instant::now()));
        };
        publish(1..=35);
        terminal.press(" ");
        terminal.wait_for("ago,");
        shows(35);
        publish(36..=45);
        shows(35);
        // Ten seconds back three times.
        for wanted in [25, 15, 5] {
            terminal.press("\x1b[1;2D");
            shows(wanted);
        }
        for wanted in [15, 25, 35] {
            terminal.press("\x1b[1;2C");
            shows(wanted);
        }
        // Each second of the freeze.
        for wanted in 36..=44 {
            terminal.press("\x1b[C");
            shows(wanted);
        }
        terminal.press(" ");
        shows(45);
    }
}

#[test]
#[ignore = "needs a quiet machine and a release build"]
fn top_of_10_000_fields_costs_less_than_5_percent_of_a_core() {
    with_fields(|directory| {
        let terminal = top(directory, &[]);
        terminal.wait_for("group0");
        std::thread::sleep(Duration::from_secs(3));
        let pid = terminal.child.id();
        let (start, before) = (Instant::now(), ticks(pid));
        std::thread::sleep(Duration::from_secs(20));
        #[allow(clippy::cast_precision_loss)] // Below 2^53.
        let used = (ticks(pid) - before) as f64 / 100.0;
        let share = used / start.elapsed().as_secs_f64();
        println!("processor: {:.1} % of a core; {} MiB", share * 100.0, resident(pid));
        assert!(share < 0.05, "{share}");
    });
}

#[test]
#[ignore = "needs a quiet machine and a release build"]
fn top_of_10_000_fields_takes_less_than_100_mib_when_the_past_is_full() {
    with_fields(|directory| {
        // Ten times as fast, so that the budget is reached ten times as soon.
        let terminal = top(directory, &["-d0.1"]);
        terminal.wait_for("group0");
        let mut most = 0;
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(500));
            most = most.max(resident(terminal.child.id()));
        }
        println!("memory: {most} MiB at most");
        assert!(most < 100, "{most}");
    });
}
