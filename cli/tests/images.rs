//! `check`, `dump` and `scan` on the fixtures of the format and on the memory of a process.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::run;
use mmstats_core::checksum::Fletcher64;
use mmstats_core::layout::header as h;
use serde_json::Value;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures").join(folder);
    let entries = std::fs::read_dir(root).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "mmst"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// All codes of broken rules in an expectation.
fn codes(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    // Of a table, `refused` is a number.
                    ("refused", Value::String(count)) if count.parse::<u64>().is_ok() => {}
                    ("code" | "damaged" | "refused", Value::String(code)) => {
                        found.push(code.clone());
                    }
                    // Keys that programs choose.
                    ("attributes", _) => {}
                    (_, value) => codes(value, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| codes(element, found)),
        _ => {}
    }
}

#[test]
fn check_reports_rules_that_fixtures_break() {
    let place = tempfile::tempdir().unwrap();
    for folder in ["valid", "future", "invalid", "malformed", "mid-write"] {
        for path in fixtures(folder) {
            let text = std::fs::read_to_string(path.with_extension("json")).unwrap();
            let expectation: Value = serde_json::from_str(&text).unwrap();
            if expectation["truncate"].is_array() {
                continue;
            }
            let mut wanted = Vec::new();
            codes(&expectation, &mut wanted);
            wanted.sort();
            wanted.dedup();
            let name = path.to_str().unwrap();
            let printed = run(place.path(), &["check", name]);
            let mut found: Vec<_> = printed
                .out
                .lines()
                .filter_map(|line| line.rsplit_once("(FORMAT.md#")?.1.strip_suffix(')'))
                .map(str::to_owned)
                .collect();
            found.sort();
            found.dedup();
            // Readers ignore reserved bytes; writers must not set them.
            if path.ends_with("future/reserved.mmst") {
                wanted.push("reserved".to_owned());
            }
            assert_eq!(found, wanted, "{name}\n{}", printed.out);
            assert_eq!(printed.code, Some(i32::from(!wanted.is_empty())), "{name}");
            assert!(printed.out.ends_with(" broken\n"), "{}", printed.out);
        }
    }
}

#[test]
fn check_names_files_that_cannot_be_read() {
    let place = tempfile::tempdir().unwrap();
    let empty = place.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    // A device.
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    let printed = run(place.path(), &["check", empty.to_str().unwrap(), null, "nowhere"]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.out.contains("too-short at byte 0"), "{}", printed.out);
    assert!(printed.err.contains(null) && printed.err.contains("nowhere"), "{}", printed.err);
}

/// Offset and byte of each line of a dump, or of the source of a fixture.
fn bytes(text: &str) -> BTreeMap<usize, u8> {
    let mut bytes = BTreeMap::new();
    for line in text.lines() {
        let Some((offset, rest)) = line.split_once("  ") else { continue };
        let Ok(offset) = usize::from_str_radix(offset, 16) else { continue };
        let hex = rest.split("  ").next().unwrap();
        for (at, byte) in hex.split_whitespace().enumerate() {
            let byte = u8::from_str_radix(byte, 16).unwrap();
            assert!(bytes.insert(offset + at, byte).is_none_or(|b| b == byte), "{line}");
        }
    }
    bytes
}

#[test]
fn dump_prints_all_bytes_but_zeros() {
    let place = tempfile::tempdir().unwrap();
    for path in fixtures("valid") {
        let printed = run(place.path(), &["dump", path.to_str().unwrap()]);
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        let file = std::fs::read(&path).unwrap();
        let dumped = bytes(&printed.out);
        for (at, byte) in &dumped {
            assert_eq!(file[*at], *byte, "{}: byte {at}", path.display());
        }
        let missing = |(at, byte): &(usize, &u8)| **byte != 0 && !dumped.contains_key(at);
        let missing: Vec<_> = file.iter().enumerate().filter(missing).collect();
        assert!(missing.is_empty(), "{}: {missing:?}\n{}", path.display(), printed.out);
    }
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures/valid/small.mmst");
    let printed = run(place.path(), &["dump", small.to_str().unwrap()]).out;
    for line in ["file_size: 1152", "field 1 count: 16", "lane 1 state: returned", "\"requests\""] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}

