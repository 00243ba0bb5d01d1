//! Output and messages of every command about hostile files, names and arguments: no terminal
//! controls, no markup.
#![cfg(unix)]

mod common;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::{Printed, image, mmstats, printed};
use mmstats_core::{Constant, Counter, Events, FieldSpec, Schema, Text};

/// Escapes of all kinds, and markup.
const NASTY: &str = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n\t\u{200b}\u{7f}</script><b>&amp;x";

/// A file with [`NASTY`] in all texts, in its name and in the name of its directory.
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

/// Asserts that there are no terminal controls, and in JSON no markup.
fn assert_harmless(arguments: &[OsString], printed: &Printed) {
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
fn output_of_every_command_is_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let path = plant(directory.path());
    let mut shown = 0;
    for command in [
        &["ls"][..],
        &["ls", "--json"],
        &["show", "--all"],
        &["show", "--all", "-v"],
        &["show", "--all", "--lanes"],
        &["show", "--all", "--json"],
        &["poll", "-c1", "-d0.01", "*"],
        &["poll", "-c1", "-d0.01", "--json", "*"],
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
        let arguments = words(command, &path);
        let printed_by = printed(mmstats(directory.path()).args(&arguments).output().unwrap());
        if printed_by.code == Some(2) {
            // A command without `--json`.
            assert!(printed_by.out.is_empty() && command.contains(&"--json"), "{arguments:?}");
        }
        assert_harmless(&arguments, &printed_by);
        shown += usize::from(printed_by.out.contains("owned"));
    }
    assert!(shown >= 8, "only {shown} commands show a text");
}

/// Damaged bytes, missing files, wrong arguments.
#[test]
fn messages_of_every_command_are_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let path = plant(directory.path());
    let good = std::fs::read(&path).unwrap();
    let nasty = OsStr::from_bytes(b"\x1b]0;x\x07\xc2\x9b1m\xff<b>").to_os_string();
    let missing = path.with_file_name(&nasty);
    let mut messages = 0;
    for damage in 0..12_usize {
        let mut bytes = good.clone();
        match damage {
            0 => bytes.clear(),
            1 => bytes.truncate(100),
            2 => bytes[..8].copy_from_slice(b"\x1b[2J\x9b31m"),
            // A byte of the header, the descriptors or the strings.
            n => {
                let at = (n - 2) * 97 % bytes.len();
                bytes[at] ^= 0x1b;
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        for command in [
            &["ls"][..],
            &["show"],
            &["show", "--json"],
            &["poll", "-c1", "-d0.01", "*"],
            &["events"],
            &["clean", "--dry-run"],
            &["check"],
            &["dump"],
            &["scan"],
        ] {
            for target in [&path, &missing] {
                let arguments = words(command, target);
                let printed_by =
                    printed(mmstats(directory.path()).args(&arguments).output().unwrap());
                assert_harmless(&arguments, &printed_by);
                messages += usize::from(!printed_by.err.is_empty());
            }
        }
    }
    assert!(messages > 100, "{messages}");
    // Commands, options, fields, globs.
    for command in ["ls", "show", "poll", "events", "check", "\u{1b}[31m"] {
        for option in ["--level", "--filter", "--\u{1b}[31m", "-d", "--color", ""] {
            let arguments = [command.into(), option.into(), nasty.clone(), nasty.clone()];
            let printed_by = printed(mmstats(directory.path()).args(&arguments).output().unwrap());
            assert_harmless(&arguments, &printed_by);
        }
    }
}
