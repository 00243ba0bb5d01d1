//! A program from which parts are missing is shown as incomplete.

mod common;

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use common::{all_kinds, fixtures, run};
use mmstats::{Counter, Events, Family, Options, Publisher, Stats};
use mmstats_core::layout::header as h;
use serde_json::Value;

#[test]
fn commands_with_missing_part_say_it_and_end_with_code_3() {
    let dir = tempfile::tempdir().unwrap();
    let valid = |name: &str| fixtures().join("../valid").join(name);
    // Part 1 of a program without its part 0.
    let path = dir.path().join("web.1.mmst");
    std::fs::copy(valid("later-part.mmst"), &path).unwrap();
    let place = dir.path().to_str().unwrap();
    let missing = "incomplete: parts 0 to 1 of 3 missing";
    for arguments in
        [&["ls", place][..], &["show", "--all", place], &["ls", path.to_str().unwrap()]]
    {
        let printed = run(dir.path(), arguments);
        assert_eq!(printed.code, Some(3), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(missing), "{arguments:?}: {}", printed.err);
    }
    let printed = run(dir.path(), &["ls", place]);
    assert!(printed.out.trim_end().ends_with("\tparts 0 to 1 of 3 missing"), "{}", printed.out);
    for command in ["ls", "show"] {
        let printed = run(dir.path(), &[command, "--json", path.to_str().unwrap()]);
        let document: Value = serde_json::from_str(&printed.out).unwrap();
        let incomplete = &document["files"][0]["incomplete"];
        assert_eq!(incomplete["reason"], "parts 0 to 1 of 3 missing", "{document}");
        assert_eq!(incomplete["missing_parts"], serde_json::json!([[0, 1]]));
        assert_eq!(printed.code, Some(3));
    }
    // With a file that cannot be read.
    let printed = run(dir.path(), &["ls", place, "no-such-file.mmst"]);
    assert_eq!(printed.code, Some(1), "{}", printed.err);

    // Part 0 is another file of the same program.
    std::fs::copy(valid("atomic-bool.mmst"), dir.path().join("web.mmst")).unwrap();
    let printed = run(dir.path(), &["ls", place]);
    assert_eq!(printed.out.lines().count(), 1, "a row a program: {}", printed.out);
    assert!(printed.err.contains("part 1 of 3 missing"), "{}", printed.err);
}

#[derive(Debug, Stats)]
struct Web {
    requests: Counter,
    #[stats(unit = "bytes", labels("kind"))]
    sizes: Family<Counter, 1>,
    log: Events,
}

/// A live program that says that it has three parts, and has one.
fn live(directory: &Path) -> Publisher<Web> {
    let publisher: Publisher<Web> =
        Options::new().directory(directory).reserve(8, 512).start().unwrap();
    publisher.with(|web| {
        web.requests.incr();
        web.log.record("a line");
        web.sizes.get(&["a"]).incr();
    });
    let [file] = &publisher.paths()[..] else { panic!("{:?}", publisher.paths()) };
    let mut file = std::fs::File::options().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(h::PARTS.into())).unwrap();
    file.write_all(&3_u32.to_le_bytes()).unwrap();
    publisher
}

/// The member may be in a part that is missing, and count.
#[test]
fn alert_that_waits_for_member_of_incomplete_program_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let _publisher = live(place.path());
    let at = place.path().to_str().unwrap();
    let condition = "sizes{kind=\"b\"} > 1KiB";
    let arguments = ["alert", "--wait", "--timeout", "300ms", "-d0.05", at, condition];
    let printed = run(place.path(), &arguments);
    assert!(printed.err.contains("waiting: "), "{}", printed.err);
    assert_eq!(printed.code, Some(3), "{}", printed.out);
}

#[test]
fn alert_of_incomplete_program_says_which_values_are_bounds() {
    let place = tempfile::tempdir().unwrap();
    let _publisher = live(place.path());
    let at = place.path().to_str().unwrap();
    let printed = run(place.path(), &["alert", at, "requests >= 1"]);
    assert_eq!(printed.code, Some(2), "{}", printed.out);
    assert!(printed.out.contains(": requests is at least 1, >= 1"), "{}", printed.out);
    assert!(printed.out.trim_end().ends_with("| 'requests'=U;;~:1"), "{}", printed.out);
    let printed = run(place.path(), &["alert", "--json", at, "requests >= 1"]);
    let document: Value = serde_json::from_str(&printed.out).unwrap();
    let result = &document["conditions"][0]["results"][0];
    assert_eq!((&result["value"], &result["bound"]), (&1.into(), &"at-least".into()));
    // A missing part may have a later line.
    for (condition, code) in [("age(log) >= 0s", 3), ("age(log) < 1h", 2)] {
        let printed = run(place.path(), &["alert", at, condition]);
        assert_eq!(printed.code, Some(code), "{condition}: {}", printed.out);
    }
}

#[test]
fn poll_and_events_of_missing_part_say_it_and_end_with_code_3() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.mmst");
    all_kinds(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[h::PARTS as usize..][..4].copy_from_slice(&3_u32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap();
    // `poll` counts live programs only.
    let place = tempfile::tempdir().unwrap();
    let _publisher = live(place.path());
    let live = place.path().to_str().unwrap();
    let missing = "incomplete: parts 1 to 2 of 3 missing";
    for arguments in [
        &["poll", "requests", "--json", "-c1", "-d0.01", live][..],
        &["events", "--json", path],
        &["events", path],
    ] {
        let printed = run(dir.path(), arguments);
        assert_eq!(printed.code, Some(3), "{arguments:?}: {}", printed.err);
        assert_eq!(printed.err.matches(missing).count(), 1, "{arguments:?}: {}", printed.err);
        for line in printed.out.lines().filter(|_| arguments[0] == "poll") {
            let row: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&row["programs"], &row["incomplete_programs"]), (&1.into(), &1.into()));
        }
    }
}
