//! What commands print on terminals of several widths: a pseudo-terminal each.
#![cfg(unix)] // has pseudo-terminals

mod common;

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use common::terminal::{lines, read_all, start};
use common::{PATIENCE, image, mmstats, printed, run};
use mmstats_core::{Constant, Counter, DataType, Events, FieldSpec, Gauge, Schema, Text, Timer};
use unicode_width::UnicodeWidthStr as _;

/// A program with long names, families and all that was laid out badly once.
fn program(path: &Path) {
    let combination =
        |route: &'static str, status: &'static str| [("route", route), ("status", status)];
    let (a, b) = (combination("/users/{id}", "503"), combination("/", "200"));
    let overflow = [("overflow", "true")];
    let mut schema = Schema::<16>::new();
    let mut add = |spec| schema.add(spec).unwrap();
    add(FieldSpec::info("sys.pid", Constant::U64(4_194_304)));
    add(FieldSpec::info("sys.command", Constant::Text("web")));
    add(FieldSpec::counter("http.server.requests").attributes(&overflow));
    let load = add(FieldSpec::gauge("load", DataType::F64).unit("percent"));
    let started = add(FieldSpec::gauge("started", DataType::U64).unit("seconds"));
    let busy = add(FieldSpec::timer("busy"));
    let doing = add(FieldSpec::text("doing", 80));
    let one = add(FieldSpec::counter("http.server.requests").attributes(&a));
    let other = add(FieldSpec::counter("http.server.requests").attributes(&b));
    image(path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        Gauge::<f64, _>::attach(&lane, load).unwrap().set(f64::NAN);
        Gauge::<u64, _>::attach(&lane, started).unwrap().set(1_795_963_609);
        Timer::attach(&lane, busy).unwrap().record_nanos(1_500_000);
        let words = "the quick brown fox jumps over the lazy dog, again and again and again";
        Text::<80, _>::attach(&lane, doing).unwrap().set(words);
        Counter::attach(&lane, one).unwrap().add(7);
        Counter::attach(&lane, other).unwrap().add(12_345);
    });
}

#[test]
fn show_is_as_wide_as_the_terminal_and_cuts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.mmst");
    program(&path);
    for width in [40, 80, 200] {
        let all = lines(dir.path(), &["show", "--all"], width);
        for line in &all {
            let is_one_word = !line.trim().contains(' ');
            assert!(line.width() <= usize::from(width) || is_one_word, "{width}: {line}");
        }
        let text = all.join("\n");
        assert!(!text.contains('…'), "{width}: {text}");
        // Words are whole; a number stands with its unit.
        for word in ["route=\"/users/{id}\"", "again", "12,345", "min 1.50 ms", "last 1.50 ms"] {
            assert!(text.contains(word), "{width}, {word}: {text}");
        }
        assert!(text.contains("2026-11-29 1") && text.contains(" UTC"), "a moment: {text}");
        assert!(text.contains("NaN") && !text.contains("NaN percent"), "{text}");
        assert!(!text.contains("overflow"), "zero: {text}");
        // The family stands first, where it was declared, and is sorted.
        let at = |word: &str| text.find(word).unwrap();
        assert!(at("\"200\"") < at("\"503\"") && at("\"503\"") < at("load"), "{text}");
    }
    let wide = lines(dir.path(), &["show", "--all"], 80);
    let names = [
        "  http.server.requests{route=\"/\",status=\"200\"}            12,345",
        "  http.server.requests{route=\"/users/{id}\",status=\"503\"}       7",
    ];
    assert!(wide.windows(2).any(|lines| lines == names), "{wide:?}");
}

