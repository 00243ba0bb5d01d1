//! `mmstats top` on a pseudo terminal, whose screen a terminal emulator reads.
#![cfg(target_os = "linux")] // /proc, and a controlling terminal by a program of util-linux

mod common;
#[path = "common/pty.rs"]
mod pty;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mmstats::{Counter, FieldOptions, Histogram, Lane, Options, Publisher, Text};
use mmstats_core::{Constant, Events, FieldSpec, Schema};

use common::{Publisher as Demo, files, image, mmstats, signal};
use pty::Terminal;

/// A binary that is given the directory as the only place of files.
fn top(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = mmstats(directory);
    command.arg("top").args(arguments).env("TZ", "UTC");
    command
}

#[derive(mmstats::Stats)]
struct Stats {
    /// What this is about.
    #[stats(label = "http.requests")]
    requests: Counter,
    #[stats(label = "http.bytes", unit = "bytes")]
    bytes: Counter,
    doing: Text<32>,
    #[stats(label = "http.size", unit = "bytes")]
    size: Histogram<u64>,
}

fn publisher(directory: &Path) -> Publisher<Stats> {
    Options::new().directory(directory).start().unwrap()
}

/// The line of the screen that contains `text`.
fn line<'a>(screen: &'a str, text: &str) -> &'a str {
    screen.lines().find(|line| line.contains(text)).unwrap_or_default()
}

/// Whether the line of a field has this value.
fn shows(screen: &str, field: &str, value: &str) -> bool {
    line(screen, field).split_whitespace().any(|word| word == value)
}

#[test]
fn start_screen_lists_programs_and_enter_opens_one() {
    let directory = tempfile::tempdir().unwrap();
    let (first, _second) = (Demo::start(directory.path()), Demo::start(directory.path()));
    let terminal = Terminal::start(&top(directory.path(), &[]), 100, 30);
    terminal.wait_for("2 programs");
    terminal.wait("its state", |screen| line(screen, &first.pid()).contains("live"));
    terminal.wait("a counter", |screen| line(screen, &first.pid()).contains("bytes_"));
    terminal.press("/");
    terminal.press(&first.pid());
    terminal.press("\r\r");
    terminal.wait_for(&format!("pid {}  live", first.pid()));
    terminal.wait_for("    bytes_in ");
    terminal.press("4");
    terminal.wait_for("TID");
    terminal.press("2");
    terminal.wait_for("demo.compress");
    terminal.press("q");
}

#[test]
fn search_shows_only_matching_fields() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.requests.add(17);
    stats.bytes.add(5);
    let terminal = Terminal::start(&top(directory.path(), &[]), 80, 24);
    terminal.wait_for("requests");
    terminal.press("/byt");
    let screen = terminal.wait("only bytes", |screen| !screen.contains("requests"));
    assert!(screen.contains("bytes"), "{screen}");
    terminal.press("\x1b");
    terminal.wait_for("requests");
}

#[test]
fn killed_program_stays_with_its_last_values() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Demo::start(directory.path());
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 80, 24);
    // Absent until a thread has begun.
    terminal.wait("bytes", |screen| line(screen, " bytes_in").contains("iB"));
    program.kill();
    terminal.wait_for("dead");
    terminal.wait_for("these are its last values");
    let value =
        |screen: &str| line(screen, " bytes_in").split_whitespace().nth(1).map(str::to_owned);
    let last = value(&terminal.screen());
    assert!(last.as_ref().is_some_and(|last| last != "0" && last != "-"), "{last:?}");
    // Also after the file is gone.
    for path in files(directory.path()) {
        std::fs::remove_file(path).unwrap();
    }
    let screen = terminal.wait_for("gone");
    assert_eq!(value(&screen), last, "{screen}");
}

