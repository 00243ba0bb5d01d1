//! A publisher in a process with rights that its caller lacks, and in one without random bytes.
#![allow(missing_docs)]
#![allow(unsafe_code)] // namespaces, filters of system calls
#![cfg(target_os = "linux")] // has both

#[path = "../../tests/shared/privileges.rs"]
mod privileges;

use std::path::Path;
use std::process::Command;

use mmstats::{Counter, ErrorCode, FieldOptions, Options};
use privileges::{program, refuse, run};

fn is_root() -> bool {
    // SAFETY: has no precondition.
    let root = unsafe { libc::geteuid() == 0 };
    assert!(root || std::env::var_os("CI").is_none(), "cannot be run here: needs the super-user");
    root
}

#[test]
fn child_that_publishes() {
    let Some(path) = std::env::var_os("MMSTATS_TEST_CHILD") else { return };
    let publisher = Options::from_env().start::<mmstats::Lane>().unwrap();
    let problem = publisher.problem();
    let planted = publisher.paths().iter().any(|file| file.starts_with(Path::new(&path)));
    println!("<{:?} {planted}>", problem.as_ref().map(mmstats::Error::code));
    println!("<{}>", problem.map(|problem| problem.to_string()).unwrap_or_default());
}

#[test]
fn problem_of_set_user_id_program_names_ignored_variable() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let name = "child_that_publishes";
    let text = run(&program(place.path(), 0o4755), name, place.path());
    assert!(text.contains(&format!("<{:?} false>", Some(ErrorCode::Environment))), "{text}");
    assert!(text.contains("<MMSTATS_PATH is ignored: "), "{text}");
}

#[test]
fn child_that_changes_its_user() {
    let Some(path) = std::env::var_os("MMSTATS_TEST_CHILD") else { return };
    let options = Options::new().directory(&path).lanes(1).or_private();
    let publisher = options.start::<mmstats::Lane>().unwrap();
    let _first = publisher.lane().unwrap();
    assert!(publisher.problem().is_none(), "{:?}", publisher.problem());
    // SAFETY: has no precondition.
    assert_eq!(unsafe { libc::setuid(privileges::CALLER) }, 0);
    let _second = publisher.lane().unwrap();
    let problem = publisher.problem().expect("two files, two owners");
    println!("<{} {problem}>", problem.code());
}

#[test]
fn problem_of_program_that_changed_its_user_names_both() {
    use std::os::unix::fs::PermissionsExt;
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_changes_its_user", "--nocapture", "--test-threads=1"])
        .env("MMSTATS_TEST_CHILD", place.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let owners = format!("belongs to user {}, and the first file to user 0", privileges::CALLER);
    assert!(text.contains("<owners ") && text.contains(&owners), "{text}{output:?}");
}

#[test]
fn child_without_random_bytes() {
    let Some(path) = std::env::var_os("MMSTATS_TEST_CHILD") else { return };
    // SAFETY: has no precondition.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return println!("<skipped>");
    }
    let private = Command::new("mount").args(["--make-rprivate", "/"]).status().unwrap();
    let hidden = Command::new("mount").args(["-t", "tmpfs", "none", "/dev"]).status().unwrap();
    assert!(private.success() && hidden.success());
    refuse(&[libc::SYS_getrandom], libc::ENOSYS);
    let options = Options::new().directory(&path).persistent(Path::new(&path).join("x.mmst"));
    for _ in 0..2 {
        let publisher = options.clone().start::<mmstats::Lane>().unwrap();
        let key = publisher.add::<Counter>("requests", FieldOptions::new()).unwrap();
        publisher.with(|lane| lane.attach(key).map(|requests| requests.incr())).unwrap();
    }
    println!("<passed>");
}

#[test]
fn start_without_random_bytes_publishes() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_without_random_bytes", "--nocapture", "--test-threads=1"])
        .env("MMSTATS_TEST_CHILD", place.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("<skipped>") {
        let is_ci = std::env::var_os("CI").is_some();
        assert!(!is_ci, "cannot be run here: needs a namespace of mounts");
        return;
    }
    assert!(text.contains("<passed>"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