#[test]
fn scan_finds_images_in_noise() {
    let place = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures");
        std::fs::read(root.join(name)).unwrap()
    };
    let (small, refused) = (read("valid/small.mmst"), read("malformed/state-0.mmst"));
    let mut noise: Vec<u8> =
        (0..3_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    noise[1_048_570..1_048_570 + small.len()].copy_from_slice(&small);
    noise[2_000_000..2_000_000 + refused.len()].copy_from_slice(&refused);
    // An image that the end of the file cuts.
    let end = noise.len() - 300;
    noise[end..].copy_from_slice(&small[..300]);
    let path = place.path().join("noise.bin");
    std::fs::write(&path, &noise).unwrap();
    let name = path.to_str().unwrap();
    let shown = run(place.path(), &["scan", name]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(shown.out.starts_with("at byte 1048570: image 000102030405"), "{}", shown.out);
    assert!(shown.out.contains("requests{code=\"200\"}\t42\t"), "{}", shown.out);
    assert!(shown.err.contains("1 × bad-state, 1 × file-size"), "{}", shown.err);
    let to = place.path().join("found");
    let extracted = run(place.path(), &["scan", "--extract", to.to_str().unwrap(), name]);
    assert_eq!(extracted.code, Some(0), "{}", extracted.err);
    assert_eq!(std::fs::read(to.join("noise.bin@1048570.mmst")).unwrap(), small);
    // When it was changed last is not known: not when it was extracted.
    let listed = run(place.path(), &["ls", "--json", to.to_str().unwrap()]);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let program = &listed["files"][0];
    assert_eq!(program["state"], "dead");
    for key in ["age", "changed", "died"] {
        assert!(program[key].is_null(), "{key}: {listed}");
    }
    // An existing file is not overwritten.
    assert_eq!(run(place.path(), &["scan", "-e", to.to_str().unwrap(), name]).code, Some(1));
    let nothing = run(place.path(), &["scan", env!("CARGO_MANIFEST_PATH")]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("no image in it"), "{}", nothing.err);
}

#[test]
fn scan_of_what_is_no_file_names_the_rule() {
    let place = tempfile::tempdir().unwrap();
    let absent = place.path().join("absent.bin");
    for (path, code) in [(absent.as_path(), "not-found"), (place.path(), "not-regular")] {
        let printed = run(place.path(), &["scan", path.to_str().unwrap()]);
        assert_eq!(printed.code, Some(1), "{}", printed.err);
        assert!(printed.err.contains(&format!("{}: cannot ", path.display())), "{}", printed.err);
        // A directory has a line of help too.
        let first = printed.err.lines().next().unwrap();
        assert!(first.ends_with(&format!(" ({code})")), "{}", printed.err);
    }
    #[cfg(unix)] // has symbolic links for all users
    {
        let link = place.path().join("link");
        std::os::unix::fs::symlink(env!("CARGO_MANIFEST_PATH"), &link).unwrap();
        let printed = run(place.path(), &["scan", link.to_str().unwrap()]);
        assert!(printed.err.contains("no image in it"), "{}", printed.err);
    }
}

/// The fixture `small.mmst`, with another instance if `other`, and words of its header changed.
fn small_with(other: bool, words: &[(u32, u32)]) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures");
    let mut bytes = std::fs::read(root.join("valid/small.mmst")).unwrap();
    for (at, word) in words {
        bytes[*at as usize..][..4].copy_from_slice(&word.to_le_bytes());
    }
    if other {
        bytes[h::INSTANCE as usize..][..16].fill(0x77);
    }
    let mut sum = Fletcher64::new();
    sum.range(&bytes[..120], 0, 120);
    bytes[120..128].copy_from_slice(&sum.finish().to_le_bytes());
    bytes
}

/// Scans a dump of 1 MiB with `first` at its start and the fixture `small.mmst` behind it.
fn scan_behind(first: &[u8]) -> common::Printed {
    let place = tempfile::tempdir().unwrap();
    let mut dump = vec![0; 1 << 20];
    dump[..first.len()].copy_from_slice(first);
    let small = small_with(false, &[]);
    dump[700_000..][..small.len()].copy_from_slice(&small);
    let path = place.path().join("dump.bin");
    std::fs::write(&path, dump).unwrap();
    run(place.path(), &["scan", path.to_str().unwrap()])
}