#[test]
fn rewound_screen_shows_what_was_recorded_then_and_a_freeze_leaves_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    let terminal = Terminal::start(&top(directory.path(), &["-d0.05"]), 80, 24);
    terminal.wait_for("requests");
    // Each value with the time at which it was published.
    let mut published: Vec<(Instant, u64)> = Vec::new();
    let mut publish = |count: u64| {
        for _ in 0..count {
            stats.requests.add(1);
            let value = published.last().map_or(1, |(_, value)| value + 1);
            published.push((Instant::now(), value));
            std::thread::sleep(Duration::from_millis(500));
        }
        published.clone()
    };
    publish(6);
    let before = Instant::now();
    terminal.press(" ");
    let frozen = terminal.wait_for("ago,");
    assert!(shows(&frozen, "requests", "6"), "{frozen}");
    let after = Instant::now();
    // The screen stays as it is while values go on.
    let published = publish(6);
    let screen = terminal.screen();
    assert!(shows(&screen, "requests", "6"), "{screen}");
    // Two seconds back: the value of that time, within a look and the time that the key took.
    let value_at = |at: Instant| published.iter().rfind(|(then, _)| *then <= at).map(|(_, n)| *n);
    let look = Duration::from_millis(300);
    let check = |screen: &str, from: Instant, to: Instant| {
        let found = line(screen, "requests").split_whitespace().nth(1).unwrap_or_default();
        let allowed = value_at(from)..=value_at(to);
        let found: Option<u64> = found.parse().ok();
        assert!(allowed.contains(&found), "{found:?} is not in {allowed:?}:\n{screen}");
    };
    terminal.press("\x1b[D\x1b[D");
    let screen = terminal.wait("another value", |screen| !shows(screen, "requests", "6"));
    let two = Duration::from_secs(2);
    check(&screen, before - two - look, after - two + look);
    // Four seconds on: two after the moment at which it was frozen.
    terminal.press("\x1b[C\x1b[C\x1b[C\x1b[C");
    let screen = terminal.wait("a later value", |screen| {
        let found = line(screen, "requests").split_whitespace().nth(1).map(str::to_owned);
        found.and_then(|found| found.parse::<u64>().ok()).is_some_and(|found| found > 6)
    });
    check(&screen, before + two - look, after + two + look);
    terminal.press(" ");
    terminal.wait("now", |screen| shows(screen, "requests", "12"));
}

#[test]
fn lanes_marks_details_and_differences_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.requests.add(17);
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 100, 30);
    terminal.wait_for("requests");
    terminal.press("/requests\r");
    terminal.press("u");
    // The name of this thread is that of the test.
    terminal.wait_for("    lanes_marks_");
    terminal.press("m");
    terminal.wait_for("* http.requests");
    terminal.press("3");
    terminal.wait_for("━ http.requests/s");
    terminal.press("6");
    let screen = terminal.wait_for("What this is about.");
    assert!(shows(&screen, "exactly", "17"), "{screen}");
    terminal.press("y");
    terminal.wait_for("copied 17");
    let copied = b"\x1b]52;c;MTc=";
    assert!(terminal.bytes().windows(copied.len()).any(|bytes| bytes == copied));
    terminal.press("1d");
    terminal.wait_for("compared with");
    stats.requests.add(25);
    terminal.wait("the difference", |screen| shows(screen, "requests", "+25"));
    terminal.press("?");
    terminal.wait_for("any key closes this");
}

/// Text that would control a terminal.
const NASTY: &str = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n\t\u{1b}[2Jx";

#[test]
fn hostile_texts_reach_the_terminal_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hostile.mmst");
    let label = format!("label{NASTY}.{NASTY}");
    let attributes = [("k", NASTY)];
    let mut schema = Schema::<16>::new();
    let counter = FieldSpec::counter(&label).unit(NASTY).help(NASTY);
    let counter = schema.add(counter.attributes(&attributes)).unwrap();
    let text = schema.add(FieldSpec::text("text", 200)).unwrap();
    let events = schema.add(FieldSpec::events("log", 3, 200)).unwrap();
    schema.add(FieldSpec::info("sys.command", Constant::Text(NASTY))).unwrap();
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        mmstats_core::Counter::attach(&lane, counter).unwrap().add(1);
        mmstats_core::Text::<200, _>::attach(&lane, text).unwrap().set(NASTY);
        Events::<200, _>::attach(&lane, events).unwrap().record(7, NASTY);
    });
    let terminal = Terminal::start(&top(directory.path(), &["--color=never"]), 300, 50);
    terminal.wait_for("owned");
    // Each view, the details of each field, the names of lanes, marks, a copy, the start screen.
    for keys in
        ["j", "j", "u", "m", "y", "3", "5", "6", "k", "2", "d", "1", "s", "s", "\x1b\x1b\x1b"]
    {
        terminal.press(keys);
        std::thread::sleep(Duration::from_millis(150));
    }
    terminal.wait_for("program");
    terminal.press("q");
    let bytes = terminal.bytes();
    let text = String::from_utf8_lossy(&bytes);
    for harmful in ["\u{1b}]0", "\u{7}o", "\u{9b}", "\u{202e}", "\u{1b}[2Jx"] {
        assert!(!text.contains(harmful), "{harmful:?}");
    }
    // Operating system commands: only the copy.
    let commands = text.matches("\u{1b}]").count();
    assert_eq!(commands, text.matches("\u{1b}]52;").count());
}

