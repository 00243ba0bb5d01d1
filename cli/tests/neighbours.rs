//! A directory with many hostile files: each command ends, in bounded time and memory, and shows the
//! programs that are there.
//!
//! `MMSTATS_HOSTILE_FILES` is the number of files, 2,000 by default, 200 under an emulator; the limits
//! hold for 100,000.
#![cfg(target_os = "linux")] // measures memory by `/proc`, and makes sparse files

mod common;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Publisher, image, mmstats};
use mmstats_core::layout::header as h;
use mmstats_core::{Events, FieldSpec, Schema};

/// Maximum memory of a command, in KiB.
const MEMORY: u64 = 1 << 20;
/// Maximum time of a command.
const TIME: Duration = Duration::from_secs(30);

/// Whether qemu-user runs the test: see `.ci/targets`.
fn is_emulated() -> bool {
    std::env::var_os("MMSTATS_EMULATED").is_some()
}

fn put(bytes: &mut [u8], at: u32, n: u32) {
    bytes[at as usize..][..4].copy_from_slice(&n.to_le_bytes());
}

/// Sets the checksum of the header.
fn seal(bytes: &mut [u8]) {
    let mut sum = mmstats_core::checksum::Fletcher64::new();
    sum.range(&bytes[..120], 0, 120);
    bytes[120..128].copy_from_slice(&sum.finish().to_le_bytes());
}

/// Files of all shapes, with names before that of the live program.
fn plant(directory: &Path, count: u32) {
    let template = directory.join("template");
    let names: Vec<String> = (0..1024).map(|n| format!("{n:02x}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut schema = Schema::<16>::new();
    schema.add(FieldSpec::counter("hits").help("Help that all have.")).unwrap();
    schema.add(FieldSpec::state("phase", &names)).unwrap();
    let events = schema.add(FieldSpec::events("log", 3, 32)).unwrap();
    image(&template, &schema, |writer| {
        let lane = writer.lane().unwrap();
        Events::<32, _>::attach(&lane, events).unwrap().record(7, "ready");
    });
    let valid = std::fs::read(&template).unwrap();
    std::fs::remove_file(&template).unwrap();
    for n in 0..count {
        let path = directory.join(format!("a{n:06}.mmst"));
        let mut bytes = valid.clone();
        put(&mut bytes, h::INSTANCE, n);
        match n % 8 {
            0 => bytes = vec![0x89; 100],
            1 => bytes.clear(),
            // Parts of a program that do not exist.
            2 => put(&mut bytes, h::PART, n),
            3 => put(&mut bytes, h::PARTS, u32::MAX),
            _ => {}
        }
        if n % 8 > 1 {
            seal(&mut bytes);
        }
        std::fs::write(&path, &bytes).unwrap();
        // A hole behind the image.
        if n % 8 == 4 {
            File::options().write(true).open(&path).unwrap().set_len(1 << 33).unwrap();
        }
        // Only root can give files away; for others all are their own.
        if n % 2 == 0 {
            let _ = chown(&path, Some(20_000 + n % 3), None);
        }
    }
}

/// Runs a command; returns its output, and its memory in KiB.
fn measured(directory: &Path, arguments: &[&str]) -> (String, u64) {
    let start = Instant::now();
    let mut child = mmstats(directory)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text).unwrap()
    });
    let mut memory = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let most = status.unwrap_or_default();
        let most = most.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.and_then(|text| text.split_whitespace().next()?.parse().ok());
        memory = most.unwrap_or(0).max(memory);
        assert!(start.elapsed() < TIME, "{arguments:?} takes more than {TIME:?}, {memory} KiB");
        std::thread::sleep(Duration::from_millis(5));
    }
    eprintln!("{arguments:?}: {:?}, {memory} KiB", start.elapsed());
    // An emulator has memory of its own for each mapped page.
    assert!(memory < MEMORY || is_emulated(), "{arguments:?} takes {memory} KiB");
    (reader.join().unwrap(), memory)
}

#[test]
fn commands_in_hostile_directory_show_live_program() {
    let usual = if is_emulated() { 200 } else { 2_000 };
    let count = std::env::var("MMSTATS_HOSTILE_FILES").map_or(usual, |text| text.parse().unwrap());
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let publisher = Publisher::start(place.path());
    plant(place.path(), count);
    let pid = publisher.pid();
    for arguments in [
        &["ls"][..],
        &["ls", "--json"],
        &["show"],
        &["show", "--all", "--json"],
        &["show", "--lanes", "--all"],
        &["poll", "-c1", "-d0.1", "demo.*"],
        &["events"],
        &["clean", "--dry-run"],
    ] {
        let (out, _) = measured(place.path(), arguments);
        let word = if arguments[0] == "poll" { "blocks" } else { &pid };
        assert!(out.contains(word), "{arguments:?}: {} bytes", out.len());
    }
    let (out, _) = measured(place.path(), &["show", &pid]);
    assert!(out.contains(&pid));
    measured(place.path(), &["clean"]);
    assert!(publisher.path.exists());
    assert!(measured(place.path(), &["ls"]).0.contains(&pid));
}