#[test]
fn form_is_forced_by_table_and_plain() {
    let dir = tempfile::tempdir().unwrap();
    program(&dir.path().join("w.mmst"));
    for command in [&["ls"][..], &["show", "--all"]] {
        let with = |option| [command, &[option]].concat();
        let piped = run(dir.path(), command).out;
        assert!(piped.contains('\t'), "{piped}");
        let plain = lines(dir.path(), &with("--plain"), 80).join("\n") + "\n";
        // An age may become a second more in between.
        let later = run(dir.path(), command).out;
        assert!(plain == piped || plain == later, "{command:?}: {plain}{piped}{later}");
        let table = run(dir.path(), &with("--table")).out;
        assert!(!table.contains('\t'), "{table}");
        // The width of a table in a pipe.
        let mut narrow = mmstats(dir.path());
        narrow.args(with("--table")).env("COLUMNS", "40").env("TZ", "UTC");
        let narrow = printed(narrow.output().unwrap()).out;
        assert_eq!(narrow.lines().collect::<Vec<_>>(), lines(dir.path(), command, 40));
    }
    let both = run(dir.path(), &["show", "--table", "--plain"]);
    assert_eq!(both.code, Some(2));
    assert_eq!(run(dir.path(), &["show", "--table", "--json"]).code, Some(2));
}

#[test]
fn watch_repeats_the_table_in_place() {
    let dir = tempfile::tempdir().unwrap();
    program(&dir.path().join("w.mmst"));
    let arguments = ["show", "--all", "--watch", "-d0.05", "-c3"];
    let (ours, mut child) = start(dir.path(), &arguments, 80);
    let text = read_all(ours);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // Each frame begins at the top left.
    let frames: Vec<&str> = text.split("\u{1b}[H").skip(1).collect();
    assert_eq!(frames.len(), 3, "{text:?}");
    assert!(frames.iter().all(|frame| frame.contains("every 50.0 ms, ")), "{text:?}");
    assert!(frames.iter().all(|frame| frame.contains("12,345")), "{text:?}");
    // Erased after it, a line of full width would lose its last character.
    assert!(frames[1].contains("\u{1b}[2K") && !text.contains("\u{1b}[K"), "{text:?}");
    // In a pipe documents and lines follow each other.
    let json = run(dir.path(), &["show", "--all", "--watch", "-d0.01", "-c3", "--json"]).out;
    assert_eq!(json.lines().count(), 3);
    let plain = run(dir.path(), &["show", "--all", "-w", "-d0.01", "-c2", "-F", "load"]).out;
    assert_eq!(plain.lines().count(), 2, "{plain}");
    assert_eq!(run(dir.path(), &["show", "-c2"]).code, Some(2), "without --watch");
}

/// Neither waits for its next line to find that the reader is gone.
#[test]
fn following_commands_end_with_their_reader() {
    let dir = tempfile::tempdir().unwrap();
    common::all_kinds(&dir.path().join("k.mmst"));
    for arguments in [&["events", "-f", "-d0.05"][..], &["show", "--all", "-w", "-d0.05"]] {
        let mut command = mmstats(dir.path());
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let start = std::time::Instant::now();
        let status = common::wait_for(|| child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{arguments:?}");
        assert!(start.elapsed() < PATIENCE / 2, "{arguments:?}");
    }
}

/// Messages, reasons and lines of events are broken between words, and none is cut.
#[test]
fn texts_are_broken_between_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.mmst");
    program(&path);
    let mut schema = Schema::<16>::new();
    let log = schema.add(FieldSpec::events("log", 3, 120)).unwrap();
    let words = "several words about what happened then, and what happened a moment after it";
    image(&dir.path().join("e.mmst"), &schema, |writer| {
        let lane = writer.lane().unwrap();
        Events::<120, _>::attach(&lane, log).unwrap().record(1, words);
    });
    for (arguments, text) in [
        (&["events"][..], words),
        (&["clean", "--dry-run"], "its lock is free"),
        (&["ls"], "files are in"),
    ] {
        for width in [40, 80, 200] {
            let lines = lines(dir.path(), arguments, width);
            let fits =
                |line: &String| line.width() <= usize::from(width) || !line.trim().contains(' ');
            assert!(lines.iter().all(fits), "{width}: {lines:?}");
            let all: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            assert!(all.join(" ").contains(text), "{width}: {lines:?}");
        }
    }
}
