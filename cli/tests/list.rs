//! `ls`: a row a program, with what its process does; `clean` has the same words.
#![cfg(target_os = "linux")] // elsewhere no system tells what a process does

mod common;

use common::terminal::lines;
use common::{Publisher, json, run, wait_for};
use unicode_width::UnicodeWidthStr as _;

#[test]
fn ls_tells_running_stopped_and_zombie_programs() {
    let dir = tempfile::tempdir().unwrap();
    let [running, stopped, zombie, mut dead] = [(); 4].map(|()| Publisher::start(dir.path()));
    stopped.signal("STOP");
    // Its parent, this test, does not ask for its exit code.
    zombie.signal("KILL");
    dead.kill();
    let all = [(&running, "running"), (&stopped, "stopped"), (&zombie, "zombie"), (&dead, "dead")];
    let row = |publisher: &Publisher, width| {
        let table = lines(dir.path(), &["ls"], width);
        let pid = publisher.pid();
        let row = table.iter().find(|line| line.split_whitespace().next() == Some(&*pid));
        row.unwrap_or_else(|| panic!("no {pid} in {table:?}")).clone()
    };
    wait_for(|| row(&zombie, 80).contains(" zombie ").then_some(()));
    for width in [40, 80, 200] {
        for (publisher, word) in all {
            let row = row(publisher, width);
            assert!(row.contains(&format!(" {word} ")) || row.ends_with(word), "{word}: {row}");
        }
        let table = lines(dir.path(), &["ls"], width);
        let fits = |line: &String| line.width() <= usize::from(width) || !line.trim().contains(' ');
        assert!(table.iter().all(fits), "{table:?}");
        assert!(!table.concat().contains('…'), "{table:?}");
        assert!(table.concat().contains("times are UTC"), "{table:?}");
    }
    let document = json(dir.path(), &["ls", "--json"]);
    let entry = |publisher: &Publisher| {
        let files = document["files"].as_array().unwrap();
        files.iter().find(|file| file["path"] == publisher.path()).unwrap()
    };
    let now = document["time"].as_f64().unwrap();
    for (publisher, word) in all {
        let entry = entry(publisher);
        let process = entry["process"].as_str().unwrap_or("dead");
        assert_eq!(process, word, "{entry}");
        let has_ended = matches!(word, "zombie" | "dead");
        assert_eq!(entry["died"].as_f64().is_some_and(|died| now - died < 120.0), has_ended);
        assert!(entry["changed"].as_f64().unwrap() < 120.0, "{entry}");
    }
    // Plain lines keep the state, and have the word beside it.
    let plain = run(dir.path(), &["ls"]).out;
    let columns: Vec<&str> = plain
        .lines()
        .find(|line| line.contains(stopped.path()))
        .map(|line| line.split('\t').collect())
        .unwrap();
    assert_eq!((columns[2], columns[9], columns.len()), ("live", "stopped", 14));
    // The words of `clean` and of `show`.
    let cleaned = run(dir.path(), &["clean", "--dry-run"]).out;
    for (publisher, word) in all {
        let line = cleaned.lines().find(|line| line.contains(publisher.path())).unwrap();
        assert!(line.contains(&format!(": {word}: ")), "{line}");
        let head = &lines(dir.path(), &["show", publisher.path()], 200)[0];
        assert!(head.contains(&format!("  {word}  ")), "{head}");
    }
    let head = &lines(dir.path(), &["show", dead.path()], 200)[0];
    assert!(head.contains("  died <1m ago (about 20"), "{head}");
    assert!(head.contains(" UTC)  was up <1m"), "{head}");
    stopped.signal("CONT");
}

#[test]
fn ls_says_why_a_program_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start(dir.path());
    std::fs::write(dir.path().join("noise.mmst"), "no image at all, but a text").unwrap();
    for width in [40, 80, 200] {
        let table = lines(dir.path(), &["ls"], width);
        let all = table.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(all.contains("noise") && all.contains("(bad-magic)"), "{width}: {table:?}");
        assert!(all.contains(&publisher.pid()), "{table:?}");
        assert!(table.iter().all(|line| line.width() <= usize::from(width)), "{table:?}");
    }
    let document = json(dir.path(), &["ls", "--json"]);
    let files = document["files"].as_array().unwrap();
    let problems: Vec<_> = files.iter().map(|file| &file["problem"]["code"]).collect();
    assert!(problems.contains(&&"bad-magic".into()), "{document}");
}
