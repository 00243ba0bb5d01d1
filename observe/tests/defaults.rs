//! Directories that are searched: named ones, and those of the environment.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use mmstats_core::FieldSpec;
use mmstats_observe::{Observer, Sources};
use support::simple;

/// The lines of a child process with only this environment, which observes `arguments`: paths
/// and process ids. A child, because threads share the environment of a process.
fn look(environment: &[(&str, &Path)], arguments: &str) -> Vec<String> {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 40 && exec \"$0\" --exact child --nocapture"]);
    command.arg(std::env::current_exe().unwrap());
    for name in ["MMSTATS_PATH", "XDG_RUNTIME_DIR", "TMPDIR"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied()).env("MMSTATS_TEST_LOOK", arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // The first line follows the name of the test.
    let lines = text.lines().filter_map(|line| line.split_once("SEEN ").map(|(_, seen)| seen));
    // Files of other programs of this machine are left out.
    lines.filter(|line| !line.contains("/dev/shm/")).map(str::to_owned).collect()
}

/// No test: the child process of `look`.
#[test]
fn child() {
    let Ok(arguments) = std::env::var("MMSTATS_TEST_LOOK") else { return };
    let mut sources = Sources::new();
    let mut held = Vec::new();
    for argument in arguments.split_whitespace() {
        sources = match argument.parse() {
            Ok(pid) => sources.pid(pid),
            Err(_) if argument == "full" => {
                held.extend(std::iter::from_fn(|| fs::File::open("/dev/null").ok()));
                sources
            }
            Err(_) => sources.path(argument),
        };
    }
    let mut observer = Observer::new(sources);
    observer.refresh();
    drop(held);
    for directory in observer.directories() {
        println!("SEEN directory {}", directory.display());
    }
    for file in observer.files() {
        println!("SEEN file {}", file.path().display());
    }
    for problem in observer.problems() {
        println!("SEEN {} {} {}", problem.code, problem.named, problem.path.display());
    }
}

#[test]
fn named_directory_is_searched_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["one", "two"] {
        fs::create_dir(path(name)).unwrap();
        drop(simple(&path(name), "a.mmst", &[FieldSpec::counter("hits")]));
    }
    let (one, two) = (path("one"), path("two"));
    let both = format!("{} {}", one.display(), two.display());
    let wanted = [
        format!("directory {}", one.display()),
        format!("directory {}", two.display()),
        format!("file {}", one.join("a.mmst").display()),
        format!("file {}", two.join("a.mmst").display()),
    ];
    assert_eq!(look(&[], &both), wanted);
    // Named, and also a default directory, for process ids.
    let found = look(&[("MMSTATS_PATH", &two)], &format!("{both} 4294967295"));
    assert_eq!(found[..4], wanted);
    assert_eq!(found[4..], ["no-such-pid true 4294967295"]);
}

#[test]
fn directory_of_environment_is_only_one_searched() {
    let directory = tempfile::tempdir().unwrap();
    let none = directory.path().join("none");
    let found = look(&[("MMSTATS_PATH", &none), ("TMPDIR", directory.path())], "");
    assert_eq!(found, [format!("not-found true {}", none.display())]);
}

/// The temporary directory is searched for format 1 only. A default directory that others can
/// write to is refused, without a named path in the problem.
#[test]
fn default_directories_are_searched_without_environment() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("old.mmstats"), b"\x01\x04\0hits\x01\0B\xFF\x07\0\0").unwrap();
    drop(simple(directory.path(), "new.mmst", &[FieldSpec::counter("hits")]));
    fs::create_dir_all(path("run/mmstats")).unwrap();
    fs::set_permissions(path("run/mmstats"), fs::Permissions::from_mode(0o777)).unwrap();
    let (run, empty) = (path("run"), Path::new(""));
    let places = [("TMPDIR", directory.path()), ("XDG_RUNTIME_DIR", &run), ("MMSTATS_PATH", empty)];
    let wanted = [
        format!("directory {}", directory.path().display()),
        format!("file {}", path("old.mmstats").display()),
        format!("permission-denied false {}", path("run/mmstats").display()),
    ];
    assert_eq!(look(&places, ""), wanted, "an empty name is none");
    assert_eq!(look(&places[..2], ""), wanted);
}

/// Here because the process has reached its limit of open files.
#[test]
fn directory_that_cannot_be_listed_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let shown = directory.path().display().to_string();
    let found = look(&[], &format!("full {shown}"));
    assert_eq!(found, [format!("directory {shown}"), format!("io true {shown}")]);
    let found = look(&[("TMPDIR", directory.path())], "full");
    // The user's own directory in it comes first.
    assert!(found[1].starts_with(&format!("io false {shown}/mmstats-")), "{found:?}");
    assert_eq!(
        [&found[0], &found[2]],
        [&format!("directory {shown}"), &format!("io false {shown}")]
    );
}

/// An unreadable file is not known to be of the process.
#[test]
fn pid_source_does_not_report_unreadable_files() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link.mmst");
    symlink("nowhere", &link).unwrap();
    let place = [("MMSTATS_PATH", directory.path())];
    let listed = format!("directory {}", directory.path().display());
    let refused = format!("not-regular false {}", link.display());
    assert_eq!(look(&place, ""), [listed.clone(), refused]);
    let missing = "no-such-pid true 4294967295".to_owned();
    assert_eq!(look(&place, "4294967295"), [listed, missing]);
}