#[test]
fn scan_behind_header_that_claims_all_finds_both_images() {
    let size = (h::FILE_SIZE, 1 << 20);
    // Three lanes.
    let stride = (h::LANE_STRIDE, ((1 << 20) - 576) / 3 / 64 * 64);
    for words in [&[size][..], &[size, stride]] {
        let printed = scan_behind(&small_with(true, words));
        assert_eq!(printed.code, Some(0), "{}{}", printed.out, printed.err);
        for (at, instance) in [(0, "7777"), (700_000, "0001")] {
            let line = format!("at byte {at}: image {instance}");
            assert!(printed.out.contains(&line), "{line}\n{}", printed.out);
        }
        assert_eq!(printed.out.matches("\nrequests").count(), 2, "{}", printed.out);
        assert!(printed.out.contains("}\t42\trequests\t-\t"), "{}", printed.out);
        // The same instance: the inner one is shown.
        let printed = scan_behind(&small_with(false, words));
        assert_eq!(printed.code, Some(0), "{}{}", printed.out, printed.err);
        assert_eq!(printed.out.matches("\nrequests").count(), 1, "{}", printed.out);
        assert!(printed.out.contains("dump.bin@700000\n"), "{}", printed.out);
    }
}

#[test]
fn scan_behind_damaged_remnant_shows_the_image() {
    let printed = scan_behind(&small_with(false, &[])[..192]);
    assert_eq!(printed.code, Some(0), "{}{}", printed.out, printed.err);
    assert!(printed.out.contains("requests{code=\"200\"}\t42\t"), "{}", printed.out);
    assert!(!printed.out.contains("dump.bin@0"), "{}", printed.out);
}

/// Headers that claim all bytes behind them cannot fill a disk, and what they displace is an error.
#[test]
#[cfg(not(windows))] // there room behind the lanes counts too
fn scan_of_overlapping_images_counts_what_is_left_out() {
    let place = tempfile::tempdir().unwrap();
    let size = 1 << 20;
    let (step, count) = (2_048_usize, 200_u32);
    let mut dump = vec![0; size];
    for number in 0..count {
        let at = number as usize * step;
        let left = u32::try_from(size - at).unwrap();
        let stride = (left - 576) / 3 / 64 * 64;
        let words = [(h::FILE_SIZE, left), (h::LANE_STRIDE, stride), (h::INSTANCE, number)];
        let image = small_with(false, &words);
        dump[at..][..image.len()].copy_from_slice(&image);
    }
    let path = place.path().join("dump.bin");
    std::fs::write(&path, dump).unwrap();
    let printed = run(place.path(), &["scan", "--list", path.to_str().unwrap()]);
    assert_eq!(printed.code, Some(1), "{}", printed.err);
    let listed = printed.out.lines().count();
    let wanted = format!("{} × left-out", count as usize - listed);
    assert!(printed.err.contains(&wanted), "{listed} {}", printed.err);
    assert!((65..130).contains(&listed), "{listed}");
}

/// The memory of a process, dumped by a debugger or read from `/proc`.
#[cfg(target_os = "linux")] // has /proc
mod memory {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Command, Stdio};

    use mmstats::{Counter, Lane, Options, Publisher};

    use crate::common::run;

    const CHILD: &str = "MMSTATS_TEST_CORE";

    /// The publisher has no file, only memory.
    #[test]
    fn scan_finds_fields_in_memory_of_process() {
        if std::env::var_os(CHILD).is_some() {
            let mut schema = mmstats::Schema::new();
            let key = schema.add::<Counter>("orders.taken", mmstats::FieldOptions::new());
            let publisher: Publisher<Lane> =
                Options::new().hidden().schema(schema).start().unwrap();
            let lane = publisher.lane().unwrap();
            lane.attach(key).unwrap().add(123_456_789);
            println!("\nready");
            std::io::stdout().flush().unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::scan_finds_fields_in_memory_of_process", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        let core = place.path().join("core");
        let made = Command::new("gcore").arg("-o").arg(&core).arg(child.id().to_string()).output();
        let dumped = place.path().join(format!("core.{}", child.id()));
        let by_gcore = made.is_ok_and(|out| out.status.success()) && dumped.is_file();
        if !by_gcore {
            // No debugger, or no permission.
            println!("without gcore: from /proc/PID/mem");
            std::fs::write(&dumped, memory(child.id())).unwrap();
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        let shown = run(place.path(), &["scan", dumped.to_str().unwrap()]);
        assert_eq!(shown.code, Some(0), "{}{}", shown.out, shown.err);
        assert!(shown.out.contains("orders.taken\t123456789\t"), "{}", shown.out);
    }

    /// The writable memory of a process, region by region.
    fn memory(pid: u32) -> Vec<u8> {
        use std::os::unix::fs::FileExt as _;
        let mem = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let mut all = Vec::new();
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let [from, to] = [from, to].map(|n| u64::from_str_radix(n, 16).unwrap());
            let mut part = vec![0; usize::try_from(to - from).unwrap()];
            if mem.read_exact_at(&mut part, from).is_ok() {
                all.extend(part);
            }
        }
        all
    }
}