#[test]
fn terminal_is_restored_after_every_end() {
    let directory = tempfile::tempdir().unwrap();
    let _publisher = publisher(directory.path());
    let start = || {
        let terminal = Terminal::start(&top(directory.path(), &[]), 80, 24);
        terminal.wait_for("requests");
        terminal
    };
    for keys in ["q", "\x03"] {
        let mut terminal = start();
        terminal.press(keys);
        assert_eq!(terminal.end().code(), Some(0), "{keys:?}");
        terminal.assert_restored(keys);
    }
    for name in ["TERM", "INT", "HUP"] {
        let mut terminal = start();
        signal(terminal.child.id(), name);
        assert_eq!(terminal.end().code(), Some(0), "{name}");
        terminal.assert_restored(name);
    }
    // There is no terminal to restore, but the command must end.
    let mut terminal = start();
    terminal.close();
    terminal.end();
}

#[test]
fn every_size_is_drawn_and_a_new_size_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.size.record(100);
    stats.doing.set("a text");
    let mut terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 80, 24);
    terminal.wait_for("requests");
    for (columns, rows) in [(40, 12), (300, 60), (20, 5), (1, 1), (120, 3), (80, 24)] {
        terminal.resize(columns, rows);
        for keys in ["2", "3", "4", "5", "6", "?", " ", "1"] {
            terminal.press(keys);
            std::thread::sleep(Duration::from_millis(30));
        }
        assert!(terminal.child.try_wait().unwrap().is_none(), "{columns} x {rows}");
    }
    terminal.wait_for("requests");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    terminal.assert_restored("after sizes");
}

#[test]
fn mouse_selects_tabs_and_lines() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    publisher.lane().unwrap().requests.add(1);
    let terminal = Terminal::start(&top(directory.path(), &[]), 80, 24);
    terminal.wait_for("requests");
    // The tab `5 Events`, whose column is counted from 1.
    let screen = terminal.screen();
    let row = screen.lines().position(|line| line.contains("5 Events")).unwrap() + 1;
    let column = line(&screen, "5 Events").find("5 Events").unwrap() + 1;
    terminal.press(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"));
    terminal.wait_for("no events");
    terminal.press("1");
    let screen = terminal.wait_for("requests");
    let row = screen.lines().position(|line| line.contains("requests")).unwrap() + 1;
    let click = format!("\x1b[<0;5;{row}M\x1b[<0;5;{row}m");
    terminal.press(&click);
    // A click on the selected line opens it.
    std::thread::sleep(Duration::from_millis(100));
    terminal.press(&click);
    terminal.wait_for("What this is about.");
}

#[test]
fn top_takes_names_and_says_that_it_needs_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let lane = Options::new().directory(directory.path()).name("other").start::<Lane>().unwrap();
    lane.add::<Counter>("passing", FieldOptions::new()).unwrap();
    let terminal = Terminal::start(&top(directory.path(), &["no-such-command"]), 80, 24);
    terminal.wait_for("no program publishes");
    let printed = common::run(directory.path(), &["top"]);
    assert_eq!(printed.code, Some(2));
    assert!(printed.err.contains("needs a terminal"), "{}", printed.err);
}

#[test]
fn demo_uses_the_same_screen() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = mmstats(directory.path());
    command.args(["demo", "--threads", "2"]);
    let mut terminal = Terminal::start(&command, 80, 24);
    terminal.wait_for("elsewhere: mmstats show");
    terminal.wait_for("bytes_in");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    terminal.assert_restored("demo");
    terminal.wait_for("ended cleanly");
    assert!(files(directory.path()).is_empty());
}
