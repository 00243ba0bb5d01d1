//! What a hostile file, name or argument says reaches no terminal and no page: every tool,
//! what it prints and what it complains of.
#![cfg(unix)]

mod common;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::{Printed, image, mmstats, printed};
use mmstats_core::{Constant, Counter, Events, FieldSpec, Schema, Text};

/// Escapes of all kinds, and markup.
const NASTY: &str = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n\t\u{200b}\u{7f}</script><b>&amp;x";

/// A file all of whose texts are nasty, in a directory and by a name that are nasty too.
fn plant(directory: &Path) -> std::path::PathBuf {
    let place = directory.join(OsStr::from_bytes(b"\x1b[31m\xff\n<b>"));
    std::fs::create_dir(&place).unwrap();
    let path = place.join(OsStr::from_bytes(b"\x1b[2J\xff\xe2\x80\xae<b>&.mmst"));
    let attributes = [("k", NASTY)];
    let label = format!("label{NASTY}");
    let mut schema = Schema::<16>::new();
    let counter = FieldSpec::counter(&label).unit("\u{1b}[1m<b>&").help(NASTY);
    let counter = schema.add(counter.attributes(&attributes)).unwrap();
    let text = schema.add(FieldSpec::text("text", 200)).unwrap();
    let events = schema.add(FieldSpec::events(&label, 3, 200)).unwrap();
    schema.add(FieldSpec::info("sys.command", Constant::Text(NASTY))).unwrap();
    schema.add(FieldSpec::info("sys.host", Constant::Text(NASTY))).unwrap();
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        Counter::attach(&lane, counter).unwrap().add(1);
        Events::<200, _>::attach(&lane, events).unwrap().record(7, NASTY);
        Text::<200, _>::attach(&lane, text).unwrap().set(NASTY);
    });
    path
}

/// Nothing that moves a cursor, and in JSON no markup.
fn harmless(arguments: &[OsString], printed: &Printed) {
    for c in printed.out.chars().chain(printed.err.chars()) {
        let allowed = !c.is_control() || c == '\n' || c == '\t';
        let deceives = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
        assert!(allowed && !deceives, "{c:?} in {arguments:?}: {}{}", printed.out, printed.err);
    }
    if arguments.iter().any(|word| word == "--json") {
        assert!(!printed.out.contains(['<', '>', '&']), "{arguments:?}: {}", printed.out);
        for line in printed.out.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}

fn words(words: &[&str], path: &Path) -> Vec<OsString> {
    words.iter().map(OsString::from).chain([path.into()]).collect()
}

#[test]
fn every_tool_is_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let path = plant(directory.path());
    let mut shown = 0;
    for tool in [
        &["ls"][..],
        &["ls", "--json"],
        &["show", "--all"],
        &["show", "--all", "-v"],
        &["show", "--all", "--lanes"],
        &["show", "--all", "--json"],
        &["poll", "-c1", "*"],
        &["poll", "-c1", "--json", "*"],
        &["events"],
        &["events", "--json"],
        &["clean", "--dry-run"],
        &["check"],
        &["check", "--json"],
        &["dump"],
        &["dump", "--json"],
        &["scan"],
        &["scan", "--json"],
    ] {
        let arguments = words(tool, &path);
        let told = printed(mmstats(directory.path()).args(&arguments).output().unwrap());
        if told.code == Some(2) {
            // It has no such option, and says so.
            assert!(told.out.is_empty() && tool.contains(&"--json"), "{arguments:?}");
        }
        harmless(&arguments, &told);
        shown += usize::from(told.out.contains("owned"));
    }
    assert!(shown >= 8, "only {shown} tools show anything of it");
}

/// The same for what they complain of: bytes that are wrong, files that are none, words that
/// make no sense.
#[test]
fn every_complaint_is_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let path = plant(directory.path());
    let good = std::fs::read(&path).unwrap();
    let nasty = OsStr::from_bytes(b"\x1b]0;x\x07\xc2\x9b1m\xff<b>").to_os_string();
    let missing = path.with_file_name(&nasty);
    let mut complaints = 0;
    for damage in 0..12_usize {
        let mut bytes = good.clone();
        match damage {
            0 => bytes.clear(),
            1 => bytes.truncate(100),
            2 => bytes[..8].copy_from_slice(b"\x1b[2J\x9b31m"),
            // In the header, in descriptors, in the strings.
            n => {
                let at = (n - 2) * 97 % bytes.len();
                bytes[at] ^= 0x1b;
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        for tool in [
            &["ls"][..],
            &["show"],
            &["show", "--json"],
            &["poll", "-c1", "*"],
            &["events"],
            &["clean", "--dry-run"],
            &["check"],
            &["dump"],
            &["scan"],
        ] {
            for target in [&path, &missing] {
                let arguments = words(tool, target);
                let told = printed(mmstats(directory.path()).args(&arguments).output().unwrap());
                harmless(&arguments, &told);
                complaints += usize::from(!told.err.is_empty());
            }
        }
    }
    assert!(complaints > 100, "{complaints}");
    // Words: commands, options, fields, globs.
    for tool in ["ls", "show", "poll", "events", "check", "\u{1b}[31m"] {
        for option in ["--level", "--filter", "--\u{1b}[31m", "-d", "--color", ""] {
            let arguments = [tool.into(), option.into(), nasty.clone(), nasty.clone()];
            let told = printed(mmstats(directory.path()).args(&arguments).output().unwrap());
            harmless(&arguments, &told);
        }
    }
}
