//! `clean` removes programs, all files of each or none.

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::{image, run};
use mmstats_core::layout::header as h;
use mmstats_core::{Constant, FieldSpec, Schema};

/// The files of a dead program with `parts` parts, which died `age` seconds ago.
fn dead(directory: &Path, command: &str, number: u32, parts: u32, age: u64) -> Vec<PathBuf> {
    let part = |part: u32| {
        let path = directory.join(format!("{command}-{number}.{part}.mmst"));
        let mut schema = Schema::<16>::new();
        schema.add(FieldSpec::info("sys.command", Constant::Text(command))).unwrap();
        image(&path, &schema, |_| ());
        let mut bytes = std::fs::read(&path).unwrap();
        let mut put = |at: u32, n: u32| bytes[at as usize..][..4].copy_from_slice(&n.to_le_bytes());
        put(h::INSTANCE, number);
        put(h::PART, part);
        put(h::PARTS, if part == 0 { parts } else { 0 });
        common::sum_header(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age + u64::from(part));
        File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        path
    };
    (0..parts).map(part).collect()
}

/// Number of files that are left of each program.
fn left(programs: &[Vec<PathBuf>]) -> Vec<usize> {
    programs.iter().map(|files| files.iter().filter(|path| path.exists()).count()).collect()
}

fn clean(directory: &Path, arguments: &[&str]) -> String {
    let printed = run(directory, &[&["clean"], arguments].concat());
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    printed.out
}

#[test]
fn clean_keeps_whole_programs_by_command() {
    let dir = tempfile::tempdir().unwrap();
    let mut programs = vec![dead(dir.path(), "service", 1, 9, 1_000)];
    programs
        .extend((2..8).map(|number| dead(dir.path(), "loop", number, 3, 100 - u64::from(number))));
    let out = clean(dir.path(), &["--dry-run", "--keep", "1"]);
    assert_eq!(out.matches("would remove").count(), 15, "{out}");
    assert_eq!(left(&programs), [9, 3, 3, 3, 3, 3, 3]);
    clean(dir.path(), &["--keep", "2"]);
    assert_eq!(left(&programs), [9, 0, 0, 0, 0, 3, 3]);
    clean(dir.path(), &[]);
    assert_eq!(left(&programs), [0; 7]);
}

#[test]
fn clean_older_than_keeps_recent_programs() {
    let dir = tempfile::tempdir().unwrap();
    // The second part of the first is older than an hour, but the program is as old as its newest.
    let ages = [3_000, 3_700, 80_000];
    let programs: Vec<_> = ages
        .iter()
        .zip(1..)
        .map(|(age, number)| dead(dir.path(), "web", number, 2, *age))
        .collect();
    clean(dir.path(), &["--older-than", "1d"]);
    assert_eq!(left(&programs), [2, 2, 2]);
    clean(dir.path(), &["--older-than", "1h", "--keep", "2"]);
    assert_eq!(left(&programs), [2, 2, 0]);
    clean(dir.path(), &["--older-than", "1h"]);
    assert_eq!(left(&programs), [2, 0, 0]);
    let wrong = run(dir.path(), &["clean", "--older-than", "7"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.err);
}

/// One file of the program is of another user, so it is another program; its own parts stay whole.
#[cfg(unix)] // Windows cannot give a file away
#[test]
fn clean_does_not_count_programs_of_other_users() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dead(dir.path(), "web", 1, 2, 100);
    // A part of the same instance, and newer, so it would take the place that `--keep` has.
    let forged = vec![dir.path().join("web-1.x.mmst")];
    std::fs::copy(&mine[0], &forged[0]).unwrap();
    if std::os::unix::fs::chown(&forged[0], Some(12_345), None).is_err() {
        return common::cannot_be_run("only root can make a file of another user");
    }
    let programs = [mine, forged];
    let out = clean(dir.path(), &["--keep", "1"]);
    assert_eq!(left(&programs), [2, 1], "{out}");
    let out = clean(dir.path(), &[]);
    assert_eq!(left(&programs), [0, 1], "{out}");
    assert!(out.contains("it belongs to user 12345"), "{out}");
}

/// A file of format 1 whose process id is that of no process may be that of a container.
#[cfg(target_os = "linux")] // has namespaces
#[test]
fn clean_keeps_file_of_format_1_that_a_process_has_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.mmstats");
    let label = b"sys.pid";
    let mut bytes = vec![1];
    bytes.extend(u16::try_from(label.len()).unwrap().to_le_bytes());
    bytes.extend(label);
    bytes.extend(1_u16.to_le_bytes());
    bytes.push(b'I');
    bytes.push(255);
    // Above the largest process id.
    bytes.extend(99_999_999_u32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    // This process has it mapped, as its writer has.
    let opened = backend::open(&path).unwrap();
    let out = clean(dir.path(), &[]);
    assert!(path.exists(), "{out}");
    assert!(out.contains("nothing proves"), "{out}");
    drop(opened);
    let out = clean(dir.path(), &[]);
    let all_seen = std::fs::read_link("/proc/self/ns/pid").unwrap();
    if all_seen.as_os_str() == "pid:[4026531836]" {
        assert!(!path.exists(), "{out}");
    } else {
        assert!(path.exists(), "{out}");
    }
}

#[cfg(target_os = "linux")] // maps a file
use mmstats_unix as backend;
